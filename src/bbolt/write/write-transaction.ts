// The write transaction: edits in memory, then a commit in this order:
//
//   1. rebalance and cut the edited trees; build pages in space that nothing on disk refers to
//   2. write them (they may be written in parts during 1)
//   3. sync
//   4. write the meta page of this commit over the older of the two
//   5. sync
//   6. let new readers see it
//
// A full disk in 1 or 2 is harmless: what was written lies in free space. After a failure in 3 or later
// it is unknown which of the two states the disk holds: the database refuses further writers.

import {
  ERROR_CODES,
  type ErrorCode,
  failpoints,
  hasCode,
  invariant,
  type Slices,
  TetcdError,
} from '../../base/index.ts';
import type { Clock } from '../../env/index.ts';
import type { CommitResult, Cursor, WriteTransaction } from '../api.ts';
import { freeTrees } from '../file/free-trees.ts';
import {
  addAll,
  countRuns,
  type Freelist,
  freelistSize,
  type PageRuns,
  pushRun,
} from '../file/freelist.ts';
import {
  allocatePageBytes,
  FREELIST_LARGE_COUNT,
  PAGE_FLAGS,
  PAGE_HEADER_SIZE,
  PAGE_ID_SIZE,
  writePageHeader,
  writeU64,
} from '../file/layout.ts';
import { encodeMeta, type Meta } from '../file/meta.ts';
import type { Page } from '../file/page.ts';
import type { Pager } from '../file/pager.ts';
import { CommitClock } from './commit-clock.ts';
import { PageBuilder } from './page-builder.ts';
import { type BucketOwner, EditBucket } from './write-bucket.ts';

/** What a write transaction needs of its database. */
export interface WriteHost {
  readonly pager: Pager;
  readonly freelist: Freelist;
  /** Pages of the free list that the last commit wrote; none if it wrote none. */
  freelistPages: PageRuns;
  readonly noSync: boolean;
  readonly noFreelistSync: boolean;
  /** Bytes of meta page to write; reused by all commits. */
  readonly metaPage: Uint8Array;
  slices(): Slices;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  /** Throws CLOSED, or why it takes no writes any more. */
  assertWritable(): void;
  /** Makes `meta` the state that new readers see. */
  publish(meta: Meta): void;
  /** Refuses all further writers, with this as the cause. */
  poison(reason: unknown): void;
  /** The writer is done, successfully or not. */
  releaseWriter(): void;
}

/** The pages of a commit, and the meta page to come. */
interface Built {
  readonly builder: PageBuilder;
  readonly meta: Meta;
  readonly list: PageRuns;
}

const STATES = { OPEN: 0, COMMITTING: 1, ENDED: 2 } as const;

export class Writer implements WriteTransaction, BucketOwner {
  readonly txid: number;
  readonly pager: Pager;
  bytesPut = 0;
  readonly #host: WriteHost;
  readonly #base: Meta;
  readonly #root: EditBucket;
  /** Pages of the base state that this one no longer uses. */
  readonly #freed: PageRuns = [];
  /** Roots of whole trees to be freed; walked by the commit. */
  readonly #freedTrees: number[] = [];
  #state: (typeof STATES)[keyof typeof STATES] = STATES.OPEN;

  constructor(host: WriteHost, base: Meta) {
    invariant(base.highWater === host.pager.highWater, 'a writer begins with the newest commit');
    this.#host = host;
    this.pager = host.pager;
    this.#base = base;
    this.txid = base.txid + 1;
    this.#root = new EditBucket(this, base.rootPage, undefined, base.rootSequence);
  }

  bucket(name: Uint8Array): EditBucket | undefined {
    return this.#root.bucket(name);
  }

  cursor(): Cursor {
    return this.#root.cursor();
  }

  createBucket(name: Uint8Array): EditBucket {
    return this.#root.createBucket(name);
  }

  createBucketIfNotExists(name: Uint8Array): EditBucket {
    return this.#root.createBucketIfNotExists(name);
  }

  deleteBucket(name: Uint8Array): void {
    this.#root.deleteBucket(name);
  }

  freePage(page: Page): void {
    invariant(page.id >= 2, 'the meta pages are never freed');
    invariant(
      page.id + page.overflow < this.#base.highWater,
      'a page that is freed is one of the last commit',
    );
    pushRun(this.#freed, page.id, page.overflow + 1);
  }

  freeTree(rootId: number): void {
    invariant(rootId >= 2 && rootId < this.#base.highWater, 'a tree that is freed is in the file');
    this.#freedTrees.push(rootId);
  }

  assertOpen(): void {
    if (this.#state !== STATES.OPEN) throw new TetcdError(ERROR_CODES.CLOSED, 'tx closed');
  }

  rollback(): void {
    if (this.#state !== STATES.OPEN) return;
    this.#end();
  }

  commit(): Promise<CommitResult> {
    return this.commitWhole(false);
  }

  /** As `commit`; with `always`, a meta page is written even if nothing has changed. */
  commitWhole(always: boolean): Promise<CommitResult> {
    return this.#commit((clock) => this.#build(always, clock), [ERROR_CODES.DISK_FULL]);
  }

  /**
   * Commits a root bucket whose pages `build` makes; returns its root's page id. The one before must be
   * empty. What `build` reads elsewhere may fail without harm to this database.
   */
  commitRoot(build: (builder: PageBuilder) => Promise<number>): Promise<CommitResult> {
    invariant(!this.#root.cursor().first(), 'a root bucket that is replaced is empty');
    const { DISK_FULL, CORRUPT, CLOSED } = ERROR_CODES;
    return this.#commit(() => this.#buildRoot(build), [DISK_FULL, CORRUPT, CLOSED]);
  }

  /** Throws CLOSED, or why the database takes no writes any more: for a long `build`. */
  assertGoesOn(): void {
    this.#host.assertWritable();
  }

  /** After an error with one of the `harmless` codes, before the first sync, nothing has changed. */
  async #commit(
    build: (clock: CommitClock) => Promise<Built | undefined>,
    harmless: readonly ErrorCode[],
  ): Promise<CommitResult> {
    this.assertOpen();
    this.#state = STATES.COMMITTING;
    const host = this.#host;
    // Whether a failure leaves open what the disk holds.
    let uncertain = false;
    const clock = new CommitClock(host.clock);
    try {
      failAt('lackOfDiskSpace', ERROR_CODES.DISK_FULL);
      const built = await build(clock);
      clock.built();
      if (built === undefined) {
        return { txid: this.#base.txid, pagesWritten: 0, times: clock.times() };
      }
      await built.builder.flush();
      const { file, pageSize } = host.pager;
      uncertain = true;
      if (failpoints.active !== undefined) await failpoints.active.hold('beforeSyncDataPages');
      if (!host.noSync) await file.sync();
      invariant(built.builder.unwritten === 0, 'the meta page follows every page that it reaches');
      invariant(
        file.size() >= built.meta.highWater * pageSize,
        'the file reaches up to the high-water mark',
      );
      invariant(
        built.builder.pagesBuilt === built.builder.pagesAllocated,
        'every page that was allocated is built',
      );
      invariant(this.txid === this.#base.txid + 1, 'the meta page of the last commit stays');
      failAt('beforeWriteMetaError', ERROR_CODES.DISK_FAILED);
      encodeMeta(built.meta, this.txid % 2, host.metaPage);
      await file.write([host.metaPage], (this.txid % 2) * pageSize);
      if (failpoints.active !== undefined) await failpoints.active.hold('beforeSyncMetaPage');
      if (!host.noSync) await file.sync();
      host.freelist.commit(this.txid, this.#freed);
      host.freelistPages = built.list;
      invariant(
        host.freelist.freeCount + host.freelist.pendingCount + built.builder.pagesBuilt <=
          built.meta.highWater - 2,
        'a page is in a tree, free or pending',
      );
      host.publish(built.meta);
      const { pagesBuilt: pagesWritten } = built.builder;
      return { txid: this.txid, pagesWritten, times: clock.times() };
    } catch (error) {
      if (uncertain || !harmless.some((code) => hasCode(error, code))) host.poison(error);
      else host.freelist.rollback();
      throw error;
    } finally {
      this.#end();
    }
  }

  /** Undefined if nothing has changed. */
  async #build(always: boolean, clock: CommitClock): Promise<Built | undefined> {
    const host = this.#host;
    const base = this.#base;
    const freed = this.#freed;
    const slices = host.slices();
    await freeTrees(host.pager, this.#freedTrees, freed, slices);
    const builder = new PageBuilder(host.pager, host.freelist, base.highWater);
    // Most freed pages are written again; new content adds to them.
    const pagesPut = Math.ceil(this.bytesPut / host.pager.pageSize);
    host.freelist.begin(this.txid, countRuns(freed) + pagesPut);
    const rootChanged = (await this.#root.spill({ builder, slices, clock }, false)) !== undefined;
    if (!rootChanged && !always) return undefined;

    return await this.#built(builder, rootChanged ? this.#root.tree.rootId : base.rootPage);
  }

  async #buildRoot(build: (builder: PageBuilder) => Promise<number>): Promise<Built> {
    const host = this.#host;
    const { rootPage, highWater } = this.#base;
    pushRun(this.#freed, rootPage, 1);
    const builder = new PageBuilder(host.pager, host.freelist, highWater);
    host.freelist.begin(this.txid, 0);
    return await this.#built(builder, await build(builder));
  }

  /** With the free list, if commits write one. */
  async #built(builder: PageBuilder, rootPage: number): Promise<Built> {
    const host = this.#host;
    const base = this.#base;
    const { freelistPages } = host;
    for (let i = 0; i < freelistPages.length; i += 2) {
      pushRun(this.#freed, freelistPages[i]!, freelistPages[i + 1]!);
    }
    const list = host.noFreelistSync ? [] : await this.#buildFreelist(builder, host.slices());
    const meta: Meta = {
      ...base,
      rootPage,
      freelistPage: list[0],
      highWater: builder.highWater,
      txid: this.txid,
    };
    invariant(meta.highWater >= base.highWater, 'the high-water mark never goes back');
    invariant(
      meta.highWater <= base.highWater + builder.pagesAllocated,
      'the file grows by new pages',
    );
    return { builder, meta, list };
  }

  /** A page with the ids of all pages that this state does not reach; where it is. */
  async #buildFreelist(builder: PageBuilder, slices: Slices): Promise<PageRuns> {
    const { freelist } = this.#host;
    const { pageSize } = this.pager;
    // Its own pages may come out of the free ones: then the list is shorter than its page allows.
    const bound = freelist.freeCount + freelist.pendingCount + countRuns(this.#freed);
    const pages = Math.ceil(freelistSize(bound) / pageSize);
    const id = builder.allocate(pages);
    const unused = freelist.unused();
    addAll(unused, this.#freed);
    invariant(unused.count <= bound, 'the list is as long as was counted, or shorter');
    invariant(!unused.has(id), 'the page of the free list is in use');

    const bytes = allocatePageBytes(pages * pageSize);
    bytes.fill(0);
    const large = unused.count >= FREELIST_LARGE_COUNT;
    const count = large ? FREELIST_LARGE_COUNT : unused.count;
    writePageHeader(bytes, id, PAGE_FLAGS.FREELIST, count, pages - 1);
    let at = PAGE_HEADER_SIZE;
    if (large) {
      writeU64(bytes, at, unused.count);
      at += PAGE_ID_SIZE;
    }
    for (let page = unused.next(0); page >= 0; page = unused.next(page + 1)) {
      writeU64(bytes, at, page);
      at += PAGE_ID_SIZE;
      if (at % 65_536 === 0 && slices.isOver) await slices.next();
    }
    invariant(at === freelistSize(unused.count), 'the list has every unused page');
    invariant(at <= bytes.length, 'the free list fits the pages that were counted for it');
    builder.add(id, bytes);
    return [id, pages];
  }

  #end(): void {
    invariant(this.#state !== STATES.ENDED, 'a transaction ends once');
    this.#state = STATES.ENDED;
    this.#host.releaseWriter();
  }
}

function failAt(name: 'beforeWriteMetaError' | 'lackOfDiskSpace', code: ErrorCode): void {
  const text = failpoints.active?.failure(name);
  if (text !== undefined) throw new TetcdError(code, text);
}
