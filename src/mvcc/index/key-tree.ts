// The tree over the leaves of the key index: finds the place of a key, keeps the number of live keys
// and of keys with a lease below every child, splits full nodes and joins small ones.
//
//                 node   separators    "g"
//                        children   [  |  , |  ]
//                        live       [ 170 , 96 ]         live keys below each child
//                        leased     [   3 ,  0 ]         those of them that have a lease
//
//             node   "c"                node   "p"       all leaves are on one level,
//                  [leaf, leaf]              [leaf, leaf]      chained in key order
//
// Keys below `separators[i]` are in a child up to i, the others in one after it.
//
// The path to the leaf found last is kept, so that the next operation on the same key, or on its
// neighbour, begins at the leaf.

import { fail, invariant } from '../../base/index.ts';
import {
  LEAF_KEYS_LOW,
  LEAF_KEYS_MAX,
  NODE_CHILDREN_LOW,
  NODE_CHILDREN_MAX,
  TREE_LEVELS_MAX,
} from '../limits.ts';
import { Leaf, LeafPool } from './leaf.ts';
import { type Child, TreeNode } from './tree-node.ts';

/** A path that was kept, to come back to the key at its end. Good until the tree changes its shape. */
export class KeptPath {
  /** @internal */
  leaf: Leaf | undefined = undefined;
  /** @internal */
  rank = 0;
  /** @internal */
  readonly nodes: TreeNode[] = [];
  /** @internal */
  readonly slots: number[] = [];
  /** @internal */
  from = '';
  /** @internal */
  to: string | undefined = undefined;
  /** @internal */
  shape = -1;
}

export class KeyTree {
  readonly #pool = new LeafPool();

  /** Where {@link locate} came to: the rank of the key in its leaf, or the one it would get. */
  leaf: Leaf = this.#pool.make();
  rank = 0;

  /** Leftmost leaf; it is empty only if the tree is. */
  firstLeaf: Leaf = this.leaf;
  /** Changes whenever a slot may have moved: a cursor that sees another number seeks again. */
  layout = 0;
  leafCount = 1;
  liveCount = 0;
  leasedCount = 0;

  #root: Child = this.leaf;
  /** Levels of nodes above the leaves. */
  #height = 0;

  /** Changes whenever a path may no longer lead to its leaf. */
  #shape = 0;
  // The path to `leaf` from the root down, valid while it is of the tree's shape.
  #pathShape = -1;
  readonly #nodes: TreeNode[] = [];
  readonly #slots: number[] = new Array<number>(TREE_LEVELS_MAX).fill(0);
  /** The keys that belong to `leaf`. */
  #from = '';
  #to: string | undefined = undefined;

  /** Finds the place of a key, `leaf` and `rank`; true if the key is there. */
  locate(key: string): boolean {
    if (this.#pathValid && this.rank < this.leaf.size && this.leaf.keyAt(this.rank) === key) {
      return true;
    }
    if (!this.#pathValid || !this.#belongs(key)) this.#descend(key, true);
    const { leaf } = this;
    const rank = leaf.lowerBoundBlind(key);
    this.rank = rank;
    if (rank < leaf.size && leaf.keyAt(rank) === key) return true;
    if (this.#fits(key, rank)) return false;

    // The blind search was misled: the key lacks chars that others share.
    this.#descend(key, false);
    this.rank = this.leaf.lowerBound(key);
    return this.rank < this.leaf.size && this.leaf.keyAt(this.rank) === key;
  }

  /**
   * {@link locate} after a key of the tree was located that is not above this one: the next of sorted keys
   * mostly belongs beside the one before, which two comparisons show.
   */
  locateNext(key: string): boolean {
    if (!this.#pathValid) return this.locate(key);
    const { leaf, rank } = this;
    if (leaf.keyAt(rank) === key) return true;
    const next = rank + 1;
    const isBeside =
      next < leaf.size ? key < leaf.keyAt(next) : this.#to === undefined || key < this.#to;
    if (!isBeside) return this.locate(key);
    this.rank = next;
    return false;
  }

  /** Keeps the path to the key that was located, or to the place that it would get. */
  keepPath(into: KeptPath): void {
    invariant(this.#pathValid, 'a leaf was located');
    for (let level = 0; level < this.#height; level++) {
      into.nodes[level] = this.#nodes[level]!;
      into.slots[level] = this.#slots[level]!;
    }
    into.leaf = this.leaf;
    into.rank = this.rank;
    into.from = this.#from;
    into.to = this.#to;
    into.shape = this.#shape;
  }

  /**
   * Finds the place of a key if three comparisons show that it is not there and belongs right after the one
   * at the end of `path`, which then leads to it. Else does nothing, and returns false.
   */
  locateAfter(path: KeptPath, key: string): boolean {
    const { leaf, rank, to } = path;
    if (leaf === undefined || path.shape !== this.#shape || rank >= leaf.size) return false;
    const next = rank + 1;
    if (leaf.keyAt(rank) >= key) return false;
    if (next < leaf.size ? key >= leaf.keyAt(next) : to !== undefined && key >= to) return false;
    for (let level = 0; level < this.#height; level++) {
      this.#nodes[level] = path.nodes[level]!;
      this.#slots[level] = path.slots[level]!;
    }
    this.leaf = leaf;
    this.rank = next;
    this.#from = path.from;
    this.#to = to;
    this.#pathShape = this.#shape;
    path.rank = next;
    return true;
  }

  get #pathValid(): boolean {
    return this.#pathShape === this.#shape;
  }

  /** Whether a key would belong to the leaf found last. */
  #belongs(key: string): boolean {
    return key >= this.#from && (this.#to === undefined || key < this.#to);
  }

  /** Whether a key that is not in the leaf belongs there at this rank. */
  #fits(key: string, rank: number): boolean {
    const { leaf } = this;
    const above = rank > 0 ? key > leaf.keyAt(rank - 1) : key >= this.#from;
    if (!above) return false;
    return rank < leaf.size ? key < leaf.keyAt(rank) : this.#to === undefined || key < this.#to;
  }

  #descend(key: string, blind: boolean): void {
    let child = this.#root;
    this.#from = '';
    this.#to = undefined;
    for (let level = 0; level < this.#height; level++) {
      const node = child as TreeNode;
      child = this.#enter(level, node, blind ? node.slotOfBlind(key) : node.slotOf(key));
    }
    this.leaf = child as Leaf;
    this.#pathShape = this.#shape;
  }

  /** The path to a leaf goes on at a child of a node. */
  #enter(level: number, node: TreeNode, slot: number): Child {
    const { separators } = node;
    this.#nodes[level] = node;
    this.#slots[level] = slot;
    if (slot > 0) this.#from = separators[slot - 1]!;
    if (slot < separators.length) this.#to = separators[slot]!;
    return node.children[slot]!;
  }

  /** Live keys before `key`. */
  liveBefore(key: string): number {
    this.locate(key);
    let count = this.leaf.liveBefore(this.rank);
    for (let level = 0; level < this.#height; level++) {
      const { live } = this.#nodes[level]!;
      const slot = this.#slots[level]!;
      for (let i = 0; i < slot; i++) count += live[i]!;
    }
    return count;
  }

  /** Keys before `key` that have a lease. */
  leasedBefore(key: string): number {
    this.locate(key);
    let count = this.leaf.leasedBefore(this.rank);
    for (let level = 0; level < this.#height; level++) {
      const { leased } = this.#nodes[level]!;
      const slot = this.#slots[level]!;
      for (let i = 0; i < slot; i++) count += leased[i]!;
    }
    return count;
  }

  /** Locates the key with a lease that has `before` others with one before it. */
  locateLeased(before: number): void {
    invariant(before < this.leasedCount, 'there are as many keys with a lease');
    let left = before;
    let child = this.#root;
    this.#from = '';
    this.#to = undefined;
    for (let level = 0; level < this.#height; level++) {
      const node = child as TreeNode;
      let slot = 0;
      while (left >= node.leased[slot]!) left -= node.leased[slot++]!;
      child = this.#enter(level, node, slot);
    }
    this.leaf = child as Leaf;
    this.rank = this.leaf.rankOfLeased(left);
    this.#pathShape = this.#shape;
  }

  /** The located leaf has `delta` more live keys; the caller corrects the leaf's own `live`. */
  addLive(delta: number): void {
    invariant(this.#pathValid, 'a leaf was located');
    for (let level = 0; level < this.#height; level++) {
      this.#nodes[level]!.live[this.#slots[level]!]! += delta;
    }
    this.liveCount += delta;
  }

  /** The located leaf has `delta` more keys with a lease, which its own `leased` counts too. */
  addLeased(delta: number): void {
    invariant(this.#pathValid, 'a leaf was located');
    this.leaf.leased += delta;
    for (let level = 0; level < this.#height; level++) {
      this.#nodes[level]!.leased[this.#slots[level]!]! += delta;
    }
    this.leasedCount += delta;
  }

  /**
   * Makes room for `key`, which was located and is not there: afterwards `leaf` has room and `rank`
   * is the key's place in it.
   */
  makeRoom(key: string): void {
    invariant(this.#pathValid, 'a leaf was located');
    this.layout++;
    const { leaf } = this;
    const { size } = leaf;
    if (size < LEAF_KEYS_MAX) return;

    const from = splitRank(leaf, this.rank);
    const right = this.#pool.make();
    leaf.moveTail(from, right);
    right.next = leaf.next;
    right.previous = leaf;
    if (right.next !== undefined) right.next.previous = right;
    leaf.next = right;
    this.leafCount++;
    this.#insertChild(this.#height - 1, from === size ? key : right.keyAt(0), leaf, right);
    this.locate(key);
  }

  /** Inserts `right`, split off `left`, into the node of the path at `level`. */
  #insertChild(level: number, separator: string, left: Child, right: Child): void {
    this.#shape++;
    if (level < 0) {
      const root = new TreeNode();
      root.begin(left, separator, right);
      this.#root = root;
      this.#height++;
      invariant(this.#height < TREE_LEVELS_MAX, 'the tree is shallow');
      return;
    }
    const node = this.#nodes[level]!;
    const slot = this.#slots[level]!;
    node.insert(slot + 1, separator, right);
    const size = node.children.length;
    if (size <= NODE_CHILDREN_MAX) return;

    const half = new TreeNode();
    const halfSeparator = node.splitInto(slot + 2 === size ? size - 2 : size >>> 1, half);
    this.#insertChild(level - 1, halfSeparator, node, half);
  }

  /**
   * Mends the tree after dead keys were removed from the located leaf: an empty leaf goes, a small
   * one joins its neighbour.
   */
  afterRemoval(): void {
    invariant(this.#pathValid, 'a leaf was located');
    this.layout++;
    if (this.leaf.size >= LEAF_KEYS_LOW) return;
    this.#shape++;
    this.#shrink(this.#height - 1);
    while (this.#height > 0 && (this.#root as TreeNode).children.length === 1) {
      this.#root = (this.#root as TreeNode).children[0]!;
      this.#height--;
    }
  }

  /** The child on the path below `level` got small: removes it or joins it with a neighbour. */
  #shrink(level: number): void {
    if (level < 0) return;
    const node = this.#nodes[level]!;
    const slot = this.#slots[level]!;
    const child = node.children[slot]!;
    if (sizeOf(child) === 0) {
      // The only leaf of the tree stays, even empty.
      if (child instanceof Leaf && this.leafCount === 1) return;
      if (child instanceof Leaf) this.#unchain(child);
      node.remove(slot);
    } else if (node.children.length === 1 || !this.#join(node, slot > 0 ? slot - 1 : slot)) {
      return;
    }
    if (node.children.length < NODE_CHILDREN_LOW) this.#shrink(level - 1);
  }

  /** Joins the children at `left` and after it if that leaves room to grow. */
  #join(node: TreeNode, left: number): boolean {
    const a = node.children[left]!;
    const b = node.children[left + 1]!;
    const max = a instanceof Leaf ? LEAF_KEYS_MAX : NODE_CHILDREN_MAX;
    if (sizeOf(a) + sizeOf(b) > (max * 3) / 4) return false;
    if (a instanceof Leaf && b instanceof Leaf) {
      b.moveTail(0, a);
      this.#unchain(b);
    } else if (a instanceof TreeNode && b instanceof TreeNode) {
      a.absorb(b, node.separators[left]!);
    } else {
      fail('children of one node are of one kind');
    }
    node.live[left]! += node.live[left + 1]!;
    node.leased[left]! += node.leased[left + 1]!;
    node.remove(left + 1);
    return true;
  }

  #unchain(leaf: Leaf): void {
    const { next, previous } = leaf;
    if (previous === undefined) {
      invariant(next !== undefined, 'the only leaf stays');
      this.firstLeaf = next;
    } else {
      previous.next = next;
    }
    if (next !== undefined) next.previous = previous;
    this.leafCount--;
    this.#pool.release(leaf);
  }

  /** Every violation of the tree's own rules; the index checks what the leaves say. */
  check(): string[] {
    const wrong: string[] = [];
    const leaves: Leaf[] = [];
    checkChild(this.#root, this.#height, '', undefined, leaves, wrong);
    if (leaves.length !== this.leafCount) wrong.push(`${leaves.length} leaves, not leafCount`);
    if (leaves[0] !== this.firstLeaf) wrong.push('firstLeaf is not the leftmost leaf');
    let live = 0;
    let leased = 0;
    for (let i = 0; i < leaves.length; i++) {
      if (leaves[i]!.next !== leaves[i + 1]) wrong.push(`leaf ${i}: wrong next`);
      if (leaves[i]!.previous !== leaves[i - 1]) wrong.push(`leaf ${i}: wrong previous`);
      if (leaves[i]!.size === 0 && leaves.length > 1) wrong.push(`leaf ${i}: empty`);
      live += leaves[i]!.live;
      leased += leaves[i]!.leased;
    }
    if (live !== this.liveCount) wrong.push(`${live} live keys, liveCount ${this.liveCount}`);
    if (leased !== this.leasedCount) wrong.push(`${leased} leased, not ${this.leasedCount}`);
    return wrong;
  }
}

/**
 * The first rank to move out of a full leaf, which is to take a key at `rank`. Keys that arrive in
 * order, several such sequences at once too, leave full leaves behind, not half empty ones.
 */
function splitRank(leaf: Leaf, rank: number): number {
  const { size, lastRank } = leaf;
  const inOrder = rank === size || rank === lastRank + 1 || rank === lastRank;
  return inOrder ? Math.max(rank, 1) : size >>> 1;
}

function sizeOf(child: Child): number {
  return child instanceof Leaf ? child.size : child.children.length;
}

/** Live keys below a child, and those that have a lease. */
interface Counts {
  readonly live: number;
  readonly leased: number;
}

/** Collects the leaves below `child`, whose keys must be in `[from, to)`. */
function checkChild(
  child: Child,
  height: number,
  from: string,
  to: string | undefined,
  leaves: Leaf[],
  wrong: string[],
): Counts {
  if (child instanceof Leaf) {
    wrong.push(...child.check());
    for (let rank = 0; rank < child.size; rank++) {
      const key = child.keyAt(rank);
      if (key < from || (to !== undefined && key >= to)) wrong.push(`${key} is in a wrong leaf`);
    }
    if (height !== 0) wrong.push('a leaf is above the lowest level');
    leaves.push(child);
    return child;
  }
  const { children, separators } = child;
  const size = children.length;
  if (height === 0) wrong.push('a node is on the lowest level');
  if (size === 0 || size > NODE_CHILDREN_MAX) wrong.push(`a node of ${size} children`);
  if (separators.length !== size - 1) wrong.push('a node lacks separators');
  const total = { live: 0, leased: 0 };
  for (let slot = 0; slot < size; slot++) {
    const low = slot === 0 ? from : separators[slot - 1]!;
    const high = separators[slot] ?? to;
    if (slot < size - 1 && low > separators[slot]!) wrong.push('separators out of order');
    const { live, leased } = checkChild(children[slot]!, height - 1, low, high, leaves, wrong);
    if (live !== child.live[slot] || leased !== child.leased[slot]) {
      const counted = `${child.live[slot]} and ${child.leased[slot]}`;
      wrong.push(`child ${slot}: ${live} live and ${leased} leased keys, not ${counted}`);
    }
    total.live += live;
    total.leased += leased;
  }
  return total;
}
