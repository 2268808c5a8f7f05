import {
  createNodeClock,
  createNodeDisk,
  createNodeEntropy,
  createNodeTimers,
  type Env,
} from '../env/index.ts';
import { createNodeNetwork } from './node-network.ts';

/** Clock, timers, entropy, disk and network of this process, with the network in plaintext. */
export function createNodeEnv(): Env {
  return {
    clock: createNodeClock(),
    timers: createNodeTimers(),
    entropy: createNodeEntropy(),
    disk: createNodeDisk(),
    network: createNodeNetwork(),
  };
}
