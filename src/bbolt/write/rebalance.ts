// Rebalancing before a tree is written, from the leaves up: nodes that deletions emptied are removed,
// and nodes that they left small are merged with a neighbour.

import { fail, invariant, type Slices, verify } from '../../base/index.ts';
import { NODE_BYTES_MAX, NODE_ENTRIES_MAX } from '../limits.ts';
import type { EditTree } from './edit-tree.ts';
import { type BranchNode, emptyLeaf, type TreeNode } from './node.ts';
import { verifyNode, verifyTree } from './verify-tree.ts';

/** A node that shrank below this part of a page is merged; bbolt's rule at its default fill. */
const SMALL_SHARE = 1 / 4;

/** Afterwards no node but a root that is a leaf is empty, and a root branch has two children. */
export async function rebalance(tree: EditTree, slices: Slices): Promise<void> {
  if (tree.root === undefined) return;
  if (verify.all) verifyTree(tree.root, false);
  if (!tree.root.isLeaf) await rebalanceBranch(tree, tree.root, slices);
  while (!tree.root.isLeaf && tree.root.count <= 1) {
    tree.root = tree.root.count === 0 ? emptyLeaf() : tree.editChild(tree.root, 0);
  }
  invariant(
    tree.rootId === 0 && tree.inline === undefined,
    'the tree under edit replaces what was read',
  );
  if (verify.all) verifyTree(tree.root, true);
}

async function rebalanceBranch(tree: EditTree, branch: BranchNode, slices: Slices): Promise<void> {
  invariant(branch.count > 0, 'a branch has a child before its children are merged');
  let candidates = false;
  for (let i = 0; i < branch.count; i++) {
    const child = branch.childOf(i);
    if (child === undefined) continue;
    if (!child.isLeaf) await rebalanceBranch(tree, child, slices);
    candidates ||= child.shrunk;
  }
  if (!candidates) return;

  // Children [0, kept) stay; the slots behind them up to i are already looked at.
  let kept = 0;
  let gone = 0;
  const { count } = branch;
  for (let i = 0; i < branch.count; i++) {
    if (slices.isOver) await slices.next();
    const child = branch.childOf(i);
    if (child?.shrunk && child.count === 0) {
      gone++;
      continue;
    }
    if (kept > 0 && wantMerge(tree, branch.childOf(kept - 1), child)) {
      mergeInto(tree.editChild(branch, kept - 1), tree.editChild(branch, i));
      gone++;
    } else {
      invariant(kept <= i, 'children that stay move to the left');
      branch.slots[kept++] = branch.slots[i]!;
    }
  }
  invariant(branch.count === count, 'a branch keeps its slots until all are looked at');
  invariant(kept + gone === count, 'a child stays, is empty, or is merged');
  if (kept < branch.count) branch.shrunk = true;
  branch.slots.length = kept;
}

function wantMerge(
  tree: EditTree,
  left: TreeNode | undefined,
  right: TreeNode | undefined,
): boolean {
  if (!isSmall(tree, left) && !isSmall(tree, right)) return false;
  // A neighbour that is large after earlier merges takes no more.
  return (
    left === undefined || (left.count < NODE_ENTRIES_MAX / 2 && left.size < NODE_BYTES_MAX / 2)
  );
}

function isSmall(tree: EditTree, node: TreeNode | undefined): boolean {
  if (!node?.shrunk) return false;
  return node.size <= tree.pager.pageSize * SMALL_SHARE || (!node.isLeaf && node.count < 2);
}

function mergeInto(left: TreeNode, right: TreeNode): void {
  // A leaf page that was empty in the file already has not shrunk.
  invariant(left.count > 0 || !left.shrunk, 'a node that deletions emptied is removed');
  invariant(right.count > 0 || !right.shrunk, 'a node that deletions emptied is removed');
  const size = left.size + right.size;
  left.shrunk = true;
  if (left.isLeaf && right.isLeaf) left.append(right);
  else if (!left.isLeaf && !right.isLeaf) left.append(right);
  else fail('siblings are on one level');
  invariant(left.size === size, 'a merged node has the size of both');
  if (verify.all) verifyNode(left);
}
