// The ranges that a user may read, or write: the red-black tree of Cormen et al. (3rd ed., chapters 13
// and 14.3), ordered by begin, then end, in which every node knows the largest end below it.
//
// The shape is part of the contract. Of a request whose end lies before its key etcd says yes or no as
// its walk through that tree happens to turn, and a transaction that one member refuses and another
// applies is a cluster that has fallen apart. So this is the textbook's tree, filled in etcd's order,
// and neither merged ranges nor the tree of `mvcc/watch`. A twin over plain lists checks the rest.

import { invariant } from '../base/index.ts';

class TreeNode {
  readonly begin: string;
  readonly end: string;
  /** Largest end in the subtree. */
  endMax: string;
  isRed = true;
  left: TreeNode | undefined = undefined;
  right: TreeNode | undefined = undefined;

  constructor(begin: string, end: string) {
    this.begin = begin;
    this.end = end;
    this.endMax = end;
  }

  mend(): void {
    let max = this.end;
    if (this.left !== undefined && this.left.endMax > max) max = this.left.endMax;
    if (this.right !== undefined && this.right.endMax > max) max = this.right.endMax;
    this.endMax = max;
  }
}

type Side = 'left' | 'right';

/** The union of what has been visited; the intervals come ordered by begin. */
interface Coverage {
  begin: string | undefined;
  end: string;
}

/** Intervals `[begin, end)` of `intervalOf`; those that hold nothing are kept, and permit nothing. */
export class PermissionTree {
  #root: TreeNode | undefined = undefined;

  add(begin: string, end: string): void {
    const added = new TreeNode(begin, end);
    const path: TreeNode[] = [];
    for (let node = this.#root; node !== undefined; node = node[sideOf(added, node)]) {
      path.push(node);
    }
    const parent = path.at(-1);
    if (parent === undefined) this.#root = added;
    else parent[sideOf(added, parent)] = added;
    for (let i = path.length - 1; i >= 0; i--) path[i]!.mend();
    path.push(added);
    this.#balance(path);
  }

  /** RB-INSERT-FIXUP of the last node of `path`, which begins at the root. */
  #balance(path: TreeNode[]): void {
    let at = path.length - 1;
    while (at >= 2 && path[at - 1]!.isRed) {
      const grand = path[at - 2]!;
      const parent = path[at - 1]!;
      const side: Side = grand.left === parent ? 'left' : 'right';
      const other: Side = side === 'left' ? 'right' : 'left';
      const uncle = grand[other];
      grand.isRed = true;
      if (uncle?.isRed === true) {
        uncle.isRed = false;
        parent.isRed = false;
        at -= 2;
        continue;
      }
      if (parent[other] === path[at]) grand[side] = rotated(parent, side);
      const top = rotated(grand, other);
      top.isRed = false;
      const above = path[at - 3];
      if (above === undefined) this.#root = top;
      else above[above.left === grand ? 'left' : 'right'] = top;
      break;
    }
    invariant(this.#root !== undefined, 'a tree that was added to has a root');
    this.#root.isRed = false;
  }

  /** Whether some interval shares a key with `[begin, end)`; asked of single keys. */
  intersects(begin: string, end: string): boolean {
    let node = this.#root;
    while (node !== undefined && compare(begin, end, node.begin, node.end) !== 0) {
      const { left } = node;
      node = left !== undefined && left.endMax > begin ? left : node.right;
    }
    return node !== undefined;
  }

  /** Whether the intervals together hold all of `[begin, end)`, where they may only touch. */
  covers(begin: string, end: string): boolean {
    const coverage: Coverage = { begin: undefined, end: '' };
    if (!cover(this.#root, begin, end, coverage)) return false;
    return coverage.begin !== undefined && coverage.begin <= begin && coverage.end >= end;
  }

  /** Violations of the tree's rules. */
  check(): string[] {
    const wrong: string[] = [];
    if (this.#root?.isRed === true) wrong.push('the root is red');
    checkNode(this.#root, wrong);
    return wrong;
  }
}

function sideOf(added: TreeNode, node: TreeNode): Side {
  if (added.begin !== node.begin) return added.begin < node.begin ? 'left' : 'right';
  return added.end < node.end ? 'left' : 'right';
}

/** Moves `node` down to `side`; returns the child that takes its place. */
function rotated(node: TreeNode, side: Side): TreeNode {
  const other: Side = side === 'left' ? 'right' : 'left';
  const child = node[other];
  invariant(child !== undefined, 'a node that goes down has a child that goes up');
  node[other] = child[side];
  child[side] = node;
  node.mend();
  child.mend();
  return child;
}

/** Negative, 0 or positive as the first interval is before the second, meets it, or is after it. */
function compare(begin: string, end: string, otherBegin: string, otherEnd: string): number {
  if (begin < otherBegin && end <= otherBegin) return -1;
  return begin >= otherEnd ? 1 : 0;
}

/** Visits what meets `[begin, end)` from left to right; false once there is a gap. */
function cover(
  node: TreeNode | undefined,
  begin: string,
  end: string,
  coverage: Coverage,
): boolean {
  if (node === undefined) return true;
  const order = compare(begin, end, node.begin, node.end);
  if (order < 0) return cover(node.left, begin, end, coverage);
  if (order > 0) {
    // Turns back too soon if the end is before the begin; see the head of the file.
    if (compare(node.begin, node.endMax, begin, end) !== 0) return true;
    return cover(node.left, begin, end, coverage) && cover(node.right, begin, end, coverage);
  }
  return (
    cover(node.left, begin, end, coverage) &&
    extend(coverage, node) &&
    cover(node.right, begin, end, coverage)
  );
}

/** False if there is a gap before the node. */
function extend(coverage: Coverage, { begin, end }: TreeNode): boolean {
  if (coverage.begin === undefined) {
    coverage.begin = begin;
    coverage.end = end;
    return true;
  }
  if (coverage.end < begin) return false;
  if (end > coverage.end) coverage.end = end;
  return true;
}

/** Returns the number of black nodes on each way down. */
function checkNode(node: TreeNode | undefined, wrong: string[]): number {
  if (node === undefined) return 1;
  const { left, right, begin, endMax } = node;
  const label = JSON.stringify(begin);
  if (node.isRed && (left?.isRed === true || right?.isRed === true)) {
    wrong.push(`${label} and a child are red`);
  }
  // What equals it goes to the right, and may come to lie left in a rotation.
  if (left !== undefined && sideOf(node, left) !== 'right')
    wrong.push(`${label}: wrong left child`);
  if (right !== undefined && sideOf(right, node) !== 'right') {
    wrong.push(`${label}: wrong right child`);
  }
  const blacks = checkNode(left, wrong);
  if (blacks !== checkNode(right, wrong)) wrong.push(`${label}: sides of unequal height`);
  node.mend();
  if (node.endMax !== endMax) wrong.push(`${label}: wrong largest end`);
  return blacks + (node.isRed ? 0 : 1);
}
