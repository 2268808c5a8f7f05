import { invariant, type LogIndex, type Term } from '../../base/index.ts';
import type { DurableIndex, MembershipImage } from './durable-index.ts';
import { Overlay } from './overlay.ts';

interface CommitWaiter {
  resolve(durable: DurableIndex): void;
  reject(error: unknown): void;
}

/** Writes of one commit of the file, the consistent index after it, and the waiters for it. */
export class Batch {
  readonly overlay = new Overlay();
  /** The newest entry whose effects are complete in here; only grows. */
  index: LogIndex;
  term: Term;
  /** As of {@link index}; set when the batch is frozen. */
  membership: MembershipImage | undefined = undefined;
  readonly #waiters: CommitWaiter[] = [];

  constructor(index: LogIndex, term: Term) {
    this.index = index;
    this.term = term;
  }

  /** Settles with the commit of this batch. */
  whenCommitted(): Promise<DurableIndex> {
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  resolve(durable: DurableIndex): void {
    invariant(durable.index === this.index, 'a batch is durable with the index that it was cut at');
    for (const waiter of this.#waiters.splice(0)) waiter.resolve(durable);
  }

  reject(error: unknown): void {
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
  }
}
