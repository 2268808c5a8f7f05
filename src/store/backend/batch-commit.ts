// The asynchronous commit of a frozen batch: one bbolt transaction, written in slices off the
// request path, and repeated while the disk is full.
//
//     idle ──start──► writing ──► idle
//                     │    ▲
//           disk full ▼    │ after a pause
//                     waiting                 any state ──failure, stop──► stopped

import { ERROR_CODES, failpoints, hasCode, invariant, TetcdError } from '../../base/index.ts';
import type { CommitTimes, Database } from '../../bbolt/index.ts';
import type { Env, Timer } from '../../env/index.ts';
import { DISK_FULL_RETRY_MS } from '../limits.ts';
import type { Batch } from './batch.ts';
import { writeOverlay } from './write-overlay.ts';

/** How long a commit took, begin of the transaction included, and its parts. */
export interface CommitTook extends CommitTimes {
  readonly totalMs: number;
}

interface CommitEvents {
  /** The batch is synced in the file. */
  committed(batch: Batch, took: CommitTook): void;
  /** What the file holds is unknown. */
  failed(error: unknown): void;
  /** The file is as it was; the batch will be written again. */
  diskFull(error: unknown): void;
}

type State =
  | { readonly kind: 'idle' }
  | { readonly kind: 'writing'; readonly batch: Batch }
  | { readonly kind: 'waiting'; readonly batch: Batch; readonly retry: Timer }
  | { readonly kind: 'stopped' };

const IDLE: State = { kind: 'idle' };
const STOPPED: State = { kind: 'stopped' };

export class Committer {
  readonly #env: Env;
  readonly #events: CommitEvents;
  #database: Database;
  #state: State = IDLE;
  /** The latest attempt; never rejects. */
  #attempt: Promise<void> = Promise.resolve();
  /** Whether a batch is retried after DISK_FULL. */
  #retries = true;
  /** Every bucket is in the file. */
  #hasBuckets = false;

  constructor(env: Env, database: Database, events: CommitEvents) {
    this.#env = env;
    this.#database = database;
    this.#events = events;
  }

  /** Writes the batch; one of the events reports the outcome, never within this call. */
  start(batch: Batch): void {
    invariant(this.#state.kind === 'idle', 'batches are committed one by one');
    invariant(batch.overlay.frozen, 'a batch is frozen before it is written');
    this.#write(batch);
  }

  /** Sets the file for the next batches; only between two of them. */
  switchTo(database: Database): void {
    invariant(this.#state.kind === 'idle', 'a file is exchanged between two commits');
    this.#database = database;
  }

  /** Resolves when no attempt is in progress; one that is {@link stop}ped ends at its next slice. */
  whenSettled(): Promise<void> {
    return this.#attempt;
  }

  /**
   * From now on a full disk is a failure. A batch that waits for disk space is tried again once, if
   * `lastAttempt`.
   */
  endRetries(lastAttempt: boolean): void {
    this.#retries = false;
    const state = this.#state;
    if (state.kind !== 'waiting') return;
    state.retry.cancel();
    if (lastAttempt) this.#write(state.batch);
    else this.#state = STOPPED;
  }

  /** No event follows. What is being written may reach the file or not. */
  stop(): void {
    if (this.#state.kind === 'waiting') this.#state.retry.cancel();
    this.#state = STOPPED;
  }

  #write(batch: Batch): void {
    this.#state = { kind: 'writing', batch };
    const began = this.#env.clock.monotonicMs();
    this.#attempt = this.#commit(batch).then(
      (times) => {
        const totalMs = this.#env.clock.monotonicMs() - began;
        this.#accept(batch, { totalMs, ...times });
      },
      (error: unknown) => this.#acceptFailure(batch, error),
    );
  }

  async #commit(batch: Batch): Promise<CommitTimes> {
    if (failpoints.active !== undefined) await failpoints.active.hold('beforeStartDBTxn');
    const transaction = await this.#database.beginWrite();
    if (failpoints.active !== undefined) await failpoints.active.hold('afterStartDBTxn');
    try {
      await writeOverlay(this.#env, transaction, batch.overlay, {
        allBuckets: !this.#hasBuckets,
        assertGoesOn: () => {
          if (this.#state.kind === 'stopped') throw new TetcdError(ERROR_CODES.CLOSED, 'replaced');
        },
      });
      if (failpoints.active !== undefined) await failpoints.active.hold('beforeCommit');
      const { times } = await transaction.commit();
      if (failpoints.active !== undefined) await failpoints.active.hold('afterCommit');
      return times;
    } catch (error) {
      transaction.rollback();
      throw error;
    }
  }

  #accept(batch: Batch, took: CommitTook): void {
    // After `stop` the file may be replaced: its durable index would be false.
    if (this.#state.kind === 'stopped') return;
    invariant(
      this.#state.kind === 'writing' && this.#state.batch === batch,
      'what was synced is the batch that was written',
    );
    this.#state = IDLE;
    this.#hasBuckets = true;
    this.#events.committed(batch, took);
  }

  /** A full disk leaves the file as it was. After any other failure what it holds is unknown. */
  #acceptFailure(batch: Batch, error: unknown): void {
    if (this.#state.kind === 'stopped') return;
    if (hasCode(error, ERROR_CODES.DISK_FULL) && this.#retries) {
      const retry = this.#env.timers.after(DISK_FULL_RETRY_MS, () => this.#write(batch));
      this.#state = { kind: 'waiting', batch, retry };
      this.#events.diskFull(error);
      return;
    }
    this.#state = STOPPED;
    this.#events.failed(error);
  }
}
