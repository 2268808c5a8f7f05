// Writing an edited tree as pages, from the leaves up: nodes are cut into pages of the wanted
// fullness, and each page's id and first key go into the branch above.

import { invariant } from '../base/index.ts';
import type { EditTree } from './edit-tree.ts';
import { PAGE_HEADER_SIZE } from './layout.ts';
import { BranchEntry, type BranchNode, branchSize, type LeafNode, type TreeNode } from './node.ts';
import type { PageBuilder } from './page-builder.ts';
import type { Slices } from './slices.ts';

export interface SpillTarget {
  readonly builder: PageBuilder;
  readonly slices: Slices;
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
  const cut: Cut = { pageSize, fullness, builder: target.builder };
  let top = await spillNode(tree.root, cut, target);
  while (top.length > 1) top = cutBranch(top, cut);
  return top[0]!.childId;
}

/** How nodes are cut into pages. */
interface Cut {
  readonly pageSize: number;
  /** Bytes, header included, beyond which a page gets no further entry. */
  readonly fullness: number;
  readonly builder: PageBuilder;
}

/** The entries for the branch above that stand for the pages the node has become. */
async function spillNode(node: TreeNode, cut: Cut, target: SpillTarget): Promise<BranchEntry[]> {
  if (node.isLeaf) return cutLeaf(node, cut);
  const children = await spillChildren(node, cut, target);
  return cutBranch(children, cut);
}

async function spillChildren(
  branch: BranchNode,
  cut: Cut,
  target: SpillTarget,
): Promise<BranchEntry[]> {
  const { builder, slices } = target;
  const children: BranchEntry[] = [];
  for (const entry of branch.entries) {
    const { child } = entry;
    if (child === undefined) {
      children.push(entry);
      continue;
    }
    const pages = child.isLeaf ? cutLeaf(child, cut) : await spillNode(child, cut, target);
    for (const page of pages) children.push(page);
    if (builder.full) {
      await builder.flush();
      slices.restart();
    } else if (slices.due) {
      await slices.turn();
    }
  }
  return children;
}

function cutLeaf(leaf: LeafNode, cut: Cut): BranchEntry[] {
  const { entries } = leaf;
  const pages: BranchEntry[] = [];
  let remaining = leaf.size;
  let from = 0;
  do {
    let to = from;
    let size = 0;
    if (PAGE_HEADER_SIZE + remaining <= cut.pageSize) {
      to = entries.length;
      size = remaining;
    } else {
      do {
        size += entries[to]!.size;
        to++;
      } while (to < entries.length && joinsLeaf(size, entries[to]!.size, cut));
    }
    const id = cut.builder.leaf(entries, from, to, size);
    const first = entries[from];
    pages.push(
      first === undefined
        ? new BranchEntry(new Uint8Array(0), 0, 0, id, undefined)
        : new BranchEntry(first.key, first.keyOffset, first.keyLength, id, undefined),
    );
    remaining -= size;
    from = to;
  } while (from < entries.length);
  return pages;
}

/** Whether a page with entries of `size` takes one more of `entrySize`. */
function joinsLeaf(size: number, entrySize: number, cut: Cut): boolean {
  const together = PAGE_HEADER_SIZE + size + entrySize;
  if (together <= cut.fullness) return true;
  if (PAGE_HEADER_SIZE + entrySize <= cut.pageSize) return false;
  // An entry that needs overflow pages anyway comes along if that saves a page.
  const { builder } = cut;
  return builder.pagesFor(size + entrySize) < builder.pagesFor(size) + builder.pagesFor(entrySize);
}

/** As `cutLeaf`, but every page has two entries at least: a branch of one leads nowhere. */
function cutBranch(entries: BranchEntry[], cut: Cut): BranchEntry[] {
  const pages: BranchEntry[] = [];
  let remaining = branchSize(entries, 0, entries.length);
  let from = 0;
  while (from < entries.length) {
    let to = from;
    let size = 0;
    if (PAGE_HEADER_SIZE + remaining <= cut.pageSize || entries.length - from <= 3) {
      to = entries.length;
      size = remaining;
    } else {
      const end = entries.length - 2;
      do {
        size += entries[to]!.size;
        to++;
      } while (
        to < end &&
        (to < from + 2 || PAGE_HEADER_SIZE + size + entries[to]!.size <= cut.fullness)
      );
    }
    const first = entries[from]!;
    const id = cut.builder.branch(entries, from, to, size);
    pages.push(new BranchEntry(first.key, first.keyOffset, first.keyLength, id, undefined));
    remaining -= size;
    from = to;
  }
  return pages;
}
