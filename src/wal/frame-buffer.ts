// Encodes records, as frames one after the other, into one reused buffer. Hot: once per entry.
//
//   offset  size  frame
//        0     8  length word, little-endian: bits 0..55 record size, 56..58 padding size,
//                 59..62 zero, 63 set if there is padding
//        8     n  record: 08 type  10 crc  [1a size data]     (walpb.Record; crc as varint)
//      8+n   0-7  zeros up to a multiple of 8
//
// The checksum is CRC-32C over the data of all records so far, one running value. Since its varint
// stands before the data, it is computed first: over the few bytes that precede the entry's payload,
// made in a scratch array, and over the payload where the caller has it. The payload is then copied
// once, into its place in the frame.

import { crc32c, invariant } from '../base/index.ts';
import { raftpb } from '../protocol/index.ts';
import { BUFFER_SIZE, BUFFER_SIZE_KEPT_MAX, FRAME_ALIGNMENT, LENGTH_WORD_SIZE } from './limits.ts';
import { RECORD_TYPES, type RecordType } from './record-types.ts';

const TWO_32 = 0x1_0000_0000;

/** Tags and varints of an entry before its payload: 1+10 type, 1+8 term, 1+8 index, 1+5 size. */
const ENTRY_HEAD_SIZE_MAX = 35;

/** Everything of a frame but the data: length word, type, crc, tag and size, padding. */
const FRAME_OVERHEAD_MAX = 8 + 2 + 6 + 6 + 7;

/** Up to this many bytes a loop is faster than `set`. */
const COPY_LOOP_MAX = 24;

const scratch = new Uint8Array(64);
const NO_BYTES = new Uint8Array(0);

export class FrameBuffer {
  /** Frames are in [0, length). */
  bytes: Uint8Array = new Uint8Array(BUFFER_SIZE);
  length = 0;
  /** Running checksum over everything encoded so far, across `clear`. */
  crc: number;

  constructor(crc: number) {
    this.crc = crc;
  }

  /** Drops the frames; the checksum continues. */
  clear(): void {
    this.length = 0;
    if (this.bytes.length > BUFFER_SIZE_KEPT_MAX) this.bytes = new Uint8Array(BUFFER_SIZE);
  }

  /** As `raftpb.EntryCodec` would encode it; the test compares. */
  entry(entry: raftpb.Entry): void {
    const { data } = entry;
    let head = 0;
    if (entry.type !== 0) {
      scratch[head++] = 0x08;
      head = putVarint(entry.type, scratch, head);
    }
    if (entry.term !== 0) {
      scratch[head++] = 0x10;
      head = putVarint(entry.term, scratch, head);
    }
    if (entry.index !== 0) {
      scratch[head++] = 0x18;
      head = putVarint(entry.index, scratch, head);
    }
    if (data.length > 0) {
      scratch[head++] = 0x22;
      head = putVarint(data.length, scratch, head);
    }
    invariant(head <= ENTRY_HEAD_SIZE_MAX, 'an entry head has its maximum size');
    this.#frame(RECORD_TYPES.ENTRY, head, data);
  }

  hardState(state: raftpb.HardState): void {
    const size = raftpb.HardStateCodec.write(state, scratch, 0);
    invariant(size > 0 && size <= scratch.length, 'a hard state fits the scratch array');
    this.#frame(RECORD_TYPES.STATE, size, NO_BYTES);
  }

  /** A record of any other kind. */
  record(type: RecordType, data: Uint8Array): void {
    this.#frame(type, 0, data);
  }

  /** A record whose data are scratch[0, head) and then `tail`. */
  #frame(type: RecordType, head: number, tail: Uint8Array): void {
    const dataSize = head + tail.length;
    let crc = crc32c(this.crc, scratch, 0, head);
    crc = crc32c(crc, tail);
    this.crc = crc;
    this.#reserve(FRAME_OVERHEAD_MAX + dataSize);
    const { bytes } = this;
    const start = this.length;
    invariant(start % FRAME_ALIGNMENT === 0, 'a frame begins at a multiple of 8');
    let at = start + LENGTH_WORD_SIZE;
    bytes[at++] = 0x08;
    bytes[at++] = type;
    bytes[at++] = 0x10;
    at = putVarint(crc, bytes, at);
    if (dataSize > 0) {
      bytes[at++] = 0x1a;
      at = putVarint(dataSize, bytes, at);
      for (let i = 0; i < head; i++) bytes[at + i] = scratch[i]!;
      at += head;
      if (tail.length > COPY_LOOP_MAX) bytes.set(tail, at);
      else for (let i = 0; i < tail.length; i++) bytes[at + i] = tail[i]!;
      at += tail.length;
    }
    const recordSize = at - start - LENGTH_WORD_SIZE;
    invariant(recordSize > dataSize, 'a record has its type and checksum beside its data');
    const padding = -recordSize & (FRAME_ALIGNMENT - 1);
    for (let i = 0; i < padding; i++) bytes[at++] = 0;
    invariant(at <= bytes.length, 'a frame lies within its buffer');
    putLengthWord(recordSize, padding, bytes, start);
    this.length = at;
  }

  #reserve(size: number): void {
    const needed = this.length + size;
    if (needed <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, 2 * this.bytes.length));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
    invariant(needed <= this.bytes.length, 'the buffer has room for the frame');
  }
}

function putLengthWord(size: number, padding: number, target: Uint8Array, at: number): void {
  invariant(size < 2 ** 31, 'a record is smaller than 2 GiB');
  invariant((size + padding) % FRAME_ALIGNMENT === 0, 'a frame is padded to a multiple of 8');
  target[at] = size;
  target[at + 1] = size >>> 8;
  target[at + 2] = size >>> 16;
  target[at + 3] = size >>> 24;
  target[at + 4] = 0;
  target[at + 5] = 0;
  target[at + 6] = 0;
  target[at + 7] = padding === 0 ? 0 : 0x80 | padding;
}

/** A non-negative integer up to 2^53. Returns the offset after. */
function putVarint(value: number, target: Uint8Array, offset: number): number {
  let at = offset;
  let rest = value;
  while (rest >= TWO_32) {
    target[at++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  rest >>>= 0;
  while (rest >= 0x80) {
    target[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  target[at++] = rest;
  return at;
}
