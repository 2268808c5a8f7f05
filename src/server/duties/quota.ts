// Room in the backend, asked for before a request is proposed.
//
// A request that would not fit raises the NOSPACE alarm for the whole cluster, which stops writes
// until an operator has made room and disarmed it. The heap counts too: V8 aborts at its limit, so
// close to it writes are refused in the same way, while reads, deletes and compaction go on. And so
// does the disk: what cannot be written to the database for want of space waits in memory. A little
// before the heap is full, what clients keep open (watchers, streams, leases) may not become more.

import type { Backend } from '../../store/index.ts';
import type { ServerConfig } from '../config/index.ts';
import { HEAP_LOOK_EVERY, HEAP_SHARE_MAX, HEAP_SHARE_OPEN_MAX } from '../limits.ts';

export interface HeapUse {
  readonly usedBytes: number;
  readonly limitBytes: number;
}

interface QuotaParts {
  readonly config: Pick<ServerConfig, 'quotaBackendBytes'>;
  /** Asked for the backend each time: a leader's snapshot replaces it. */
  readonly store: { readonly machine: { readonly backend: Pick<Backend, 'sizeBytes'> } };
  readonly heapUse: () => HeapUse;
}

export class Quota {
  readonly #parts: QuotaParts;
  /** Undefined: no limit. */
  readonly limitBytes: number | undefined;
  #heapFull = false;
  /** The database cannot be written for want of space. */
  diskFull = false;
  #grown = 0;
  #mayGrow = true;

  constructor(parts: QuotaParts) {
    this.#parts = parts;
    this.limitBytes = parts.config.quotaBackendBytes;
  }

  /** Whether a request of this cost may be proposed. */
  isAvailable(costBytes: number): boolean {
    return !this.diskFull && this.hasRoomFor(costBytes);
  }

  /** Whether one that is in the log fits. A full disk takes no answer away from what is applied. */
  hasRoomFor(costBytes: number): boolean {
    if (this.#heapFull) return false;
    if (this.limitBytes === undefined) return true;
    return this.#parts.store.machine.backend.sizeBytes + costBytes < this.limitBytes;
  }

  /**
   * Whether one more watcher, stream or lease may be held. Looks at the heap itself now and then:
   * a hundred thousand of them can come between two looks of the clock.
   */
  mayGrow(): boolean {
    if (++this.#grown % HEAP_LOOK_EVERY === 0) this.#noteOpen(this.#parts.heapUse());
    return this.#mayGrow;
  }

  #noteOpen(use: HeapUse): void {
    this.#mayGrow = use.usedBytes <= use.limitBytes * HEAP_SHARE_OPEN_MAX;
  }

  get heapFull(): boolean {
    return this.#heapFull;
  }

  /** Takes note of the heap; returns whether it has just become too full. */
  acceptHeapUse(use: HeapUse): boolean {
    this.#noteOpen(use);
    const was = this.#heapFull;
    this.#heapFull = use.usedBytes > use.limitBytes * HEAP_SHARE_MAX;
    return this.#heapFull && !was;
  }
}
