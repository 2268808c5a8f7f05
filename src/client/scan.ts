// Scans: keys one by one, all at one revision.

import type { KeyValue } from './key-value.ts';

/**
 * The keys of a range at one revision, fetched page by page during iteration. Can be iterated once.
 */
export class Scan implements AsyncIterableIterator<KeyValue, void, undefined> {
  readonly #keys: AsyncGenerator<KeyValue, void, undefined>;
  #revision: number | undefined = undefined;

  /** `begin` passes the revision to its callback when it is known. */
  constructor(
    begin: (atRevision: (revision: number) => void) => AsyncGenerator<KeyValue, void, undefined>,
  ) {
    this.#keys = begin((revision) => {
      this.#revision = revision;
    });
  }

  /**
   * The revision at which the keys are read; undefined before the first key. A watch that starts at the
   * next revision gets every change after the scan.
   */
  get revision(): number | undefined {
    return this.#revision;
  }

  next(): Promise<IteratorResult<KeyValue, void>> {
    return this.#keys.next();
  }

  return(): Promise<IteratorResult<KeyValue, void>> {
    return this.#keys.return();
  }

  throw(error: unknown): Promise<IteratorResult<KeyValue, void>> {
    return this.#keys.throw(error);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
