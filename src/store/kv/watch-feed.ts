// Drives the watch hub: tells it what happens, and lets it catch up watchers that are behind, in
// slices, between the turns' other work.
//
// Revisions of one turn are sent together: a watcher gets their events in one response, which costs
// little more than a single event. Whoever asks the hub for anything else first has it told what is
// pending (`hub` sees to that), so that nothing overtakes events.

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

export class WatchFeed {
  readonly #hub: WatchHub;
  readonly #onFailure: (error: unknown) => void;
  readonly #env: Env;
  #backend: Backend;
  #kv: KvStore;
  /** Revisions that the hub has not been told of; bounded by WATCH_NOTIFY_CHANGES_MAX changes. */
  #pending: EventWindow | undefined;
  #catchingUp = false;
  #stopped = false;

  /** `onFailure` is called if the store cannot be read: the member must stop. */
  constructor(env: Env, backend: Backend, kv: KvStore, onFailure: (error: unknown) => void) {
    this.#onFailure = onFailure;
    this.#env = env;
    this.#backend = backend;
    this.#kv = kv;
    this.#hub = new WatchHub(kv.currentRev);
  }

  /** The hub, told of everything up to the current revision. */
  get hub(): WatchHub {
    this.flush();
    return this.#hub;
  }

  /** A revision has become current. Watchers get it at the latest at the next {@link flush}. */
  notify(revision: Revision, changes: ChangeList): void {
    if (changes.size > WATCH_NOTIFY_CHANGES_MAX) {
      this.#flushBefore();
      this.#hub.leaveToPasses(revision);
      this.schedule();
      return;
    }
    this.#pending ??= new EventWindow();
    this.#pending.addChanges(revision, changes);
    if (this.#pending.size >= WATCH_NOTIFY_CHANGES_MAX) this.flush();
  }

  /** Tells the hub what is pending; called when the entries of a turn have been applied. */
  flush(): void {
    if (this.#pending === undefined) return;
    this.#flushBefore();
    this.schedule();
  }

  #flushBefore(): void {
    const window = this.#pending;
    if (window === undefined) return;
    this.#pending = undefined;
    this.#hub.notifyWindow(this.#kv, window);
  }

  /** The stream has room again. */
  resume(stream: WatchStream): void {
    this.hub.resume(stream);
    this.schedule();
  }

  /** Sees to it that watchers that are behind are caught up. */
  schedule(): void {
    if (this.#catchingUp || this.#stopped || !this.#hub.hasCatchUp) return;
    this.#catchingUp = true;
    this.#catchUp().catch(this.#onFailure);
  }

  /**
   * Another store takes the place of this one (a snapshot was installed); in the same turn nothing is
   * applied to the old one any more. Watchers get what is pending from the old store, and get
   * what the new one has beyond that from its rows; one whose next revision is compacted there is
   * told so. CORRUPT, and nothing has changed, if the new store is older than what was told.
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
    // Not in the turn that asks: a stream that was just made tells its client so first.
    const slices = new Slices(this.#env);
    await slices.next();
    while (!this.#stopped && !this.hub.catchUp(this.#kv, this.#backend, WATCH_CATCH_UP_BUDGET)) {
      if (slices.isOver) await slices.next();
    }
    this.#catchingUp = false;
  }
}
