// `tetcd/sim`: simulated time, disks, networks and processes, all from one seed, for tests.

export { ERROR_CODES, type ErrorCode, hasCode, type Random, TetcdError } from '../base/index.ts';
export type {
  ByteStream,
  ByteStreamHandler,
  Clock,
  DirectoryLock,
  Disk,
  DiskFile,
  Entropy,
  Env,
  FileKind,
  FileStat,
  Listener,
  Network,
  OpenMode,
  StreamAddress,
  Timer,
  Timers,
} from '../env/index.ts';
export * from '../env/sim/index.ts';
