// Waits for the applied index.

import type { LogIndex } from '../../base/index.ts';
import type { Env, Timer } from '../../env/index.ts';
import type { RaftState } from './raft-state.ts';

interface Wait {
  readonly index: LogIndex;
  readonly timer: Timer;
  readonly settle: (inTime: boolean) => void;
}

interface AppliedWaitsParts {
  readonly env: Pick<Env, 'timers'>;
  readonly raft: Pick<RaftState, 'committedIndex' | 'isCaughtUp'>;
}

export class AppliedWaits {
  readonly #parts: AppliedWaitsParts;
  readonly #waits = new Set<Wait>();

  constructor(parts: AppliedWaitsParts) {
    this.#parts = parts;
  }

  /** Resolves to whether all entries committed by now were applied within the timeout. */
  async whenCaughtUp(timeoutMs: number): Promise<boolean> {
    const { raft } = this.#parts;
    return raft.isCaughtUp || this.#wait(raft.committedIndex, timeoutMs);
  }

  #wait(index: LogIndex, timeoutMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = this.#parts.env.timers.after(timeoutMs, () => this.#settle(wait, false));
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
