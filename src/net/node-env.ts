import {
  createNodeClock,
  createNodeDisk,
  createNodeEntropy,
  createNodeTimers,
  type Env,
} from '../env/index.ts';
import { createNodeNetwork } from './node-network.ts';

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
