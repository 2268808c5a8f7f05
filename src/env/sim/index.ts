// The simulated side of `env`: time, disk, network and processes from one seed. For tests, for
// `sim/`, and for other programs' tests as `tetcd/sim`; nothing that ships loads it.

export { type CrashEverywhereOptions, crashEverywhere } from './crash-everywhere.ts';
export type { CrashFate } from './file-data.ts';
export type { DiskFault, DiskOperation, OperationKind, Schedule } from './operations.ts';
export { Scheduler } from './scheduler.ts';
export { SimClock } from './sim-clock.ts';
export { type CrashOptions, SimDisk, type SimDiskOptions } from './sim-disk.ts';
export { createSimEnv, SimEnv, SimWorld, type SimWorldOptions } from './sim-env.ts';
export { LINK_DEFAULTS, type LinkOptions, SimNetwork } from './sim-network.ts';
