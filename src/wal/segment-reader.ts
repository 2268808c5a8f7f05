// Reads the frames of one segment, block by block. `step` is synchronous and leaves the record in the
// fields, so that a million records cost no promise; `fill` is awaited when it asks for more bytes.
//
// What ends a segment, and what the end means:
//
// - A length word of zero, or the end of the file: the end of what was written.
// - In the last segment, a record that was not written wholly before a crash ("torn"). As in etcd: its
//   frame goes beyond the end of the file, or it fails its checksum (or does not parse) and one of
//   the 512-byte sectors that it touches holds only zeros where the record should be.
// - Anything else is corrupt, with file and offset.
//
// Two kinds of damage look torn and are not. The first is a changed bit in a record with a sector of
// zeros in its own data: recognized by intact records behind it, if they are more than one write can
// hold. The second is a changed length word, which cannot be torn, since it never crosses a sector.
// Trusted, it would make an intact record and all later ones look like a torn tail to be cut off. So
// before a tail is cut, the record is parsed again by its own inner lengths: if its checksum holds, the
// length word is corrupt. Only a length word of zero in the last 8 bytes of a sector is trusted: that
// sector may have been lost alone.

import { crc32c, invariant } from '../base/index.ts';
import type { DiskFile } from '../env/index.ts';
import { corrupt } from './corrupt.ts';
import {
  FRAME_ALIGNMENT,
  LENGTH_WORD_SIZE,
  READ_BLOCK_SIZE,
  SECTOR_SIZE,
  TORN_REACH_MAX,
} from './limits.ts';
import { RECORD_TYPES } from './record-types.ts';

export const STEPS = {
  /** The fields describe a record. */
  RECORD: 0,
  /** Await `fill`, then step again. */
  MORE: 1,
  /** No record begins here; await `judge`. */
  STOP: 2,
} as const;

type Step = (typeof STEPS)[keyof typeof STEPS];

/** Why a segment ended, if not corrupt. */
export type Ending = 'end' | 'torn';

type Trouble =
  | 'none'
  | 'length word of zero'
  | 'end of file'
  | 'length word malformed'
  | 'record goes beyond the end of the file'
  | 'record malformed'
  | 'checksum mismatch';

export class SegmentReader {
  readonly path: string;
  readonly #file: DiskFile;
  readonly #size: number;
  readonly #isLast: boolean;

  /** Holds [blockStart, blockStart + blockLength) of the file. */
  #block = new Uint8Array(0);
  #blockStart = 0;
  #blockLength = 0;
  /** Bytes wanted from `offset` on, when `step` asked for more. */
  #wanted = LENGTH_WORD_SIZE;

  /** Where the next frame begins: after the last record that was good. */
  offset = 0;
  /** Where the frame of the record in the fields began. */
  recordOffset = 0;
  /** Checksum over the data of every record so far, in this segment and those before. */
  crc: number;

  // The record.
  type = 0;
  /** Its checksum field. */
  storedCrc = 0;
  /** Its data are data[dataStart, dataEnd). The array is never changed; later records may share it. */
  data: Uint8Array = this.#block;
  dataStart = 0;
  dataEnd = 0;

  #trouble: Trouble = 'none';
  /** Size of the frame at `offset` by its length word, as far as the file goes; 0 if unknown. */
  #frameSize = 0;
  /** What the last `#varint32` read. */
  #value = 0;

  constructor(options: {
    readonly file: DiskFile;
    readonly path: string;
    readonly isLast: boolean;
    /** The running checksum at the end of the segment before. */
    readonly crc: number;
  }) {
    this.#file = options.file;
    this.path = options.path;
    this.#isLast = options.isLast;
    this.crc = options.crc;
    this.#size = options.file.size();
  }

  /** Goes to the next record. */
  step(): Step {
    const { offset } = this;
    const left = this.#size - offset;
    if (left < LENGTH_WORD_SIZE) return this.#stop('end of file');
    if (!this.#has(LENGTH_WORD_SIZE)) return STEPS.MORE;
    const block = this.#block;
    const at = offset - this.#blockStart;
    const top = block[at + 7]!;
    const low = readUint32(block, at);
    const high = block[at + 4]! | (block[at + 5]! << 8) | (block[at + 6]! << 16);
    this.#frameSize = 0;
    if (top === 0 && low === 0 && high === 0) return this.#stop('length word of zero');
    const recordSize = high * 0x1_0000_0000 + low;
    const padding = top & 0x7f;
    const wellFormed = (top & 0x80) === 0 ? top === 0 : padding >= 1 && padding <= 7;
    if (!wellFormed || (recordSize + padding) % FRAME_ALIGNMENT !== 0) {
      return this.#stop('length word malformed');
    }
    const frameSize = LENGTH_WORD_SIZE + recordSize + padding;
    this.#frameSize = Math.min(frameSize, left);
    if (frameSize > left) return this.#stop('record goes beyond the end of the file');
    if (!this.#has(frameSize)) return STEPS.MORE;
    const start = at + LENGTH_WORD_SIZE;
    const end = start + recordSize;
    if (this.#parse(start, end) !== end || !isZero(block, end, end + padding)) {
      return this.#stop('record malformed');
    }
    if (this.type !== RECORD_TYPES.CRC) {
      const crc = crc32c(this.crc, block, this.dataStart, this.dataEnd);
      if (crc !== this.storedCrc) return this.#stop('checksum mismatch');
      this.crc = crc;
    }
    invariant(
      this.dataStart <= this.dataEnd && this.dataEnd <= end,
      'the data of a record lie in it',
    );
    this.recordOffset = offset;
    this.offset = offset + frameSize;
    return STEPS.RECORD;
  }

  /** Brings in the bytes that `step` asked for. */
  async fill(): Promise<void> {
    await this.#load(Math.max(this.#wanted, READ_BLOCK_SIZE));
    invariant(this.#blockLength >= this.#wanted, 'SegmentReader: the file became shorter');
  }

  /** After STOP: what the end means. Throws CORRUPT. */
  async judge(): Promise<Ending> {
    const trouble = this.#trouble;
    invariant(trouble !== 'none', 'SegmentReader.judge: nothing to judge');
    const left = this.#size - this.offset;
    await this.#load(Math.min(left, Math.max(READ_BLOCK_SIZE, this.#frameSize)));
    const loneWord = this.offset % SECTOR_SIZE === SECTOR_SIZE - LENGTH_WORD_SIZE;
    if (trouble === 'length word of zero') {
      if (!loneWord && (await this.#isIntact())) throw this.#corrupt('length word is wrong');
      return 'end';
    }
    if (trouble === 'end of file') {
      if (left === 0 || isZero(this.#block, 0, left)) return 'end';
      if (this.#isLast) return 'torn';
      throw this.#corrupt(trouble);
    }
    if (!this.#isLast) throw this.#corrupt(trouble);
    if (trouble === 'length word malformed') {
      // Every record begins with a tag that is not zero: without one, nothing was written here.
      const bodyEnd = Math.min(left, LENGTH_WORD_SIZE + FRAME_ALIGNMENT);
      if (isZero(this.#block, LENGTH_WORD_SIZE, bodyEnd)) return 'torn';
      throw this.#corrupt(trouble);
    }
    if (await this.#isIntact()) throw this.#corrupt('length word is wrong');
    if (trouble === 'record goes beyond the end of the file') return 'torn';
    if (!this.#hasZeroSector() || (await this.#isFarFromEnd())) throw this.#corrupt(trouble);
    return 'torn';
  }

  /** Whether more intact records follow the bad one than the last write can hold. */
  async #isFarFromEnd(): Promise<boolean> {
    if (this.#trouble !== 'checksum mismatch') return false;
    // The chain continues from the checksum that the bad record says it had.
    const following = new SegmentReader({
      file: this.#file,
      path: this.path,
      isLast: false,
      crc: this.storedCrc,
    });
    const start = this.offset + this.#frameSize;
    following.offset = start;
    for (;;) {
      const step = following.step();
      if (step === STEPS.STOP || following.offset - start > TORN_REACH_MAX) break;
      if (step === STEPS.MORE) await following.fill();
    }
    return following.offset - start > TORN_REACH_MAX;
  }

  #corrupt(what: string): Error {
    return corrupt(this.path, this.offset, what);
  }

  #stop(trouble: Trouble): Step {
    invariant(this.offset <= this.#size, 'a segment ends within its file');
    this.#trouble = trouble;
    return STEPS.STOP;
  }

  /** Whether the block has `count` bytes from `offset` on. */
  #has(count: number): boolean {
    invariant(this.offset >= this.#blockStart, 'frames are read in order');
    if (this.offset + count <= this.#blockStart + this.#blockLength) return true;
    this.#wanted = count;
    return false;
  }

  /** A new block that begins at `offset`; entries may still use the old one. */
  async #load(count: number): Promise<void> {
    const wanted = Math.min(count, this.#size - this.offset);
    invariant(wanted >= 0, 'a block begins within the file');
    this.#block = new Uint8Array(wanted);
    this.#blockStart = this.offset;
    this.#blockLength = await this.#file.read(this.#block, this.offset);
  }

  /**
   * Reads a walpb.Record in block[start, end) into the fields. Returns the offset after it, or -1. The
   * data may be cut off at `end` only if the caller compares what is returned.
   */
  #parse(start: number, end: number): number {
    const block = this.#block;
    let at = start;
    if (end - at < 4 || block[at] !== 0x08 || block[at + 1]! > 0x7f || block[at + 2] !== 0x10) {
      return -1;
    }
    this.type = block[at + 1]!;
    at = this.#varint32(at + 3, end);
    if (at < 0) return -1;
    this.storedCrc = this.#value;
    this.data = block;
    this.dataStart = at;
    this.dataEnd = at;
    if (at === end || block[at] !== 0x1a) return at;
    at = this.#varint32(at + 1, end);
    if (at < 0) return -1;
    this.dataStart = at;
    this.dataEnd = at + this.#value;
    return this.dataEnd;
  }

  /** Returns the offset after the varint, or -1 if it is cut off or above 2^32-1. */
  #varint32(start: number, end: number): number {
    let value = 0;
    for (let at = start, shift = 0; at < end && shift < 35; at++, shift += 7) {
      const byte = this.#block[at]!;
      if (shift === 28 && byte > 0x0f) return -1;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        this.#value = value >>> 0;
        return at + 1;
      }
    }
    return -1;
  }

  /** Whether a record whose checksum holds begins after the length word, regardless of its value. */
  async #isIntact(): Promise<boolean> {
    const left = this.#size - this.offset;
    let end = this.#parse(LENGTH_WORD_SIZE, this.#blockLength);
    if (end < 0 || end > left) return false;
    if (end > this.#blockLength) {
      await this.#load(end);
      end = this.#parse(LENGTH_WORD_SIZE, this.#blockLength);
    }
    if (this.type === RECORD_TYPES.CRC) return this.storedCrc === this.crc;
    return crc32c(this.crc, this.#block, this.dataStart, this.dataEnd) === this.storedCrc;
  }

  /** Whether one of the sectors that the record touches has only zeros where it should be. */
  #hasZeroSector(): boolean {
    const end = this.#frameSize;
    invariant(end <= this.#blockLength, 'a frame that is judged is in the block');
    let at = LENGTH_WORD_SIZE;
    while (at < end) {
      const sectorLeft = SECTOR_SIZE - ((this.offset + at) % SECTOR_SIZE);
      const next = Math.min(end, at + sectorLeft);
      if (isZero(this.#block, at, next)) return true;
      at = next;
    }
    return false;
  }
}

function readUint32(bytes: Uint8Array, at: number): number {
  const low = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16);
  return (low | (bytes[at + 3]! << 24)) >>> 0;
}

function isZero(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (bytes[i] !== 0) return false;
  return true;
}
