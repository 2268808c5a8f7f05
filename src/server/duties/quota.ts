// The quota of the backend, checked before a request is proposed.
//
// A request that does not fit raises the NOSPACE alarm for the whole cluster, which stops writes until an
// operator has freed space and disarmed it. The heap counts too: V8 aborts at its limit, so close to it
// writes are refused in the same way, while reads, deletes and compaction go on. A full disk counts as
// well, since changes that cannot be written to the database stay in memory. At a lower share of the heap,
// new watchers, streams and leases are refused.

import type { Backend } from '../../store/index.ts';
import type { ServerConfig } from '../config/index.ts';
import { HEAP_LOOK_EVERY, HEAP_SHARE_MAX, HEAP_SHARE_OPEN_MAX } from '../limits.ts';

export interface HeapUse {
  readonly usedBytes: number;
  readonly limitBytes: number;
}

interface QuotaParts {
  readonly config: Pick<ServerConfig, 'quotaBackendBytes'>;
  /** Read for the backend each time: a leader's snapshot replaces it. */
  readonly store: { readonly machine: { readonly backend: Pick<Backend, 'sizeBytes'> } };
  readonly heapUse: () => HeapUse;
}

export class Quota {
  readonly #parts: QuotaParts;
  /** Undefined: no limit. */
  readonly limitBytes: number | undefined;
  #heapFull = false;
  /** The database cannot be written because the disk is full. */
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

  /** Whether a committed request fits. A full disk does not matter for applied requests. */
  hasRoomFor(costBytes: number): boolean {
    if (this.#heapFull) return false;
    if (this.limitBytes === undefined) return true;
    return this.#parts.store.machine.backend.sizeBytes + costBytes < this.limitBytes;
  }

  /**
   * Whether one more watcher, stream or lease may be held. Reads the heap after every HEAP_LOOK_EVERY of
   * them: a hundred thousand can arrive between two periodic checks.
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

  /** Records the heap use; returns whether it has just become too full. */
  acceptHeapUse(use: HeapUse): boolean {
    this.#noteOpen(use);
    const was = this.#heapFull;
    this.#heapFull = use.usedBytes > use.limitBytes * HEAP_SHARE_MAX;
    return this.#heapFull && !was;
  }
}
