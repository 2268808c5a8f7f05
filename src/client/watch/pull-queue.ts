// A queue between a producer and one reader that pulls item by item.

import { invariant } from '../../base/index.ts';
import { invalidArgument } from '../errors.ts';

type Waiter<T> = {
  readonly resolve: (result: IteratorResult<T, undefined>) => void;
  readonly reject: (error: unknown) => void;
};

/** The result of an iterator at its end. */
export const DONE: IteratorResult<never, undefined> = { done: true, value: undefined };

/**
 * Open until it is closed or fails. The reader still gets the items before that, then the end; after a
 * failure the error, once.
 */
export class PullQueue<T> {
  readonly #items: T[] = [];
  /** Weights of the items. */
  readonly #sizes: number[] = [];
  #bytes = 0;
  #waiter: Waiter<T> | undefined = undefined;
  #state: 'open' | 'failed' | 'closed' = 'open';
  #error: unknown = undefined;

  get open(): boolean {
    return this.#state === 'open';
  }

  /** Items not pulled yet. */
  get size(): number {
    return this.#items.length;
  }

  /** Sum of their weights. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Passes the item to the waiting reader, or queues it with its weight. Only while open. */
  push(item: T, bytes = 0): void {
    invariant(this.open, 'nothing arrives after the end');
    const waiter = this.#waiter;
    if (waiter === undefined) {
      this.#items.push(item);
      this.#sizes.push(bytes);
      this.#bytes += bytes;
      return;
    }
    invariant(this.size === 0, 'a reader waits only for an empty queue');
    this.#waiter = undefined;
    waiter.resolve({ done: false, value: item });
  }

  /** Removes the oldest item. */
  shift(): T | undefined {
    this.#bytes -= this.#sizes.shift() ?? 0;
    return this.#items.shift();
  }

  /** The next item. One call at a time: a second one before the first settles rejects. */
  next(): Promise<IteratorResult<T, undefined>> {
    const first = this.shift();
    if (first !== undefined) return Promise.resolve({ done: false, value: first });
    if (this.#state === 'failed') {
      this.#state = 'closed';
      return Promise.reject(this.#error);
    }
    if (this.#state === 'closed') return Promise.resolve(DONE);
    if (this.#waiter !== undefined) {
      return Promise.reject(invalidArgument('next() was called before the last one was answered'));
    }
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
    });
  }

  close(): void {
    if (!this.open) return;
    this.#state = 'closed';
    this.#waiter?.resolve(DONE);
    this.#waiter = undefined;
  }

  fail(error: unknown): void {
    if (!this.open) return;
    const waiter = this.#waiter;
    if (waiter === undefined) {
      this.#state = 'failed';
      this.#error = error;
      return;
    }
    this.#state = 'closed';
    this.#waiter = undefined;
    waiter.reject(error);
  }
}
