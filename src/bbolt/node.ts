// Pages under edit: the elements of a page as objects. Only pages that a write transaction changes,
// and their ancestors, are nodes; everything else stays bytes.
//
// Keys and values are (bytes, offset, length) and point into the page they came from or into the
// caller's arrays, which both stay as they are until the transaction has ended.

import {
  BUCKET_ELEMENT_FLAG,
  BUCKET_HEADER_SIZE,
  compareKeys,
  copyBytes,
  ELEMENT_SIZE,
  PAGE_FLAGS,
  PAGE_HEADER_SIZE,
  writePageHeader,
  writeU32,
  writeU64,
} from './layout.ts';
import type { Page } from './page.ts';

export class LeafEntry {
  readonly key: Uint8Array;
  readonly keyOffset: number;
  readonly keyLength: number;
  value: Uint8Array;
  valueOffset: number;
  valueLength: number;
  /** 0, or BUCKET_ELEMENT_FLAG. */
  readonly flags: number;

  constructor(
    key: Uint8Array,
    keyOffset: number,
    keyLength: number,
    value: Uint8Array,
    valueOffset: number,
    valueLength: number,
    flags: number,
  ) {
    this.key = key;
    this.keyOffset = keyOffset;
    this.keyLength = keyLength;
    this.value = value;
    this.valueOffset = valueOffset;
    this.valueLength = valueLength;
    this.flags = flags;
  }

  /** Bytes it takes in a page. */
  get size(): number {
    return ELEMENT_SIZE + this.keyLength + this.valueLength;
  }
}

export class BranchEntry {
  /** Not above any key below the child; when written, the child's first key. */
  key: Uint8Array;
  keyOffset: number;
  keyLength: number;
  /** 0 while the child has no page of its own. */
  childId: number;
  /** The child, if it is under edit; its old page then counts as freed. */
  child: TreeNode | undefined;

  constructor(
    key: Uint8Array,
    keyOffset: number,
    keyLength: number,
    childId: number,
    child: TreeNode | undefined,
  ) {
    this.key = key;
    this.keyOffset = keyOffset;
    this.keyLength = keyLength;
    this.childId = childId;
    this.child = child;
  }

  get size(): number {
    return ELEMENT_SIZE + this.keyLength;
  }
}

export class LeafNode {
  readonly isLeaf = true;
  entries: LeafEntry[];
  /** Sum of the sizes of the entries. */
  size: number;
  /** Whether entries were removed since it was read: a candidate for merging. */
  shrunk = false;

  constructor(entries: LeafEntry[], size: number) {
    this.entries = entries;
    this.size = size;
  }

  /** The index of the key, or `-1 - i` where i is the index it would be inserted at. */
  search(key: Uint8Array, offset: number, length: number): number {
    const { entries } = this;
    let low = 0;
    let high = entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const entry = entries[middle]!;
      const order = compareKeys(entry.key, entry.keyOffset, entry.keyLength, key, offset, length);
      if (order === 0) return middle;
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return -1 - low;
  }
}

export class BranchNode {
  readonly isLeaf = false;
  entries: BranchEntry[];
  shrunk = false;

  constructor(entries: BranchEntry[]) {
    this.entries = entries;
  }

  get size(): number {
    return branchSize(this.entries, 0, this.entries.length);
  }

  /** The index of the child that would hold the key. */
  search(key: Uint8Array, offset: number, length: number): number {
    const { entries } = this;
    let low = 1;
    let high = entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const entry = entries[middle]!;
      const order = compareKeys(entry.key, entry.keyOffset, entry.keyLength, key, offset, length);
      if (order <= 0) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}

export type TreeNode = LeafNode | BranchNode;

export function branchSize(entries: readonly BranchEntry[], from: number, to: number): number {
  let size = 0;
  for (let i = from; i < to; i++) size += entries[i]!.size;
  return size;
}

/** The node with the elements of `page`. */
export function nodeFromPage(page: Page): TreeNode {
  const { bytes, count } = page;
  if (!page.isLeaf) {
    const entries: BranchEntry[] = [];
    for (let i = 0; i < count; i++) {
      const child = page.childId(i);
      entries.push(new BranchEntry(bytes, page.keyOffset(i), page.keyLength(i), child, undefined));
    }
    return new BranchNode(entries);
  }
  const entries: LeafEntry[] = [];
  let size = 0;
  for (let i = 0; i < count; i++) {
    const key = page.keyOffset(i);
    const keyLength = page.keyLength(i);
    const valueLength = page.valueLength(i);
    const flags = page.isBucket(i) ? BUCKET_ELEMENT_FLAG : 0;
    entries.push(new LeafEntry(bytes, key, keyLength, bytes, key + keyLength, valueLength, flags));
    size += ELEMENT_SIZE + keyLength + valueLength;
  }
  return new LeafNode(entries, size);
}

/** Writes entries [from, to) as the leaf page `id` at the start of `target`, zeros behind. */
export function writeLeaf(
  entries: readonly LeafEntry[],
  from: number,
  to: number,
  id: number,
  overflow: number,
  target: Uint8Array,
): void {
  writePageHeader(target, id, PAGE_FLAGS.LEAF, to - from, overflow);
  let element = PAGE_HEADER_SIZE;
  let data = element + (to - from) * ELEMENT_SIZE;
  for (let i = from; i < to; i++) {
    const entry = entries[i]!;
    const { keyLength, valueLength } = entry;
    writeU32(target, element, entry.flags);
    writeU32(target, element + 4, data - element);
    writeU32(target, element + 8, keyLength);
    writeU32(target, element + 12, valueLength);
    copyBytes(entry.key, entry.keyOffset, keyLength, target, data);
    data += keyLength;
    copyBytes(entry.value, entry.valueOffset, valueLength, target, data);
    data += valueLength;
    element += ELEMENT_SIZE;
  }
  target.fill(0, data);
}

/** Writes entries [from, to), whose children all have pages, as the branch page `id`. */
export function writeBranch(
  entries: readonly BranchEntry[],
  from: number,
  to: number,
  id: number,
  overflow: number,
  target: Uint8Array,
): void {
  writePageHeader(target, id, PAGE_FLAGS.BRANCH, to - from, overflow);
  let element = PAGE_HEADER_SIZE;
  let data = element + (to - from) * ELEMENT_SIZE;
  for (let i = from; i < to; i++) {
    const entry = entries[i]!;
    writeU32(target, element, data - element);
    writeU32(target, element + 4, entry.keyLength);
    writeU64(target, element + 8, entry.childId);
    copyBytes(entry.key, entry.keyOffset, entry.keyLength, target, data);
    data += entry.keyLength;
    element += ELEMENT_SIZE;
  }
  target.fill(0, data);
}

/** The value of an inline bucket: header, then the leaf as a page of its own with id 0. */
export function encodeInlineBucket(leaf: LeafNode, sequence: bigint): Uint8Array {
  const value = new Uint8Array(BUCKET_HEADER_SIZE + PAGE_HEADER_SIZE + leaf.size);
  new DataView(value.buffer).setBigUint64(8, sequence, true);
  writeLeaf(leaf.entries, 0, leaf.entries.length, 0, 0, value.subarray(BUCKET_HEADER_SIZE));
  return value;
}
