// The write-ahead log and the `.snap` files, byte for byte as etcd's.

export { checkWal } from './check-wal.ts';
export { createWal } from './create-wal.ts';
export { SEGMENT_SIZE_DEFAULT } from './limits.ts';
export {
  type FoundLog,
  LogScan,
  type OpenedWal,
  openWal,
  readWal,
  scanWal,
  summarizeWal,
  validSnapshots,
  type WalSummary,
} from './open-wal.ts';
export { purgeSegments } from './purge.ts';
export { walExists } from './segments.ts';
export {
  cleanSnapDirectory,
  type FoundSnap,
  listSnapFiles,
  newestSnapFile,
  purgeSnapFiles,
  readSnapFile,
  removeSnapDatabases,
  type SnapName,
  type SnapObserver,
  type SnapTimer,
  snapDatabasePath,
  snapName,
  writeSnapFile,
} from './snap-file.ts';
export type {
  WalAppend,
  WalContent,
  WalEnv,
  WalObserver,
  WalOptions,
  WalPosition,
  WalRepair,
  WalSnapshot,
} from './types.ts';
export { Wal } from './wal.ts';
