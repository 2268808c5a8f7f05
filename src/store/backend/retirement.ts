// The end of a database file that another one has replaced: readers that are there go on for a
// bounded time, then it is closed.

import { invariant } from '../../base/index.ts';
import type { Database } from '../../bbolt/index.ts';
import type { Timers } from '../../env/index.ts';
import { RETIRED_MS_MAX } from '../limits.ts';

export interface RetirementOptions {
  /** Read transactions that the retiring side holds itself and gives up in {@link release}. */
  readonly ownReaders: number;
  /** Called before the file is closed. */
  readonly release?: () => Promise<void>;
}

export class Retirement {
  /** The file is closed; never rejects. */
  readonly done: Promise<void>;
  #endNow: () => void = () => {};

  /** Nothing writes the file any more. */
  constructor(timers: Timers, database: Database, options: RetirementOptions) {
    invariant(options.ownReaders >= 0, 'readers are counted from zero');
    this.done = this.#run(timers, database, options);
  }

  /** Waits for no reader any longer: those that go on get CLOSED. */
  end(): Promise<void> {
    this.#endNow();
    return this.done;
  }

  async #run(timers: Timers, database: Database, options: RetirementOptions): Promise<void> {
    const timeOver = new Promise<void>((resolve) => {
      this.#endNow = resolve;
    });
    const timer = timers.after(RETIRED_MS_MAX, this.#endNow);
    await Promise.race([database.whenReadersAtMost(options.ownReaders), timeOver]);
    timer.cancel();
    await options.release?.();
    // A file that nobody needs any more may fail to close.
    await database.close().catch(() => undefined);
  }
}
