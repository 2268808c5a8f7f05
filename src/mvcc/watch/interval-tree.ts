// Ranges of keys, and the question which of them contain a key: a treap ordered by begin and end, in
// which every node knows the largest end below it.
//
//                 [c, k) to k                 begins are in order from left to right;
//                /           \                a subtree whose largest end is not above
//        [a, f) to z       [d, e) to e        the key holds no range that contains it
//             \
//            [b, z) to z

import { invariant, type Random, seededRandom } from '../../base/index.ts';

/** Exclusive end of a range; undefined has no bound. */
type End = string | undefined;

class TreapNode<T> {
  readonly begin: string;
  readonly end: End;
  readonly value: T;
  /** Not above that of the node above. */
  readonly priority: number;
  left: TreapNode<T> | undefined = undefined;
  right: TreapNode<T> | undefined = undefined;
  endMax: End;

  constructor(begin: string, end: End, value: T, priority: number) {
    this.begin = begin;
    this.end = end;
    this.value = value;
    this.priority = priority;
    this.endMax = end;
  }

  mend(): this {
    let max = this.end;
    if (this.left !== undefined) max = laterEnd(max, this.left.endMax);
    if (this.right !== undefined) max = laterEnd(max, this.right.endMax);
    this.endMax = max;
    return this;
  }
}

function laterEnd(a: End, b: End): End {
  if (a === undefined || b === undefined) return undefined;
  return a < b ? b : a;
}

function compareEnds(a: End, b: End): number {
  if (a === b) return 0;
  if (a === undefined) return 1;
  if (b === undefined) return -1;
  return a < b ? -1 : 1;
}

function compareRanges(begin: string, end: End, node: TreapNode<unknown>): number {
  if (begin !== node.begin) return begin < node.begin ? -1 : 1;
  return compareEnds(end, node.end);
}

export class IntervalTree<T> {
  size = 0;
  #root: TreapNode<T> | undefined = undefined;
  readonly #random: Random = seededRandom(1);

  /** The value of exactly this range. */
  get(begin: string, end: End): T | undefined {
    let node = this.#root;
    while (node !== undefined) {
      const side = compareRanges(begin, end, node);
      if (side === 0) return node.value;
      node = side < 0 ? node.left : node.right;
    }
    return undefined;
  }

  /** Adds a range that is not there yet. */
  add(begin: string, end: End, value: T): void {
    const priority = this.#random.below(2 ** 32);
    this.#root = insert(this.#root, new TreapNode(begin, end, value, priority));
    this.size++;
  }

  /** Removes a range that is there. */
  remove(begin: string, end: End): void {
    this.#root = remove(this.#root, begin, end);
    this.size--;
  }

  /** Adds the values of all ranges that contain `key` to `into`. */
  stab(key: string, into: T[]): void {
    if (this.#root !== undefined) stab(this.#root, key, into);
  }

  /** Violations of the tree's rules. */
  check(): string[] {
    const wrong: string[] = [];
    const count = checkNode(this.#root, wrong);
    if (count !== this.size) wrong.push(`${count} ranges, size says ${this.size}`);
    return wrong;
  }
}

function insert<T>(node: TreapNode<T> | undefined, added: TreapNode<T>): TreapNode<T> {
  if (node === undefined) return added;
  const side = compareRanges(added.begin, added.end, node);
  invariant(side !== 0, 'a range is added once');
  if (side < 0) {
    const left = insert(node.left, added);
    node.left = left;
    return left.priority > node.priority ? rotateRight(node, left) : node.mend();
  }
  const right = insert(node.right, added);
  node.right = right;
  return right.priority > node.priority ? rotateLeft(node, right) : node.mend();
}

function rotateRight<T>(node: TreapNode<T>, left: TreapNode<T>): TreapNode<T> {
  node.left = left.right;
  left.right = node.mend();
  return left.mend();
}

function rotateLeft<T>(node: TreapNode<T>, right: TreapNode<T>): TreapNode<T> {
  node.right = right.left;
  right.left = node.mend();
  return right.mend();
}

function remove<T>(
  node: TreapNode<T> | undefined,
  begin: string,
  end: End,
): TreapNode<T> | undefined {
  invariant(node !== undefined, 'a range that is removed is there');
  const side = compareRanges(begin, end, node);
  if (side === 0) return merge(node.left, node.right);
  if (side < 0) node.left = remove(node.left, begin, end);
  else node.right = remove(node.right, begin, end);
  return node.mend();
}

/** Joins two trees, all ranges of the first before those of the second. */
function merge<T>(
  a: TreapNode<T> | undefined,
  b: TreapNode<T> | undefined,
): TreapNode<T> | undefined {
  if (a === undefined) return b;
  if (b === undefined) return a;
  if (a.priority > b.priority) {
    a.right = merge(a.right, b);
    return a.mend();
  }
  b.left = merge(a, b.left);
  return b.mend();
}

function stab<T>(node: TreapNode<T>, key: string, into: T[]): void {
  if (node.endMax !== undefined && node.endMax <= key) return;
  if (node.left !== undefined) stab(node.left, key, into);
  if (node.begin > key) return;
  if (node.end === undefined || key < node.end) into.push(node.value);
  if (node.right !== undefined) stab(node.right, key, into);
}

function checkNode<T>(node: TreapNode<T> | undefined, wrong: string[]): number {
  if (node === undefined) return 0;
  for (const child of [node.left, node.right]) {
    if (child !== undefined && child.priority > node.priority) wrong.push('priorities not a heap');
  }
  if (node.left !== undefined && compareRanges(node.left.begin, node.left.end, node) >= 0) {
    wrong.push(`${node.left.begin} is not before ${node.begin}`);
  }
  if (node.right !== undefined && compareRanges(node.right.begin, node.right.end, node) <= 0) {
    wrong.push(`${node.right.begin} is not after ${node.begin}`);
  }
  const count = 1 + checkNode(node.left, wrong) + checkNode(node.right, wrong);
  const { endMax } = node;
  if (node.mend().endMax !== endMax) wrong.push(`${node.begin}: wrong largest end`);
  return count;
}
