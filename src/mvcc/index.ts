export { DeleteResult, DeleteRun } from './eval/delete-range.ts';
export * from './eval/key-range.ts';
export { evaluatePut, PutResult } from './eval/put.ts';
export {
  evaluateRange,
  hasRevisionFilters,
  isDefaultOrder,
  RangeRun,
  type ReadView,
} from './eval/range.ts';
export { RangeResult } from './eval/range-result.ts';
export { SlicedSort } from './eval/sliced-sort.ts';
export { isTxnReadonly, isTxnSerializable, type OpResult, TxnResult, TxnRun } from './eval/txn.ts';
export {
  checkDeleteRangeRequest,
  checkPutRequest,
  checkRangeRequest,
  checkTxnRequest,
} from './eval/validate.ts';
export { WriteTxn } from './eval/write-txn.ts';
export { ChangeList } from './index/change-list.ts';
export { IndexCompaction } from './index/index-compaction.ts';
export { IndexRestore } from './index/index-restore.ts';
export { KeyIndex } from './index/key-index.ts';
export type { RangeTombstone } from './index/range-tombstone.ts';
export { KeyValueScanner, sizeOfKeyField, TAG_RANGE_KVS, writeKeyField } from './key-value.ts';
export { RANGE_TOMBSTONE_LEASED_MAX, WATCH_NOTIFY_CHANGES_MAX } from './limits.ts';
export * from './revision.ts';
export { SplitRow } from './split-row.ts';
export * from './types.ts';
export type { RowCursor } from './watch/catch-up.ts';
export { EventBatch, EventWindow } from './watch/event-batch.ts';
export { WatchHub } from './watch/watch-hub.ts';
export {
  WATCHER_STATE,
  Watcher,
  type WatchOptions,
  type WatchSink,
  WatchStream,
} from './watch/watcher.ts';
