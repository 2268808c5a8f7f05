// One watch at the cluster, and all watchers that live on it.

import { EMPTY_BYTES, invariant } from '../../base/index.ts';
import type { ProxyMetrics } from '../metrics.ts';
import { EventRun } from './event-run.ts';
import { RecentRuns } from './recent-runs.ts';
import type { WatchFrame } from './watch-frame.ts';
import type { WatchRange } from './watch-range.ts';
import { type Cancellation, WATCHER_STATE, type Watcher } from './watcher.ts';

type WatchMetrics = Pick<ProxyMetrics, 'recentBytes' | 'eventsCoalescing'>;

export class UpstreamWatch {
  readonly range: WatchRange;
  /** Where it begins; 0: at the revision after that of the answer to its creation. */
  readonly startRevision: number;
  /** Its id on the stream to the cluster, while a request with it is under way or it is open there. */
  id = 0;
  /** Whether it has been opened once: it has a position then, which outlives its stream. */
  isOpen = false;
  /** It has had all events before this revision. */
  nextRevision: number;
  readonly recent: RecentRuns;
  readonly #metrics: WatchMetrics;
  readonly #attached: Watcher[] = [];
  /** Events of a revision that the rest of is to come in the next response. */
  #incomplete: Uint8Array = EMPTY_BYTES;
  /** Members that are not attached. */
  readonly #others = new Set<Watcher>();

  constructor(range: WatchRange, startRevision: number, metrics: WatchMetrics) {
    this.range = range;
    this.startRevision = startRevision;
    this.nextRevision = startRevision;
    this.recent = new RecentRuns(metrics.recentBytes);
    this.#metrics = metrics;
  }

  get isEmpty(): boolean {
    return this.#attached.length === 0 && this.#others.size === 0;
  }

  get attachedCount(): number {
    return this.#attached.length;
  }

  /** Whether a watcher that needs all events from `revision` on may live here. */
  covers(revision: number): boolean {
    if (this.isOpen) return this.recent.from <= revision;
    return this.startRevision !== 0 && this.startRevision <= revision;
  }

  // --- Members -----------------------------------------------------------------------------------

  /** Takes a watcher in that {@link covers} its next revision. */
  add(watcher: Watcher): void {
    watcher.watch = this;
    this.#others.add(watcher);
  }

  /** Takes a watcher out. The caller closes a watch that is empty. */
  remove(watcher: Watcher): void {
    if (watcher.state === WATCHER_STATE.ATTACHED) this.#detach(watcher);
    else this.#others.delete(watcher);
    watcher.watch = undefined;
  }

  /** Gives a lagging watcher what it lacks; attaches it, unless its client is full before. */
  resume(watcher: Watcher): void {
    invariant(watcher.state === WATCHER_STATE.LAGGING, 'who is resumed has lagged');
    const { owner } = watcher;
    this.recent.replay(watcher.nextRevision, (run) => {
      if (owner.full) return false;
      this.#give(watcher, run);
      return true;
    });
    if (owner.full) {
      owner.onLagging(watcher);
      return;
    }
    this.#others.delete(watcher);
    watcher.state = WATCHER_STATE.ATTACHED;
    watcher.slot = this.#attached.push(watcher) - 1;
  }

  /** Moves all members that can live on `other`, which covers our position, there. */
  moveTo(other: UpstreamWatch): void {
    for (const watcher of [...this.#attached]) {
      this.#settle(watcher);
      this.remove(watcher);
      watcher.state = WATCHER_STATE.LAGGING;
      other.add(watcher);
      other.resume(watcher);
    }
    for (const watcher of [...this.#others]) {
      if (watcher.state === WATCHER_STATE.CREATING || !other.covers(watcher.nextRevision)) continue;
      this.remove(watcher);
      other.add(watcher);
    }
  }

  #detach(watcher: Watcher): void {
    const last = this.#attached.pop()!;
    if (last !== watcher) {
      this.#attached[watcher.slot] = last;
      last.slot = watcher.slot;
    }
    watcher.slot = -1;
  }

  /** An attached watcher has had what its watch has had. */
  #settle(watcher: Watcher): void {
    if (watcher.nextRevision < this.nextRevision) watcher.nextRevision = this.nextRevision;
  }

  #give(watcher: Watcher, run: EventRun): void {
    if (run.lastRevision < watcher.nextRevision) return;
    watcher.owner.sendRun(watcher, run);
    watcher.nextRevision = run.lastRevision + 1;
  }

  // --- From the cluster --------------------------------------------------------------------------

  /** The watch is open; again, after its stream was lost. */
  onOpen(frame: WatchFrame): void {
    this.#incomplete = EMPTY_BYTES;
    if (this.isOpen) return;
    this.isOpen = true;
    if (this.startRevision === 0) this.nextRevision = frame.revision + 1;
    this.recent.from = this.nextRevision;
    for (const watcher of [...this.#others]) {
      if (watcher.state === WATCHER_STATE.CREATING) this.ready(watcher, frame.header);
      else if (watcher.state === WATCHER_STATE.LAGGING && !watcher.owner.full) this.resume(watcher);
    }
  }

  /** Tells a member that this watch is open, whose header is that of the answer. */
  ready(watcher: Watcher, header: Uint8Array): void {
    if (watcher.nextRevision === 0) watcher.nextRevision = this.nextRevision;
    watcher.state = WATCHER_STATE.READY;
    watcher.header = header;
    watcher.owner.onReady();
  }

  /**
   * Events, as fields of a response that may have more to come. Watchers get whole revisions, whether
   * they take fragments or not.
   */
  onEvents({ header, events, fragment }: WatchFrame): void {
    const all = this.#incomplete.length === 0 ? events : Buffer.concat([this.#incomplete, events]);
    const run = new EventRun(header, all);
    const end = fragment ? run.lastRevisionStart : all.length;
    this.#incomplete = all.subarray(end);
    if (end === all.length) this.#spread(run);
    else if (end > 0) this.#spread(new EventRun(header, all.subarray(0, end)));
  }

  #spread(run: EventRun): void {
    // Sent again by a proxy in between, after its own stream was lost.
    if (run.lastRevision < this.nextRevision) return;
    this.#metrics.eventsCoalescing.value += Math.max(0, this.#attached.length - 1);
    // From the end: one that is full is replaced by the last one, which has had the run.
    for (let i = this.#attached.length - 1; i >= 0; i--) {
      const watcher = this.#attached[i];
      // Ended by a response to another one.
      if (watcher === undefined) continue;
      if (watcher.owner.full) this.#lag(watcher);
      else this.#give(watcher, run);
    }
    this.recent.add(run);
    this.nextRevision = run.lastRevision + 1;
    if (this.#attached.length === 0 && !this.#isNeeded()) this.#abandon();
  }

  /** Whether somebody who lags can still be caught up from here. */
  #isNeeded(): boolean {
    for (const { state, nextRevision } of this.#others) {
      if (state !== WATCHER_STATE.LAGGING || this.recent.from <= nextRevision) return true;
    }
    return false;
  }

  /** All lag too far behind: each goes on from where it is, once its client reads. */
  #abandon(): void {
    const members = [...this.#others];
    for (const watcher of members) this.range.remove(watcher);
  }

  #lag(watcher: Watcher): void {
    this.#settle(watcher);
    this.#detach(watcher);
    watcher.state = WATCHER_STATE.LAGGING;
    this.#others.add(watcher);
    watcher.owner.onLagging(watcher);
  }

  /** There were no events up to the frame's revision. */
  onProgress(frame: WatchFrame): void {
    this.nextRevision = Math.max(this.nextRevision, frame.revision + 1);
    for (let i = this.#attached.length - 1; i >= 0; i--) {
      const watcher = this.#attached[i];
      if (watcher?.progressNotify === true && !watcher.owner.full) {
        watcher.owner.sendProgress(watcher, frame.header);
      }
    }
  }

  /**
   * The cluster has ended the watch, or has refused it: its members are told, but for those that a
   * compaction does not concern, who go on elsewhere.
   */
  onCanceled(cancellation: Cancellation): void {
    const { compactRevision } = cancellation;
    for (const watcher of [...this.#attached, ...this.#others]) {
      if (watcher.state === WATCHER_STATE.ATTACHED) this.#settle(watcher);
      this.remove(watcher);
      const mayGoOn = compactRevision > 0 && watcher.nextRevision > compactRevision;
      if (mayGoOn && watcher.state >= WATCHER_STATE.LAGGING) {
        watcher.state = WATCHER_STATE.LAGGING;
        watcher.range.resume(watcher);
      } else watcher.owner.onCanceled(watcher, cancellation);
    }
  }
}
