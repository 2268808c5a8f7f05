// Consensus: ticks and messages in, messages and entries out. Start with `RawNode`.

export type { AnyConfChange } from './confchange/index.ts';
export {
  asV2,
  decodeConfChange,
  encodeConfChange,
  isV2,
} from './confchange/index.ts';
export { type Config, READ_ONLY_MODES, type ReadOnlyMode } from './config.ts';
export type { Peer } from './core/boot.ts';
export type { Proposal } from './core/proposal.ts';
export { ROLES, type Role, type SoftState } from './core/raft.ts';
export { STEP_RESULTS, type StepResult } from './core/step-results.ts';
export {
  describeConfChange,
  describeEntries,
  describeEntry,
  describeHardState,
  describeMessage,
  describeReady,
} from './describe.ts';
export {
  isLocalTarget,
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  NONE,
  type NodeId,
} from './ids.ts';
export * from './limits.ts';
export {
  type CompactOutcome,
  emptyConfState,
  type InitialState,
  isEmptySnapshot,
  LOG_GAPS,
  type LogGap,
  MemoryStorage,
  type SnapshotOutcome,
  STORAGE_OUTCOMES,
  type Storage,
  snapshotIndex,
  snapshotTerm,
} from './log/index.ts';
export { LOG_LEVELS, type LogLevel, type RaftLogger, SILENT_LOGGER } from './logger.ts';
export { isLocalMessage } from './message-kinds.ts';
export * from './quorum/index.ts';
export {
  type ConfChange,
  type ConfChangeSingle,
  type ConfChangeV2,
  type ConfState,
  type Entry,
  type HardState,
  type Message,
  newEntry,
  newMessage,
  type Snapshot,
} from './raftpb.ts';
export { RawNode, SNAPSHOT_STATUSES, type SnapshotStatus } from './raw-node.ts';
export type { ReadState } from './read-only.ts';
export type { Ready } from './ready.ts';
export { type BasicStatus, type Status, statusToJson } from './status.ts';
export {
  type Configuration,
  describeConfiguration,
  describeProgressMap,
  type Inflights,
  isVoter,
  PROGRESS_STATES,
  Progress,
  type ProgressState,
} from './tracker/index.ts';
