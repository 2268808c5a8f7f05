// Brings the changes of one window to the watchers of one set, in slices: first every change is
// matched with the ranges that contain it, then every watcher is offered its batch; those of a stream
// that get the same are offered it together.

import { invariant, type Revision } from '../../base/index.ts';
import type { ReadView } from '../eval/range.ts';
import { EventBatch, type EventWindow, GroupEvents } from './event-batch.ts';
import type { WatchRange, WatchSet } from './watch-set.ts';
import {
  NO_DELETE,
  NO_PUT,
  VARIANTS,
  WATCHER_STATE,
  type Watcher,
  WITH_PREVIOUS,
} from './watcher.ts';

/** Takes watchers whose stream refused the batch. */
type Refused = (watcher: Watcher) => void;

/** One window at a time: `start`, then `step` until it says true. */
export class Dispatch {
  #window!: EventWindow;
  #set!: WatchSet;
  #revision: Revision = 0;
  #refused: Refused = () => {};
  #busy = false;

  /** Next change to match. */
  #matchAt = 0;
  readonly #found: WatchRange[] = [];
  /** Ranges with changes; those before `#rangeAt` are done. */
  #touched: WatchRange[] = [];
  #rangeAt = 0;
  #variant = 0;
  /** The current group: its changes, how many are encoded, its watchers, how many were offered. */
  #changes: number[] = [];
  #encoded = 0;
  #watchers: readonly Watcher[] = [];
  #offered = 0;
  #events: GroupEvents | undefined;
  /** The last watcher's batch: the next one's is mostly the same. */
  #batch: EventBatch | undefined;

  /** Whether a window is being dispatched. */
  get busy(): boolean {
    return this.#busy;
  }

  /** `revision` is for the headers of the responses. */
  start(window: EventWindow, set: WatchSet, revision: Revision, refused: Refused): void {
    invariant(!this.#busy, 'one window is dispatched before the next');
    this.#window = window;
    this.#set = set;
    this.#revision = revision;
    this.#refused = refused;
    this.#busy = true;
    this.#matchAt = 0;
    this.#touched = [];
    this.#rangeAt = 0;
    this.#variant = -1;
    this.#watchers = [];
    this.#offered = 0;
  }

  /** Handles about `budget` changes and watchers; true when every watcher was offered its batch. */
  step(view: ReadView, budget: number): boolean {
    invariant(this.#busy, 'a window is under way');
    let left = this.#match(budget);
    while (this.#matchAt === this.#window.size) {
      if (this.#offered === this.#watchers.length && !this.#nextGroup()) {
        this.#busy = false;
        return true;
      }
      left = this.#encode(view, left);
      left = this.#offer(left);
      if (left <= 0) return false;
    }
    return false;
  }

  /** Drops the current window, if any; its set must not be dispatched to again. */
  abandon(): void {
    this.#busy = false;
  }

  #match(budget: number): number {
    const { changes } = this.#window;
    const found = this.#found;
    let left = budget;
    for (; this.#matchAt < changes.length && left > 0; left--, this.#matchAt++) {
      found.length = 0;
      this.#set.match(changes[this.#matchAt]!.key, found);
      for (const range of found) {
        if (range.matched.length === 0) this.#touched.push(range);
        range.matched.push(this.#matchAt);
      }
    }
    return left;
  }

  /** Goes on to the next group that has watchers and changes for them; false if there is none. */
  #nextGroup(): boolean {
    for (; this.#rangeAt < this.#touched.length; this.#rangeAt++) {
      const range = this.#touched[this.#rangeAt]!;
      while (++this.#variant < VARIANTS) {
        if (range.groups[this.#variant]!.length === 0) continue;
        // A copy: a stream may be closed between two slices.
        const watchers = range.byStream(this.#variant);
        const changes = this.#wanted(range.matched, this.#variant);
        if (changes.length === 0) continue;
        this.#watchers = watchers;
        this.#offered = 0;
        this.#changes = changes;
        this.#encoded = 0;
        this.#events = undefined;
        this.#batch = undefined;
        return true;
      }
      this.#variant = -1;
      range.matched = [];
    }
    return false;
  }

  #wanted(matched: number[], variant: number): number[] {
    if ((variant & (NO_PUT | NO_DELETE)) === 0) return matched;
    const { changes } = this.#window;
    const noPut = (variant & NO_PUT) !== 0;
    const noDelete = (variant & NO_DELETE) !== 0;
    return matched.filter((at) => (changes[at]!.deletion ? !noDelete : !noPut));
  }

  #encode(view: ReadView, budget: number): number {
    const withPrevious = (this.#variant & WITH_PREVIOUS) !== 0;
    let left = budget;
    for (; this.#encoded < this.#changes.length && left > 0; left--) {
      this.#window.encode(this.#changes[this.#encoded++]!, withPrevious, view);
    }
    return left;
  }

  #offer(budget: number): number {
    if (this.#encoded < this.#changes.length) return 0;
    const watchers = this.#watchers;
    const end = Math.min(watchers.length, this.#offered + budget);
    const left = budget - (end - this.#offered);
    while (this.#offered < end) {
      const from = this.#offered;
      const watcher = watchers[from]!;
      if (!isListening(watcher)) {
        this.#offered++;
        continue;
      }
      const batch = this.#batchFor(watcher);
      const to = this.#endOfRun(from, end, batch);
      this.#offered = to;
      const taken =
        batch === undefined ? to : from + watcher.stream.sink.offer(watchers, from, to, batch);
      const nextRev = this.#window.lastMain + 1;
      for (let i = from; i < taken; i++) {
        if (watchers[i]!.minRev < nextRev) watchers[i]!.minRev = nextRev;
      }
      for (let i = taken; i < to; i++) {
        // A stream that broke while it took the batch may have been closed in the meantime.
        if (isListening(watchers[i]!)) this.#refused(watchers[i]!);
      }
    }
    return left;
  }

  /** Where the watchers end that share the stream and the batch of the one at `from`; at most `end`. */
  #endOfRun(from: number, end: number, batch: EventBatch | undefined): number {
    const watchers = this.#watchers;
    const { stream } = watchers[from]!;
    let to = from + 1;
    while (to < end) {
      const next = watchers[to]!;
      if (next.stream !== stream || !isListening(next) || this.#batchFor(next) !== batch) break;
      to++;
    }
    return to;
  }

  /** What is for a watcher: all events of its group, or fewer if it begins within the window. */
  #batchFor(watcher: Watcher): EventBatch | undefined {
    const withPrevious = (this.#variant & WITH_PREVIOUS) !== 0;
    this.#events ??= new GroupEvents(this.#window, this.#changes, withPrevious);
    const first = this.#events.countBefore(watcher.minRev);
    if (first === this.#changes.length) return undefined;
    if (this.#batch?.first !== first) {
      this.#batch = new EventBatch(this.#revision, this.#events, first);
    }
    return this.#batch;
  }
}

function isListening({ state }: Watcher): boolean {
  return state === WATCHER_STATE.SYNCED || state === WATCHER_STATE.PASSING;
}
