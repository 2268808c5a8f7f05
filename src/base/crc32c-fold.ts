// CRC-32C of long inputs: all but the last bytes are folded away, 16 at a time, without any table.
//
// A CRC is the remainder of a polynomial, so that adding a multiple of the divisor changes nothing. This one
// has four terms, and the distances between them are whole bytes:
//
//     x^(8*5685) + x^(8*1362) + x^(8*426) + 1        5685 - 1362 = 4323, 5685 - 426 = 5259
//
// So a byte can be taken out of a message if it is XORed onto those 4323, 5259 and 5685 places behind it:
//
//     message   [ . . . . . . . . . . b . . . . . . . . . . . . . . . . . . ]
//     becomes   [ . . . . . . . . . . 0 . . . . . +b . . +b . +b . . . . . .]
//
// From the first byte on, each is the message's byte and what the three bytes before it have left there;
// of a message of 100 KB the last 5,685 bytes remain, which go through the tables. The loop is one of
// WebAssembly, which has vectors of 16 bytes and JavaScript has not: 12 us for 100 KB in place of 67, the
// copy into its memory included (Node 20, one x86 core). The module is made here, instruction by instruction,
// when it is first wanted.
//
//     memory    [ zeros | message          | zeros ]        [ the last bytes ]
//                       ^MESSAGE_AT                         ^TAIL_AT

import { invariant } from './invariant.ts';

/** How far behind a byte the three are that it is XORed onto; ascending. */
const FOLD_DISTANCES = [4323, 5259, 5685] as const;
const DISTANCE_MAX: number = FOLD_DISTANCES[2];

const VECTOR_BYTES = 16;
const MESSAGE_AT = 5696;
/** Longer messages are folded in parts. */
const PART_BYTES_MAX: number = 128 * 1024;
const TAIL_AT: number = 144 * 1024;
const PAGE_BYTES: number = 64 * 1024;
const PAGES = 3;

invariant(MESSAGE_AT >= DISTANCE_MAX, 'before the message are as many zeros as are looked at');
invariant(
  MESSAGE_AT + PART_BYTES_MAX + DISTANCE_MAX + 2 * VECTOR_BYTES <= TAIL_AT,
  'behind the message is room for zeros',
);
invariant(
  TAIL_AT + DISTANCE_MAX + 2 * VECTOR_BYTES <= PAGES * PAGE_BYTES,
  'the last bytes have room in the memory',
);

/** Inputs shorter than this take longer to fold than by the tables. */
export const FOLDED_BYTES_MIN: number = 16 * 1024;

/** The checksum of bytes that follow those with the checksum `seed`. */
type Checksum = (seed: number, bytes: Uint8Array, start: number, end: number) => number;

/** One loop over [at, end): XORs three vectors onto the one `to` bytes behind the last of them. */
type Fold = (at: number, end: number, to: number) => void;

/**
 * The checksum by folding, where `plain` does the rest; undefined where the platform has no vectors
 * (`--jitless`, an old processor).
 */
export function foldingChecksum(plain: Checksum): Checksum | undefined {
  const made = instantiate();
  if (made === undefined) return undefined;
  assertMultiple(plain);
  const { fold, memory } = made;
  return (seed, bytes, start, end) => {
    let checksum = seed;
    let at = start;
    while (end - at >= FOLDED_BYTES_MIN) {
      const length = Math.min(PART_BYTES_MAX, end - at);
      memory.set(bytes.subarray(at, at + length), MESSAGE_AT);
      at += length;
      // What a register would hold at the beginning counts as added to the first four bytes.
      const register = ~checksum;
      for (let i = 0; i < 4; i++) memory[MESSAGE_AT + i]! ^= register >>> (8 * i);

      const folded = length - DISTANCE_MAX - ((length - DISTANCE_MAX) % VECTOR_BYTES);
      const from = MESSAGE_AT - DISTANCE_MAX;
      fold(from, from + folded, 0);
      // The last bytes elsewhere, since what is left onto them comes from folded bytes alone.
      const rest = MESSAGE_AT + folded;
      const restLength = length - folded;
      invariant(restLength >= DISTANCE_MAX, 'every folded byte is XORed onto bytes of the message');
      memory.copyWithin(TAIL_AT, rest, rest + restLength);
      memory.fill(0, rest, rest + restLength + VECTOR_BYTES);
      fold(rest - DISTANCE_MAX, rest - DISTANCE_MAX + restLength, TAIL_AT - rest);
      // The inverse of an empty register.
      checksum = plain(0xffff_ffff, memory, TAIL_AT, TAIL_AT + restLength);
    }
    return plain(checksum, bytes, at, end);
  };
}

/** A multiple of the divisor leaves an empty register empty. */
function assertMultiple(plain: Checksum): void {
  const multiple = new Uint8Array(DISTANCE_MAX + 1);
  for (const at of [0, ...FOLD_DISTANCES]) multiple[at] = 1;
  invariant(
    plain(0xffff_ffff, multiple, 0, multiple.length) === 0xffff_ffff,
    'the distances are those of a multiple of the polynomial',
  );
}

function instantiate(): { fold: Fold; memory: Uint8Array } | undefined {
  if (typeof WebAssembly === 'undefined') return undefined;
  try {
    const memory = new WebAssembly.Memory({ initial: PAGES });
    const module = new WebAssembly.Module(foldModule());
    const { exports } = new WebAssembly.Instance(module, { env: { memory } });
    return { fold: exports['fold'] as Fold, memory: new Uint8Array(memory.buffer) };
  } catch {
    // A processor without vectors, or no address space for the memory.
    return undefined;
  }
}

// --- The module, in WebAssembly's binary format ------------------------------------------------------

const OP = {
  LOOP: 0x03,
  END: 0x0b,
  BRANCH_IF: 0x0d,
  GET: 0x20,
  TEE: 0x22,
  CONST: 0x41,
  LESS: 0x49,
  ADD: 0x6a,
  VECTOR: 0xfd,
} as const;
const VECTOR_OP = { LOAD: 0, STORE: 11, XOR: 0x51 } as const;
const TYPE = { I32: 0x7f, NOTHING: 0x40, FUNCTION: 0x60 } as const;

/** Parameters of {@link Fold}, and the place of the result. */
const LOCAL = { AT: 0, END: 1, TO: 2, RESULT: 3 } as const;

/**
 *     loop
 *       result = at + to
 *       memory[result + MAX] = memory[result + MAX] ^ memory[at + MAX - distance] ^ ...
 *       at += 16
 *     while (at < end)
 */
function foldModule(): Uint8Array {
  const load = (offset: number) => [OP.VECTOR, VECTOR_OP.LOAD, 0, ...leb(offset)];
  const xor = [OP.VECTOR, VECTOR_OP.XOR];
  const body = [
    ...[OP.LOOP, TYPE.NOTHING],
    ...[OP.GET, LOCAL.AT, OP.GET, LOCAL.TO, OP.ADD, OP.TEE, LOCAL.RESULT],
    ...[OP.GET, LOCAL.RESULT, ...load(DISTANCE_MAX)],
    ...FOLD_DISTANCES.flatMap((distance) => [
      ...[OP.GET, LOCAL.AT, ...load(DISTANCE_MAX - distance)],
      ...xor,
    ]),
    ...[OP.VECTOR, VECTOR_OP.STORE, 0, ...leb(DISTANCE_MAX)],
    ...[OP.GET, LOCAL.AT, OP.CONST, VECTOR_BYTES, OP.ADD, OP.TEE, LOCAL.AT],
    ...[OP.GET, LOCAL.END, OP.LESS, OP.BRANCH_IF, 0],
    ...[OP.END, OP.END],
  ];
  const locals = [1, 1, TYPE.I32];
  const i32 = TYPE.I32;
  return Uint8Array.from([
    ...[0x00, ...ascii('asm'), 1, 0, 0, 0],
    ...section(1, [1, TYPE.FUNCTION, 3, i32, i32, i32, 0]),
    ...section(2, [1, ...named('env'), ...named('memory'), 2, 0, PAGES]),
    ...section(3, [1, 0]),
    ...section(7, [1, ...named('fold'), 0, 0]),
    ...section(10, [1, ...sized([...locals, ...body])]),
  ]);
}

function section(id: number, content: readonly number[]): number[] {
  return [id, ...sized(content)];
}

function named(name: string): number[] {
  return sized(ascii(name));
}

function ascii(text: string): number[] {
  return Array.from(text, (char) => char.charCodeAt(0));
}

function sized(content: readonly number[]): number[] {
  return [...leb(content.length), ...content];
}

/** A number as the format has it: seven bits a byte, the lowest first. */
function leb(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...leb(value >>> 7)];
}
