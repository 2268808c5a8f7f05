import { NOT_IN_HEAP } from './expiry-heap.ts';
import { KeySet } from './key-set.ts';

/** One lease. Only the lessor changes it. */
export class Lease {
  readonly id: bigint;
  /** Granted time to live, seconds; at least the lessor's minimum. */
  readonly ttlSec: number;
  /** Stands for the lease in the key index; positive. */
  readonly slot: number;
  /** Checkpointed rest of the TTL, seconds; 0 if there is none. Counts at the next promotion. */
  remainingSec: number;
  /** When it expires, on the monotonic clock; Infinity while this member is not primary. */
  expiryMs: number = Number.POSITIVE_INFINITY;
  readonly keys: KeySet = new KeySet();

  /** Time of its next check, and its place in the expiry heap. Written by the heap. */
  dueMs = 0;
  heapIndex: number = NOT_IN_HEAP;

  constructor(id: bigint, ttlSec: number, remainingSec: number, slot: number) {
    this.id = id;
    this.ttlSec = ttlSec;
    this.remainingSec = remainingSec;
    this.slot = slot;
  }

  /** Seconds from which a promotion counts: the checkpointed rest, or else the whole TTL. */
  get effectiveSec(): number {
    return this.remainingSec > 0 ? this.remainingSec : this.ttlSec;
  }
}
