// Huffman coding of header strings.
//
// Decoding walks a table of (state, four input bits): no code is shorter than five bits, so that a
// step emits at most one byte. An entry is
//
//     bits 0-7 next state   bits 8-15 byte to emit   bit 16 emits   bit 17 fails   bit 18 may end
//
// A string may end only where the bits since the last symbol are all ones and fewer than eight
// (RFC 7541 section 5.2); EOS itself must not appear.

import { ERROR_CODES, invariant, TetcdError } from '../../base/index.ts';
import { HUFFMAN_CODES, HUFFMAN_EOS, HUFFMAN_LENGTHS } from './huffman-code.ts';

const EMITS = 1 << 16;
const FAILS = 1 << 17;
const MAY_END = 1 << 18;

const transitions: Uint32Array = buildTransitions();

interface Node {
  readonly state: number;
  readonly depth: number;
  /** Whether the path from the root is all ones. */
  readonly ones: boolean;
  zero: Node | number | undefined;
  one: Node | number | undefined;
}

function buildTree(): Node[] {
  const nodes: Node[] = [];
  const make = (depth: number, ones: boolean): Node => {
    const node: Node = { state: nodes.length, depth, ones, zero: undefined, one: undefined };
    nodes.push(node);
    return node;
  };
  const root = make(0, true);
  for (let symbol = 0; symbol <= HUFFMAN_EOS; symbol++) {
    let node = root;
    for (let bit = HUFFMAN_LENGTHS[symbol]! - 1; bit >= 0; bit--) {
      const side = (HUFFMAN_CODES[symbol]! >>> bit) & 1 ? 'one' : 'zero';
      if (bit === 0) {
        invariant(node[side] === undefined, 'no code is the prefix of another');
        node[side] = symbol;
        continue;
      }
      const next = node[side] ?? make(node.depth + 1, node.ones && side === 'one');
      invariant(typeof next === 'object', 'no code is the prefix of another');
      node[side] = next;
      node = next;
    }
  }
  invariant(nodes.length === 256, 'a complete code of 257 symbols has 256 inner nodes');
  return nodes;
}

function buildTransitions(): Uint32Array {
  const nodes = buildTree();
  const root = nodes[0]!;
  const table = new Uint32Array(nodes.length * 16);
  for (const start of nodes) {
    for (let nibble = 0; nibble < 16; nibble++) {
      let node = start;
      let entry = 0;
      for (let bit = 3; bit >= 0; bit--) {
        const next = (nibble >>> bit) & 1 ? node.one : node.zero;
        invariant(next !== undefined, 'the code is complete');
        if (typeof next === 'object') {
          node = next;
        } else if (next === HUFFMAN_EOS) {
          entry |= FAILS;
          break;
        } else {
          entry |= EMITS | (next << 8);
          node = root;
        }
      }
      if (node.ones && node.depth < 8) entry |= MAY_END;
      table[start.state * 16 + nibble] = entry | node.state;
    }
  }
  return table;
}

/** Most bytes that `length` coded bytes can decode to: every code has at least five bits. */
export function huffmanDecodedMax(length: number): number {
  return Math.floor((length * 8) / 5);
}

/**
 * Decodes `source[start, end)` into `target` from 0; the caller made room for
 * {@link huffmanDecodedMax}. Returns the number of bytes. MALFORMED for EOS or bad padding.
 */
export function huffmanDecode(
  source: Uint8Array,
  start: number,
  end: number,
  target: Uint8Array,
): number {
  let state = 0;
  let length = 0;
  let entry = MAY_END;
  for (let i = start; i < end; i++) {
    const byte = source[i]!;
    entry = transitions[state * 16 + (byte >>> 4)]!;
    if (entry & FAILS) throw malformed('EOS in a Huffman string');
    if (entry & EMITS) target[length++] = (entry >>> 8) & 255;
    entry = transitions[(entry & 255) * 16 + (byte & 15)]!;
    if (entry & FAILS) throw malformed('EOS in a Huffman string');
    if (entry & EMITS) target[length++] = (entry >>> 8) & 255;
    state = entry & 255;
  }
  if ((entry & MAY_END) === 0) throw malformed('bad padding of a Huffman string');
  return length;
}

/** Bytes that `text` (one char per byte) takes when coded. */
export function huffmanLength(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i++) bits += HUFFMAN_LENGTHS[text.charCodeAt(i) & 255]!;
  return (bits + 7) >>> 3;
}

/** Codes `text` at `offset`; the caller made room. Returns the offset after. */
export function huffmanEncode(text: string, target: Uint8Array, offset: number): number {
  let at = offset;
  let pending = 0;
  let pendingBits = 0;
  for (let i = 0; i < text.length; i++) {
    const symbol = text.charCodeAt(i) & 255;
    const bits = HUFFMAN_LENGTHS[symbol]!;
    // At most 7 bits wait here and a code has up to 30: beyond 32, hence no shifts.
    pending = pending * 2 ** bits + HUFFMAN_CODES[symbol]!;
    pendingBits += bits;
    while (pendingBits >= 8) {
      pendingBits -= 8;
      const unit = 2 ** pendingBits;
      const byte = Math.floor(pending / unit);
      target[at++] = byte;
      pending -= byte * unit;
    }
  }
  if (pendingBits > 0) {
    target[at++] = (pending << (8 - pendingBits)) | (255 >>> pendingBits);
  }
  return at;
}

function malformed(text: string): TetcdError {
  return new TetcdError(ERROR_CODES.MALFORMED, `hpack: ${text}`);
}
