// A scan as its user sees it: keys one by one, and the revision at which they are all read.

import type { KeyValue } from './key-value.ts';

/**
 * The keys of a range at one revision, fetched page by page as they are read. For one reader, once.
 */
export class Scan implements AsyncIterableIterator<KeyValue, void, undefined> {
  readonly #keys: AsyncGenerator<KeyValue, void, undefined>;
  #revision: number | undefined = undefined;

  /** `begin` calls back with the revision when it is known. */
  constructor(
    begin: (atRevision: (revision: number) => void) => AsyncGenerator<KeyValue, void, undefined>,
  ) {
    this.#keys = begin((revision) => {
      this.#revision = revision;
    });
  }

  /**
   * The revision at which the keys are read: known from the first key on, and after the end if there
   * are none. A watch that begins at the next one sees every change after the scan.
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
