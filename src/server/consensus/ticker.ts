// The clock of consensus: a tick at each heartbeat interval.

import type { Env, Timer } from '../../env/index.ts';
import type { ServerConfig } from '../config/index.ts';
import type { Leadership } from './leadership.ts';
import type { Proposals } from './proposals.ts';
import type { ReadIndexQueue } from './read-index-queue.ts';
import type { ReadyLoop } from './ready-loop.ts';

interface TickerParts {
  readonly config: Pick<ServerConfig, 'heartbeatMs'>;
  readonly env: Pick<Env, 'timers'>;
  readonly leadership: Pick<Leadership, 'tick'>;
  readonly loop: Pick<ReadyLoop, 'tick'>;
  readonly reads: Pick<ReadIndexQueue, 'tick'>;
  readonly proposals: Pick<Proposals, 'expire'>;
}

export class Ticker {
  readonly #parts: TickerParts;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(parts: TickerParts) {
    this.#parts = parts;
  }

  start(): void {
    const { config, env, leadership, loop, reads, proposals } = this.#parts;
    this.#timer = env.timers.after(config.heartbeatMs, () => {
      leadership.tick();
      loop.tick();
      reads.tick();
      proposals.expire();
      if (!this.#stopped) this.start();
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }
}
