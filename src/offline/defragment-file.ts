// A database file written again without its free pages, while no member uses it.

import { dirname } from 'node:path';
import { ERROR_CODES, humanBytes, TetcdError } from '../base/index.ts';
import { type Database, openDatabase } from '../bbolt/index.ts';
import { changingDatabase, type LockOptions } from './database-file.ts';

import type { OfflineEnv } from './types.ts';

/** A member that starts removes what has this name: a copy that a crash left behind. */
const COPY_SUFFIX = '.tmp.defragment';

/** Bytes of the file. */
interface DefragmentedFile {
  readonly sizeBefore: number;
  readonly sizeAfter: number;
}

/**
 * Replaces the file by one with the same content. Atomic: whatever fails, and at any crash, the file has
 * its old content or its new one. DISK_FULL, naming what is needed and what is free, if there is no room
 * for a second file; other errors as of {@link changingDatabase}.
 */
export function defragmentFile(
  env: OfflineEnv,
  path: string,
  options: LockOptions = {},
): Promise<DefragmentedFile> {
  return changingDatabase(env, path, options, async (database) => {
    const copyPath = `${path}${COPY_SUFFIX}`;
    await env.disk.removeTree(copyPath);
    await checkRoom(env, database);
    const sizeBefore = database.size();
    const { pageSize } = database;
    const copy = await openDatabase(env, copyPath, { pageSize });
    try {
      await database.compactInto(copy);
      await copy.rename(path);
      return { sizeBefore, sizeAfter: copy.size() };
    } catch (error) {
      await env.disk.removeTree(copyPath).catch(() => undefined);
      throw error;
    } finally {
      await copy.close();
    }
  });
}

/** What is in use fits into a file of that size: pages are filled better than before. */
async function checkRoom({ disk }: OfflineEnv, database: Database): Promise<void> {
  const directory = dirname(database.path);
  const needed = database.sizeInUse();
  const free = await disk.freeBytes(directory);
  if (free >= needed) return;
  throw new TetcdError(
    ERROR_CODES.DISK_FULL,
    `a file without free pages needs ${humanBytes(needed)} in ${directory}, ` +
      `${humanBytes(free)} are free`,
  );
}
