// Drives the watch hub: tells it what happens, and lets it catch up watchers that are behind, in
// slices, between the turns' other work.

import type { Revision } from '../base/index.ts';
import type { Env } from '../env/index.ts';
import { type ChangeList, WatchHub, type WatchStream } from '../mvcc/index.ts';
import type { Backend } from './backend.ts';
import type { KvStore } from './kv-store.ts';
import { WATCH_CATCH_UP_BUDGET } from './limits.ts';
import { Slices } from './slices.ts';

export class WatchFeed {
  readonly hub: WatchHub;
  readonly #env: Env;
  readonly #backend: Backend;
  readonly #kv: KvStore;
  #catchingUp = false;
  #stopped = false;

  constructor(env: Env, backend: Backend, kv: KvStore) {
    this.#env = env;
    this.#backend = backend;
    this.#kv = kv;
    this.hub = new WatchHub(kv.currentRev);
  }

  /** A revision has become current. */
  notify(revision: Revision, changes: ChangeList): void {
    this.hub.notify(this.#kv, revision, changes);
    this.schedule();
  }

  /** The stream has room again. */
  resume(stream: WatchStream): void {
    this.hub.resume(stream);
    this.schedule();
  }

  /** Sees to it that watchers that are behind are caught up. */
  schedule(): void {
    if (this.#catchingUp || this.#stopped || !this.hub.hasCatchUp) return;
    this.#catchingUp = true;
    void this.#catchUp();
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
