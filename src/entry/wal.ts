// `tetcd/wal`: etcd's write-ahead log and `.snap` files.

export {
  ERROR_CODES,
  type ErrorCode,
  hasCode,
  type LogIndex,
  type Term,
  TetcdError,
} from '../base/index.ts';
export type { ConfState, Entry, HardState, Snapshot } from '../raft/index.ts';
export * from '../wal/index.ts';
