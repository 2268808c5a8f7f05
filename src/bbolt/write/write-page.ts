// Nodes as bytes: leaf and branch pages, and inline buckets.
//
// Hot: neighbours that stand side by side in the base page are copied with one call.

import { copyBytes, copyPieces, invariant } from '../../base/index.ts';
import {
  BUCKET_HEADER_SIZE,
  ELEMENT_SIZE,
  PAGE_FLAGS,
  PAGE_HEADER_SIZE,
  writeBigU64,
  writePageHeader,
  writeU32,
  writeU64,
} from '../file/layout.ts';
import type { Page } from '../file/page.ts';
import type { BranchNode, LeafEntry, LeafNode } from './node.ts';

/**
 * Writes elements [from, to) as the leaf page `id` at the start of `target`, zeros behind. Returns the
 * offset after the elements; above `target.length` if they do not fit.
 */
export function writeLeaf(
  node: LeafNode,
  from: number,
  to: number,
  id: number,
  overflow: number,
  target: Uint8Array,
): number {
  invariant(from <= to && to <= node.count, 'the elements of a page are those of its node');
  writePageHeader(target, id, PAGE_FLAGS.LEAF, to - from, overflow);
  const { slots, base } = node;
  let element = PAGE_HEADER_SIZE;
  let data = element + (to - from) * ELEMENT_SIZE;
  for (let i = from; i < to; ) {
    const slot = slots[i]!;
    if (typeof slot === 'number') {
      const run = baseRun(node, i, to);
      invariant(base !== undefined, 'an index refers to the base page');
      data = writeBaseRun(base, slot, run, target, element, data);
      element += run * ELEMENT_SIZE;
      i += run;
      continue;
    }
    const { keyLength, valueLength } = slot;
    writeElement(target, element, slot.flags, data - element, keyLength, valueLength);
    copyBytes(slot.key, slot.keyOffset, keyLength, target, data);
    data += keyLength;
    if (slot.pieces !== undefined) copyPieces(slot.pieces, target, data);
    else copyBytes(slot.value, slot.valueOffset, valueLength, target, data);
    data += valueLength;
    element += ELEMENT_SIZE;
    i++;
  }
  invariant(
    element === PAGE_HEADER_SIZE + (to - from) * ELEMENT_SIZE,
    'a leaf page has a header for each of its elements',
  );
  target.fill(0, data);
  return data;
}

/** What stands before the value in a leaf page whose only element is `entry`: its headers and its key. */
export function largeLeafHead(entry: LeafEntry, id: number, overflow: number): Uint8Array {
  const { key, keyOffset, keyLength, valueLength } = entry;
  const head = new Uint8Array(PAGE_HEADER_SIZE + ELEMENT_SIZE + keyLength);
  writePageHeader(head, id, PAGE_FLAGS.LEAF, 1, overflow);
  writeElement(head, PAGE_HEADER_SIZE, entry.flags, ELEMENT_SIZE, keyLength, valueLength);
  copyBytes(key, keyOffset, keyLength, head, PAGE_HEADER_SIZE + ELEMENT_SIZE);
  return head;
}

/** How many elements from index `from` on follow one another in the base page without a gap. */
function baseRun(node: LeafNode, from: number, to: number): number {
  const { slots } = node;
  const { base } = node;
  const first = slots[from];
  invariant(base !== undefined && typeof first === 'number', 'a run begins in the base page');
  let end = base.keyOffset(first) + base.keyLength(first) + base.valueLength(first);
  let count = 1;
  while (from + count < to && slots[from + count] === first + count) {
    const next = first + count;
    const start = base.keyOffset(next);
    if (start !== end) break;
    end = start + base.keyLength(next) + base.valueLength(next);
    count++;
  }
  return count;
}

function writeBaseRun(
  base: Page,
  first: number,
  count: number,
  target: Uint8Array,
  elementStart: number,
  dataStart: number,
): number {
  invariant(count > 0 && first + count <= base.count, 'a run lies in the base page');
  let element = elementStart;
  let data = dataStart;
  for (let i = first; i < first + count; i++) {
    const keyLength = base.keyLength(i);
    const valueLength = base.valueLength(i);
    const flags = base.isBucket(i) ? 1 : 0;
    writeElement(target, element, flags, data - element, keyLength, valueLength);
    element += ELEMENT_SIZE;
    data += keyLength + valueLength;
  }
  copyBytes(base.bytes, base.keyOffset(first), data - dataStart, target, dataStart);
  return data;
}

/** The header of a leaf element; `pos` is how far behind it its key begins. */
export function writeElement(
  target: Uint8Array,
  at: number,
  flags: number,
  pos: number,
  keyLength: number,
  valueLength: number,
): void {
  writeU32(target, at, flags);
  writeU32(target, at + 4, pos);
  writeU32(target, at + 8, keyLength);
  writeU32(target, at + 12, valueLength);
}

/** As {@link writeLeaf}, for elements of a branch whose children all have pages. */
export function writeBranch(
  node: BranchNode,
  from: number,
  to: number,
  id: number,
  overflow: number,
  target: Uint8Array,
): number {
  invariant(from < to && to <= node.count, 'the elements of a page are those of its node');
  writePageHeader(target, id, PAGE_FLAGS.BRANCH, to - from, overflow);
  let element = PAGE_HEADER_SIZE;
  let data = element + (to - from) * ELEMENT_SIZE;
  for (let i = from; i < to; i++) {
    const slot = node.slots[i]!;
    const isBase = typeof slot === 'number';
    const key = isBase ? node.base!.bytes : slot.key;
    const keyOffset = isBase ? node.base!.keyOffset(slot) : slot.keyOffset;
    const keyLength = isBase ? node.base!.keyLength(slot) : slot.keyLength;
    const childId = node.childIdOf(i);
    invariant(childId >= 2 && childId !== id, 'a child is written before its branch');
    invariant(keyLength > 0, 'an element of a branch has the first key of its child');
    writeU32(target, element, data - element);
    writeU32(target, element + 4, keyLength);
    writeU64(target, element + 8, childId);
    copyBytes(key, keyOffset, keyLength, target, data);
    data += keyLength;
    element += ELEMENT_SIZE;
  }
  target.fill(0, data);
  return data;
}

/** The value of an inline bucket: header, then the leaf as a page of its own with id 0. */
export function encodeInlineBucket(leaf: LeafNode, sequence: bigint): Uint8Array {
  invariant(leaf.count > 0 || leaf.size === 0, 'an empty leaf has no size');
  const value = new Uint8Array(BUCKET_HEADER_SIZE + PAGE_HEADER_SIZE + leaf.size);
  writeBigU64(value, 8, sequence);
  const end = writeLeaf(leaf, 0, leaf.count, 0, 0, value.subarray(BUCKET_HEADER_SIZE));
  invariant(end === PAGE_HEADER_SIZE + leaf.size, 'an inline bucket has the size that was counted');
  return value;
}
