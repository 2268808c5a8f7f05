// Where effects enter. The store, WAL, ready loop and peers are built from an `Env`, so that a whole
// cluster runs in one process under simulated time, disk and network. `node/` holds the real
// effects, `sim/` the simulated ones; both pass the same contract tests.

export type { Clock, Timer, Timers } from './clock.ts';
export type { Disk, DiskFile, FileKind, FileStat, OpenMode } from './disk.ts';
export { OPEN_MODES } from './disk.ts';
export type { Entropy } from './entropy.ts';
export type { Env } from './env.ts';
export type {
  ByteStream,
  ByteStreamHandler,
  Listener,
  Network,
  StreamAddress,
} from './network.ts';
export { createNodeClock, createNodeTimers } from './node/clock.ts';
export { createNodeDisk } from './node/disk.ts';
export { createNodeEntropy } from './node/entropy.ts';
export { LineOutputs } from './node/line-outputs.ts';
export { createNodeNetwork, takeSocket } from './node/network.ts';
export { createNodeEnv } from './node/node-env.ts';
export { type CrashEverywhereOptions, crashEverywhere } from './sim/crash-everywhere.ts';
export type { CrashFate } from './sim/file-data.ts';
export type { DiskFault, DiskOperation, OperationKind, Schedule } from './sim/operations.ts';
export { Scheduler } from './sim/scheduler.ts';
export { SimClock } from './sim/sim-clock.ts';
export { type CrashOptions, SimDisk, type SimDiskOptions } from './sim/sim-disk.ts';
export { createSimEnv, SimEnv, SimWorld, type SimWorldOptions } from './sim/sim-env.ts';
export { LINK_DEFAULTS, type LinkOptions, SimNetwork } from './sim/sim-network.ts';
