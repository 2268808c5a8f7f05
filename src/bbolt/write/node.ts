// Pages under edit. Only pages that a write transaction changes, and their ancestors, are nodes;
// everything else stays bytes. In a node only new elements are objects: an unchanged one is its index
// in the node's `base` page. A deletion among a hundred keys makes one array of small integers, not a
// hundred objects for the garbage collector.
//
// Keys and values are (bytes, offset, length) and point into the base page or into the caller's
// arrays, which both stay as they are until the transaction has ended.

import { copyPieces, EMPTY_BYTES, invariant } from '../../base/index.ts';
import { BUCKET_ELEMENT_FLAG, compareKeys, ELEMENT_SIZE } from '../file/layout.ts';
import type { Page } from '../file/page.ts';

export class LeafEntry {
  readonly key: Uint8Array;
  readonly keyOffset: number;
  readonly keyLength: number;
  /** Unused while the value is in {@link pieces}. */
  value: Uint8Array;
  valueOffset: number;
  valueLength: number;
  /** The value, one piece behind the other; undefined where it is in one. */
  pieces: readonly Uint8Array[] | undefined = undefined;
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
    invariant(keyLength > 0 && keyOffset + keyLength <= key.length, 'a key lies in its bytes');
    invariant(valueOffset + valueLength <= value.length, 'a value lies in its bytes');
    invariant(flags === 0 || flags === BUCKET_ELEMENT_FLAG, 'an entry is a value or a bucket');
    this.key = key;
    this.keyOffset = keyOffset;
    this.keyLength = keyLength;
    this.value = value;
    this.valueOffset = valueOffset;
    this.valueLength = valueLength;
    this.flags = flags;
  }

  /** An entry whose value comes in pieces. */
  static inPieces(
    key: Uint8Array,
    keyOffset: number,
    keyLength: number,
    pieces: readonly Uint8Array[],
  ): LeafEntry {
    const entry = new LeafEntry(key, keyOffset, keyLength, EMPTY_BYTES, 0, 0, 0);
    for (const piece of pieces) entry.valueLength += piece.length;
    entry.pieces = pieces;
    return entry;
  }

  /** Puts the pieces of the value together, for one who reads it before it is written. */
  join(): void {
    const { pieces } = this;
    if (pieces === undefined) return;
    this.value = new Uint8Array(this.valueLength);
    const end = copyPieces(pieces, this.value, 0);
    invariant(end === this.valueLength, 'a value is as long as its pieces together');
    this.pieces = undefined;
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
    invariant(keyOffset + keyLength <= key.length, 'a key lies in its bytes');
    invariant(
      child === undefined ? childId >= 2 : childId === 0,
      'an element of a branch has a page or a child under edit',
    );
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

/** An element of a leaf under edit: its index in the base page, or the new entry. */
type LeafSlot = number | LeafEntry;

/** As {@link LeafSlot}; a child under edit has an entry. */
export type BranchSlot = number | BranchEntry;

export class LeafNode {
  readonly isLeaf = true;
  /** The page that the numbers in `slots` refer to. */
  base: Page | undefined;
  slots: LeafSlot[];
  /** Sum of the sizes of the elements. */
  size: number;
  /** Whether elements were removed since it was read: a candidate for merging. */
  shrunk = false;

  constructor(base: Page | undefined, slots: LeafSlot[], size: number) {
    invariant(base === undefined || base.isLeaf, 'the base of a leaf is a leaf page');
    this.base = base;
    this.slots = slots;
    this.size = size;
  }

  get count(): number {
    return this.slots.length;
  }

  /** The index of the key, or `-1 - i` where i is the index it would be inserted at. */
  search(key: Uint8Array, offset: number, length: number): number {
    let low = 0;
    let high = this.slots.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const order = this.compareKey(middle, key, offset, length);
      if (order === 0) return middle;
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return -1 - low;
  }

  /** How the key of an element compares with the given one. */
  compareKey(index: number, key: Uint8Array, offset: number, length: number): number {
    const slot = this.slots[index]!;
    if (typeof slot !== 'number') {
      return compareKeys(slot.key, slot.keyOffset, slot.keyLength, key, offset, length);
    }
    const { base } = this;
    invariant(base !== undefined, 'an index refers to the base page');
    const at = base.keyOffset(slot);
    return compareKeys(base.bytes, at, base.keyLength(slot), key, offset, length);
  }

  /** Bytes that an element takes in a page. */
  sizeOf(index: number): number {
    const slot = this.slots[index]!;
    if (typeof slot !== 'number') return slot.size;
    const { base } = this;
    invariant(base !== undefined, 'an index refers to the base page');
    return ELEMENT_SIZE + base.keyLength(slot) + base.valueLength(slot);
  }

  flagsOf(index: number): number {
    const slot = this.slots[index]!;
    if (typeof slot !== 'number') return slot.flags;
    const { base } = this;
    invariant(base !== undefined, 'an index refers to the base page');
    return base.isBucket(slot) ? BUCKET_ELEMENT_FLAG : 0;
  }

  /** An element as an object; created on demand for one in the base page. */
  entry(index: number): LeafEntry {
    const slot = this.slots[index]!;
    if (typeof slot !== 'number') return slot;
    const { base } = this;
    invariant(base !== undefined, 'an index refers to the base page');
    const key = base.keyOffset(slot);
    const keyLength = base.keyLength(slot);
    return new LeafEntry(
      base.bytes,
      key,
      keyLength,
      base.bytes,
      key + keyLength,
      base.valueLength(slot),
      base.isBucket(slot) ? BUCKET_ELEMENT_FLAG : 0,
    );
  }

  /** Appends all elements of the right neighbour. */
  append(right: LeafNode): void {
    invariant(right !== this, 'a leaf is merged with another');
    const count = this.count + right.count;
    this.#leaveBase();
    for (let i = 0; i < right.slots.length; i++) this.slots.push(right.entry(i));
    this.size += right.size;
    invariant(this.count === count, 'a merged leaf has the entries of both');
  }

  /** Makes every element an object. */
  #leaveBase(): void {
    if (this.base === undefined) return;
    for (let i = 0; i < this.slots.length; i++) this.slots[i] = this.entry(i);
    this.base = undefined;
  }
}

export class BranchNode {
  readonly isLeaf = false;
  base: Page | undefined;
  slots: BranchSlot[];
  shrunk = false;

  constructor(base: Page | undefined, slots: BranchSlot[]) {
    invariant(base === undefined || !base.isLeaf, 'the base of a branch is a branch page');
    invariant(slots.length > 0, 'a branch has a child');
    this.base = base;
    this.slots = slots;
  }

  get count(): number {
    return this.slots.length;
  }

  get size(): number {
    let size = 0;
    for (let i = 0; i < this.slots.length; i++) size += this.sizeOf(i);
    return size;
  }

  /** The index of the child that would hold the key. */
  search(key: Uint8Array, offset: number, length: number): number {
    invariant(this.slots.length > 0, 'a branch has a child');
    let low = 1;
    let high = this.slots.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#compareKey(middle, key, offset, length) <= 0) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  sizeOf(index: number): number {
    const slot = this.slots[index]!;
    if (typeof slot !== 'number') return slot.size;
    const { base } = this;
    invariant(base !== undefined, 'an index refers to the base page');
    return ELEMENT_SIZE + base.keyLength(slot);
  }

  /** The child, if it is under edit. */
  childOf(index: number): TreeNode | undefined {
    const slot = this.slots[index]!;
    return typeof slot === 'number' ? undefined : slot.child;
  }

  /** The page of the child; 0 if it has none of its own yet. */
  childIdOf(index: number): number {
    const slot = this.slots[index]!;
    if (typeof slot !== 'number') return slot.childId;
    const { base } = this;
    invariant(base !== undefined, 'an index refers to the base page');
    return base.childId(slot);
  }

  /** An element as an object, from now on. */
  entry(index: number): BranchEntry {
    const slot = this.slots[index]!;
    if (typeof slot !== 'number') return slot;
    const { base } = this;
    invariant(base !== undefined, 'an index refers to the base page');
    const { bytes } = base;
    const key = base.keyOffset(slot);
    const entry = new BranchEntry(bytes, key, base.keyLength(slot), base.childId(slot), undefined);
    this.slots[index] = entry;
    return entry;
  }

  /** Appends all elements of the right neighbour. */
  append(right: BranchNode): void {
    invariant(right !== this, 'a branch is merged with another');
    const count = this.count + right.count;
    for (let i = 0; i < this.slots.length; i++) this.entry(i);
    this.base = undefined;
    for (let i = 0; i < right.slots.length; i++) this.slots.push(right.entry(i));
    invariant(this.count === count, 'a merged branch has the children of both');
  }

  #compareKey(index: number, key: Uint8Array, offset: number, length: number): number {
    const slot = this.slots[index]!;
    if (typeof slot !== 'number') {
      return compareKeys(slot.key, slot.keyOffset, slot.keyLength, key, offset, length);
    }
    const { base } = this;
    invariant(base !== undefined, 'an index refers to the base page');
    const at = base.keyOffset(slot);
    return compareKeys(base.bytes, at, base.keyLength(slot), key, offset, length);
  }
}

export type TreeNode = LeafNode | BranchNode;

/** The node with the elements of `page`. */
export function nodeFromPage(page: Page): TreeNode {
  invariant(page.isLeaf || page.count > 0, 'a branch has a child');
  const slots: number[] = [];
  for (let i = 0; i < page.count; i++) slots.push(i);
  if (!page.isLeaf) return new BranchNode(page, slots);
  const node = new LeafNode(page, slots, 0);
  for (let i = 0; i < page.count; i++) node.size += node.sizeOf(i);
  return node;
}

/** An empty tree. */
export function emptyLeaf(): LeafNode {
  return new LeafNode(undefined, [], 0);
}
