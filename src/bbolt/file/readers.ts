// The pinned snapshots. A pin counts the readers of one commit; pins are in the order of their
// commits, since a snapshot is always taken of the newest.

import { ERROR_CODES, invariant, TetcdError } from '../../base/index.ts';
import { READERS_MAX } from '../limits.ts';

export interface Pin {
  readonly txid: number;
  /** Readers of this commit; a pin with none is dropped once it is the oldest. */
  readers: number;
}

export class Readers {
  /** Open readers of all pins. */
  count = 0;
  readonly #pins: Pin[] = [];
  /** Resolvers of {@link whenAtMost}: one or two, while a database is being retired. */
  readonly #leavers: (() => void)[] = [];

  /** Pins commit `txid`, the newest one. */
  add(txid: number): Pin {
    let pin = this.#pins.at(-1);
    if (pin?.txid !== txid) {
      invariant(pin === undefined || pin.txid < txid, 'snapshots are taken of the newest commit');
      pin = { txid, readers: 0 };
      this.#pins.push(pin);
    }
    return this.#count(pin);
  }

  /** One more reader of the commit of `pin`, which may no longer be the newest. */
  share(pin: Pin): Pin {
    invariant(pin.readers > 0, 'only a pinned commit is shared');
    return this.#count(pin);
  }

  #count(pin: Pin): Pin {
    if (this.count >= READERS_MAX) {
      throw new TetcdError(
        ERROR_CODES.LIMIT_EXCEEDED,
        `more than ${READERS_MAX} open read transactions`,
      );
    }
    pin.readers++;
    this.count++;
    invariant(pin.readers <= this.count, 'the readers of a commit are among all');
    return pin;
  }

  remove(pin: Pin): void {
    invariant(pin.readers > 0, 'a reader leaves once');
    pin.readers--;
    this.count--;
    for (const resolve of this.#leavers.splice(0)) resolve();
    let unused = 0;
    while (unused < this.#pins.length && this.#pins[unused]!.readers === 0) unused++;
    if (unused > 0) this.#pins.splice(0, unused);
    invariant(
      this.count > 0 === this.#pins.length > 0,
      'a commit is pinned as long as there are readers',
    );
  }

  /** Resolves when no more than `count` readers are open. */
  async whenAtMost(count: number): Promise<void> {
    invariant(count >= 0, 'a number of readers is not negative');
    while (this.count > count) {
      await new Promise<void>((resolve) => this.#leavers.push(resolve));
    }
  }

  /** The oldest pinned commit; Infinity if none is. */
  get oldest(): number {
    return this.#pins[0]?.txid ?? Number.POSITIVE_INFINITY;
  }
}
