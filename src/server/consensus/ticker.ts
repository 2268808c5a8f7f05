// The clock of consensus: a tick at each heartbeat interval.

import type { Env, Timer } from '../../env/index.ts';
import type { ServerConfig } from '../config/index.ts';
import { TICKS_ALONE } from '../limits.ts';
import type { Leadership } from './leadership.ts';
import type { Proposals } from './proposals.ts';
import type { ReadIndexQueue } from './read-index-queue.ts';
import type { ReadyLoop } from './ready-loop.ts';

interface TickerParts {
  readonly config: Pick<ServerConfig, 'heartbeatMs'>;
  readonly env: Pick<Env, 'clock' | 'timers'>;
  readonly leadership: Pick<Leadership, 'tick'>;
  readonly loop: Pick<ReadyLoop, 'tick'>;
  readonly reads: Pick<ReadIndexQueue, 'tick'>;
  readonly proposals: Pick<Proposals, 'expire'>;
  readonly membership: { readonly isAlone: boolean };
  /** Told how late each timer came: the lag of the event loop, measured without one more timer. */
  readonly lag: { record(lateMs: number): void } | undefined;
}

export class Ticker {
  readonly #parts: TickerParts;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(parts: TickerParts) {
    this.#parts = parts;
  }

  start(): void {
    const { config, env, lag, membership } = this.#parts;
    const ticks = membership.isAlone ? TICKS_ALONE : 1;
    const delayMs = ticks * config.heartbeatMs;
    const dueMs = env.clock.monotonicMs() + delayMs;
    this.#timer = env.timers.after(delayMs, () => {
      lag?.record(env.clock.monotonicMs() - dueMs);
      this.#tick(ticks);
      if (!this.#stopped) this.start();
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #tick(ticks: number): void {
    const { leadership, loop, reads, proposals } = this.#parts;
    leadership.tick();
    for (let i = 0; i < ticks; i++) loop.tick();
    reads.tick();
    proposals.expire();
  }
}
