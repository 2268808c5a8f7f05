// The replicated state machine on disk. Start with `StateMachine`.

export type { ApplyResult } from './apply/apply-result.ts';
export type { AuthHost } from './apply/auth-host.ts';
export { OperationTimes } from './apply/operation-times.ts';
export { costOfPut, costOfTxn, LEASE_COST_BYTES } from './apply/request-cost.ts';
export {
  encodeEnvelope,
  REQUEST_ID_LOW_BITS,
  REQUEST_KIND,
  RequestEnvelope,
  type RequestKind,
  type RequestUser,
  readEnvelope,
} from './apply/request-envelope.ts';
export {
  confChangeIn,
  ENTRY_NORMAL,
  StateMachine,
  type StateMachineHost,
} from './apply/state-machine.ts';
export { Backend, type BackendOptions } from './backend/backend.ts';

export type { CommitTook } from './backend/batch-commit.ts';
export { type BackendSnapshot, CommittedView } from './backend/committed-view.ts';

export { DatabaseCopy } from './backend/database-copy.ts';
export {
  type DefragmentProgress,
  defragment,
  prepareDefragmentation,
} from './backend/defragmentation.ts';
export type { DurableIndex, MembershipImage } from './backend/durable-index.ts';
export {
  type RowVisitor,
  readCount,
  type SnapshotPosition,
  visitorsOf,
} from './backend/file-pass.ts';
export type { KvHash } from './kv/compactor.ts';
export { hashKv } from './kv/hash.ts';
export { KvStore, PinnedView } from './kv/kv-store.ts';
export { AlarmStore } from './schema/alarm-store.ts';
export { confStateOfMembers, encodeConfState } from './schema/conf-state.ts';
export { replayMembership } from './schema/legacy-membership.ts';
export { minimalVersionOf } from './schema/log-version.ts';
export { readMembershipRows, writeMembershipRows } from './schema/membership-rows.ts';
export {
  checkStorageVersion,
  isMigrated,
  migrateStorage,
  planMigration,
  readStorageVersion,
} from './schema/migration.ts';
export { checkReceivedBuckets } from './schema/received-database.ts';
export { Restore } from './schema/restore.ts';
export { RowGate } from './schema/row-gate.ts';
export { BUCKET, BUCKET_NAMES, type BucketId, META_KEY, uint64Bytes } from './schema/schema.ts';
