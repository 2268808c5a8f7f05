// Writing an edited tree as pages, from the leaves up: nodes are cut into pages of the wanted
// fullness, and each page's id and first key go into the branch above.

import { EMPTY_BYTES, invariant, type Slices, verify } from '../../base/index.ts';
import { PAGE_HEADER_SIZE } from '../file/layout.ts';
import { JOINED_PAGES_MAX } from '../limits.ts';
import type { CommitClock } from './commit-clock.ts';
import type { EditTree } from './edit-tree.ts';
import {
  BranchEntry,
  BranchNode,
  type BranchSlot,
  type LeafEntry,
  type LeafNode,
  type TreeNode,
} from './node.ts';
import type { PageBuilder } from './page-builder.ts';
import { verifyNode } from './verify-tree.ts';

export interface SpillTarget {
  readonly builder: PageBuilder;
  readonly slices: Slices;
  readonly clock: CommitClock;
}

/** Builds the pages of everything under edit; the root's page id. */
export async function spillTree(
  tree: EditTree,
  fillPercent: number,
  target: SpillTarget,
): Promise<number> {
  invariant(tree.root !== undefined, 'there is something to write');
  const { pageSize } = tree.pager;
  const fullness = Math.floor(pageSize * Math.min(Math.max(fillPercent, 0.1), 1));
  invariant(fullness > PAGE_HEADER_SIZE && fullness <= pageSize, 'a page has room for an entry');
  const cut: Cut = { pageSize, fullness, builder: target.builder };
  let top = await spillNode(tree.root, cut, target);
  while (top.length > 1) {
    const below = top.length;
    top = cutBranch(new BranchNode(undefined, top), cut);
    invariant(top.length < below, 'a level of branches is shorter than the one below');
  }
  const root = top[0];
  invariant(root !== undefined, 'a tree has a root page');
  invariant(root.childId < target.builder.highWater, 'the root page lies in the file');
  return root.childId;
}

/** How nodes are cut into pages. */
interface Cut {
  readonly pageSize: number;
  /** Bytes, header included, beyond which a page gets no further entry. */
  readonly fullness: number;
  readonly builder: PageBuilder;
}

/** The elements of the branch above, one for each page that the node was cut into. */
async function spillNode(node: TreeNode, cut: Cut, target: SpillTarget): Promise<BranchEntry[]> {
  if (node.isLeaf) return cutLeaf(node, cut);
  return cutBranch(await spillChildren(node, cut, target), cut);
}

/** The branch with all its children as pages. */
async function spillChildren(
  branch: BranchNode,
  cut: Cut,
  target: SpillTarget,
): Promise<BranchNode> {
  const { builder, slices } = target;
  const slots: BranchSlot[] = [];
  for (const slot of branch.slots) {
    const child = typeof slot === 'number' ? undefined : slot.child;
    if (child === undefined) {
      slots.push(slot);
      continue;
    }
    const pages = child.isLeaf ? cutLeaf(child, cut) : await spillNode(child, cut, target);
    for (const page of pages) slots.push(page);
    if (builder.full) {
      await target.clock.writing(() => builder.flush());
      slices.restart();
    } else if (slices.isOver) {
      await slices.next();
    }
  }
  invariant(slots.length >= branch.count, 'every child has a page at least');
  const written = new BranchNode(branch.base, slots);
  if (verify.all) verifyNode(written);
  return written;
}

function cutLeaf(leaf: LeafNode, cut: Cut): BranchEntry[] {
  const { count } = leaf;
  const pages: BranchEntry[] = [];
  let remaining = leaf.size;
  let from = 0;
  do {
    let to = from;
    let size = 0;
    if (PAGE_HEADER_SIZE + remaining <= cut.pageSize) {
      to = count;
      size = remaining;
    } else {
      do {
        size += leaf.sizeOf(to);
        to++;
      } while (to < count && joinsLeaf(size, leaf.sizeOf(to), cut));
    }
    invariant(to > from || count === 0, 'a leaf page has an entry, unless the leaf has none');
    invariant(size <= remaining, 'a page takes no more than what remains');
    const id = cut.builder.leaf(leaf, from, to, size);
    pages.push(entryFor(id, from < count ? leaf.entry(from) : undefined));
    remaining -= size;
    from = to;
  } while (from < count);
  invariant(remaining === 0 && from === count, 'the pages of a leaf hold all of it');
  return pages;
}

/** Whether a page with elements of `size` takes one more of `nextSize`. */
function joinsLeaf(size: number, nextSize: number, cut: Cut): boolean {
  const together = PAGE_HEADER_SIZE + size + nextSize;
  if (together <= cut.fullness) return true;
  if (PAGE_HEADER_SIZE + nextSize <= cut.pageSize) return false;
  // An element that needs overflow pages anyway is joined if that saves a page.
  const { builder } = cut;
  const pages = builder.pagesFor(size + nextSize);
  if (pages > JOINED_PAGES_MAX) return false;
  return pages < builder.pagesFor(size) + builder.pagesFor(nextSize);
}

/** As `cutLeaf`, but with two elements per page at least: a branch with one child is useless. */
function cutBranch(branch: BranchNode, cut: Cut): BranchEntry[] {
  const { count } = branch;
  const pages: BranchEntry[] = [];
  let remaining = branch.size;
  let from = 0;
  while (from < count) {
    let to = from;
    let size = 0;
    if (PAGE_HEADER_SIZE + remaining <= cut.pageSize || count - from <= 3) {
      to = count;
      size = remaining;
    } else {
      do {
        size += branch.sizeOf(to);
        to++;
      } while (
        to < count - 2 &&
        (to < from + 2 || PAGE_HEADER_SIZE + size + branch.sizeOf(to) <= cut.fullness)
      );
    }
    invariant(to - from >= 2 || count === 1, 'a branch page has two children at least');
    invariant(size <= remaining, 'a page takes no more than what remains');
    const id = cut.builder.branch(branch, from, to, size);
    pages.push(entryFor(id, branch.entry(from)));
    remaining -= size;
    from = to;
  }
  invariant(remaining === 0 && from === count, 'the pages of a branch hold all of it');
  return pages;
}

/** The element of the branch above for page `id`, whose first element is `first`. */
function entryFor(id: number, first: LeafEntry | BranchEntry | undefined): BranchEntry {
  if (first === undefined) return new BranchEntry(EMPTY_BYTES, 0, 0, id, undefined);
  return new BranchEntry(first.key, first.keyOffset, first.keyLength, id, undefined);
}
