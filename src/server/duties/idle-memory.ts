// Gives back memory when a load is over. Caches are full of what it used, and V8 keeps its garbage for as
// long as nothing is allocated: an idle member held three times what it needs. The first requests after it
// find their rows in the file, which the system has in memory.

import type { Env, ProcessMemory } from '../../env/index.ts';
import type { StoreView } from '../consensus/store-view.ts';
import { IDLE_CHECK_INTERVAL_MS, IDLE_CHECKS, IDLE_CPU_SHARE, LOAD_CPU_SHARE } from '../limits.ts';
import type { Snapshotter } from '../snapshot/snapshotter.ts';
import { Periodic } from './periodic.ts';

/** The first frees objects, and starts to sweep; the next one finds what is empty. */
const COLLECTIONS = 3;

export interface IdleMemoryParts {
  readonly env: Pick<Env, 'clock' | 'timers'>;
  readonly store: StoreView<'dropCaches'>;
  readonly snapshotter: Pick<Snapshotter, 'shrinkLog'>;
}

export class IdleMemory {
  readonly #parts: IdleMemoryParts;
  readonly #memory: ProcessMemory;
  readonly #interval: Periodic;
  /** At the last check. */
  #checkedMs: number;
  #cpuMs: number;
  /** Collections that are still due after the last load; a start is one. */
  #collectionsDue = COLLECTIONS;
  /** Checks without load, one after the other. */
  #idleChecks = 0;

  static of(parts: IdleMemoryParts, memory: ProcessMemory | undefined): IdleMemory[] {
    return memory === undefined ? [] : [new IdleMemory(parts, memory)];
  }

  private constructor(parts: IdleMemoryParts, memory: ProcessMemory) {
    const { clock, timers } = parts.env;
    this.#parts = parts;
    this.#memory = memory;
    this.#checkedMs = clock.monotonicMs();
    this.#cpuMs = memory.cpuMs();
    this.#interval = new Periodic(timers, IDLE_CHECK_INTERVAL_MS, () => this.#check());
  }

  start(): void {
    this.#interval.start();
  }

  stop(): void {
    this.#interval.stop();
  }

  #check(): void {
    const nowMs = this.#parts.env.clock.monotonicMs();
    const cpuMs = this.#memory.cpuMs();
    const share = (cpuMs - this.#cpuMs) / (nowMs - this.#checkedMs);
    this.#checkedMs = nowMs;
    this.#cpuMs = cpuMs;
    if (share > LOAD_CPU_SHARE) this.#collectionsDue = COLLECTIONS;
    this.#idleChecks = share < IDLE_CPU_SHARE ? this.#idleChecks + 1 : 0;
    if (this.#collectionsDue > 0 && this.#idleChecks >= IDLE_CHECKS) void this.#giveBack();
  }

  async #giveBack(): Promise<void> {
    const { store, snapshotter } = this.#parts;
    if (this.#collectionsDue-- === COLLECTIONS) {
      store.machine.dropCaches();
      await snapshotter.shrinkLog();
    }
    this.#memory.collect();
    if (this.#collectionsDue === 0) await this.#memory.trim();
    // What this has taken itself is no load.
    this.#cpuMs = this.#memory.cpuMs();
  }
}
