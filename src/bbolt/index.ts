export type {
  Bucket,
  BucketVisitor,
  CommitResult,
  CommitTimes,
  CompactionOptions,
  CopyResult,
  Cursor,
  Database,
  DatabaseOptions,
  DatabaseStatistics,
  EntryVisitor,
  ReadBucket,
  ReadTransaction,
  SpareFile,
  Violation,
  WriteBucket,
  WriteCursor,
  WriteTransaction,
} from './api.ts';
export type { BboltEnv } from './file/database.ts';
export { openDatabase } from './file/open.ts';
export { openSpareFile } from './file/spare-file.ts';
