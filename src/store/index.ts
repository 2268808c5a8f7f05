// The replicated state machine on disk. Start with `StateMachine`.

export { AlarmStore } from './alarm-store.ts';
export type { ApplyResult } from './apply-result.ts';
export { Backend, type BackendOptions } from './backend.ts';
export type { KvHash } from './compactor.ts';
export { confStateOf, encodeConfState } from './conf-state.ts';
export { DatabaseCopy } from './database-copy.ts';
export type { DurableIndex, MembershipImage } from './durable-index.ts';
export type { SnapshotPosition } from './file-pass.ts';
export { type CompactionMarks, KvRestore, KvStore, PinnedView } from './kv-store.ts';
export { readMembershipRows, writeMembershipRows } from './membership-rows.ts';
export type { StoreMetrics } from './metrics.ts';
export { checkReceivedDatabase } from './received-database.ts';
export { costOfPut, costOfTxn, LEASE_COST_BYTES } from './request-cost.ts';
export {
  encodeEnvelope,
  REQUEST_ID_LOW_BITS,
  REQUEST_KIND,
  type RequestKind,
} from './request-envelope.ts';
export { Restore } from './restore.ts';
export { BUCKET, type BucketId, META_KEY } from './schema.ts';
export { Slices } from './slices.ts';
export {
  confChangeIn,
  ENTRY_NORMAL,
  StateMachine,
  type StateMachineHost,
  type StateMachineOptions,
} from './state-machine.ts';
export { replayMembership } from './takeover.ts';
export type { BackendSnapshot } from './tree-sight.ts';
export { WatchFeed } from './watch-feed.ts';
