// The newest changes, kept while watchers are behind: those that missed no more get them from here, whatever
// they watch, in one pass, with each event encoded once. What is older they read from the store.
//
//     revisions   lostMain | kept ............. newest
//                   not here ^ oldest

import type { Revision } from '../../base/index.ts';
import type { ReadView } from '../eval/range.ts';
import { WATCH_RECENT_BYTES_MAX, WATCH_RECENT_CHANGES_MAX } from '../limits.ts';
import {
  isFull,
  READ_STATE,
  type ReadState,
  type RowSource,
  type WindowBounds,
  type WindowReader,
} from './catch-up.ts';
import type { Change, EventWindow } from './event-batch.ts';
import type { WatchSet } from './watch-set.ts';

export class RecentChanges {
  /** In order; those before `#oldest` are dropped. */
  #changes: Change[] = [];
  #oldest = 0;
  #bytes = 0;
  /** Changes of this revision, or of those before it, are not all here. */
  #lostMain: Revision = 0;
  /** All changes of the revisions behind `#lostMain` up to this one are here. */
  #newestMain: Revision = -1;

  /** Adds the changes of the revisions behind `before`, which was the newest one. */
  add(before: Revision, window: EventWindow): void {
    if (this.#newestMain !== before) {
      this.clear();
      this.#lostMain = before;
    }
    this.#newestMain = window.lastMain;
    for (const change of window.changes) this.#changes.push(change);
    this.#bytes += window.byteCount;
    while (
      this.#changes.length - this.#oldest > WATCH_RECENT_CHANGES_MAX ||
      this.#bytes > WATCH_RECENT_BYTES_MAX
    ) {
      const { main, length } = this.#changes[this.#oldest++]!;
      this.#lostMain = main;
      this.#bytes -= length;
    }
    // No more are referred to after they are dropped than are kept.
    if (this.#oldest * 2 <= this.#changes.length) return;
    this.#changes = this.#changes.slice(this.#oldest);
    this.#oldest = 0;
  }

  /** Drops all: watchers read what they lack from the store. */
  clear(): void {
    if (this.#newestMain < 0) return;
    this.#changes = [];
    this.#oldest = 0;
    this.#bytes = 0;
    this.#newestMain = -1;
  }

  /** Whether all changes from a revision on, up to the current one, are here. */
  hasFrom(main: Revision, currentRev: Revision): boolean {
    return this.#newestMain === currentRev && main > this.#lostMain;
  }

  /**
   * Adds changes from a revision on to the window, whole revisions, until it is full. Returns the revision
   * behind them; Infinity if there are no more.
   */
  addTo(window: EventWindow, from: Revision, bounds: WindowBounds): Revision {
    const changes = this.#changes;
    let at = this.#indexOf(from);
    for (let main = from; at < changes.length; at++) {
      const change = changes[at]!;
      if (change.main > main && isFull(window, bounds)) return change.main;
      main = change.main;
      window.add(change);
    }
    return Number.POSITIVE_INFINITY;
  }

  /** Where the changes of a revision and those behind it begin. */
  #indexOf(main: Revision): number {
    let low = this.#oldest;
    let high = this.#changes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#changes[middle]!.main < main) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Takes what is to be read from the recent changes. */
export class RecentReader implements WindowReader {
  nextMain: Revision;
  readonly #recent: RecentChanges;
  readonly #bounds: WindowBounds;

  constructor(recent: RecentChanges, fromMain: Revision, bounds: WindowBounds) {
    this.#recent = recent;
    this.nextMain = fromMain;
    this.#bounds = bounds;
  }

  canGoOn({ currentRev }: ReadView): boolean {
    return this.nextMain > currentRev || this.#recent.hasFrom(this.nextMain, currentRev);
  }

  read(view: ReadView, _rows: RowSource, _set: WatchSet, window: EventWindow): ReadState {
    const next = this.#recent.addTo(window, this.nextMain, this.#bounds);
    this.nextMain = Math.min(next, view.currentRev + 1);
    return next === Number.POSITIVE_INFINITY ? READ_STATE.END : READ_STATE.FULL;
  }
}
