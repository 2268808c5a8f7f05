// The durable side of the store: a B+tree file, and in front of it the writes that are not yet in it.
//
//     writes ──► live overlay ──freeze──► frozen overlay ──one bbolt transaction──► tree file
//     reads  ◄── live overlay ◄────────── frozen overlay ◄───────────────────────── tree
//
// There is at most one frozen overlay. It is written and synced off the request path, in slices,
// while writes continue into a new live one. A batch is cut only between log entries, so that the
// consistent index, term and confState frozen with it match its content exactly.

import {
  bytesFromLatin1,
  hasCode,
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
  type WriteTransaction,
} from '../../bbolt/index.ts';
import type { Env, Timer } from '../../env/index.ts';
import { type ByteSlice, revisionKey } from '../../mvcc/index.ts';
import {
  BATCH_CHANGES_DEFAULT,
  BATCH_INTERVAL_MS_DEFAULT,
  CHANGES_PER_CLOCK_CHECK,
  DISK_FULL_RETRY_MS,
  OVERLAY_BYTES_MAX,
  RETIRED_MS_MAX,
  SLICE_MS,
} from '../limits.ts';
import { BUCKET, BUCKET_COUNT, type BucketId, META_KEY, uint64Bytes } from '../schema/schema.ts';
import { DatabaseCopy } from './database-copy.ts';
import { DurableIndex, type MembershipImage } from './durable-index.ts';
import { type RowVisitor, readCount, type SnapshotPosition, visitorsOf } from './file-pass.ts';
import { Overlay } from './overlay.ts';
import { BackendRowCursor } from './row-cursor.ts';
import { type BackendSnapshot, nameOf, PinnedRows, TreeSight } from './tree-sight.ts';

export interface BackendOptions {
  readonly batchIntervalMs?: number;
  readonly batchChanges?: number;
  readonly overlayBytesMax?: number;
  readonly pageCacheBytes?: number;
  /** Leaves out every sync: `--unsafe-no-fsync`. */
  readonly noSync?: boolean;
  /**
   * The file came from another member, with the snapshot of this entry. The index inside may be lower
   * (real etcd does not write it for every entry) and is taken for this one; CORRUPT if it is higher.
   */
  readonly received?: SnapshotPosition;
  /** A commit failed: what the file holds is unknown, and the member must stop. */
  readonly onFailure: (error: unknown) => void;
  /** The disk is full; the batch will be tried again. */
  readonly onDiskFull?: (error: unknown) => void;
  /** A commit finished. */
  readonly onCommit?: (durable: DurableIndex, tookMs: number) => void;
}

interface CommitWaiter {
  resolve(durable: DurableIndex): void;
  reject(error: unknown): void;
}

/** An overlay with the index that its commit brings the file to, and who waits for that. */
class Batch {
  readonly overlay = new Overlay();
  readonly waiters: CommitWaiter[] = [];
  index: LogIndex;
  term: Term;
  membership: MembershipImage | undefined = undefined;

  constructor(index: LogIndex, term: Term) {
    this.index = index;
    this.term = term;
  }
}

/** Share of a page that ordered puts fill; etcd uses the same for this bucket. */
const KEY_FILL_PERCENT = 0.9;

export class Backend {
  readonly #env: Env;
  readonly #db: Database;
  readonly #options: BackendOptions;
  readonly #batchChanges: number;
  readonly #batchIntervalMs: number;
  readonly #overlayBytesMax: number;

  #live: Batch;
  #frozen: Batch | undefined;
  #tree: TreeSight;
  #durable: DurableIndex;
  #timer: Timer | undefined;
  /** Runs while the frozen batch waits for room on the disk. */
  #retry: Timer | undefined;
  /** The write of the frozen batch; never rejects. */
  #writing: Promise<void> = Promise.resolve();
  /** An entry is being applied; no batch is cut. */
  #entryOpen = false;
  #beforeFreeze: (() => MembershipImage) | undefined;
  /** A batch is to be cut as soon as no entry is open and no frozen batch is left. */
  #cutWanted = false;
  #failure: { readonly error: unknown } | undefined;
  #closed = false;
  /** Every bucket is in the file. */
  #hasBuckets = false;
  #retirement: Promise<void> | undefined;
  /** Ends the time that readers of a retired file have. */
  #endRetirement: () => void = () => {};
  /** Who waits for the live overlay to fall below its bound. */
  readonly #roomWaiters: (() => void)[] = [];

  private constructor(env: Env, db: Database, options: BackendOptions) {
    this.#env = env;
    this.#db = db;
    this.#options = options;
    this.#batchChanges = options.batchChanges ?? BATCH_CHANGES_DEFAULT;
    this.#batchIntervalMs = options.batchIntervalMs ?? BATCH_INTERVAL_MS_DEFAULT;
    this.#overlayBytesMax = options.overlayBytesMax ?? OVERLAY_BYTES_MAX;
    this.#tree = new TreeSight(db.beginRead());
    const index = readCount(this.#tree, META_KEY.CONSISTENT_INDEX);
    const term = readCount(this.#tree, META_KEY.TERM);
    const { received } = options;
    this.#live = new Batch(received?.index ?? index, received?.term ?? term);
    this.#durable = new DurableIndex(index, term, undefined);
  }

  /**
   * Opens (or creates) the file, takes its lock and hands its rows to `rows`, in the same pass that
   * looks for free pages. `inspect` sees the other buckets before any row is handed out. A file that
   * was {@link BackendOptions.received} counts as that snapshot durably from the next commit on.
   */
  static async open(
    env: Env,
    path: string,
    options: BackendOptions,
    rows: RowVisitor,
    inspect: (snapshot: BackendSnapshot) => void,
  ): Promise<Backend> {
    const settings: DatabaseOptions = {
      ...(options.pageCacheBytes === undefined ? {} : { pageCacheBytes: options.pageCacheBytes }),
      noSync: options.noSync === true,
      visit: visitorsOf({ path, received: options.received, inspect, rows }),
    };
    const db = await openDatabase(env, path, settings);
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
    if (this.#live.overlay.findRow(main, sub, into)) return true;
    if (this.#frozen?.overlay.findRow(main, sub, into) === true) return true;
    return this.#tree.findRow(main, sub, into);
  }

  /** The value of a key (latin1) in any bucket but the key bucket. */
  get(bucket: BucketId, key: string): Uint8Array | undefined {
    for (const overlay of this.#overlays()) {
      const changes = overlay.changes(bucket);
      if (changes?.has(key) === true) return changes.get(key);
    }
    return this.#tree.get(bucket, key);
  }

  /** All keys and values of a small bucket, in no particular order. */
  entries(bucket: BucketId): Map<string, Uint8Array> {
    const all = this.#tree.entries(bucket);
    for (const overlay of this.#overlays().reverse()) {
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
    return new BackendRowCursor(tree, this.#overlays().reverse(), main, sub);
  }

  /** A sight of the rows that later writes, commits and compactions do not change. */
  pin(): PinnedRows {
    return new PinnedRows(this.#db.beginRead(), this.#overlays());
  }

  /** For long scans of what is synced: commit first, then read this. The caller closes it. */
  beginTreeRead(): ReadTransaction {
    return this.#db.beginRead();
  }

  /**
   * Makes everything applied so far durable, and hands out the file exactly as of that commit (or of
   * one after it), to be copied while writers go on. The caller closes it. CLOSED after `close`;
   * rejects as `commit` does.
   */
  async openCopy(): Promise<DatabaseCopy> {
    await this.commit();
    if (this.#closed) throw new TetcdError('CLOSED', `${this.#db.path}: the backend is closed`);
    // What was durable when the file was opened is told without its membership: a commit knows it.
    if (this.#durable.membership === undefined && this.#beforeFreeze !== undefined) {
      await this.#commitLive();
    }
    // In one turn: the sight of the tree is always the commit that the durable index speaks of.
    return new DatabaseCopy(this.#tree.transaction.fork(), this.#durable);
  }

  get database(): Database {
    return this.#db;
  }

  /** Bytes of the file, with what the overlays will add. */
  get sizeBytes(): number {
    return this.#db.size() + this.#overlayBytes();
  }

  /** Bytes of the file that hold something, with what the overlays will add. */
  get sizeInUseBytes(): number {
    return this.#db.sizeInUse() + this.#overlayBytes();
  }

  // --- Writing -----------------------------------------------------------------------------------

  /** The first write of an entry is preceded by this; no batch is cut until {@link endEntry}. */
  beginEntry(): void {
    invariant(!this.#entryOpen, 'an entry begins when the one before has ended');
    invariant(this.#retirement === undefined, 'nothing is applied to a store that was replaced');
    this.#entryOpen = true;
  }

  /** The entry's effects are complete: the batch may be cut here. */
  endEntry(index: LogIndex, term: Term): void {
    invariant(this.#entryOpen, 'an entry that ends has begun');
    const live = this.#live;
    invariant(index > live.index, 'entries are applied in order and once');
    this.#entryOpen = false;
    live.index = index;
    live.term = term;
    if (this.#cutWanted || live.overlay.changeCount >= this.#batchChanges) this.#cut();
    else if (!live.overlay.isEmpty) this.#arm();
  }

  appendRow(
    main: number,
    sub: number,
    tombstone: boolean,
    slab: Uint8Array,
    offset: number,
    length: number,
  ): void {
    this.#live.overlay.appendRow(main, sub, tombstone, slab, offset, length);
  }

  /** Removes a row that is synced in the tree; for the compactor. */
  removeRow(key: Uint8Array): void {
    this.#live.overlay.removeRow(key);
    if (!this.#entryOpen) this.#arm();
  }

  /** Sets (or with undefined removes) a key of any bucket but the key bucket. */
  set(bucket: BucketId, key: string, value: Uint8Array | undefined): void {
    this.#live.overlay.set(bucket, key, value);
    if (!this.#entryOpen) this.#arm();
  }

  /**
   * Sets what is called when a batch is cut, before it is frozen: it adds what must match the
   * batch's content (term, confState, storage version) and returns the membership. The consistent
   * index is added by the backend itself.
   */
  captureMembership(beforeFreeze: () => MembershipImage): void {
    this.#beforeFreeze = beforeFreeze;
  }

  /** Notes the term of the newest applied entry; for {@link captureMembership}'s callback. */
  setTerm(): void {
    this.#live.overlay.set(BUCKET.META, META_KEY.TERM, uint64Bytes(this.#live.term));
  }

  /** The log tells the term of the newest applied entry, before another one is applied. */
  adoptTerm(term: Term): void {
    invariant(!this.#entryOpen, 'a term is adopted between entries');
    this.#live.term = term;
  }

  // --- Durability --------------------------------------------------------------------------------

  get appliedIndex(): LogIndex {
    return this.#live.index;
  }

  get appliedTerm(): Term {
    return this.#live.term;
  }

  get durable(): DurableIndex {
    return this.#durable;
  }

  /** Whether the live overlay has reached its bound; delivery of committed entries then pauses. */
  get isFull(): boolean {
    if (this.#frozen === undefined || this.#failure !== undefined) return false;
    return this.#live.overlay.heldBytes >= this.#overlayBytesMax;
  }

  /** Resolves when {@link isFull} may have become false. */
  whenRoom(): Promise<void> {
    if (!this.isFull) return Promise.resolve();
    return new Promise((resolve) => this.#roomWaiters.push(resolve));
  }

  /**
   * Makes everything applied so far durable. If an entry is being applied, it is waited for and
   * included.
   */
  commit(): Promise<DurableIndex> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure.error);
    const live = this.#live;
    const frozen = this.#frozen;
    if (live.overlay.isEmpty && !this.#entryOpen) {
      if (frozen === undefined && live.index === this.#durable.index) {
        return Promise.resolve(this.#durable);
      }
      if (frozen !== undefined && live.index === frozen.index) {
        return new Promise((resolve, reject) => frozen.waiters.push({ resolve, reject }));
      }
    }
    return this.#commitLive();
  }

  #commitLive(): Promise<DurableIndex> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure.error);
    const { waiters } = this.#live;
    const done = new Promise<DurableIndex>((resolve, reject) => waiters.push({ resolve, reject }));
    this.#cut();
    return done;
  }

  /**
   * Commits what is applied, then releases file and lock. Within an entry (one that could not be
   * applied) nothing more is committed, since its effects are not complete.
   */
  async close(): Promise<void> {
    if (this.#retirement !== undefined) {
      this.#endRetirement();
      await this.#retirement;
    }
    if (this.#closed) return;
    this.#closed = true;
    this.#timer?.cancel();
    if (this.#entryOpen) this.#giveUp(new TetcdError('CLOSED', 'closed within an entry'));
    else if (this.#retry !== undefined) this.#startWrite(this.#frozen!);
    this.#retry?.cancel();
    try {
      if (this.#failure === undefined) await this.commit();
    } finally {
      await this.#writing;
      this.#tree.transaction.close();
      await this.#db.close();
    }
  }

  /**
   * Another member's database has taken the place of this one: nothing is written any more, neither
   * what is not yet in the file nor what is on its way, and no failure is told to anybody. Who reads
   * already (pinned views, transactions, copies) goes on for at most {@link RETIRED_MS_MAX}, or until
   * `close`. Then the file is closed, and this resolves; it never rejects.
   */
  retire(): Promise<void> {
    invariant(!this.#entryOpen, 'a store is replaced between entries');
    invariant(this.#retirement === undefined && !this.#closed, 'a store is replaced once');
    this.#giveUp(new TetcdError('CLOSED', `${this.#db.path}: another database has replaced it`));
    this.#retry?.cancel();
    this.#retirement = this.#retire();
    return this.#retirement;
  }

  async #retire(): Promise<void> {
    const timeOver = new Promise<void>((resolve) => {
      this.#endRetirement = resolve;
    });
    const timer = this.#env.timers.after(RETIRED_MS_MAX, this.#endRetirement);
    // All but the sight of the tree that is ours.
    await Promise.race([this.#db.whenReadersAtMost(1), timeOver]);
    timer.cancel();
    this.#closed = true;
    this.#tree.transaction.close();
    await this.#writing;
    // A file that nobody needs any more may fail to close.
    await this.#db.close().catch(() => undefined);
  }

  /** Starts the clock of the batch interval, unless it runs. */
  #arm(): void {
    if (this.#timer !== undefined || this.#closed || this.#failure !== undefined) return;
    this.#timer = this.#env.timers.after(this.#batchIntervalMs, () => {
      this.#timer = undefined;
      this.#cut();
    });
  }

  /** Freezes the live overlay and writes it; later, if an entry is open or a batch is on its way. */
  #cut(): void {
    if (this.#failure !== undefined) return;
    if (this.#entryOpen || this.#frozen !== undefined) {
      this.#cutWanted = true;
      return;
    }
    this.#cutWanted = false;
    const batch = this.#live;
    batch.membership = this.#beforeFreeze?.();
    // Only now: what is set before freezing starts the clock, and belongs to this batch.
    this.#timer?.cancel();
    this.#timer = undefined;
    batch.overlay.set(BUCKET.META, META_KEY.CONSISTENT_INDEX, uint64Bytes(batch.index));
    batch.overlay.frozen = true;
    this.#frozen = batch;
    this.#live = new Batch(batch.index, batch.term);
    this.#startWrite(batch);
  }

  #startWrite(batch: Batch): void {
    const began = this.#env.clock.monotonicMs();
    this.#writing = this.#write(batch).then(
      () => this.#acceptCommit(batch, this.#env.clock.monotonicMs() - began),
      (error: unknown) => this.#acceptFailure(batch, error),
    );
  }

  async #write(batch: Batch): Promise<void> {
    const transaction = await this.#db.beginWrite();
    try {
      await this.#writeRows(transaction, batch.overlay);
      this.#writeBuckets(transaction, batch.overlay);
      await transaction.commit();
    } catch (error) {
      transaction.rollback();
      throw error;
    }
  }

  async #writeRows(transaction: WriteTransaction, overlay: Overlay): Promise<void> {
    const { clock, timers } = this.#env;
    const bucket = transaction.createBucketIfNotExists(nameOf(BUCKET.KEY));
    bucket.fillPercent = KEY_FILL_PERCENT;
    let sliceEnd = clock.monotonicMs() + SLICE_MS;
    const yieldIfDue = async (): Promise<void> => {
      if (this.#retirement !== undefined) throw new TetcdError('CLOSED', 'replaced');
      if (clock.monotonicMs() < sliceEnd) return;
      await timers.nextTurn();
      sliceEnd = clock.monotonicMs() + SLICE_MS;
    };
    for (let i = 0; i < overlay.removedKeys.length; i++) {
      bucket.delete(overlay.removedKeys[i]!);
      if (i % CHANGES_PER_CLOCK_CHECK === 0) await yieldIfDue();
    }
    for (let i = 0; i < overlay.mains.length; i++) {
      const key = revisionKey(overlay.mains[i]!, overlay.subs[i]!, overlay.tombstones[i]!);
      const offset = overlay.offsets[i]!;
      bucket.put(key, overlay.slabs[i]!.subarray(offset, offset + overlay.lengths[i]!));
      if (i % CHANGES_PER_CLOCK_CHECK === 0) await yieldIfDue();
    }
  }

  /**
   * The other buckets change by a handful of keys per batch: one slice. All of them are made with the
   * first batch: a member of 3.4 that gets this file from its leader stops if one is missing.
   */
  #writeBuckets(transaction: WriteTransaction, overlay: Overlay): void {
    for (let id = 0; id < BUCKET_COUNT; id++) {
      const changes = overlay.changes(id as BucketId);
      if (changes === undefined && this.#hasBuckets) continue;
      const bucket = transaction.createBucketIfNotExists(nameOf(id as BucketId));
      for (const [key, value] of changes ?? []) {
        const bytes = bytesFromLatin1(key);
        if (value === undefined) bucket.delete(bytes);
        else bucket.put(bytes, value);
      }
    }
  }

  #acceptCommit(batch: Batch, tookMs: number): void {
    invariant(this.#frozen === batch, 'the batch that was synced is the frozen one');
    // What is found there is nobody's any more: a durable index of it would be a lie.
    if (this.#retirement !== undefined) return;
    this.#tree.transaction.close();
    this.#tree = new TreeSight(this.#db.beginRead());
    this.#hasBuckets = true;
    this.#frozen = undefined;
    const durable = new DurableIndex(batch.index, batch.term, batch.membership);
    this.#durable = durable;
    for (const waiter of batch.waiters) waiter.resolve(durable);
    for (const resolve of this.#roomWaiters.splice(0)) resolve();
    this.#options.onCommit?.(durable, tookMs);
    if (this.#cutWanted) this.#cut();
  }

  /**
   * A full disk leaves the file as it was: the batch is tried again until there is room, while the
   * bound of the live overlay holds writers back. After any other failure what the disk holds is
   * unknown.
   */
  #acceptFailure(batch: Batch, error: unknown): void {
    if (this.#retirement !== undefined) return;
    if (hasCode(error, 'DISK_FULL') && !this.#closed) {
      this.#options.onDiskFull?.(error);
      this.#retry = this.#env.timers.after(DISK_FULL_RETRY_MS, () => {
        this.#retry = undefined;
        this.#startWrite(batch);
      });
      return;
    }
    this.#giveUp(error);
    this.#options.onFailure(error);
  }

  /** Nothing is written any more. */
  #giveUp(error: unknown): void {
    this.#failure = { error };
    this.#timer?.cancel();
    const waiters = [...(this.#frozen?.waiters.splice(0) ?? []), ...this.#live.waiters.splice(0)];
    for (const waiter of waiters) waiter.reject(error);
    for (const resolve of this.#roomWaiters.splice(0)) resolve();
  }

  #overlays(): Overlay[] {
    const live = this.#live.overlay;
    return this.#frozen === undefined ? [live] : [live, this.#frozen.overlay];
  }

  #overlayBytes(): number {
    return this.#live.overlay.byteCount + (this.#frozen?.overlay.byteCount ?? 0);
  }
}
