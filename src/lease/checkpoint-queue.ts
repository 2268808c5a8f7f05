// When leases with a long TTL are checkpointed: the rest of the TTL goes into the log, so that a new leader
// does not grant the whole TTL again. All wait equally long, so a queue is in order of time.

import type { Lease } from './lease.ts';
import { CHECKPOINT_INTERVAL_SEC } from './limits.ts';

interface Entry {
  readonly lease: Lease;
  readonly dueMs: number;
}

export class CheckpointQueue {
  #entries: Entry[] = [];
  /** Entries before this one are spent. */
  #first = 0;
  /** Leases that wait: a lease waits once. */
  readonly #waiting = new Set<Lease>();

  get size(): number {
    return this.#waiting.size;
  }

  /** Schedules a checkpoint one interval from now, unless the TTL is too short or one is scheduled. */
  maybeAdd(lease: Lease, nowMs: number): void {
    if (lease.effectiveSec <= CHECKPOINT_INTERVAL_SEC || this.#waiting.has(lease)) return;
    this.#waiting.add(lease);
    this.#entries.push({ lease, dueMs: nowMs + CHECKPOINT_INTERVAL_SEC * 1000 });
  }

  /** Takes out the next lease that is due and still waits. */
  take(nowMs: number): Lease | undefined {
    for (;;) {
      const entry = this.#entries[this.#first];
      if (entry === undefined || entry.dueMs > nowMs) return undefined;
      this.#first++;
      if (this.#first * 2 > this.#entries.length) {
        this.#entries = this.#entries.slice(this.#first);
        this.#first = 0;
      }
      if (this.#waiting.delete(entry.lease)) return entry.lease;
    }
  }

  /** The lease is gone. Its entry is skipped when it is due. */
  remove(lease: Lease): void {
    this.#waiting.delete(lease);
  }

  clear(): void {
    this.#entries = [];
    this.#first = 0;
    this.#waiting.clear();
  }
}
