// A bucket of a write transaction.

import {
  bytesFromLatin1,
  ERROR_CODES,
  failpoints,
  invariant,
  latin1FromBytes,
  TetcdError,
  verify,
} from '../../base/index.ts';
import type { WriteBucket, WriteCursor } from '../api.ts';
import { BUCKET_ELEMENT_FLAG, PAGE_HEADER_SIZE } from '../file/layout.ts';
import type { Page } from '../file/page.ts';
import { INLINE_SHARE, KEY_BYTES_MAX, VALUE_BYTES_MAX } from '../limits.ts';
import { decodeBucketValue, encodeBucketHeader } from '../read/bucket-value.ts';
import { EditTree, findEntry, found, type TreeOwner } from './edit-tree.ts';
import { emptyLeaf, LeafEntry, type LeafNode, type TreeNode } from './node.ts';
import { rebalance } from './rebalance.ts';
import { type SpillTarget, spillTree } from './spill.ts';
import { TreeCursor } from './write-cursor.ts';
import { encodeInlineBucket } from './write-page.ts';

const FILL_PERCENT_DEFAULT = 0.5;

export interface BucketOwner extends TreeOwner {
  /** Bytes of all keys and values put so far: an estimate of the pages that the commit needs. */
  bytesPut: number;
  /** Throws CLOSED once the transaction has ended. */
  assertOpen(): void;
  /** Records that the commit frees a whole tree, of which nothing is under edit. */
  freeTree(rootId: number): void;
}

export class EditBucket implements WriteBucket {
  fillPercent: number = FILL_PERCENT_DEFAULT;
  readonly tree: EditTree;
  readonly #owner: BucketOwner;
  #sequenceValue: bigint;
  #deleted = false;
  /** Nested buckets that were asked for, by name as latin1; bounded by what the caller opens. */
  readonly #children = new Map<string, EditBucket>();

  constructor(owner: BucketOwner, rootId: number, inline: Page | undefined, sequence: bigint) {
    this.#owner = owner;
    this.tree = new EditTree(owner, rootId, inline);
    this.#sequenceValue = sequence;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    this.#assertUsable();
    if (!findEntry(this.tree, key) || found.isBucket) return undefined;
    return found.bytes.subarray(found.offset, found.offset + found.length);
  }

  bucket(name: Uint8Array): EditBucket | undefined {
    this.#assertUsable();
    const text = latin1FromBytes(name);
    const known = this.#children.get(text);
    if (known !== undefined) return known;
    if (!findEntry(this.tree, name) || !found.isBucket) return undefined;
    const { pageId, bytes, offset, length } = found;
    const value = decodeBucketValue(this.tree.pager, pageId, bytes, offset, length);
    const child = new EditBucket(this.#owner, value.rootId, value.inline, value.sequence);
    this.#children.set(text, child);
    return child;
  }

  cursor(): WriteCursor {
    this.#assertUsable();
    return new TreeCursor(this.tree, () => this.#assertUsable());
  }

  sequence(): bigint {
    return this.#sequenceValue;
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.putSlice(key, 0, key.length, value, 0, value.length);
  }

  putSlice(
    key: Uint8Array,
    keyOffset: number,
    keyLength: number,
    value: Uint8Array,
    valueOffset: number,
    valueLength: number,
  ): void {
    this.#acceptPut(keyLength, valueLength);
    this.tree.put(new LeafEntry(key, keyOffset, keyLength, value, valueOffset, valueLength, 0));
  }

  putPieces(
    key: Uint8Array,
    keyOffset: number,
    keyLength: number,
    pieces: readonly Uint8Array[],
  ): void {
    const entry = LeafEntry.inPieces(key, keyOffset, keyLength, pieces);
    this.#acceptPut(keyLength, entry.valueLength);
    this.tree.put(entry);
  }

  /** Checks what is put, and counts it. */
  #acceptPut(keyLength: number, valueLength: number): void {
    this.#assertUsable();
    failpoints.active?.hit('beforeBucketPut');
    if (keyLength === 0) throw new TetcdError(ERROR_CODES.INVALID_ARGUMENT, 'key required');
    if (keyLength > KEY_BYTES_MAX)
      throw new TetcdError(ERROR_CODES.LIMIT_EXCEEDED, 'key too large');
    if (valueLength > VALUE_BYTES_MAX)
      throw new TetcdError(ERROR_CODES.LIMIT_EXCEEDED, 'value too large');
    this.#owner.bytesPut += keyLength + valueLength;
  }

  delete(key: Uint8Array): void {
    this.#assertUsable();
    if (!findEntry(this.tree, key)) return;
    if (found.isBucket) throw new TetcdError(ERROR_CODES.INVALID_ARGUMENT, 'incompatible value');
    this.tree.remove(key, 0, key.length);
  }

  createBucket(name: Uint8Array): EditBucket {
    if (this.#existing(name))
      throw new TetcdError(ERROR_CODES.ALREADY_EXISTS, 'bucket already exists');
    return this.#insertBucket(name);
  }

  createBucketIfNotExists(name: Uint8Array): EditBucket {
    if (!this.#existing(name)) return this.#insertBucket(name);
    const child = this.bucket(name);
    invariant(child !== undefined, 'a bucket that is there can be opened');
    return child;
  }

  deleteBucket(name: Uint8Array): void {
    this.#assertUsable();
    if (!findEntry(this.tree, name))
      throw new TetcdError(ERROR_CODES.NOT_FOUND, 'bucket not found');
    if (!found.isBucket) throw new TetcdError(ERROR_CODES.INVALID_ARGUMENT, 'incompatible value');
    const child = this.bucket(name);
    invariant(child !== undefined, 'a bucket that is there can be opened');
    child.#dropTree();
    this.#children.delete(latin1FromBytes(name));
    this.tree.remove(name, 0, name.length);
  }

  nextSequence(): bigint {
    this.setSequence(BigInt.asUintN(64, this.#sequenceValue + 1n));
    return this.#sequenceValue;
  }

  setSequence(value: bigint): void {
    this.#assertUsable();
    if (BigInt.asUintN(64, value) !== value) {
      throw new TetcdError(ERROR_CODES.INVALID_ARGUMENT, 'a sequence is an unsigned 64-bit number');
    }
    // A bucket is rewritten if its root is under edit.
    this.tree.editRoot();
    this.tree.changes++;
    this.#sequenceValue = value;
  }

  /**
   * Builds the pages of this bucket and of those in it. The value that its own element gets, or
   * undefined if nothing has changed. Only a nested bucket may be written inline.
   */
  async spill(target: SpillTarget, nested: boolean): Promise<Uint8Array | undefined> {
    invariant(!this.#deleted, 'a deleted bucket is not written');
    const { tree } = this;
    for (const [text, child] of this.#children) {
      const value = await child.spill(target, true);
      if (value === undefined) continue;
      const name = bytesFromLatin1(text);
      if (verify.all) {
        invariant(findEntry(tree, name) && found.isBucket, 'a bucket that is open has an element');
      }
      tree.put(new LeafEntry(name, 0, name.length, value, 0, value.length, BUCKET_ELEMENT_FLAG));
    }
    await target.clock.rebalancing(() => rebalance(tree, target.slices));
    const { root } = tree;
    if (root === undefined) return undefined;
    if (nested && fitsInline(root, tree.pager.pageSize)) {
      invariant(tree.rootId === 0, 'an inline bucket has no page');
      return encodeInlineBucket(root, this.#sequenceValue);
    }
    tree.rootId = await spillTree(tree, this.fillPercent, target);
    return encodeBucketHeader(tree.rootId, this.#sequenceValue);
  }

  /** Marks every page of the bucket and of those in it as freed. */
  #dropTree(): void {
    invariant(!this.#deleted, 'a bucket is deleted once');
    this.#deleted = true;
    for (const [text, child] of this.#children) {
      // Its element still refers to its old pages. With its leaf under edit, `#dropNested` skips it.
      this.tree.editLeaf(bytesFromLatin1(text));
      child.#dropTree();
    }
    const { root, inline, rootId } = this.tree;
    invariant(root === undefined || rootId === 0, 'a root under edit has given up its page');
    if (root === undefined) {
      if (inline === undefined) this.#owner.freeTree(rootId);
      return;
    }
    this.#dropNode(root);
  }

  #dropNode(node: TreeNode): void {
    for (let i = 0; i < node.count; i++) {
      if (!node.isLeaf) {
        const child = node.childOf(i);
        if (child === undefined) this.#owner.freeTree(node.childIdOf(i));
        else this.#dropNode(child);
      } else if (node.flagsOf(i) !== 0) {
        this.#dropNested(node.entry(i));
      }
    }
  }

  #dropNested(entry: LeafEntry): void {
    const { key, keyOffset, keyLength, value, valueOffset, valueLength } = entry;
    invariant(entry.flags === BUCKET_ELEMENT_FLAG, 'what is dropped with its pages is a bucket');
    if (this.#children.has(latin1FromBytes(key, keyOffset, keyOffset + keyLength))) return;
    const header = decodeBucketValue(this.tree.pager, 0, value, valueOffset, valueLength);
    if (header.inline === undefined) this.#owner.freeTree(header.rootId);
  }

  /** Whether there is a bucket of that name; INVALID_ARGUMENT if there is a plain value. */
  #existing(name: Uint8Array): boolean {
    this.#assertUsable();
    if (name.length === 0)
      throw new TetcdError(ERROR_CODES.INVALID_ARGUMENT, 'bucket name required');
    if (name.length > KEY_BYTES_MAX)
      throw new TetcdError(ERROR_CODES.LIMIT_EXCEEDED, 'key too large');
    if (!findEntry(this.tree, name)) return false;
    if (!found.isBucket) throw new TetcdError(ERROR_CODES.INVALID_ARGUMENT, 'incompatible value');
    return true;
  }

  #insertBucket(name: Uint8Array): EditBucket {
    const value = encodeInlineBucket(emptyLeaf(), 0n);
    const key = name.slice();
    this.tree.put(new LeafEntry(key, 0, key.length, value, 0, value.length, BUCKET_ELEMENT_FLAG));
    const child = this.bucket(name);
    invariant(child !== undefined, 'a new bucket can be opened');
    return child;
  }

  #assertUsable(): void {
    this.#owner.assertOpen();
    if (this.#deleted) throw new TetcdError(ERROR_CODES.NOT_FOUND, 'bucket not found');
  }
}

/** Whether the tree is one small leaf without buckets. */
function fitsInline(root: TreeNode, pageSize: number): root is LeafNode {
  if (!root.isLeaf || PAGE_HEADER_SIZE + root.size > pageSize * INLINE_SHARE) return false;
  for (let i = 0; i < root.count; i++) if (root.flagsOf(i) !== 0) return false;
  return true;
}
