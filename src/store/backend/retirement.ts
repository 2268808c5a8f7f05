// The end of a replaced database file: open readers go on for a bounded time, then it is closed, and its
// space is given back.

import { invariant } from '../../base/index.ts';
import type { Database, SpareFile } from '../../bbolt/index.ts';
import type { Timers } from '../../env/index.ts';
import { RETIRED_MS_MAX } from '../limits.ts';

interface RetirementOptions {
  /** Read transactions of the backend itself, which {@link release} closes. */
  readonly ownReaders: number;
  /** Called before the file is closed. */
  readonly release?: () => Promise<void>;
  /** The name by which the file is kept, emptied, as {@link Retirement.done} tells. */
  readonly keepAs?: string | undefined;
}

export class Retirement {
  /** The file is closed, or is kept as a spare one; never rejects. */
  readonly done: Promise<SpareFile | undefined>;
  readonly #database: Database;
  #endNow: () => void = () => {};
  #isHurried = false;
  /** Nothing reads the file any more, unless it has taken too long. */
  #isReleased = false;

  /** The file must not be written any more, and that it has lost its name must be durable. */
  constructor(timers: Timers, database: Database, options: RetirementOptions) {
    invariant(options.ownReaders >= 0, 'readers are counted from zero');
    this.#database = database;
    this.done = this.#run(timers, database, options);
  }

  /** Closes without waiting for readers, which get CLOSED, and with its space given back at once. */
  end(): Promise<SpareFile | undefined> {
    this.#isHurried = true;
    this.#endNow();
    if (this.#isReleased) void this.#database.close().catch(() => undefined);
    return this.done;
  }

  async #run(
    timers: Timers,
    database: Database,
    options: RetirementOptions,
  ): Promise<SpareFile | undefined> {
    const timeOver = new Promise<void>((resolve) => {
      this.#endNow = resolve;
    });
    const timer = timers.after(RETIRED_MS_MAX, this.#endNow);
    await Promise.race([database.whenReadersAtMost(options.ownReaders), timeOver]);
    timer.cancel();
    await options.release?.();
    // An error of closing is ignored: the file is no longer needed.
    this.#isReleased = true;
    const discarded = database.discard(options.keepAs);
    if (this.#isHurried) void database.close().catch(() => undefined);
    return await discarded.catch(() => undefined);
  }
}
