// A branch or leaf page in memory. Its bytes are immutable from the moment it exists: pages of the
// file are copied in and validated once (`validatePage`), pages of a commit are built complete.
//
// Hot: searches work on the bytes, element by element, and allocate nothing.

import { invariant } from '../../base/index.ts';
import { KEY_BYTES_MAX, VALUE_BYTES_MAX } from '../limits.ts';
import {
  BUCKET_ELEMENT_FLAG,
  BUCKET_HEADER_SIZE,
  compareKeys,
  ELEMENT_SIZE,
  PAGE_FLAGS,
  PAGE_HEADER_SIZE,
  readU16,
  readU32,
  readU64,
} from './layout.ts';

export class Page {
  /** 0 for the leaf of an inline bucket. */
  readonly id: number;
  /** The page and its overflow pages, header included; an inline leaf may be shorter. */
  readonly bytes: Uint8Array;
  readonly isLeaf: boolean;
  readonly count: number;
  /** Pages that follow this one and belong to it. */
  readonly overflow: number;
  /** Reference bit of the page cache (CLOCK); read and written only there. */
  used = false;
  /**
   * Of a branch, made by the first search: the four bytes of each key that follow the prefix that
   * all keys share. One line of the processor's cache holds sixteen of them.
   */
  #heads: Uint32Array | undefined = undefined;
  #prefixOffset = 0;
  #prefixLength = 0;

  constructor(id: number, bytes: Uint8Array) {
    invariant(bytes.length >= PAGE_HEADER_SIZE, 'a page has a header');
    this.id = id;
    this.bytes = bytes;
    this.isLeaf = (bytes[8]! & PAGE_FLAGS.LEAF) !== 0;
    this.count = readU16(bytes, 10);
    this.overflow = readU32(bytes, 12);
  }

  keyOffset(index: number): number {
    const at = PAGE_HEADER_SIZE + index * ELEMENT_SIZE;
    return at + readU32(this.bytes, this.isLeaf ? at + 4 : at);
  }

  keyLength(index: number): number {
    const at = PAGE_HEADER_SIZE + index * ELEMENT_SIZE;
    return readU32(this.bytes, this.isLeaf ? at + 8 : at + 4);
  }

  /** Of a leaf element; the value begins where its key ends. */
  valueLength(index: number): number {
    return readU32(this.bytes, PAGE_HEADER_SIZE + index * ELEMENT_SIZE + 12);
  }

  /** Whether a leaf element is a nested bucket. */
  isBucket(index: number): boolean {
    return (this.bytes[PAGE_HEADER_SIZE + index * ELEMENT_SIZE]! & BUCKET_ELEMENT_FLAG) !== 0;
  }

  /** Of a branch element. */
  childId(index: number): number {
    return readU64(this.bytes, PAGE_HEADER_SIZE + index * ELEMENT_SIZE + 8);
  }

  /** Of a leaf: the index of `key`, or `-1 - i` where i is the index it would be inserted at. */
  searchLeaf(key: Uint8Array): number {
    const bytes = this.bytes;
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const at = PAGE_HEADER_SIZE + middle * ELEMENT_SIZE;
      const order = compareAt(bytes, at + readU32(bytes, at + 4), readU32(bytes, at + 8), key);
      if (order === 0) return middle;
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return -1 - low;
  }

  /** Of a leaf: whether `key` lies between its first and its last key. */
  spans(key: Uint8Array): boolean {
    const last = this.count - 1;
    invariant(last >= 0, 'a leaf that a cursor stands on has an entry');
    return (
      compareAt(this.bytes, this.keyOffset(0), this.keyLength(0), key) <= 0 &&
      compareAt(this.bytes, this.keyOffset(last), this.keyLength(last), key) >= 0
    );
  }

  /** Of a branch: the index of the child that would hold `key`; the first for a key below all. */
  searchBranch(key: Uint8Array): number {
    const heads = this.#heads ?? this.#buildHeads();
    const { bytes } = this;
    const prefixOffset = this.#prefixOffset;
    const prefixLength = this.#prefixLength;
    for (let i = 0; i < prefixLength; i++) {
      // Past the end of `key` the difference is NaN, which counts as a smaller key.
      const difference = key[i]! - bytes[prefixOffset + i]!;
      if (difference !== 0) return difference > 0 ? this.count - 1 : 0;
    }
    const head = headOf(key, prefixLength, key.length);
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (heads[middle]! < head) low = middle + 1;
      else high = middle;
    }
    // Below `low` all heads are lower. Those that are equal leave the decision to the whole keys.
    high = heads[low] === head ? this.count : low;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (heads[middle] === head && this.#compareBranchKey(middle, key) <= 0) low = middle + 1;
      else high = middle;
    }
    // The last element whose key is not above `key`; the first one's key does not matter.
    return low > 0 ? low - 1 : 0;
  }

  #compareBranchKey(index: number, key: Uint8Array): number {
    return compareAt(this.bytes, this.keyOffset(index), this.keyLength(index), key);
  }

  #buildHeads(): Uint32Array {
    const { bytes, count } = this;
    invariant(!this.isLeaf && count > 0, 'a branch has a child');
    const first = this.keyOffset(0);
    const last = this.keyOffset(count - 1);
    const shared = Math.min(this.keyLength(0), this.keyLength(count - 1));
    let prefix = 0;
    while (prefix < shared && bytes[first + prefix] === bytes[last + prefix]) prefix++;
    const heads = new Uint32Array(count);
    for (let i = 0; i < count; i++) {
      const offset = this.keyOffset(i);
      heads[i] = headOf(bytes, offset + prefix, offset + this.keyLength(i));
    }
    invariant(prefix <= shared, 'the prefix of all keys is part of each');
    this.#prefixOffset = first;
    this.#prefixLength = prefix;
    this.#heads = heads;
    return heads;
  }
}

/** The four bytes from `at` on as a number that sorts as they do; zeros behind `end`. */
function headOf(bytes: Uint8Array, at: number, end: number): number {
  if (at + 4 <= end) {
    const low = (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
    return bytes[at]! * 0x100_0000 + low;
  }
  let head = 0;
  for (let i = 0; i < 4; i++) head = head * 256 + (at + i < end ? bytes[at + i]! : 0);
  return head;
}

function compareAt(bytes: Uint8Array, offset: number, length: number, key: Uint8Array): number {
  const keyLength = key.length;
  const shared = Math.min(length, keyLength);
  for (let i = 0; i < shared; i++) {
    const difference = bytes[offset + i]! - key[i]!;
    if (difference !== 0) return difference;
  }
  return length - keyLength;
}

/** What is wrong with the header of a branch or leaf page read for `id`; undefined if nothing. */
export function validateHeader(bytes: Uint8Array, id: number, idEnd: number): string | undefined {
  const ownId = readU64(bytes, 0);
  if (ownId !== id) return `the page says it is page ${ownId}`;
  const flags = readU16(bytes, 8);
  if (flags !== PAGE_FLAGS.BRANCH && flags !== PAGE_FLAGS.LEAF) {
    return `flags ${flags}, expected a branch or leaf page`;
  }
  const overflow = readU32(bytes, 12);
  if (id + overflow >= idEnd) return `${overflow} overflow pages reach beyond the high-water mark`;
  return undefined;
}

/**
 * The gateway for pages that come from disk: what is wrong with the elements of a page whose header
 * is sound, undefined if nothing. `idEnd` is the high-water mark.
 */
export function validatePage(bytes: Uint8Array, idEnd: number): string | undefined {
  return validateBounds(bytes, idEnd) ?? validateOrder(bytes);
}

/** The first half of the gateway: every element lies inside the page and refers to a page in use. */
export function validateBounds(bytes: Uint8Array, idEnd: number): string | undefined {
  const count = readU16(bytes, 10);
  const dataStart = PAGE_HEADER_SIZE + count * ELEMENT_SIZE;
  if (dataStart > bytes.length) return `${count} elements do not fit`;
  if (readU16(bytes, 8) === PAGE_FLAGS.LEAF) return validateLeaf(bytes, count, dataStart);
  if (count === 0) return 'a branch page without elements';
  return validateBranch(bytes, count, dataStart, idEnd);
}

/** The second half: keys ascend. */
function validateOrder(bytes: Uint8Array): string | undefined {
  const count = readU16(bytes, 10);
  // Leaf elements have their flags in front.
  const fields = readU16(bytes, 8) === PAGE_FLAGS.LEAF ? 4 : 0;
  let lastOffset = 0;
  let lastLength = 0;
  for (let i = 0; i < count; i++) {
    const at = PAGE_HEADER_SIZE + i * ELEMENT_SIZE;
    const offset = at + readU32(bytes, at + fields);
    const length = readU32(bytes, at + fields + 4);
    if (i > 0 && compareKeys(bytes, lastOffset, lastLength, bytes, offset, length) >= 0) {
      return `key ${i} is not above the one before`;
    }
    lastOffset = offset;
    lastLength = length;
  }
  return undefined;
}

function validateLeaf(bytes: Uint8Array, count: number, dataStart: number): string | undefined {
  for (let i = 0; i < count; i++) {
    const at = PAGE_HEADER_SIZE + i * ELEMENT_SIZE;
    const flags = readU32(bytes, at);
    const keyStart = at + readU32(bytes, at + 4);
    const keyLength = readU32(bytes, at + 8);
    const valueLength = readU32(bytes, at + 12);
    if (flags > BUCKET_ELEMENT_FLAG) return `element ${i} has flags ${flags}`;
    if (keyLength === 0 || keyLength > KEY_BYTES_MAX)
      return `element ${i} has a key of ${keyLength}`;
    if (valueLength > VALUE_BYTES_MAX) return `element ${i} has a value of ${valueLength}`;
    if (keyStart < dataStart || keyStart + keyLength + valueLength > bytes.length) {
      return `element ${i} lies outside the page`;
    }
    if (flags !== 0 && valueLength < BUCKET_HEADER_SIZE) {
      return `element ${i} is a bucket of ${valueLength} bytes`;
    }
  }
  return undefined;
}

function validateBranch(
  bytes: Uint8Array,
  count: number,
  dataStart: number,
  idEnd: number,
): string | undefined {
  for (let i = 0; i < count; i++) {
    const at = PAGE_HEADER_SIZE + i * ELEMENT_SIZE;
    const keyStart = at + readU32(bytes, at);
    const keyLength = readU32(bytes, at + 4);
    const child = readU64(bytes, at + 8);
    if (keyLength === 0 || keyLength > KEY_BYTES_MAX)
      return `element ${i} has a key of ${keyLength}`;
    if (keyStart < dataStart || keyStart + keyLength > bytes.length) {
      return `element ${i} lies outside the page`;
    }
    if (child < 2 || child >= idEnd) return `element ${i} refers to page ${child}`;
  }
  return undefined;
}
