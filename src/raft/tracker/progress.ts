// What the leader knows about one follower's log, and how it may send to it.
//
//              probe <--------------------------- snapshot
//   one append,  |  ^        snapshot reported       ^
//   then wait    |  |                                | the log no longer holds
//                v  | rejection, unreachable         | what the follower needs
//            replicate ------------------------------+
//            a stream of appends, bounded by `inflights`

import { fail, invariant, type LogIndex, verify } from '../../base/index.ts';
import { Inflights } from './inflights.ts';

/** The states of a follower's progress, by the names that etcd prints. */
export const PROGRESS_STATES = {
  /** The follower's last index is not known: at most one append per heartbeat interval. */
  PROBE: 'StateProbe',
  /** The steady state: appends are sent without waiting for the answers to earlier ones. */
  REPLICATE: 'StateReplicate',
  /** The follower needs a snapshot; nothing else is sent until it is there or has failed. */
  SNAPSHOT: 'StateSnapshot',
} as const;

/** One of {@link PROGRESS_STATES}. */
export type ProgressState = (typeof PROGRESS_STATES)[keyof typeof PROGRESS_STATES];

const { PROBE, REPLICATE, SNAPSHOT } = PROGRESS_STATES;

export interface ProgressInit {
  readonly match: LogIndex;
  readonly next: LogIndex;
  readonly isLearner: boolean;
  readonly recentActive: boolean;
  readonly inflightCountMax: number;
  readonly inflightBytesMax: number;
}

/** What a leader knows of one member. */
export class Progress {
  /** The follower's log is known to equal the leader's up to here. */
  match: LogIndex;
  /**
   * The next entry to send. Invariant: match < next. Entries between the two are in flight. After a
   * snapshot was sent it is pendingSnapshot + 1; a stale rejection may lower it, which changes nothing.
   */
  next: LogIndex;
  /**
   * Highest commit index sent to the follower. Lowered by a rejection or a new probe, since the
   * message with it may be lost. While a snapshot is pending, it is pendingSnapshot.
   */
  #sentCommit: LogIndex = 0;
  state: ProgressState = PROBE;
  /**
   * Index of the snapshot that was sent; 0 unless one is pending. An acknowledgement that connects
   * the follower to the leader's log ends the wait even below this index, since snapshots may come
   * from elsewhere; a report of success makes this index the start of the next probe.
   */
  pendingSnapshot: LogIndex = 0;
  /**
   * Whether a message came from it since the last CheckQuorum. Always true of the leader.
   */
  recentActive: boolean;
  /**
   * No appends until a response of the follower: after a probe, and in `REPLICATE` with a full window.
   * A heartbeat response ends it too, so that there is always progress.
   */
  appendsPaused = false;
  isLearner: boolean;
  /** Appends in flight; freed by acknowledgements. Used in `REPLICATE` only. */
  inflights: Inflights;

  constructor(init: ProgressInit) {
    invariant(init.match < init.next, 'progress: match must be below next');
    this.match = init.match;
    this.next = init.next;
    this.recentActive = init.recentActive;
    this.isLearner = init.isLearner;
    this.inflights = new Inflights(init.inflightCountMax, init.inflightBytesMax);
  }

  /**
   * Starts over one after what is known to match, or after the pending snapshot if that is later.
   */
  becomeProbe(): void {
    const base = this.state === SNAPSHOT ? Math.max(this.match, this.pendingSnapshot) : this.match;
    this.#enter(PROBE);
    this.next = base + 1;
    this.#sentCommit = Math.min(this.#sentCommit, base);
    invariant(this.match < this.next, 'progress: match < next');
  }

  becomeReplicate(): void {
    this.#enter(REPLICATE);
    this.next = this.match + 1;
    invariant(this.inflights.count === 0, 'progress: a stream begins with nothing in flight');
  }

  /** A snapshot that ends at `index` has been sent. */
  becomeSnapshot(index: LogIndex): void {
    invariant(index > this.match, 'a snapshot is sent to a follower that lacks it');
    this.#enter(SNAPSHOT);
    this.pendingSnapshot = index;
    this.next = index + 1;
    this.#sentCommit = index;
  }

  /** Asserts what holds in each state. */
  check(): void {
    invariant(this.match < this.next, 'progress: match < next');
    invariant(
      this.state === SNAPSHOT || this.pendingSnapshot === 0,
      'progress: a snapshot is pending in SNAPSHOT only',
    );
    invariant(
      this.state === REPLICATE || this.inflights.count === 0,
      'progress: appends are in flight in REPLICATE only',
    );
  }

  /** Accounts for an append just sent with `count` entries, from `next` on, of `bytes` in all. */
  sentEntries(count: number, bytes: number): void {
    switch (this.state) {
      case REPLICATE:
        if (count > 0) {
          this.next += count;
          invariant(this.next > this.match + count, 'progress: what is sent is not known to match');
          this.inflights.add(this.next - 1, bytes);
        }
        // A full window pauses: this was its last message, or an empty append past it.
        this.appendsPaused = this.inflights.full();
        break;
      case PROBE:
        // As in etcd, an empty append does not pause.
        if (count > 0) this.appendsPaused = true;
        break;
      case SNAPSHOT:
        fail('an append was sent to a follower that waits for a snapshot');
    }
  }

  /**
   * Whether sending `commit` can move the follower's commit index: it is above what was sent, and what
   * was sent does not cover all entries sent to the follower.
   */
  canBumpCommit(commit: LogIndex): boolean {
    return commit > this.#sentCommit && this.#sentCommit < this.next - 1;
  }

  sentCommit(commit: LogIndex): void {
    this.#sentCommit = commit;
  }

  /** The follower acknowledged `index`. False if that was known already. */
  maybeUpdate(index: LogIndex): boolean {
    if (index <= this.match) return false;
    this.match = index;
    this.next = Math.max(this.next, index + 1);
    invariant(this.match < this.next, 'progress: match < next');
    this.appendsPaused = false;
    return true;
  }

  /**
   * The follower rejected an append at `rejected`; `hint` is the highest index at which the logs
   * may agree. False if the rejection is stale (reordered or duplicated), and nothing changes.
   */
  maybeDecreaseTo(rejected: LogIndex, hint: LogIndex): boolean {
    if (this.state === REPLICATE) {
      if (rejected <= this.match) return false;
      this.next = this.match + 1;
    } else {
      // Probes go one at a time: any rejection but that of the last one is stale.
      if (this.next - 1 !== rejected) return false;
      this.next = Math.max(Math.min(rejected, hint + 1), this.match + 1);
      this.appendsPaused = false;
    }
    this.#sentCommit = Math.min(this.#sentCommit, this.next - 1);
    invariant(this.match < this.next, 'progress: match < next');
    return true;
  }

  /** Whether no append may be sent now. */
  isPaused(): boolean {
    return this.state === SNAPSHOT || this.appendsPaused;
  }

  clone(): Progress {
    const copy = new Progress({
      match: this.match,
      next: this.next,
      isLearner: this.isLearner,
      recentActive: this.recentActive,
      inflightCountMax: this.inflights.countMax,
      inflightBytesMax: this.inflights.bytesMax,
    });
    copy.#sentCommit = this.#sentCommit;
    copy.state = this.state;
    copy.pendingSnapshot = this.pendingSnapshot;
    copy.appendsPaused = this.appendsPaused;
    copy.inflights = this.inflights.clone();
    if (verify.all) copy.check();
    return copy;
  }

  /** Such as `StateReplicate match=11 next=12 inflight=1`. */
  describe(): string {
    let text = `${this.state} match=${this.match} next=${this.next}`;
    if (this.isLearner) text += ' learner';
    if (this.isPaused()) text += ' paused';
    if (this.pendingSnapshot > 0) text += ` pendingSnap=${this.pendingSnapshot}`;
    if (!this.recentActive) text += ' inactive';
    if (this.inflights.count > 0) {
      text += ` inflight=${this.inflights.count}`;
      if (this.inflights.full()) text += '[full]';
    }
    return text;
  }

  #enter(state: ProgressState): void {
    this.appendsPaused = false;
    this.pendingSnapshot = 0;
    this.state = state;
    this.inflights.reset();
    invariant(!this.inflights.full(), 'progress: a new state begins with an open window');
  }
}
