// `check`: everything that is wrong in the directory of a stopped member, and where.

import { ERROR_CODES, TetcdError } from '../base/index.ts';
import { formatId, readV2Store } from '../membership/index.ts';
import { checkWal, listSnapFiles, readSnapFile, snapDatabasePath } from '../wal/index.ts';
import { type DataDirectory, dataDirectoryOf } from './data-directory.ts';
import type { LockOptions } from './database-file.ts';
import { type MemberDatabase, readingMemberDatabase } from './member-database.ts';
import { type MemberLog, readMemberLog } from './member-log.ts';
import type { OfflineEnv } from './types.ts';

const PARTS = {
  LOG: 'log',
  SNAPSHOT: 'snapshot',
  DATABASE: 'database',
  /** What one of the three says and another one contradicts. */
  MEMBER: 'member',
} as const;

/** One thing that is wrong. */
export interface Problem {
  readonly part: (typeof PARTS)[keyof typeof PARTS];
  /** Names the file, and the place in it. */
  readonly text: string;
}

export interface DirectoryCheck {
  /** Empty for a sound directory, on which a member of this release starts. */
  readonly problems: readonly Problem[];
  /** Undefined where it cannot be read. */
  readonly log: MemberLog | undefined;
  readonly database: MemberDatabase | undefined;
}

export interface DirectoryOptions extends LockOptions {
  readonly dataDir: string;
  /** Empty for the place within `dataDir`. */
  readonly walDir?: string;
}

/** Changes nothing. NOT_FOUND if it is no data directory, LOCKED if it is in use, DISK_FAILED. */
export async function checkDirectory(
  env: OfflineEnv,
  options: DirectoryOptions,
): Promise<DirectoryCheck> {
  const directory = dataDirectoryOf(options);
  await mustBeDataDirectory(env, options.dataDir);
  const problems: Problem[] = [];
  const note = (part: Problem['part'], text: string) => void problems.push({ part, text });
  const read = async <Result>(part: Problem['part'], work: () => Promise<Result>) => {
    try {
      return await work();
    } catch (error) {
      note(part, textOfDamage(error));
      return undefined;
    }
  };
  let log: MemberLog | undefined;
  const rest = async (): Promise<void> => {
    const lines = await read(PARTS.LOG, () => checkWal(env, directory.wal));
    for (const line of lines ?? []) note(PARTS.LOG, line);
    if (lines?.length === 0) log = await read(PARTS.LOG, () => readMemberLog(env, directory.wal));
    await checkSnapFiles(env, directory, read);
  };
  let hasRest = false;
  const database = await read(PARTS.DATABASE, () =>
    readingMemberDatabase(env, directory.database, options, async (found) => {
      for (const { page, text } of found.violations) {
        note(PARTS.DATABASE, `${directory.database}: page ${page}: ${text}`);
      }
      // While the database is locked, so that no member writes what is read.
      hasRest = true;
      await rest();
      return found;
    }),
  );
  if (!hasRest) await rest();
  if (log !== undefined && database !== undefined) {
    for (const text of await contradictions(env, directory, log, database)) {
      note(PARTS.MEMBER, text);
    }
  }
  return { problems, log, database };
}

async function mustBeDataDirectory({ disk }: OfflineEnv, dataDir: string): Promise<void> {
  const found = await disk.stat(`${dataDir}/member`);
  if (found?.kind === 'directory') return;
  throw new TetcdError(ERROR_CODES.NOT_FOUND, `${dataDir} is no data directory: it has no member/`);
}

/** What is wrong with a file; other errors are the caller's. */
function textOfDamage(error: unknown): string {
  const isDamage =
    error instanceof TetcdError &&
    error.code !== ERROR_CODES.LOCKED &&
    error.code !== ERROR_CODES.DISK_FAILED &&
    error.code !== ERROR_CODES.DISK_FULL;
  if (!isDamage) throw error;
  return error.message;
}

async function checkSnapFiles(
  { disk }: OfflineEnv,
  { snap }: DataDirectory,
  read: (part: Problem['part'], work: () => Promise<void>) => Promise<void>,
): Promise<void> {
  for (const { name, term, index } of await listSnapFiles(disk, snap)) {
    const path = `${snap}/${name}`;
    await read(PARTS.SNAPSHOT, async () => {
      const { data, metadata } = await readSnapFile(disk, path);
      if (metadata?.index !== index || metadata.term !== term) {
        const inside = `entry ${metadata?.index ?? 0} in term ${metadata?.term ?? 0}`;
        throw new TetcdError(ERROR_CODES.CORRUPT, `snap: ${path}: it is of ${inside}`);
      }
      try {
        readV2Store(data);
      } catch (error) {
        throw new TetcdError(ERROR_CODES.CORRUPT, `snap: ${path}: ${textOfDamage(error)}`);
      }
    });
  }
}

async function contradictions(
  { disk }: OfflineEnv,
  { snap, database: path }: DataDirectory,
  { memberId, base, last, entries }: MemberLog,
  database: MemberDatabase,
): Promise<string[]> {
  const { consistentIndex, term, storageVersion, members, removed } = database;
  const found: string[] = [];
  const received = snapDatabasePath(snap, base.index);
  if (consistentIndex < base.index && (await disk.stat(received)) === undefined) {
    found.push(
      `${path} is at entry ${consistentIndex}, but the log begins after the snapshot at ${base.index}`,
    );
  }
  const voters = members.filter(({ isLearner }) => !isLearner);
  const isAlone = voters.length === 1 && voters[0]!.id === memberId;
  if (consistentIndex > last.index && isAlone) {
    found.push(
      `${path} is at entry ${consistentIndex}, but the log of the only voter ends at ${last.index}`,
    );
  }
  if (storageVersion === undefined) return found;
  const entry = entries[consistentIndex - base.index - 1];
  if (entry !== undefined && entry.term !== term) {
    found.push(
      `${path} is at entry ${consistentIndex} in term ${term}, in the log it is of ${entry.term}`,
    );
  }
  if (removed.includes(memberId)) {
    found.push(`${path}: this member, ${formatId(memberId)}, was removed from the cluster`);
  }
  return found;
}
