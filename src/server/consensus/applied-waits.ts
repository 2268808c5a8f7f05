// Callers that wait until the state machine has applied an entry.

import type { LogIndex } from '../../base/index.ts';
import type { Timer, Timers } from '../../env/index.ts';

interface Wait {
  readonly index: LogIndex;
  readonly timer: Timer;
  readonly settle: (inTime: boolean) => void;
}

export class AppliedWaits {
  readonly #timers: Timers;
  readonly #waits = new Set<Wait>();

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /** Resolves to whether `index` was applied in time. */
  wait(index: LogIndex, timeoutMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = this.#timers.after(timeoutMs, () => this.#settle(wait, false));
      const wait: Wait = { index, timer, settle: resolve };
      this.#waits.add(wait);
    });
  }

  acceptApplied(index: LogIndex): void {
    for (const wait of this.#waits) if (wait.index <= index) this.#settle(wait, true);
  }

  stop(): void {
    for (const wait of this.#waits) this.#settle(wait, false);
  }

  #settle(wait: Wait, inTime: boolean): void {
    wait.timer.cancel();
    this.#waits.delete(wait);
    wait.settle(inTime);
  }
}
