import type { Clock, Timers } from './clock.ts';
import type { Disk } from './disk.ts';
import type { Entropy } from './entropy.ts';
import type { Network } from './network.ts';

/** All effects of a member; any of them may be replaced. */
export interface Env {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly entropy: Entropy;
  readonly disk: Disk;
  readonly network: Network;
}
