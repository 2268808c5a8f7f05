// `migrate`: the database of a stopped member in the form of another release.
//
// Down to an older release only if that one can read the log too: what follows the newest snapshot is
// replayed at the next start.

import { bytesFromUtf8, ERROR_CODES, Slices, TetcdError } from '../base/index.ts';
import type { Database } from '../bbolt/index.ts';
import {
  type ClusterVersion,
  compareVersions,
  formatStoredVersion,
  versionAtLeast,
} from '../membership/index.ts';
import {
  BUCKET,
  CommittedView,
  META_KEY,
  migrateStorage,
  minimalVersionOf,
  planMigration,
  readStorageVersion,
} from '../store/index.ts';
import { readWal, summarizeWal } from '../wal/index.ts';
import { type DataDirectory, dataDirectoryOf } from './data-directory.ts';
import { type DatabaseEdit, editDatabase } from './database-edit.ts';
import { changingDatabase, type LockOptions } from './database-file.ts';
import type { OfflineEnv } from './types.ts';

/** The storage version of a database that does not name one. */
const UNNAMED: ClusterVersion = { major: 3, minor: 5 };

interface MigrateOptions extends LockOptions {
  readonly target: ClusterVersion;
  /** Names the target in the database even if it cannot be brought there. */
  readonly force: boolean;
}

/** What was done: nothing, the steps in order, or the name alone, and why no more. */
type Migration =
  | { readonly kind: 'upToDate' }
  | { readonly kind: 'migrated'; readonly steps: readonly ClusterVersion[] }
  | { readonly kind: 'forced'; readonly reason: string };

/**
 * All or nothing. UNSUPPORTED, in etcd's words, if the way leads across an unknown release or the log has
 * what the target cannot read; CORRUPT or NOT_FOUND if database or log cannot be read, which `force` does
 * not pass over; errors of {@link changingDatabase}.
 */
export function migrateDirectory(
  env: OfflineEnv,
  dataDir: string,
  options: MigrateOptions,
): Promise<Migration> {
  const directory = dataDirectoryOf({ dataDir });
  const { target, force } = options;
  return changingDatabase(env, directory.database, options, async (database) => {
    const present = presentVersion(database);
    if (compareVersions(present, target) === 0) return { kind: 'upToDate' };
    const oldest = await oldestReader(env, directory);
    try {
      checkPlan(present, target);
      checkLog(present, target, oldest);
    } catch (error) {
      if (!force || !(error instanceof TetcdError)) throw error;
      await editDatabase(database, (edit) => overwrite(edit, target));
      return { kind: 'forced', reason: error.message };
    }
    const steps: ClusterVersion[] = [];
    await editDatabase(database, (edit) =>
      migrateStorage(edit, target, { onStep: (step) => steps.push(step) }),
    );
    return { kind: 'migrated', steps };
  });
}

function presentVersion(database: Database): ClusterVersion {
  const transaction = database.beginRead();
  try {
    const view = new CommittedView(transaction);
    const named = readStorageVersion(view);
    if (named !== undefined) return named;
    // 3.5 writes it with every entry; older releases do not know it.
    if (view.get(BUCKET.META, META_KEY.TERM) !== undefined) return UNNAMED;
    throw new TetcdError(ERROR_CODES.UNSUPPORTED, 'missing term information');
  } finally {
    transaction.close();
  }
}

function checkPlan(present: ClusterVersion, target: ClusterVersion): void {
  try {
    planMigration(present, target);
  } catch (error) {
    if (!(error instanceof TetcdError)) throw error;
    const text = `cannot create migration plan: ${error.message}`;
    throw new TetcdError(error.code, text, { cause: error });
  }
}

/** The oldest release that can read the log after its newest snapshot; undefined for any. */
async function oldestReader(
  env: OfflineEnv,
  { wal }: DataDirectory,
): Promise<ClusterVersion | undefined> {
  const { validSnapshots } = await placed('failed to get the lastest snapshot', () =>
    summarizeWal(env, wal),
  );
  const { index, term } = validSnapshots.at(-1) ?? { index: 0, term: 0 };
  const { entries } = await placed('failed to read wal', () => readWal(env, wal, { index, term }));
  return placed('failed to read wal', () => minimalVersionOf(entries, new Slices(env)));
}

async function placed<Result>(what: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof TetcdError)) throw error;
    throw new TetcdError(error.code, `${what}: ${error.message}`, { cause: error });
  }
}

function checkLog(
  present: ClusterVersion,
  target: ClusterVersion,
  oldest: ClusterVersion | undefined,
): void {
  const isDown = compareVersions(target, present) < 0;
  if (!isDown || oldest === undefined || compareVersions(target, oldest) >= 0) return;
  throw new TetcdError(
    ERROR_CODES.UNSUPPORTED,
    'cannot downgrade storage, WAL contains newer entries, as the target version ' +
      `(${formatStoredVersion(target)}) is lower than the version (${formatStoredVersion(oldest)}) ` +
      'detected from WAL logs',
  );
}

function overwrite(edit: DatabaseEdit, target: ClusterVersion): void {
  const isNamed = versionAtLeast(target, 3, 6);
  const text = isNamed ? bytesFromUtf8(formatStoredVersion(target)) : undefined;
  edit.set(BUCKET.META, META_KEY.STORAGE_VERSION, text);
}
