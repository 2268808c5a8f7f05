// The file format, as offset, size and meaning. All numbers are little endian (bbolt writes the
// host's order, which is that on every platform etcd supports). README.md works an example in hex.
//
// The file is an array of pages of equal size; page `n` begins at byte n * pageSize. A page that
// does not fit continues in the `overflow` pages behind it, which have no header of their own.
//
//   page header, 16 bytes            meta, behind the header of pages 0 and 1, 64 bytes
//    0  8  page id                    0  4  magic 0xED0CDAED
//    8  2  flags: 1 branch, 2 leaf,   4  4  version 2
//          4 meta, 16 free list       8  4  page size
//   10  2  count of elements         12  4  flags, 0
//   12  4  overflow pages            16  8  page of the root bucket's tree
//                                    24  8  sequence of the root bucket
//   branch element, 16 bytes         32  8  page of the free list; all ones: not written
//    0  4  pos: from the element's   40  8  high-water mark: first page never used
//          own start to its key      48  8  transaction id; the larger of two valid metas counts
//    4  4  key size                  56  8  FNV-1a (64 bits) of the 56 bytes before
//    8  8  page id of the child
//
//   leaf element, 16 bytes           free list: page ids, 8 bytes each, ascending. Count 0xFFFF
//    0  4  flags: 1 nested bucket    means that the first 8 bytes are the real count.
//    4  4  pos, as above
//    8  4  key size                  bucket value: page of the tree (8), sequence (8); page 0 means
//   12  4  value size; the value     that a whole leaf page, with page id 0, follows: an inline
//          follows the key           bucket

import { invariant } from '../../base/index.ts';

export const PAGE_HEADER_SIZE = 16;
export const ELEMENT_SIZE = 16;
export const META_SIZE = 64;
export const BUCKET_HEADER_SIZE = 16;
export const PAGE_ID_SIZE = 8;

export const PAGE_FLAGS = { BRANCH: 1, LEAF: 2, META: 4, FREELIST: 16 } as const;

/** In the flags of a leaf element: the value is a bucket. */
export const BUCKET_ELEMENT_FLAG = 1;

/** In the count of a free-list page: the real count stands in front of the ids. */
export const FREELIST_LARGE_COUNT = 0xffff;

/** A new file is meta 0, meta 1, an empty free list (page 2) and an empty leaf (page 3). */
export const INITIAL_FREELIST_PAGE = 2;
export const INITIAL_ROOT_PAGE = 3;
export const INITIAL_PAGE_COUNT = 4;

export function readU16(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8);
}

export function readU32(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
  );
}

/** Exact up to 2^53; above, rounded: a check against a bound still refuses it. */
export function readU64(bytes: Uint8Array, at: number): number {
  return readU32(bytes, at) + readU32(bytes, at + 4) * 0x1_0000_0000;
}

export function readBigU64(bytes: Uint8Array, at: number): bigint {
  return BigInt(readU32(bytes, at)) | (BigInt(readU32(bytes, at + 4)) << 32n);
}

function writeU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
}

export function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

export function writeU64(bytes: Uint8Array, at: number, value: number): void {
  writeU32(bytes, at, value % 0x1_0000_0000);
  writeU32(bytes, at + 4, Math.floor(value / 0x1_0000_0000));
}

export function writeBigU64(bytes: Uint8Array, at: number, value: bigint): void {
  writeU32(bytes, at, Number(value & 0xffffffffn));
  writeU32(bytes, at + 4, Number((value >> 32n) & 0xffffffffn));
}

export function writePageHeader(
  bytes: Uint8Array,
  id: number,
  flags: number,
  count: number,
  overflow: number,
): void {
  invariant(count <= 0xffff, 'a page counts its elements in 16 bits');
  invariant(id >= 0 && overflow >= 0, 'ids and counts of pages are not negative');
  invariant(bytes.length >= PAGE_HEADER_SIZE, 'a page has a header');
  writeU64(bytes, 0, id);
  writeU16(bytes, 8, flags);
  writeU16(bytes, 10, count);
  writeU32(bytes, 12, overflow);
}

/** Memory for a page, not zeroed and not shared with anything: the caller writes every byte. */
export function allocatePageBytes(size: number): Uint8Array {
  invariant(size > 0, 'a page has bytes');
  const buffer = Buffer.allocUnsafeSlow(size);
  return new Uint8Array(buffer.buffer, buffer.byteOffset, size);
}

/** Negative, zero or positive as the first key sorts before, equals or sorts after the second. */
export function compareKeys(
  a: Uint8Array,
  aOffset: number,
  aLength: number,
  b: Uint8Array,
  bOffset: number,
  bLength: number,
): number {
  const shared = Math.min(aLength, bLength);
  for (let i = 0; i < shared; i++) {
    const difference = a[aOffset + i]! - b[bOffset + i]!;
    if (difference !== 0) return difference;
  }
  return aLength - bLength;
}

/** A key where it lies: `bytes[offset, offset + length)`. Not for hot paths, which pass the three apart. */
export interface KeyPlace {
  readonly bytes: Uint8Array;
  readonly offset: number;
  readonly length: number;
}

/** As {@link compareKeys}. */
export function comparePlaces(a: KeyPlace, b: KeyPlace): number {
  return compareKeys(a.bytes, a.offset, a.length, b.bytes, b.offset, b.length);
}
