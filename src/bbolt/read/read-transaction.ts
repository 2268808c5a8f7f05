// Read transactions: a pinned commit, and buckets looked up in it.
//
// Hot: `PageBucket.get` walks from the root to a leaf over cached pages; it allocates only the view
// that it returns.

import { ERROR_CODES, invariant, type SliceEnv, Slices, TetcdError } from '../../base/index.ts';
import type { CopyResult, Cursor, EntryVisitor, ReadBucket, ReadTransaction } from '../api.ts';
import type { Meta } from '../file/meta.ts';
import type { Page } from '../file/page.ts';
import type { Pager } from '../file/pager.ts';
import { prefetchRange } from '../file/prefetch.ts';
import type { Pin, Readers } from '../file/readers.ts';
import { copyChunks } from '../tools/copy.ts';
import { type BucketValue, decodeBucketValue } from './bucket-value.ts';
import { type CursorOwner, PageCursor } from './cursor.ts';
import { TreeWalk, visitLeaf } from './walk.ts';

export class Snapshot implements ReadTransaction, CursorOwner {
  readonly pager: Pager;
  readonly meta: Meta;
  closed = false;
  readonly #env: SliceEnv;
  readonly #readers: Readers;
  readonly #pin: Pin;
  readonly #root: PageBucket;

  /** Owns `pin`, one reader of which `close` removes. */
  constructor(env: SliceEnv, pager: Pager, meta: Meta, readers: Readers, pin: Pin) {
    invariant(
      pin.txid === meta.txid && pin.readers > 0,
      'a snapshot is of the commit that it pins',
    );
    this.#env = env;
    this.pager = pager;
    this.meta = meta;
    this.#readers = readers;
    this.#pin = pin;
    const { rootPage: rootId, rootSequence: sequence } = meta;
    this.#root = new PageBucket(this, { rootId, inline: undefined, sequence }, 0);
  }

  get txid(): number {
    return this.meta.txid;
  }

  get size(): number {
    return this.meta.highWater * this.meta.pageSize;
  }

  bucket(name: Uint8Array): PageBucket | undefined {
    return this.#root.bucket(name);
  }

  cursor(): Cursor {
    return this.#root.cursor();
  }

  placeOf(bucket: Uint8Array, key: Uint8Array): string {
    return this.pager.placeOf((this.bucket(bucket) ?? this.#root).pageIdOf(key));
  }

  async walk(bucket: Uint8Array, visitor: EntryVisitor, from?: Uint8Array): Promise<void> {
    await this.bucket(bucket)?.walk(visitor, from);
  }

  async copyTo(write: (chunk: Uint8Array) => Promise<void>): Promise<CopyResult> {
    const pinned = this.fork();
    try {
      for await (const chunk of pinned.chunks()) await write(chunk);
      return { txid: this.txid, size: this.size };
    } finally {
      pinned.close();
    }
  }

  chunks(): AsyncGenerator<Uint8Array, void, undefined> {
    return copyChunks(this.pager, this.meta, () => this.assertOpen());
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.#readers.remove(this.#pin);
  }

  fork(): Snapshot {
    this.assertOpen();
    const { pager, meta } = this;
    const env = this.#env;
    const readers = this.#readers;
    const pin = this.#pin;
    return new Snapshot(env, pager, meta, readers, readers.share(pin));
  }

  assertOpen(): void {
    if (this.closed) throw new TetcdError(ERROR_CODES.CLOSED, 'tx closed');
  }

  slices(): Slices {
    return new Slices(this.#env);
  }
}

class PageBucket implements ReadBucket {
  readonly #tx: Snapshot;
  /** Root page; 0 if the bucket is inline. */
  readonly rootId: number;
  /** The page that an inline bucket is within. */
  readonly #outerId: number;
  readonly #sequenceValue: bigint;
  /** The root, kept once it has been needed. */
  #rootPage: Page | undefined;

  constructor(tx: Snapshot, value: BucketValue, outerId: number) {
    invariant(
      value.rootId >= 2 !== (value.inline !== undefined),
      'a tree has a root page or is inline',
    );
    this.#tx = tx;
    this.rootId = value.rootId;
    this.#rootPage = value.inline;
    this.#sequenceValue = value.sequence;
    this.#outerId = outerId;
  }

  /** The page of the leaf that holds `key`, or would. */
  pageIdOf(key: Uint8Array): number {
    return this.rootId === 0 ? this.#outerId : this.#leafOf(key).id;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const leaf = this.#leafOf(key);
    const index = leaf.searchLeaf(key);
    if (index < 0 || leaf.isBucket(index)) return undefined;
    const start = leaf.keyOffset(index) + leaf.keyLength(index);
    return leaf.bytes.subarray(start, start + leaf.valueLength(index));
  }

  bucket(name: Uint8Array): PageBucket | undefined {
    const leaf = this.#leafOf(name);
    const index = leaf.searchLeaf(name);
    if (index < 0 || !leaf.isBucket(index)) return undefined;
    const { pager } = this.#tx;
    const start = leaf.keyOffset(index) + leaf.keyLength(index);
    const value = decodeBucketValue(pager, leaf.id, leaf.bytes, start, leaf.valueLength(index));
    return new PageBucket(this.#tx, value, leaf.id);
  }

  cursor(): Cursor {
    this.#tx.assertOpen();
    return new PageCursor(this.#tx, this.rootId, this.rootId === 0 ? this.#rootPage : undefined);
  }

  passingCursor(): Cursor {
    this.#tx.assertOpen();
    const inline = this.rootId === 0 ? this.#rootPage : undefined;
    return new PageCursor(this.#tx, this.rootId, inline, true);
  }

  sequence(): bigint {
    return this.#sequenceValue;
  }

  async prefetch(
    from: Uint8Array,
    until: Uint8Array | undefined,
    bytesMax: number,
  ): Promise<number> {
    this.#tx.assertOpen();
    if (this.rootId === 0) return 0;
    const pinned = this.#tx.fork();
    try {
      return await prefetchRange(this.#tx.pager, this.rootId, from, until, bytesMax);
    } finally {
      pinned.close();
    }
  }

  /** As `ReadTransaction.walk`, for a bucket at any depth. */
  async walk(visitor: EntryVisitor, from?: Uint8Array): Promise<void> {
    this.#tx.assertOpen();
    const start = (leaf: Page): number => {
      if (from === undefined) return 0;
      const index = leaf.searchLeaf(from);
      return index < 0 ? -1 - index : index;
    };
    if (this.rootId === 0) {
      const inline = this.#rootPage;
      invariant(inline !== undefined, 'an inline bucket has its leaf');
      visitLeaf(inline, visitor, { pager: this.#tx.pager, pageId: this.#outerId }, start(inline));
      return;
    }
    const pinned = this.#tx.fork();
    try {
      const { pager } = this.#tx;
      const leaf = (page: Page): boolean =>
        visitLeaf(page, visitor, { pager, pageId: page.id }, start(page));
      await new TreeWalk(pager, this.#tx.slices(), { leaf }, from).run(this.rootId);
    } finally {
      pinned.close();
    }
  }

  #leafOf(key: Uint8Array): Page {
    const tx = this.#tx;
    tx.assertOpen();
    const { pager } = tx;
    let page = this.#rootPage;
    if (page === undefined) {
      page = pager.page(this.rootId);
      this.#rootPage = page;
    }
    for (let depth = 0; !page.isLeaf; depth++) {
      const id: number = page.childId(page.searchBranch(key));
      pager.checkDepth(depth, id);
      page = pager.page(id);
    }
    return page;
  }
}
