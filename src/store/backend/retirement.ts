// The end of a replaced database file: open readers go on for a bounded time, then it is closed.

import { invariant } from '../../base/index.ts';
import type { Database } from '../../bbolt/index.ts';
import type { Timers } from '../../env/index.ts';
import { RETIRED_MS_MAX } from '../limits.ts';

interface RetirementOptions {
  /** Read transactions of the backend itself, which {@link release} closes. */
  readonly ownReaders: number;
  /** Called before the file is closed. */
  readonly release?: () => Promise<void>;
}

export class Retirement {
  /** The file is closed; never rejects. */
  readonly done: Promise<void>;
  #endNow: () => void = () => {};

  /** The file must not be written any more. */
  constructor(timers: Timers, database: Database, options: RetirementOptions) {
    invariant(options.ownReaders >= 0, 'readers are counted from zero');
    this.done = this.#run(timers, database, options);
  }

  /** Closes without waiting for readers: they get CLOSED. */
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
    // An error of closing is ignored: the file is no longer needed.
    await database.close().catch(() => undefined);
  }
}
