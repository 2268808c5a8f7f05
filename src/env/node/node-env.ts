import type { Env } from '../env.ts';
import { createNodeClock, createNodeTimers } from './clock.ts';
import { createNodeDisk } from './disk.ts';
import { createNodeEntropy } from './entropy.ts';
import { createNodeNetwork } from './network.ts';

/** The real effects of this process. */
export function createNodeEnv(): Env {
  return {
    clock: createNodeClock(),
    timers: createNodeTimers(),
    entropy: createNodeEntropy(),
    disk: createNodeDisk(),
    network: createNodeNetwork(),
  };
}
