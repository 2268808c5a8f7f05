// Room in the backend, asked for before a request is proposed.
//
// A request that would not fit raises the NOSPACE alarm for the whole cluster, which stops writes
// until an operator has made room and disarmed it. The heap counts too: V8 aborts at its limit, so
// close to it writes are refused in the same way, while reads, deletes and compaction go on. And so
// does the disk: what cannot be written to the database for want of space waits in memory.

import type { Backend } from '../store/index.ts';
import { HEAP_SHARE_MAX } from './limits.ts';

export interface HeapUse {
  readonly usedBytes: number;
  readonly limitBytes: number;
}

export interface QuotaOptions {
  /** Asked for each time: a leader's snapshot replaces it. */
  readonly backend: () => Pick<Backend, 'sizeBytes'>;
  /** Undefined: no limit. */
  readonly limitBytes: number | undefined;
}

export class Quota {
  readonly #backend: () => Pick<Backend, 'sizeBytes'>;
  readonly limitBytes: number | undefined;
  #heapFull = false;
  /** The database cannot be written for want of space. */
  diskFull = false;

  constructor(options: QuotaOptions) {
    this.#backend = options.backend;
    this.limitBytes = options.limitBytes;
  }

  /** Whether a request of this cost may be proposed. */
  isAvailable(costBytes: number): boolean {
    return !this.diskFull && this.hasRoomFor(costBytes);
  }

  /** Whether one that is in the log fits. A full disk takes no answer away from what is applied. */
  hasRoomFor(costBytes: number): boolean {
    if (this.#heapFull) return false;
    return this.limitBytes === undefined || this.#backend().sizeBytes + costBytes < this.limitBytes;
  }

  get heapFull(): boolean {
    return this.#heapFull;
  }

  /** Takes note of the heap; returns whether it has just become too full. */
  acceptHeapUse(use: HeapUse): boolean {
    const was = this.#heapFull;
    this.#heapFull = use.usedBytes > use.limitBytes * HEAP_SHARE_MAX;
    return this.#heapFull && !was;
  }
}
