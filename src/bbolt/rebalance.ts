// Before a tree is written: nodes that deletions emptied go, and nodes that they left small are
// merged with a neighbour, from the leaves up.

import { fail } from '../base/index.ts';
import type { EditTree } from './edit-tree.ts';
import { NODE_BYTES_MAX, NODE_ENTRIES_MAX } from './limits.ts';
import { type BranchEntry, type BranchNode, LeafNode, type TreeNode } from './node.ts';
import type { Slices } from './slices.ts';

/** A node that shrank below this part of a page is merged; bbolt's rule at its default fill. */
const SMALL_SHARE = 1 / 4;

/** Afterwards no node but a root that is a leaf is empty, and a root branch has two children. */
export async function rebalance(tree: EditTree, slices: Slices): Promise<void> {
  if (tree.root === undefined) return;
  if (!tree.root.isLeaf) await rebalanceBranch(tree, tree.root, slices);
  while (!tree.root.isLeaf && tree.root.entries.length <= 1) {
    const only: BranchEntry | undefined = tree.root.entries[0];
    tree.root = only === undefined ? new LeafNode([], 0) : tree.editChild(only);
  }
}

async function rebalanceBranch(tree: EditTree, branch: BranchNode, slices: Slices): Promise<void> {
  let candidates = false;
  for (const { child } of branch.entries) {
    if (child === undefined) continue;
    if (!child.isLeaf) await rebalanceBranch(tree, child, slices);
    candidates ||= child.shrunk;
  }
  if (!candidates) return;

  const kept: BranchEntry[] = [];
  for (const entry of branch.entries) {
    if (slices.due) await slices.turn();
    const { child } = entry;
    if (child?.shrunk && child.entries.length === 0) continue;
    const left = kept.at(-1);
    if (left !== undefined && wantMerge(tree, left.child, child)) {
      mergeInto(tree.editChild(left), tree.editChild(entry));
    } else {
      kept.push(entry);
    }
  }
  if (kept.length < branch.entries.length) branch.shrunk = true;
  branch.entries = kept;
}

function wantMerge(
  tree: EditTree,
  left: TreeNode | undefined,
  right: TreeNode | undefined,
): boolean {
  if (!isSmall(tree, left) && !isSmall(tree, right)) return false;
  // A neighbour that has already swallowed much leaves the rest to the next one.
  return (
    left === undefined ||
    (left.entries.length < NODE_ENTRIES_MAX / 2 && left.size < NODE_BYTES_MAX / 2)
  );
}

function isSmall(tree: EditTree, node: TreeNode | undefined): boolean {
  if (!node?.shrunk) return false;
  return (
    node.size <= tree.pager.pageSize * SMALL_SHARE || (!node.isLeaf && node.entries.length < 2)
  );
}

function mergeInto(left: TreeNode, right: TreeNode): void {
  left.shrunk = true;
  if (left.isLeaf && right.isLeaf) {
    for (const entry of right.entries) left.entries.push(entry);
    left.size += right.size;
  } else if (!left.isLeaf && !right.isLeaf) {
    for (const entry of right.entries) left.entries.push(entry);
  } else {
    fail('siblings are on one level');
  }
}
