// `tetcd/sim`: simulated time, disks, networks and processes, all from one seed, for tests.

export { ERROR_CODES, type ErrorCode, hasCode, TetcdError } from '../base/index.ts';
export type { Clock, Disk, Entropy, Env, Network, Timer, Timers } from '../env/index.ts';
export * from '../env/sim/index.ts';
