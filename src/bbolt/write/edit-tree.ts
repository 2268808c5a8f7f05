// One bucket's tree during a write transaction: pages where nothing changed, nodes where something
// did. The page of a node counts as freed as soon as the node exists.
//
// Nodes that grow large are cut in two in memory, so that the cost of an insertion and the work
// between two looks at the clock stay bounded; pages are cut to size when the tree is written.
//
// Hot: `put` of keys in ascending order costs one comparison with the last key.

import { EMPTY_BYTES, ERROR_CODES, invariant, TetcdError, verify } from '../../base/index.ts';
import { BUCKET_ELEMENT_FLAG } from '../file/layout.ts';
import type { Page } from '../file/page.ts';
import type { Pager } from '../file/pager.ts';
import { NODE_BYTES_MAX, NODE_ENTRIES_MAX } from '../limits.ts';
import {
  BranchEntry,
  BranchNode,
  type LeafEntry,
  LeafNode,
  nodeFromPage,
  type TreeNode,
} from './node.ts';
import { verifyNode } from './verify-tree.ts';

/** What a tree needs of the transaction it belongs to. */
export interface TreeOwner {
  readonly pager: Pager;
  /** Records that the commit frees the page. */
  freePage(page: Page): void;
}

export class EditTree {
  readonly pager: Pager;
  readonly #owner: TreeOwner;
  /** Root page; 0 if `inline` is the whole tree or `root` has no page yet. */
  rootId: number;
  /** The only leaf of an inline bucket, until it is edited. */
  inline: Page | undefined;
  /** The root, if it is under edit. */
  root: TreeNode | undefined;
  /** Counter of changes: a cursor that sees a new value searches its position again. */
  changes = 0;
  /** The rightmost leaf, while keys are being appended to it. */
  #tail: LeafNode | undefined;
  /** Path of the last descent for edit: branches from the root, and the child taken in each. */
  readonly #path: BranchNode[] = [];
  readonly #pathIndexes: number[] = [];

  constructor(owner: TreeOwner, rootId: number, inline: Page | undefined) {
    invariant(rootId >= 2 !== (inline !== undefined), 'a tree has a root page or is inline');
    this.#owner = owner;
    this.pager = owner.pager;
    this.rootId = rootId;
    this.inline = inline;
  }

  /** The root as it stands: a node if it is under edit. */
  rootView(): TreeNode | Page {
    return this.root ?? this.inline ?? this.pager.page(this.rootId);
  }

  /** Puts an entry; INVALID_ARGUMENT if the key is there with other flags. */
  put(entry: LeafEntry): void {
    const { key, keyOffset, keyLength } = entry;
    const tail = this.#tail;
    if (
      tail !== undefined &&
      tail.slots.length < NODE_ENTRIES_MAX &&
      tail.size < NODE_BYTES_MAX &&
      tail.compareKey(tail.slots.length - 1, key, keyOffset, keyLength) < 0
    ) {
      tail.slots.push(entry);
      tail.size += entry.size;
      this.changes++;
      return;
    }
    this.#insert(this.#leafForEdit(key, keyOffset, keyLength), entry);
  }

  /** Removes a key that `find` has found to be there. */
  remove(key: Uint8Array, keyOffset: number, keyLength: number): void {
    const leaf = this.#leafForEdit(key, keyOffset, keyLength);
    const index = leaf.search(key, keyOffset, keyLength);
    invariant(index >= 0, 'what is removed is there');
    const { count } = leaf;
    leaf.size -= leaf.sizeOf(index);
    leaf.slots.splice(index, 1);
    invariant(leaf.count === count - 1, 'a deletion removes one entry');
    invariant(
      leaf.count > 0 ? leaf.size > 0 : leaf.size === 0,
      'the size of a leaf is that of its entries',
    );
    leaf.shrunk = true;
    this.#tail = undefined;
    this.changes++;
  }

  /** The root as a node. */
  editRoot(): TreeNode {
    if (this.root === undefined) {
      invariant(this.#tail === undefined, 'keys are appended to a leaf under edit');
      const page = this.inline ?? this.pager.page(this.rootId);
      this.root = this.#nodeInPlaceOf(page);
      this.inline = undefined;
      this.rootId = 0;
    }
    invariant(this.inline === undefined, 'a root under edit replaces the inline leaf');
    return this.root;
  }

  /** Child `index` of a branch as a node. */
  editChild(branch: BranchNode, index: number): TreeNode {
    const entry = branch.entry(index);
    if (entry.child === undefined) {
      invariant(entry.childId >= 2, 'a child that is not under edit has a page');
      entry.child = this.#nodeInPlaceOf(this.pager.page(entry.childId));
      entry.childId = 0;
    }
    invariant(entry.childId === 0, 'a child under edit has given up its page');
    return entry.child;
  }

  /** The leaf that holds `key`, or would, as a node. */
  editLeaf(key: Uint8Array): LeafNode {
    return this.#leafForEdit(key, 0, key.length);
  }

  #nodeInPlaceOf(page: Page): TreeNode {
    if (page.id !== 0) this.#owner.freePage(page);
    const node = nodeFromPage(page);
    invariant(node.isLeaf === page.isLeaf, 'a node is of the kind of its page');
    invariant(node.count === page.count, 'a node has the elements of its page');
    return node;
  }

  #leafForEdit(key: Uint8Array, offset: number, length: number): LeafNode {
    const path = this.#path;
    const pathIndexes = this.#pathIndexes;
    path.length = 0;
    pathIndexes.length = 0;
    let node = this.editRoot();
    while (!node.isLeaf) {
      this.pager.checkDepth(path.length, this.rootId);
      const index = node.search(key, offset, length);
      path.push(node);
      pathIndexes.push(index);
      node = this.editChild(node, index);
    }
    invariant(path.length === pathIndexes.length, 'the path takes one child of every branch');
    return node;
  }

  #insert(leaf: LeafNode, entry: LeafEntry): void {
    const found = leaf.search(entry.key, entry.keyOffset, entry.keyLength);
    if (found >= 0) {
      if (leaf.flagsOf(found) !== entry.flags) {
        throw new TetcdError(ERROR_CODES.INVALID_ARGUMENT, 'incompatible value');
      }
      leaf.size += entry.size - leaf.sizeOf(found);
      invariant(leaf.size >= entry.size, 'a leaf is as large as each of its entries');
      leaf.slots[found] = entry;
      this.changes++;
      return;
    }
    const index = -1 - found;
    invariant(index <= leaf.count, 'an entry is inserted among the others or behind them');
    if (index === leaf.count) leaf.slots.push(entry);
    else leaf.slots.splice(index, 0, entry);
    leaf.size += entry.size;
    this.changes++;
    invariant(leaf.size >= entry.size, 'a leaf is as large as each of its entries');
    const atEnd = index === leaf.count - 1;
    if (leaf.count > NODE_ENTRIES_MAX || leaf.size > NODE_BYTES_MAX) {
      this.#tail = undefined;
      this.#splitLeaf(leaf, atEnd);
    } else {
      this.#tail = atEnd && this.#onRightEdge() ? leaf : undefined;
    }
  }

  /** Whether the last descent took the last child everywhere. */
  #onRightEdge(): boolean {
    return this.#path.every((branch, i) => this.#pathIndexes[i] === branch.count - 1);
  }

  #splitLeaf(leaf: LeafNode, atEnd: boolean): void {
    if (leaf.count < 2) return;
    const { count } = leaf;
    // With keys in ascending order the left half stays full.
    const at = atEnd ? leaf.count - 1 : leaf.count >>> 1;
    const right = new LeafNode(leaf.base, leaf.slots.splice(at), 0);
    for (let i = 0; i < right.count; i++) right.size += right.sizeOf(i);
    leaf.size -= right.size;
    invariant(leaf.size > 0 && right.size > 0, 'both halves of a leaf hold entries');
    invariant(leaf.count + right.count === count, 'the halves of a leaf hold all of it');
    if (verify.all) {
      verifyNode(leaf);
      verifyNode(right);
    }
    this.#insertAbove(this.#path.length - 1, leaf, leaf.entry(0), right, right.entry(0));
  }

  /** Puts the right half of `left`, which was cut, into the branch at `level` of the path. */
  #insertAbove(
    level: number,
    left: TreeNode,
    leftFirst: LeafEntry | BranchEntry,
    right: TreeNode,
    rightFirst: LeafEntry | BranchEntry,
  ): void {
    const entry = entryFor(right, rightFirst);
    invariant(left.isLeaf === right.isLeaf, 'the halves of a node are on one level');
    if (level < 0) {
      invariant(this.root === left, 'above the path there is nothing but the root');
      this.root = new BranchNode(undefined, [entryFor(left, leftFirst), entry]);
      return;
    }
    const branch = this.#path[level]!;
    const index = this.#pathIndexes[level]! + 1;
    invariant(branch.childOf(index - 1) === left, 'the path leads to the node that was cut');
    const atEnd = index === branch.count;
    branch.slots.splice(index, 0, entry);
    if (branch.count <= NODE_ENTRIES_MAX) return;
    const at = atEnd ? branch.count - 2 : branch.count >>> 1;
    const half = new BranchNode(branch.base, branch.slots.splice(at));
    invariant(branch.count >= 2 && half.count >= 2, 'both halves of a branch have two children');
    this.#insertAbove(level - 1, branch, branch.entry(0), half, half.entry(0));
  }
}

function entryFor(child: TreeNode, first: LeafEntry | BranchEntry): BranchEntry {
  return new BranchEntry(first.key, first.keyOffset, first.keyLength, 0, child);
}

/** What `findEntry` found; valid until its next call. One object serves all: calls do not nest. */
export const found = {
  bytes: EMPTY_BYTES,
  offset: 0,
  length: 0,
  isBucket: false,
  /** Page that holds the value, for error texts; 0 if it is under edit. */
  pageId: 0,
};

/** Looks `key` up in a tree under edit; true if it is there, described by {@link found}. */
export function findEntry(tree: EditTree, key: Uint8Array): boolean {
  let view = tree.rootView();
  for (let depth = 0; ; depth++) {
    if (view instanceof LeafNode) {
      const index = view.search(key, 0, key.length);
      if (index < 0) return false;
      const entry = view.entry(index);
      entry.join();
      found.bytes = entry.value;
      found.offset = entry.valueOffset;
      found.length = entry.valueLength;
      found.isBucket = (entry.flags & BUCKET_ELEMENT_FLAG) !== 0;
      found.pageId = 0;
      return true;
    }
    if (view instanceof BranchNode) {
      const index = view.search(key, 0, key.length);
      view = view.childOf(index) ?? tree.pager.page(view.childIdOf(index));
    } else if (view.isLeaf) {
      const index = view.searchLeaf(key);
      if (index < 0) return false;
      found.bytes = view.bytes;
      found.offset = view.keyOffset(index) + view.keyLength(index);
      found.length = view.valueLength(index);
      found.isBucket = view.isBucket(index);
      found.pageId = view.id;
      return true;
    } else {
      tree.pager.checkDepth(depth, view.id);
      view = tree.pager.page(view.childId(view.searchBranch(key)));
    }
  }
}
