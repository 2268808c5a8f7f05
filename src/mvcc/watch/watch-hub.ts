// All watchers of a member: who gets which events, when, and who has to catch up.
//
//            notify                    a pass over the store
//   SYNCED ----------> streams      WAITING --> PASSING --> streams
//     |  stream full                   ^           | at the current revision: SYNCED
//     +--------------> BLOCKED --------+           | stream full: BLOCKED
//                        resume                    | revision compacted: COMPACTED
//
// Order: a watcher is offered the changes of whole revisions, in revision order, each once. While it
// is synced that happens in `notify`; a revision that it does not take, and all later ones, it gets
// from the store in a pass, once its stream says `resume`. A pass reads windows of rows for all
// watchers that wait, shared, and ends at the current revision, where they are synced in the same
// turn: no revision can come in between.
//
// Memory: the hub keeps nothing for a watcher that is behind but the revision where it continues, and for
// all of them together the newest changes, which most of them lack. A pass holds one window (see
// limits.ts); what streams took is bounded by the streams.
//
// Progress: `progressRev` names a revision only for watchers that are synced. All events up to it
// were taken by the stream before, so a response that the stream queues now is never ahead of events.

import { invariant, type Revision } from '../../base/index.ts';
import { FROM_KEY, SINGLE_KEY } from '../eval/key-range.ts';
import type { ReadView } from '../eval/range.ts';
import type { ChangeList } from '../index/change-list.ts';
import {
  WATCH_PASS_LOOKS_MAX,
  WATCH_PASS_OTHERS_MAX,
  WATCH_PASS_WATCHERS_MAX,
  WATCH_WINDOW_BYTES_MAX,
  WATCH_WINDOW_CHANGES_MAX,
} from '../limits.ts';
import {
  READ_STATE,
  RowReaderOfAll,
  RowReaderOfKey,
  type RowSource,
  type WindowBounds,
  type WindowReader,
} from './catch-up.ts';
import { Dispatch } from './dispatch.ts';
import { EventWindow } from './event-batch.ts';
import { RecentChanges, RecentReader } from './recent-changes.ts';
import { WatchSet } from './watch-set.ts';
import { WATCHER_STATE, Watcher, type WatchOptions, type WatchStream } from './watcher.ts';

const BOUNDS: WindowBounds = {
  changesMax: WATCH_WINDOW_CHANGES_MAX,
  bytesMax: WATCH_WINDOW_BYTES_MAX,
};

/** Answer of {@link WatchHub.watch}: a watcher, or why there is none. */
type WatchAnswer =
  | { readonly ok: true; readonly watcher: Watcher }
  | { readonly ok: false; readonly reason: 'empty range' | 'duplicate id' };

/** Watchers that catch up together. */
interface Pass {
  readonly set: WatchSet;
  readonly watchers: Set<Watcher>;
  readonly reader: WindowReader;
  /** The window that is read or dispatched. */
  window: EventWindow;
  atEnd: boolean;
}

export class WatchHub {
  /** Newest revision that synced watchers were notified of. */
  currentRev: Revision;

  readonly #synced = new WatchSet();
  readonly #syncedWatchers = new Set<Watcher>();
  readonly #waiting = new Set<Watcher>();
  readonly #blocked = new Set<Watcher>();
  #pass: Pass | undefined;
  readonly #recent = new RecentChanges();
  readonly #notifyDispatch = new Dispatch();
  readonly #passDispatch = new Dispatch();

  constructor(currentRev: Revision) {
    this.currentRev = currentRev;
  }

  /** Watchers that see events as they happen, and those that are behind. */
  get syncedCount(): number {
    return this.#synced.size;
  }

  get unsyncedCount(): number {
    return this.#waiting.size + this.#blocked.size + (this.#pass?.watchers.size ?? 0);
  }

  /** Whether {@link catchUp} has something to do. */
  get hasCatchUp(): boolean {
    return this.#waiting.size > 0 || this.#pass !== undefined;
  }

  /**
   * Adds a watcher to a stream. An id of 0 lets the hub choose the smallest free one in sequence, as
   * etcd does. The reason of a refusal is the server's to word.
   */
  watch(stream: WatchStream, id: bigint, options: WatchOptions): WatchAnswer {
    const { key, rangeEnd, startRev } = options;
    invariant(!stream.closed, 'a closed stream takes no watcher');
    invariant(key.length > 0 && startRev >= 0, 'the server checked the request');
    if (rangeEnd !== SINGLE_KEY && rangeEnd !== FROM_KEY && rangeEnd <= key) {
      return { ok: false, reason: 'empty range' };
    }
    let chosen = id;
    if (id === 0n) {
      while (stream.watchers.has(stream.nextId)) stream.nextId++;
      chosen = stream.nextId++;
    } else if (stream.watchers.has(id)) {
      return { ok: false, reason: 'duplicate id' };
    }
    const watcher = new Watcher(stream, chosen, options, Math.max(startRev, 1));
    stream.watchers.set(chosen, watcher);
    if (startRev === 0 || startRev > this.currentRev) this.#becomeSynced(watcher);
    else this.#becomeWaiting(watcher);
    return { ok: true, watcher };
  }

  /** Removes a watcher; false if the stream has none of this id. */
  cancel(stream: WatchStream, id: bigint): boolean {
    const watcher = stream.watchers.get(id);
    if (watcher === undefined) return false;
    stream.watchers.delete(id);
    this.#leave(watcher);
    watcher.state = WATCHER_STATE.CANCELED;
    return true;
  }

  /** Removes a stream with all its watchers. */
  close(stream: WatchStream): void {
    stream.closed = true;
    for (const id of [...stream.watchers.keys()]) this.cancel(stream, id);
  }

  /**
   * Tells the synced watchers of a revision that just became current; the view is the store as of
   * it. A revision of many changes is left to the next passes, so that this never takes long.
   */
  notify(view: ReadView, main: Revision, changes: ChangeList): void {
    if (!changes.isWhole) {
      this.leaveToPasses(main);
      return;
    }
    const window = new EventWindow();
    window.addChanges(main, changes);
    this.notifyWindow(view, window);
  }

  /**
   * {@link notify} for one or several whole revisions at once: each watcher is offered all that is
   * for it in one batch. The view is the store as of the last one.
   */
  notifyWindow(view: ReadView, window: EventWindow): void {
    const firstMain = window.changes[0]?.main;
    invariant(firstMain !== undefined && firstMain > this.currentRev, 'revisions come in order');
    const before = this.currentRev;
    this.currentRev = window.lastMain;
    if (this.#synced.size > 0) {
      const dispatch = this.#notifyDispatch;
      dispatch.start(window, this.#synced, this.currentRev, (watcher) =>
        this.#block(watcher, firstMain),
      );
      while (!dispatch.step(view, Number.MAX_SAFE_INTEGER));
    }
    if (this.unsyncedCount > 0) this.#recent.add(before, window);
    else this.#recent.clear();
  }

  /** Takes note of a revision that watchers get from the store: of too many changes, or none is synced. */
  leaveToPasses(main: Revision): void {
    invariant(main > this.currentRev, 'revisions come in order');
    if (this.syncedCount > 0) this.#letWait();
    this.currentRev = main;
    this.#recent.clear();
  }

  /** Synced watchers wait for the next pass, from the revision after the current one on. */
  #letWait(): void {
    for (const watcher of [...this.#syncedWatchers]) {
      watcher.minRev = Math.max(watcher.minRev, this.currentRev + 1);
      this.#leave(watcher);
      this.#becomeWaiting(watcher);
    }
  }

  /**
   * The store was replaced (a snapshot was installed) by one that has the same history and perhaps
   * more: every watcher gets what it has not seen from the new one. Those that wait for a
   * future revision keep waiting; no watcher is synced, hence gets progress, before a pass.
   */
  restore(currentRev: Revision): void {
    const before = this.currentRev;
    invariant(currentRev >= before, 'a store is replaced by one that is not older');
    this.#endPass(WATCHER_STATE.WAITING);
    this.#letWait();
    this.currentRev = currentRev;
    this.#recent.clear();
  }

  /** The stream has room again: its blocked watchers go on. */
  resume(stream: WatchStream): void {
    if (this.#blocked.size === 0) return;
    for (const watcher of stream.watchers.values()) {
      if (watcher.state !== WATCHER_STATE.BLOCKED) continue;
      this.#leave(watcher);
      this.#becomeWaiting(watcher);
    }
  }

  /**
   * The revision up to which all these watchers have seen everything, for a progress response; it
   * must be queued behind what the stream took. Undefined if one of them is behind, or asked for a
   * start in the future: then there is no response.
   */
  progressRev(watchers: Iterable<Watcher>): Revision | undefined {
    for (const watcher of watchers) {
      if (watcher.state !== WATCHER_STATE.SYNCED) return undefined;
      if (this.currentRev < watcher.startRev) return undefined;
    }
    return this.currentRev;
  }

  /**
   * Brings watchers that are behind further, about `budget` rows, events and watchers; true when
   * there is nothing more to do now. The view is the store as of {@link currentRev}.
   */
  catchUp(view: ReadView, rows: RowSource, budget: number): boolean {
    invariant(view.currentRev === this.currentRev, 'passes end at the revision that was notified');
    if (this.#pass === undefined && !this.#beginPass(view)) return true;
    const pass = this.#pass;
    if (pass === undefined) return false;
    if (this.#passDispatch.busy) {
      if (this.#passDispatch.step(view, budget)) this.#windowDone(pass);
      return !this.hasCatchUp;
    }
    // All watchers left, or what the window still lacks may be gone by now.
    if (pass.watchers.size === 0 || !pass.reader.canGoOn(view)) {
      this.#endPass(WATCHER_STATE.WAITING);
      return !this.hasCatchUp;
    }
    const state = pass.reader.read(view, rows, pass.set, pass.window, budget);
    if (state !== READ_STATE.UNDER_WAY) {
      pass.atEnd = state === READ_STATE.END;
      this.#passDispatch.start(pass.window, pass.set, this.currentRev, (watcher) =>
        this.#block(watcher, watcher.minRev),
      );
      if (this.#passDispatch.step(view, budget)) this.#windowDone(pass);
    }
    return !this.hasCatchUp;
  }

  /** Chooses watchers for a pass; false if none waits. It may find none yet. */
  #beginPass(view: ReadView): boolean {
    const chosen = new Set<Watcher>();
    let first: Watcher | undefined;
    let fromMain = Number.POSITIVE_INFINITY;
    let looks = 0;
    let others = 0;
    let isRecent = false;
    for (const watcher of this.#waiting) {
      if (chosen.size === WATCH_PASS_WATCHERS_MAX || ++looks > WATCH_PASS_LOOKS_MAX) break;
      if (watcher.minRev < view.compactedRev) {
        this.#waiting.delete(watcher);
        watcher.state = WATCHER_STATE.COMPACTED;
        watcher.stream.sink.compacted(watcher, view.compactedRev);
        continue;
      }
      if (watcher.minRev > this.currentRev) {
        this.#waiting.delete(watcher);
        this.#becomeSynced(watcher);
        continue;
      }
      first ??= watcher;
      if (isRecent || this.#isRecent(first)) {
        // Those that lack recent changes only go together, whatever they watch.
        isRecent = true;
        if (!this.#isRecent(watcher)) continue;
      } else if (!mayReadTogether(first, watcher)) {
        if (first.rangeEnd === SINGLE_KEY && ++others > WATCH_PASS_OTHERS_MAX) break;
        continue;
      }
      others = 0;
      chosen.add(watcher);
      fromMain = Math.min(fromMain, watcher.minRev);
    }
    if (first === undefined) return this.#waiting.size > 0;
    const reader = isRecent
      ? new RecentReader(this.#recent, fromMain, BOUNDS)
      : readerOfRows(first, fromMain);
    const set = new WatchSet();
    this.#pass = { set, watchers: chosen, reader, window: new EventWindow(), atEnd: false };
    for (const watcher of chosen) {
      this.#waiting.delete(watcher);
      watcher.state = WATCHER_STATE.PASSING;
      set.add(watcher);
    }
    return true;
  }

  #isRecent({ minRev }: Watcher): boolean {
    return this.#recent.hasFrom(minRev, this.currentRev);
  }

  /** A window was dispatched: its watchers have seen everything before the reader's place. */
  #windowDone(pass: Pass): void {
    const { nextMain } = pass.reader;
    for (const watcher of pass.watchers) {
      if (watcher.minRev < nextMain) watcher.minRev = nextMain;
    }
    pass.window = new EventWindow();
    // Revisions may have come while the window was dispatched.
    if (pass.watchers.size === 0) this.#pass = undefined;
    else if (pass.atEnd && nextMain > this.currentRev) this.#endPass(WATCHER_STATE.SYNCED);
  }

  #endPass(state: typeof WATCHER_STATE.SYNCED | typeof WATCHER_STATE.WAITING): void {
    const pass = this.#pass;
    if (pass === undefined) return;
    this.#pass = undefined;
    this.#passDispatch.abandon();
    for (const watcher of pass.watchers) {
      pass.set.remove(watcher);
      if (state === WATCHER_STATE.SYNCED) this.#becomeSynced(watcher);
      else this.#becomeWaiting(watcher);
    }
  }

  /** A stream did not take what happened from `minRev` on. */
  #block(watcher: Watcher, minRev: Revision): void {
    this.#leave(watcher);
    watcher.minRev = Math.max(watcher.minRev, minRev);
    watcher.state = WATCHER_STATE.BLOCKED;
    this.#blocked.add(watcher);
  }

  #becomeSynced(watcher: Watcher): void {
    watcher.minRev = Math.max(watcher.minRev, this.currentRev + 1);
    watcher.state = WATCHER_STATE.SYNCED;
    this.#synced.add(watcher);
    this.#syncedWatchers.add(watcher);
  }

  #becomeWaiting(watcher: Watcher): void {
    watcher.state = WATCHER_STATE.WAITING;
    this.#waiting.add(watcher);
  }

  /** Removes a watcher from its set or queue. */
  #leave(watcher: Watcher): void {
    switch (watcher.state) {
      case WATCHER_STATE.SYNCED:
        this.#synced.remove(watcher);
        this.#syncedWatchers.delete(watcher);
        break;
      case WATCHER_STATE.WAITING:
        this.#waiting.delete(watcher);
        break;
      case WATCHER_STATE.PASSING:
        this.#pass!.set.remove(watcher);
        this.#pass!.watchers.delete(watcher);
        break;
      case WATCHER_STATE.BLOCKED:
        this.#blocked.delete(watcher);
        break;
      case WATCHER_STATE.COMPACTED:
      case WATCHER_STATE.CANCELED:
        break;
    }
  }

  /** Violations of the hub's rules. */
  check(): string[] {
    const wrong = this.#synced.check();
    const groups: [ReadonlySet<Watcher>, number, string][] = [
      [this.#syncedWatchers, WATCHER_STATE.SYNCED, 'synced'],
      [this.#waiting, WATCHER_STATE.WAITING, 'waiting'],
      [this.#blocked, WATCHER_STATE.BLOCKED, 'blocked'],
      [this.#pass?.watchers ?? new Set(), WATCHER_STATE.PASSING, 'passing'],
    ];
    for (const [watchers, state, name] of groups) {
      for (const watcher of watchers) {
        if (watcher.state !== state) wrong.push(`watcher ${watcher.id} is not ${name}`);
        if (state === WATCHER_STATE.SYNCED && watcher.minRev <= 0) wrong.push('no minRev');
      }
    }
    if (this.#syncedWatchers.size !== this.#synced.size) wrong.push('synced watchers miscounted');
    return wrong;
  }
}

/**
 * Watchers of one single key read together, through the index, if not many others are between them; watchers
 * of ranges, through the rows of the store.
 */
function mayReadTogether(first: Watcher, other: Watcher): boolean {
  if (first.rangeEnd !== SINGLE_KEY) return other.rangeEnd !== SINGLE_KEY;
  return first.key === other.key && first.rangeEnd === other.rangeEnd;
}

function readerOfRows({ key, rangeEnd }: Watcher, fromMain: Revision): WindowReader {
  return rangeEnd === SINGLE_KEY
    ? new RowReaderOfKey(key, fromMain, BOUNDS)
    : new RowReaderOfAll(fromMain, BOUNDS);
}
