export type {
  Bucket,
  BucketVisitor,
  CommitResult,
  CommitTimes,
  CopyResult,
  Cursor,
  Database,
  DatabaseOptions,
  DatabaseStatistics,
  EntryVisitor,
  ReadBucket,
  ReadTransaction,
  Violation,
  WriteBucket,
  WriteCursor,
  WriteTransaction,
} from './api.ts';
export type { BboltEnv } from './file/database.ts';
export { openDatabase } from './file/open.ts';
