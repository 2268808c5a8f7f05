export { ChangeList } from './change-list.ts';
export { DeleteResult, DeleteRun } from './delete-range.ts';
export { type DropRevision, IndexCompaction } from './index-compaction.ts';
export { IndexCursor } from './index-cursor.ts';
export { KeyIndex, NOT_ALIVE, RevisionList } from './key-index.ts';
export * from './key-range.ts';
export { KeyValueScanner, sizeOfKeyField, writeKeyField } from './key-value.ts';
export { WATCH_NOTIFY_CHANGES_MAX } from './limits.ts';
export { checkPut, evaluatePut, executePut, PutResult } from './put.ts';
export {
  evaluateRange,
  hasRevisionFilters,
  isDefaultOrder,
  RangeRun,
  type ReadView,
} from './range.ts';
export { RangeResult } from './range-result.ts';
export * from './revision.ts';
export { SlicedSort } from './sliced-sort.ts';
export { isTxnReadonly, isTxnSerializable, type OpResult, TxnResult, TxnRun } from './txn.ts';
export * from './types.ts';
export {
  checkDeleteRangeRequest,
  checkPutRequest,
  checkRangeRequest,
  checkTxnRequest,
} from './validate.ts';
export {
  READ_STATE,
  type RowCursor,
  type RowSource,
} from './watch/catch-up.ts';
export { EncodedEvents, EventBatch, EventWindow } from './watch/event-batch.ts';
export { type WatchAnswer, WatchHub } from './watch/watch-hub.ts';
export {
  WATCHER_STATE,
  Watcher,
  type WatcherState,
  type WatchOptions,
  type WatchSink,
  WatchStream,
} from './watch/watcher.ts';
export { WriteTxn } from './write-txn.ts';
