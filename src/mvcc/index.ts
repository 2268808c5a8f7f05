export { type DropRevision, IndexCompaction } from './index-compaction.ts';
export { IndexCursor } from './index-cursor.ts';
export { KeyIndex, NOT_ALIVE, RevisionList } from './key-index.ts';
export * from './key-range.ts';
export * from './revision.ts';
export * from './types.ts';
