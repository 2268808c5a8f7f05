// Drives the watch hub: passes it new revisions, and lets it catch up unsynced watchers, in slices.
//
// Revisions of one turn are sent together: a watcher gets their events in one response, which costs
// little more than a single event. Any other use of the hub first flushes the pending revisions (the
// getter `hub` does), so that nothing overtakes events.

import { ERROR_CODES, invariant, type Revision, Slices, TetcdError } from '../../base/index.ts';
import type { Env } from '../../env/index.ts';
import {
  type ChangeList,
  EventWindow,
  WATCH_NOTIFY_CHANGES_MAX,
  WatchHub,
  type WatchStream,
} from '../../mvcc/index.ts';
import type { Backend } from '../backend/backend.ts';
import { WATCH_CATCH_UP_BUDGET } from '../limits.ts';
import type { KvStore } from './kv-store.ts';
import type { SendTimes } from './send-times.ts';

export class WatchFeed {
  readonly #hub: WatchHub;
  /** Streams count here what they are sent. */
  readonly sends: SendTimes;
  readonly #onFailure: (error: unknown) => void;
  readonly #env: Env;
  #backend: Backend;
  #kv: KvStore;
  /** Revisions not passed to the hub yet; bounded by WATCH_NOTIFY_CHANGES_MAX changes. */
  #pending: EventWindow | undefined;
  #catchingUp = false;
  #stopped = false;

  /** `onFailure` is called if the store cannot be read: the member must stop. */
  constructor(
    env: Env,
    backend: Backend,
    kv: KvStore,
    sends: SendTimes,
    onFailure: (error: unknown) => void,
  ) {
    this.sends = sends;
    this.#onFailure = onFailure;
    this.#env = env;
    this.#backend = backend;
    this.#kv = kv;
    this.#hub = new WatchHub(kv.currentRev);
  }

  /** The hub, up to date with the current revision. */
  get hub(): WatchHub {
    this.flush();
    return this.#hub;
  }

  /** A revision has become current. Watchers get it at the latest at the next {@link flush}. */
  notify(revision: Revision, changes: ChangeList): void {
    if (this.#hasNoWatcher || !changes.isWhole) {
      this.#flushBefore();
      this.#hub.leaveToPasses(revision);
      this.schedule();
      return;
    }
    this.#pending ??= new EventWindow();
    this.#pending.addChanges(revision, changes);
    if (this.#pending.size >= WATCH_NOTIFY_CHANGES_MAX) this.flush();
  }

  /** Then a revision need not be remembered. */
  get #hasNoWatcher(): boolean {
    if (this.#pending !== undefined) return false;
    return this.#hub.syncedCount === 0 && this.#hub.unsyncedCount === 0;
  }

  /** Passes pending revisions to the hub; called when the entries of a turn have been applied. */
  flush(): void {
    if (this.#pending === undefined) return;
    this.#flushBefore();
    this.schedule();
  }

  #flushBefore(): void {
    const window = this.#pending;
    if (window === undefined) return;
    this.#pending = undefined;
    if (this.#hub.syncedCount === 0) this.#hub.notifyWindow(this.#kv, window);
    else this.sends.measure(() => this.#hub.notifyWindow(this.#kv, window));
  }

  /** The stream has room again. */
  resume(stream: WatchStream): void {
    this.hub.resume(stream);
    this.schedule();
  }

  /** Whether watchers are catching up. */
  get isBehind(): boolean {
    return this.#hub.hasCatchUp;
  }

  /** Schedules the catch-up of unsynced watchers. */
  schedule(): void {
    if (this.#catchingUp || this.#stopped || !this.#hub.hasCatchUp) return;
    this.#catchingUp = true;
    this.#catchUp().catch(this.#onFailure);
  }

  /**
   * Another store replaces this one (a snapshot was installed); in the same turn nothing is applied to the
   * old one any more. Watchers get pending events from the old store, and later ones from the rows of the
   * new one; a watcher whose next revision is compacted there is cancelled. CORRUPT, and nothing has
   * changed, if the new store is older than what watchers were sent.
   */
  rehome(backend: Backend, kv: KvStore): void {
    if (kv.currentRev < this.#kv.currentRev) {
      throw new TetcdError(
        ERROR_CODES.CORRUPT,
        `${backend.database.path} is at revision ${kv.currentRev}, but the store that it is to ` +
          `replace is at ${this.#kv.currentRev} already`,
      );
    }
    this.#flushBefore();
    invariant(this.#hub.currentRev === this.#kv.currentRev, 'the hub knows all of the old store');
    this.#backend = backend;
    this.#kv = kv;
    this.#hub.restore(kv.currentRev);
    this.schedule();
  }

  stop(): void {
    this.#stopped = true;
  }

  async #catchUp(): Promise<void> {
    // In a later turn, so that a new watcher's `created` response comes first.
    const slices = new Slices(this.#env);
    await slices.next();
    const step = (): boolean => this.#hub.catchUp(this.#kv, this.#backend, WATCH_CATCH_UP_BUDGET);
    while (!this.#stopped) {
      // Tombstones that are still to be written are events; what is behind waits for them.
      if (this.#kv.deletion.isUnderWay) {
        await this.#kv.deletion.whenDone();
        slices.restart();
        continue;
      }
      this.flush();
      if (this.sends.measure(step)) break;
      if (slices.isOver) await slices.next();
    }
    this.#catchingUp = false;
  }
}
