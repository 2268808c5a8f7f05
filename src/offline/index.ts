// What works on a directory or file without a member. Nothing here knows a running server.

export { backupDirectory } from './backup.ts';
export { checkDirectory, type DirectoryCheck } from './check-directory.ts';
export { type DataDirectory, dataDirectoryOf } from './data-directory.ts';
export { type LockOptions, mustBeFile } from './database-file.ts';
export { defragmentFile } from './defragment-file.ts';
export { dumpDatabase, dumpLog, dumpSnapshot } from './dump.ts';
export { FirstFiles } from './first-files.ts';
export { hashOfDatabase } from './hash-kv.ts';
export { migrateDirectory } from './migrate.ts';
export type { NewMember } from './new-member.ts';
export { preflight } from './preflight.ts';
export { planRecovery, type RecoveryPlan, recoverMember } from './recover.ts';
export { restoreSnapshot } from './restore-snapshot.ts';
export { type SnapshotStatus, snapshotStatus } from './snapshot-status.ts';
export type { Report } from './types.ts';
