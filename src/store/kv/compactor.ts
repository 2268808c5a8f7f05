// Compaction: removes revisions that no reader may request any more.
//
//   accepted   (in apply)  the revision is recorded; reads below it are refused from here on
//   scheduled              wait until no pinned view is below it; sync the backend
//   hashed                 the checksum of what the compaction covers, for comparison with others
//   index, rows            in slices: the index drops revisions, their rows are removed in batches
//   finished               recorded in the meta bucket together with the last batch
//
// An interrupted compaction is run again at boot. One runs at a time; others wait.

import {
  ERROR_CODES,
  type Failpoints,
  failpoints,
  invariant,
  NumberColumn,
  type Revision,
  Slices,
  TetcdError,
} from '../../base/index.ts';
import type { Env } from '../../env/index.ts';
import { type IndexCompaction, revisionKey, SlicedSort } from '../../mvcc/index.ts';
import type { Backend } from '../backend/backend.ts';
import {
  COMPACTION_BATCH_ROWS_DEFAULT,
  COMPACTION_HASHES_MAX,
  COMPACTION_SLEEP_MS_DEFAULT,
  INDEX_STEP_KEYS,
} from '../limits.ts';
import type { StoreMetrics } from '../metrics.ts';
import { BUCKET, META_KEY } from '../schema/schema.ts';
import { hashKv, hasTombstoneAt } from './hash.ts';
import type { KvStore } from './kv-store.ts';

/** A checksum of the keys at a revision, as HashKV answers it. */
export interface KvHash {
  readonly hash: number;
  /** The compacted revision below which rows were left out; -1 for none. */
  readonly compactRevision: Revision;
  readonly hashRevision: Revision;
}

export interface CompactorOptions {
  readonly env: Env;
  readonly backend: Backend;
  readonly kv: KvStore;
  readonly metrics: StoreMetrics;
  readonly batchRows?: number;
  readonly sleepMs?: number;
  readonly onFinished?: (rev: Revision, rows: number, tookMs: number) => void;
  /** The checksum of a compaction is kept; undefined if it has none, as one that was interrupted. */
  readonly onHash?: (hash: KvHash | undefined) => void;
  readonly onFailure: (error: unknown) => void;
}

interface Job {
  readonly rev: Revision;
  /** The compacted revision before this one; -1 for none. */
  readonly previousRev: Revision;
  /** Whether it covers every revision since the previous compaction. */
  readonly complete: boolean;
  /** Called with the checksum, or undefined if there is none. */
  hashed(hash: KvHash | undefined): void;
  finish(): void;
  fail(error: unknown): void;
}

/** Revisions that the index has dropped, in columns, since there may be millions. */
class DroppedRows {
  readonly #mains = new NumberColumn();
  /** Each doubled, and one more for a tombstone. */
  readonly #subs = new NumberColumn();
  #sort: SlicedSort | undefined;

  get size(): number {
    return this.#mains.length;
  }

  readonly add = (main: Revision, sub: number, tombstone: boolean): void => {
    this.#mains.push(main);
    this.#subs.push(2 * sub + (tombstone ? 1 : 0));
  };

  /** Sorts by revision, about `budget` steps per call; true when done. */
  sort(budget: number): boolean {
    const mains = this.#mains;
    const subs = this.#subs;
    if (this.#sort === undefined) {
      this.#sort = new SlicedSort();
      this.#sort.start(
        mains.length,
        (a, b) => mains.at(a) - mains.at(b) || subs.at(a) - subs.at(b),
      );
    }
    return this.#sort.step(budget);
  }

  /** The key of the row at a place in revision order. */
  keyAt(place: number): Uint8Array {
    const at = this.#sort!.order[place]!;
    const sub = this.#subs.at(at);
    return revisionKey(this.#mains.at(at), Math.floor(sub / 2), sub % 2 === 1);
  }
}

export class Compactor {
  readonly #options: CompactorOptions;
  /** Waiting compactions; each was accepted by the log, which keeps their number small. */
  readonly #queue: Job[] = [];
  /** The compaction that runs. */
  #job: Job | undefined;
  #running = false;
  #stopped = false;
  #handedOver = false;
  /** Resolves when the compaction that was accepted last is done. */
  #newest: Promise<void> = Promise.resolve();
  /** Whether the newest scheduled compaction has finished. */
  #finished = true;
  /** Checksums made (or being made) by compactions, by revision, oldest first. */
  readonly #hashes = new Map<Revision, Promise<KvHash | undefined>>();

  readonly #finishedHashes: KvHash[] = [];

  constructor(options: CompactorOptions) {
    this.#options = options;
  }

  /**
   * Accepts a compaction of the log; the caller has checked the revision. Resolves when the rows are
   * removed; rejects if that fails or is stopped.
   */
  accept(rev: Revision): Promise<void> {
    const { backend, kv } = this.#options;
    invariant(rev > kv.compactedRev && rev <= kv.currentRev, 'a compaction goes forward');
    const complete = this.#finished;
    backend.set(BUCKET.META, META_KEY.SCHEDULED_COMPACT, revisionKey(rev, 0));
    const previousRev = kv.compactedRev;
    kv.compactedRev = rev;
    return this.#schedule(rev, previousRev, complete);
  }

  /** Runs again a compaction that was accepted before the last stop and did not finish. */
  resume(rev: Revision): Promise<void> {
    const { kv } = this.#options;
    const previousRev = kv.compactedRev;
    kv.compactedRev = rev;
    return this.#schedule(rev, previousRev, false);
  }

  /**
   * The checksum of the compaction at exactly this revision; waits for a running one. It covers rows that
   * the compaction has removed since.
   */
  hashAt(rev: Revision): Promise<KvHash | undefined> {
    return this.#hashes.get(rev) ?? Promise.resolve(undefined);
  }

  /** Checksums of finished compactions, newest first; at most COMPACTION_HASHES_MAX. */
  get finishedHashes(): readonly KvHash[] {
    return [...this.#finishedHashes];
  }

  /** Whether a compaction runs or waits. */
  get isBusy(): boolean {
    return this.#running;
  }

  /** Resolves when every compaction accepted so far is done, or has failed. */
  async whenIdle(): Promise<void> {
    await this.#newest.catch(() => {});
  }

  /**
   * Another store replaces this one and has accepted the same compactions: promises of this compactor
   * follow those of the other.
   */
  handOver(to: Compactor): void {
    this.stop();
    this.#handedOver = true;
    const jobs = [...(this.#job === undefined ? [] : [this.#job]), ...this.#queue.splice(0)];
    // In a later turn: the other store resumes unfinished compactions in this one.
    const done = this.#options.env.timers.nextTurn().then(() => to.whenIdle());
    for (const job of jobs) {
      job.hashed(undefined);
      void done.then(() => job.finish());
    }
  }

  /** Starts no more compactions; a running one ends at its next slice and is resumed at boot. */
  stop(): void {
    this.#stopped = true;
  }

  #schedule(rev: Revision, previousRev: Revision, complete: boolean): Promise<void> {
    this.#finished = false;
    const done = new Promise<void>((finish, fail) => {
      const hash = new Promise<KvHash | undefined>((hashed) => {
        this.#queue.push({ rev, previousRev, complete, hashed, finish, fail });
      });
      if (complete) this.#keepHash(rev, hash);
      if (!this.#running) void this.#run();
    });
    this.#newest = done;
    // Usually no caller awaits it.
    done.catch(() => {});
    return done;
  }

  #keepHash(rev: Revision, hash: Promise<KvHash | undefined>): void {
    this.#hashes.set(rev, hash);
    if (this.#hashes.size <= COMPACTION_HASHES_MAX) return;
    for (const oldest of this.#hashes.keys()) {
      this.#hashes.delete(oldest);
      return;
    }
  }

  async #run(): Promise<void> {
    this.#running = true;
    for (let job = this.#queue.shift(); job !== undefined; job = this.#queue.shift()) {
      this.#job = job;
      try {
        await this.#compact(job);
        if (this.#stopped)
          throw new TetcdError(ERROR_CODES.CLOSED, 'stopped before the compaction was done');
        job.finish();
      } catch (error) {
        if (!this.#handedOver) job.fail(error);
        if (!this.#stopped) this.#options.onFailure(error);
        this.#stopped = true;
      }
      job.hashed(undefined);
    }
    this.#job = undefined;
    this.#running = false;
  }

  async #compact(job: Job): Promise<void> {
    const { env, backend, kv, metrics, onFinished } = this.#options;
    // No new view below it can be pinned: reads there are refused since it was accepted.
    await kv.unpinnedBelow(job.rev);
    if (failpoints.active !== undefined)
      await failpoints.active.hold('compactBeforeCommitScheduledCompact');
    await backend.commit();
    if (failpoints.active !== undefined)
      await failpoints.active.hold('compactAfterCommitScheduledCompact');
    if (this.#stopped) return;
    const began = env.clock.monotonicMs();
    const compaction = kv.index.startCompaction(job.rev);
    const hash = job.complete ? await this.#hash(job) : undefined;
    const dropped = await this.#compactIndex(compaction);
    await this.#removeRows(dropped);
    if (this.#stopped) return;
    if (failpoints.active !== undefined)
      await failpoints.active.hold('compactBeforeSetFinishedCompact');
    backend.set(BUCKET.META, META_KEY.FINISHED_COMPACT, revisionKey(job.rev, 0));
    if (failpoints.active !== undefined)
      await failpoints.active.hold('compactAfterSetFinishedCompact');
    if (this.#queue.length === 0) this.#finished = true;
    const tookMs = env.clock.monotonicMs() - began;
    metrics.mvcc.dbCompactionTotalMs.observe(tookMs);
    metrics.mvcc.dbCompactionLast.value = Math.floor(env.clock.wallMs() / 1000);
    onFinished?.(job.rev, dropped.size, tookMs);
    this.#keepFinished(hash);
  }

  async #compactIndex(compaction: IndexCompaction): Promise<DroppedRows> {
    const { env, metrics } = this.#options;
    const slices = new Slices(env);
    const dropped = new DroppedRows();
    for (let done = false; !done && !this.#stopped; ) {
      const pauseBegan = env.clock.monotonicMs();
      done = compaction.step(INDEX_STEP_KEYS, dropped.add);
      metrics.mvcc.indexCompactionPauseMs.observe(env.clock.monotonicMs() - pauseBegan);
      if (slices.isOver) await slices.next();
    }
    return dropped;
  }

  /**
   * In ascending order, so that neighbours in the file are removed together, and in batches, so that the
   * tree writer is never far behind.
   */
  async #removeRows(dropped: DroppedRows): Promise<void> {
    const { env, backend, metrics } = this.#options;
    const batchRows = this.#options.batchRows ?? COMPACTION_BATCH_ROWS_DEFAULT;
    const sleepMs = this.#options.sleepMs ?? COMPACTION_SLEEP_MS_DEFAULT;
    const slices = new Slices(env);
    while (!dropped.sort(INDEX_STEP_KEYS)) if (slices.isOver) await slices.next();
    for (let start = 0; start < dropped.size && !this.#stopped; start += batchRows) {
      if (failpoints.active !== undefined)
        await failpoints.active.hold('compactAfterAcquiredBatchTxLock');
      const pauseBegan = env.clock.monotonicMs();
      const end = Math.min(dropped.size, start + batchRows);
      for (let i = start; i < end; i++) backend.removeRow(dropped.keyAt(i));
      metrics.mvcc.dbCompactionKeys.value += end - start;
      metrics.mvcc.dbCompactionPauseMs.observe(env.clock.monotonicMs() - pauseBegan);
      if (failpoints.active !== undefined) await this.#commitBatch(failpoints.active);
      await new Promise<void>((resolve) => env.timers.after(sleepMs, resolve));
      await backend.whenRoom();
    }
  }

  /** Only for the two moments: otherwise a batch is committed with what else has changed. */
  async #commitBatch(active: Failpoints): Promise<void> {
    await active.hold('compactBeforeCommitBatch');
    await this.#options.backend.commit();
    await active.hold('compactAfterCommitBatch');
  }

  #keepFinished(hash: KvHash | undefined): void {
    if (hash !== undefined) {
      this.#finishedHashes.unshift(hash);
      this.#finishedHashes.splice(COMPACTION_HASHES_MAX);
    }
    this.#options.onHash?.(hash);
  }

  async #hash(job: Job): Promise<KvHash> {
    const { backend, kv } = this.#options;
    const tree = backend.beginTreeRead();
    try {
      const { rev, previousRev } = job;
      const hash = await hashKv({
        tree,
        index: kv.index,
        revision: rev,
        compactedRev: previousRev,
        // What a compaction keeps includes the tombstones exactly at its revision.
        keepsNothing: kv.index.keepsNothing(rev) && !hasTombstoneAt(tree, rev),
      });
      const found = { hash, compactRevision: previousRev, hashRevision: rev };
      job.hashed(found);
      return found;
    } finally {
      tree.close();
      job.hashed(undefined);
    }
  }
}
