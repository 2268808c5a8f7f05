// Where effects enter. The store, WAL, ready loop and peers are built from an `Env`, so that a whole
// cluster runs in one process under simulated time, disk and network. `node/` holds the real
// effects, `memory/` a disk in memory; the simulated ones are a project of their own in `sim/`, which
// nothing that ships loads. All pass the same contract tests.

export type { Clock, Timer, Timers } from './clock.ts';
export type { DirectoryLock, Disk, DiskFile, FileKind, FileStat, OpenMode } from './disk.ts';
export { OPEN_MODES } from './disk.ts';
export type { Entropy } from './entropy.ts';
export type { Env } from './env.ts';
export { createMemoryDisk } from './memory/memory-disk.ts';
export type { MemoryLock } from './memory-lock.ts';
export type {
  AddressOrder,
  ByteStream,
  ByteStreamHandler,
  Listener,
  Network,
  ServiceHost,
  StreamAddress,
} from './network.ts';
export { createNodeClock, createNodeTimers } from './node/clock.ts';
export { openDatagramTarget } from './node/datagram-target.ts';
export { createNodeDisk } from './node/disk.ts';
export { createNodeEntropy } from './node/entropy.ts';
export { createFileMemoryLock } from './node/file-memory-lock.ts';
export { FileThread } from './node/file-thread.ts';
export { LineOutputs } from './node/line-outputs.ts';
export type { LineTarget } from './node/line-target.ts';
export { networkError } from './node/node-error.ts';
export { createProcessMemory } from './node/process-memory.ts';
export { type ProcessUsage, readProcessUsage } from './node/process-usage.ts';
export { type FileRotation, mayRotate } from './node/rotating-file.ts';
export type { ProcessMemory } from './process-memory.ts';
