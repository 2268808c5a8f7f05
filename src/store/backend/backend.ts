// The durable side of the store: a B+tree file, and in front of it the writes that are not yet in it.
//
//     writes ──► live overlay ──freeze──► frozen overlay ──one bbolt transaction──► tree file
//     reads  ◄── live overlay ◄────────── frozen overlay ◄───────────────────────── tree
//
// The pieces: `batches.ts` has the overlays and decides when one is frozen, `batch-commit.ts` writes the
// frozen one while writes continue into a new live one, `committed-view.ts` is the tree as last
// committed, `file-exchange.ts` replaces the tree file by another one with the same content.

import {
  ERROR_CODES,
  invariant,
  type LogIndex,
  type Revision,
  type Term,
  TetcdError,
} from '../../base/index.ts';
import {
  type Database,
  type DatabaseOptions,
  openDatabase,
  type ReadTransaction,
} from '../../bbolt/index.ts';
import type { Env } from '../../env/index.ts';
import type { ByteSlice, SplitRow } from '../../mvcc/index.ts';
import {
  BATCH_CHANGES_DEFAULT,
  BATCH_INTERVAL_MS_DEFAULT,
  OVERLAY_BYTES_MAX,
  RETIRED_FILES_MAX,
} from '../limits.ts';
import { BUCKET, type BucketId, META_KEY, uint64Bytes } from '../schema/schema.ts';
import { Batch } from './batch.ts';
import { type CommitTook, Committer } from './batch-commit.ts';
import { Batches } from './batches.ts';
import { type BackendSnapshot, CommittedView, nameOf } from './committed-view.ts';
import { DatabaseCopy } from './database-copy.ts';
import { DurableIndex, type MembershipImage } from './durable-index.ts';
import { Exchange, type ExchangeOptions, type ExchangePort } from './file-exchange.ts';
import { type RowVisitor, readCount, type SnapshotPosition, visitorsOf } from './file-pass.ts';
import { PinnedRows } from './pinned-rows.ts';
import { Retirement } from './retirement.ts';
import { BackendRowCursor } from './row-cursor.ts';
import { SpareFiles } from './spare-files.ts';

export interface BackendOptions {
  readonly batchIntervalMs?: number;
  readonly batchChanges?: number;
  readonly overlayBytesMax?: number;
  readonly pageCacheBytes?: number;
  /** Leaves out every sync: `--unsafe-no-fsync`. */
  readonly noSync?: boolean;
  /**
   * The file was received from another member, with the snapshot at this entry. The consistent index
   * inside may be lower (real etcd does not write it for every entry) and counts as this one; CORRUPT if
   * it is higher.
   */
  readonly received?: SnapshotPosition;
  /** A commit failed: what the file holds is unknown, and the member must stop. */
  readonly onFailure: (error: unknown) => void;
  /** The disk is full; the batch will be tried again. */
  readonly onDiskFull?: (error: unknown) => void;
  /** A commit finished. */
  readonly onCommit?: (durable: DurableIndex, took: CommitTook) => void;
  /** A copy of the file ({@link Backend.openCopy}) was closed, after so long. */
  readonly onCopyClosed?: (openMs: number) => void;
}

/** Whether the file is open, and for whom. */
type Lifecycle =
  | { readonly kind: 'open' }
  /** Replaced by another database; only readers are left. */
  | { readonly kind: 'retired'; readonly retirement: Retirement }
  /** Closed, or committing for the last time. */
  | { readonly kind: 'closed' };

/** How a file of the backend is opened, the first one and its replacements. */
function settingsOf({ pageCacheBytes, noSync }: BackendOptions): DatabaseOptions {
  return { ...(pageCacheBytes === undefined ? {} : { pageCacheBytes }), noSync: noSync === true };
}

const OPEN: Lifecycle = { kind: 'open' };
const CLOSED: Lifecycle = { kind: 'closed' };

export class Backend {
  readonly #env: Env;
  readonly #options: BackendOptions;
  #db: Database;
  readonly #batches: Batches;
  readonly #committer: Committer;
  /** The newest commit: the tree and its durable index. Both change in one turn. */
  #tree: CommittedView;
  #durable: DurableIndex;
  #lifecycle: Lifecycle = OPEN;
  /** The exchange of the file in progress. */
  #exchange: Exchange | undefined;
  #refusesExchanges = false;
  /** Files that were exchanged and are still read, at most RETIRED_FILES_MAX; when each is done with. */
  readonly #exchanged = new Map<Retirement, Promise<void>>();
  /** For the next exchange. */
  readonly #spares: SpareFiles;

  private constructor(env: Env, db: Database, options: BackendOptions) {
    this.#env = env;
    this.#db = db;
    this.#options = options;
    this.#spares = new SpareFiles(env);
    this.#tree = new CommittedView(db.beginRead());
    const index = readCount(this.#tree, META_KEY.CONSISTENT_INDEX);
    const term = readCount(this.#tree, META_KEY.TERM);
    this.#durable = new DurableIndex(index, term, undefined);
    const { received } = options;
    invariant(received === undefined || index <= received.index, 'a received file is not beyond');
    this.#committer = new Committer(env, db, {
      committed: (batch, took) => this.#acceptCommit(batch, took),
      failed: (error) => this.#acceptFailure(error),
      diskFull: (error) => {
        // A replacement file that is being written is given up first, which frees disk space.
        this.#exchange?.abandon(error);
        options.onDiskFull?.(error);
      },
    });
    this.#batches = new Batches(
      env.timers,
      {
        changes: options.batchChanges ?? BATCH_CHANGES_DEFAULT,
        intervalMs: options.batchIntervalMs ?? BATCH_INTERVAL_MS_DEFAULT,
        overlayBytes: options.overlayBytesMax ?? OVERLAY_BYTES_MAX,
      },
      new Batch(received?.index ?? index, received?.term ?? term),
      (batch) => this.#committer.start(batch),
    );
  }

  /**
   * Opens (or creates) the file, locks it and passes its rows to `rows`, in the scan that finds the free
   * pages. `inspect` gets the other buckets before the first row. A {@link BackendOptions.received} file
   * has the snapshot's index durably from the next commit on.
   */
  static async open(
    env: Env,
    path: string,
    options: BackendOptions,
    rows: RowVisitor,
    inspect: (snapshot: BackendSnapshot) => void,
  ): Promise<Backend> {
    const visit = visitorsOf({ path, received: options.received, inspect, rows });
    const mustExist = options.received !== undefined;
    const db = await openDatabase(env, path, { ...settingsOf(options), mustExist, visit });
    try {
      return new Backend(env, db, options);
    } catch (error) {
      await db.close();
      throw error;
    }
  }

  // --- Reading -----------------------------------------------------------------------------------

  /** Finds the stored bytes of a revision; they stay valid and unchanged while referenced. */
  findRow(main: number, sub: number, into: ByteSlice): boolean {
    const batches = this.#batches;
    if (batches.live.overlay.findRow(main, sub, into)) return true;
    if (batches.frozen?.overlay.findRow(main, sub, into) === true) return true;
    return this.#tree.findRow(main, sub, into);
  }

  /** The value of a key (latin1) in any bucket but the key bucket. */
  get(bucket: BucketId, key: string): Uint8Array | undefined {
    for (const overlay of this.#batches.overlays()) {
      const changes = overlay.changes(bucket);
      if (changes?.has(key) === true) return changes.get(key);
    }
    return this.#tree.get(bucket, key);
  }

  /** All keys and values of a small bucket, in no particular order. */
  entries(bucket: BucketId): Map<string, Uint8Array> {
    const all = this.#tree.entries(bucket);
    for (const overlay of this.#batches.overlays().reverse()) {
      for (const [key, value] of overlay.changes(bucket) ?? []) {
        if (value === undefined) all.delete(key);
        else all.set(key, value);
      }
    }
    return all;
  }

  /** Where a row is in the file as it was last committed. */
  placeOf(bucket: BucketId, key: string): string {
    return this.#tree.placeOf(bucket, key);
  }

  /** Rows from (main, sub) on, for use within this turn. */
  openRows(main: Revision, sub: number): BackendRowCursor {
    const tree = this.#tree.transaction.bucket(nameOf(BUCKET.KEY))?.cursor();
    return new BackendRowCursor(tree, this.#batches.overlays().reverse(), main, sub);
  }

  /** A view of the rows that later writes, commits and compactions do not change. */
  pin(): PinnedRows {
    return new PinnedRows(this.#db.beginRead(), this.#batches.overlays());
  }

  /** For long scans of synced content: commit first, then read this. The caller closes it. */
  beginTreeRead(): ReadTransaction {
    return this.#db.beginRead();
  }

  /**
   * Makes everything applied so far durable, and resolves with the file exactly as of that commit (or a
   * later one), to be copied while writers go on. The caller closes it. CLOSED after `close`; rejects as
   * `commit` does.
   */
  async openCopy(): Promise<DatabaseCopy> {
    await this.commit();
    if (this.#lifecycle.kind === 'closed') {
      throw new TetcdError(ERROR_CODES.CLOSED, `${this.#db.path}: the backend is closed`);
    }
    // The durable index found at opening has no membership; that of a commit has.
    if (this.#durable.membership === undefined && this.#batches.capturesMembership) {
      await this.#commitLive();
    }
    // In one turn, so that the tree is the commit of the durable index.
    const { clock } = this.#env;
    const beganMs = clock.monotonicMs();
    return new DatabaseCopy(this.#tree.transaction.fork(), this.#durable, () =>
      this.#options.onCopyClosed?.(clock.monotonicMs() - beganMs),
    );
  }

  get database(): Database {
    return this.#db;
  }

  /** Bytes of the file, with what the overlays will add. */
  get sizeBytes(): number {
    return this.#db.size() + this.#batches.byteCount;
  }

  /** Bytes of the file that hold something, with what the overlays will add. */
  get sizeInUseBytes(): number {
    return this.#db.sizeInUse() + this.#batches.byteCount;
  }

  // --- Writing -----------------------------------------------------------------------------------

  /** The first write of an entry is preceded by this; no batch is cut until {@link endEntry}. */
  beginEntry(): void {
    invariant(
      this.#lifecycle.kind !== 'retired',
      'nothing is applied to a store that was replaced',
    );
    this.#batches.beginEntry();
  }

  /** The entry's effects are complete: the batch may be cut here. */
  endEntry(index: LogIndex, term: Term): void {
    this.#batches.endEntry(index, term);
  }

  appendRow(
    main: number,
    sub: number,
    tombstone: boolean,
    slab: Uint8Array,
    offset: number,
    length: number,
  ): void {
    this.#batches.live.overlay.appendRow(main, sub, tombstone, slab, offset, length);
  }

  /** As {@link appendRow}, of a put in pieces. */
  appendSplitRow(main: number, sub: number, row: SplitRow): void {
    this.#batches.live.overlay.appendSplitRow(main, sub, row);
  }

  /**
   * Rows of revision `main`, all tombstones, come with {@link appendLateTombstone}, later than those of the
   * revisions after it and than the end of the open entry. No batch is cut until {@link endLateRows}, and
   * `commit` waits.
   */
  beginLateRows(main: Revision): void {
    this.#batches.beginLateRows(main);
  }

  appendLateTombstone(sub: number, slab: Uint8Array, offset: number, length: number): void {
    this.#batches.live.overlay.appendLateTombstone(sub, slab, offset, length);
  }

  endLateRows(): void {
    this.#batches.endLateRows();
  }

  /** Removes a row that is synced in the tree; for the compactor. */
  removeRow(key: Uint8Array): void {
    this.#batches.live.overlay.removeRow(key);
    this.#batches.changed();
  }

  /** Sets (or with undefined removes) a key of any bucket but the key bucket. */
  set(bucket: BucketId, key: string, value: Uint8Array | undefined): void {
    this.#batches.live.overlay.set(bucket, key, value);
    this.#batches.changed();
  }

  /**
   * Sets what is called when a batch is cut, before it is frozen: it adds what must match the
   * batch's content (term, confState) and returns the membership. The consistent
   * index is added by the backend itself.
   */
  captureMembership(beforeFreeze: () => MembershipImage): void {
    this.#batches.captureMembership(beforeFreeze);
  }

  /** Writes the term of the newest applied entry; for {@link captureMembership}'s callback. */
  setTerm(): void {
    const { live } = this.#batches;
    live.overlay.set(BUCKET.META, META_KEY.TERM, uint64Bytes(live.term));
  }

  /** Sets the term of the newest applied entry, as the log has it, before another one is applied. */
  adoptTerm(term: Term): void {
    this.#batches.adoptTerm(term);
  }

  // --- Durability --------------------------------------------------------------------------------

  get appliedIndex(): LogIndex {
    return this.#batches.live.index;
  }

  get appliedTerm(): Term {
    return this.#batches.live.term;
  }

  get durable(): DurableIndex {
    return this.#durable;
  }

  /** Whether the live overlay has reached its bound; delivery of committed entries then pauses. */
  get isFull(): boolean {
    return this.#batches.isFull;
  }

  /** Resolves when {@link isFull} may have become false. */
  whenRoom(): Promise<void> {
    return this.#batches.whenRoom();
  }

  /**
   * Makes everything applied so far durable. Waits for an entry that is being applied, and for late rows, and
   * includes them.
   */
  commit(): Promise<DurableIndex> {
    const { ended, live, frozen, isIncomplete } = this.#batches;
    if (ended !== undefined) return Promise.reject(ended.error);
    if (live.overlay.isEmpty && !isIncomplete) {
      if (frozen === undefined && live.index === this.#durable.index) {
        return Promise.resolve(this.#durable);
      }
      if (frozen !== undefined && live.index === frozen.index) return frozen.whenCommitted();
    }
    return this.#commitLive();
  }

  #commitLive(): Promise<DurableIndex> {
    const { ended, live } = this.#batches;
    if (ended !== undefined) return Promise.reject(ended.error);
    const done = live.whenCommitted();
    this.#batches.cut();
    return done;
  }

  #acceptCommit(batch: Batch, took: CommitTook): void {
    invariant(this.#lifecycle.kind !== 'retired', 'a retired file gets no commit');
    invariant(batch.index >= this.#durable.index, 'the durable index never goes back');
    this.#tree.transaction.close();
    this.#tree = new CommittedView(this.#db.beginRead());
    const durable = new DurableIndex(batch.index, batch.term, batch.membership);
    this.#durable = durable;
    this.#exchange?.noteCommit(batch.overlay);
    this.#batches.committed(batch, durable);
    this.#options.onCommit?.(durable, took);
    this.#batches.cutIfWanted();
  }

  /** What the file holds is unknown. */
  #acceptFailure(error: unknown): void {
    this.#exchange?.abandon(error);
    this.#batches.end(error);
    this.#options.onFailure(error);
  }

  // --- The exchange of the file ------------------------------------------------------------------

  /**
   * Replaces the file by another one with the same content, while writes and readers go on. Resolves
   * when the new file is in use. If it rejects, nothing has changed, except after a failed rename, which
   * stops the backend (`onFailure`). LIMIT_EXCEEDED if an exchange is in progress, if too many replaced
   * files are still read, or if too many keys are removed during the exchange; CLOSED once the backend
   * is closed, retired or {@link refuseExchanges}; else the error of `fill` or the disk.
   */
  async exchange(options: ExchangeOptions): Promise<void> {
    const { path } = this.#db;
    if (this.#refusesExchanges || this.#lifecycle.kind !== 'open') {
      throw new TetcdError(ERROR_CODES.CLOSED, `${path}: the file is not exchanged any more`);
    }
    if (this.#exchange !== undefined) {
      throw new TetcdError(
        ERROR_CODES.LIMIT_EXCEEDED,
        `${path}: the file is being exchanged already`,
      );
    }
    if (this.#exchanged.size >= RETIRED_FILES_MAX) {
      const text = `more than ${RETIRED_FILES_MAX} files that it replaced are still read`;
      throw new TetcdError(ERROR_CODES.LIMIT_EXCEEDED, `${path}: ${text}`);
    }
    const exchange = new Exchange(this.#exchangePort(), options);
    this.#exchange = exchange;
    try {
      await exchange.done;
    } finally {
      this.#exchange = undefined;
    }
  }

  /**
   * Makes the file of the first exchange to come, `path`, as its {@link ExchangeOptions.path}: now, while
   * the process is small.
   */
  prepareExchange(path: string): Promise<void> {
    return this.#spares.prepare(path);
  }

  /** Gives the file another name, durably; whatever had that name is replaced. */
  async rename(path: string): Promise<void> {
    invariant(this.#exchange === undefined, 'a file that is being exchanged keeps its name');
    await this.#db.rename(path);
  }

  /**
   * Refuses exchanges from now on, since another database is about to take the file's name. Resolves
   * when one in progress has ended, successfully or not.
   */
  async refuseExchanges(): Promise<void> {
    this.#refusesExchanges = true;
    const { path } = this.#db;
    this.#exchange?.abandon(
      new TetcdError(ERROR_CODES.CLOSED, `${path}: the exchange was abandoned`),
    );
    await this.#exchange?.done.catch(() => undefined);
  }

  #exchangePort(): ExchangePort {
    const db = this.#db;
    const { pageSize } = db;
    return {
      env: this.#env,
      path: db.path,
      batchChanges: this.#options.batchChanges ?? BATCH_CHANGES_DEFAULT,
      open: (path, spare) =>
        openDatabase(this.#env, path, { ...settingsOf(this.#options), pageSize, spare }),
      spares: this.#spares,
      old: db,
      commit: () => this.commit(),
      beginRead: () => db.beginRead(),
      durableIndex: () => this.#durable.index,
      pauseBatches: () => this.#batches.pause(),
      resumeBatches: () => this.#batches.resume(),
      switchTo: (target, keptAs) => this.#switchTo(target, keptAs),
      fail: (error) => {
        this.#committer.stop();
        this.#acceptFailure(error);
      },
    };
  }

  /** In one turn, while no batch is being written. */
  #switchTo(target: Database, keepAs: string | undefined): void {
    const old = this.#db;
    invariant(this.#batches.frozen === undefined, 'a file is exchanged between two batches');
    invariant(target.path === old.path, 'the file in use is the one that has the name');
    this.#tree.transaction.close();
    this.#db = target;
    this.#tree = new CommittedView(target.beginRead());
    this.#committer.switchTo(target);
    const retirement = new Retirement(this.#env.timers, old, { ownReaders: 0, keepAs });
    const settled = retirement.done.then(async (spare) => {
      if (keepAs !== undefined) await this.#spares.settle(keepAs, spare);
      this.#exchanged.delete(retirement);
    });
    this.#exchanged.set(retirement, settled);
  }

  // --- The end -----------------------------------------------------------------------------------

  /**
   * Commits what is applied, then closes and unlocks the file. Within an entry (one that could not be
   * applied), or where late rows have not come, nothing more is committed, since effects are incomplete.
   */
  async close(): Promise<void> {
    if (this.#lifecycle.kind === 'retired') {
      await this.#lifecycle.retirement.end();
      return;
    }
    if (this.#lifecycle.kind === 'closed') return;
    this.#lifecycle = CLOSED;
    if (this.#exchange !== undefined) await this.refuseExchanges();
    const batches = this.#batches;
    batches.disableInterval();
    const { isIncomplete } = batches;
    if (isIncomplete) batches.end(new TetcdError(ERROR_CODES.CLOSED, 'closed within an entry'));
    this.#committer.endRetries(!isIncomplete);
    try {
      if (batches.ended === undefined) await this.commit();
    } finally {
      await this.#committer.whenSettled();
      this.#tree.transaction.close();
      await this.#endExchanged();
      await this.#db.close();
    }
  }

  async #endExchanged(): Promise<void> {
    const ended = this.#spares.end();
    for (const retirement of this.#exchanged.keys()) void retirement.end();
    await Promise.all(this.#exchanged.values());
    await ended;
  }

  /**
   * Another member's database has replaced this one: nothing is written any more, neither overlays nor a
   * batch in progress, and no failure is reported. Open readers (pinned views, transactions, copies) go
   * on for at most `RETIRED_MS_MAX`, or until `close`. Then the file is closed, and this resolves; it
   * never rejects.
   */
  async retire(): Promise<void> {
    invariant(!this.#batches.entryOpen, 'a store is replaced between entries');
    invariant(this.#lifecycle.kind === 'open', 'a store is replaced once');
    invariant(this.#exchange?.isRenaming !== true, 'the name is taken after `refuseExchanges`');
    const exchangeEnded = this.refuseExchanges();
    const reason = `${this.#db.path}: another database has replaced it`;
    this.#batches.end(new TetcdError(ERROR_CODES.CLOSED, reason));
    this.#committer.stop();
    // At once: the other database makes files of the same names.
    void this.#spares.end();
    const retirement = new Retirement(this.#env.timers, this.#db, {
      ownReaders: 1,
      release: async () => {
        this.#tree.transaction.close();
        await this.#committer.whenSettled();
        await exchangeEnded;
        await this.#endExchanged();
      },
    });
    this.#lifecycle = { kind: 'retired', retirement };
    await retirement.done;
  }
}
