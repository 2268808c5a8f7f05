// What must hold in a tree under edit, checked as a whole under `verify.all`. Pages that are not under edit
// count as sound: the scan at opening has read them.

import { invariant } from '../../base/index.ts';
import { comparePlaces, type KeyPlace } from '../file/layout.ts';
import { type BranchNode, LeafEntry, type LeafNode, type TreeNode } from './node.ts';

/** Checks one node: order, sizes, the relation to its base page. */
export function verifyNode(node: TreeNode): void {
  let last = -1;
  for (const slot of node.slots) {
    if (typeof slot !== 'number') continue;
    invariant(node.base !== undefined, 'an index refers to the base page');
    invariant(slot > last, 'elements of the base page keep their order');
    invariant(slot < node.base.count, 'an index is that of an element of the base page');
    last = slot;
  }
  for (let i = 1; i < node.count; i++) {
    invariant(comparePlaces(keyAt(node, i - 1), keyAt(node, i)) < 0, 'the keys of a node ascend');
  }
  if (!node.isLeaf) return;
  let size = 0;
  for (let i = 0; i < node.count; i++) size += node.sizeOf(i);
  invariant(size === node.size, 'the size of a leaf is the sum of its entries');
}

/** Checks every node of the tree; with `balanced`, that none is empty either (as after rebalancing). */
export function verifyTree(root: TreeNode, balanced: boolean): void {
  if (balanced) {
    invariant(root.isLeaf || root.count >= 2, 'a root that is a branch has two children');
  }
  new TreeCheck(balanced).node(root, 0, undefined, undefined);
}

class TreeCheck {
  readonly #balanced: boolean;
  readonly #seen = new Set<TreeNode>();
  /** Of the leaves under edit, once one was reached. */
  #leafDepth = -1;

  constructor(balanced: boolean) {
    this.#balanced = balanced;
  }

  /** `node` holds keys of [min, max); undefined stands for no bound. */
  node(node: TreeNode, depth: number, min: KeyPlace | undefined, max: KeyPlace | undefined): void {
    invariant(!this.#seen.has(node), 'a node is reached once');
    this.#seen.add(node);
    verifyNode(node);
    if (node.isLeaf) this.#leaf(node, depth, min, max);
    else this.#children(node, depth, min, max);
  }

  #leaf(leaf: LeafNode, depth: number, min: KeyPlace | undefined, max: KeyPlace | undefined): void {
    if (this.#leafDepth < 0) this.#leafDepth = depth;
    invariant(depth === this.#leafDepth, 'the leaves of a tree are on one level');
    if (leaf.count === 0) {
      invariant(!this.#balanced || depth === 0, 'no leaf but the root is empty');
      return;
    }
    invariant(
      min === undefined || comparePlaces(min, keyAt(leaf, 0)) <= 0,
      'the keys of a leaf are not below its key in the branch',
    );
    invariant(
      max === undefined || comparePlaces(keyAt(leaf, leaf.count - 1), max) < 0,
      'the keys of a leaf are below the next key of the branch',
    );
  }

  #children(
    branch: BranchNode,
    depth: number,
    min: KeyPlace | undefined,
    max: KeyPlace | undefined,
  ): void {
    invariant(branch.count > 0, 'a branch has a child');
    for (let i = 0; i < branch.count; i++) {
      const child = branch.childOf(i);
      if (child === undefined) {
        invariant(branch.childIdOf(i) >= 2, 'a child that is not under edit has a page');
        continue;
      }
      invariant(branch.childIdOf(i) === 0, 'a child under edit has given up its page');
      // The first child takes the keys below all; its own key is of no meaning until it is written.
      const from = i === 0 ? min : keyAt(branch, i);
      const to = i + 1 < branch.count ? keyAt(branch, i + 1) : max;
      this.node(child, depth + 1, from, to);
    }
  }
}

function keyAt(node: TreeNode, index: number): KeyPlace {
  const slot = node.slots[index]!;
  if (typeof slot !== 'number') {
    invariant(!node.isLeaf || slot instanceof LeafEntry, 'a leaf holds entries');
    return { bytes: slot.key, offset: slot.keyOffset, length: slot.keyLength };
  }
  const { base } = node;
  invariant(base !== undefined, 'an index refers to the base page');
  return { bytes: base.bytes, offset: base.keyOffset(slot), length: base.keyLength(slot) };
}
