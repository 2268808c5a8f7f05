// The simulated side of `env`: time, disk, network and processes from one seed. For tests and for
// `sim/` only.

export { crashEverywhere } from './crash-everywhere.ts';
export type { CrashFate } from './file-data.ts';
export type { DiskFault, DiskOperation } from './operations.ts';
export { SimDisk } from './sim-disk.ts';
export { createSimEnv, SimEnv, SimWorld } from './sim-env.ts';
