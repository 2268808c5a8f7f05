// A database file that is worked on without a member: found, locked, opened.
//
// The lock is the one that a member holds while it runs. It is taken for reading too: a member that
// writes while the file is read would make nonsense of it.

import { ERROR_CODES, hasCode, TetcdError } from '../base/index.ts';
import { type Database, type DatabaseOptions, openDatabase } from '../bbolt/index.ts';
import { type DiskFile, OPEN_MODES } from '../env/index.ts';
import { LOCK_RETRY_MS } from './limits.ts';
import type { OfflineEnv } from './types.ts';

/** How long to wait for the lock of a file. */
export interface LockOptions {
  /** Milliseconds until LOCKED; 0 or nothing waits without an end. */
  readonly lockTimeoutMs?: number;
}

type Visit = DatabaseOptions['visit'];

/** NOT_FOUND, in the words of etcd's tools, unless there is a file of this name. */
export async function mustBeFile({ disk }: OfflineEnv, path: string): Promise<void> {
  const found = await disk.stat(path);
  if (found === undefined) {
    throw new TetcdError(ERROR_CODES.NOT_FOUND, `stat ${path}: no such file or directory`);
  }
  if (found.kind === 'file') return;
  throw new TetcdError(ERROR_CODES.INVALID_ARGUMENT, `${path} is a directory, not a database`);
}

/**
 * Runs `use` on the file, which is read and not changed. `visit` is that of {@link openDatabase}. Rejects
 * with NOT_FOUND, with LOCKED if another process still has it at the end of the time, and with CORRUPT,
 * naming file and page, if it is no database or a damaged one.
 */
export async function readingDatabase<Result>(
  env: OfflineEnv,
  path: string,
  options: LockOptions & { readonly visit?: Visit },
  use: (database: Database) => Promise<Result> | Result,
): Promise<Result> {
  await mustBeFile(env, path);
  const lock = await env.disk.open(path, OPEN_MODES.READ);
  try {
    await retryLocked(env, options, () => lock.lock());
    const visit = options.visit === undefined ? {} : { visit: options.visit };
    const database = await openDatabase(env, path, { readOnly: true, ...visit });
    try {
      return await use(database);
    } finally {
      await database.close();
    }
  } finally {
    await lock.close();
  }
}

/** As {@link readingDatabase}, for a file that `use` changes. An empty file is refused, not filled. */
export async function changingDatabase<Result>(
  env: OfflineEnv,
  path: string,
  options: LockOptions,
  use: (database: Database) => Promise<Result>,
): Promise<Result> {
  await mustBeFile(env, path);
  const probe = await env.disk.open(path, OPEN_MODES.READ);
  await refuseEmpty(probe).finally(() => probe.close());
  const database = await retryLocked(env, options, () => openDatabase(env, path));
  try {
    return await use(database);
  } finally {
    await database.close();
  }
}

async function refuseEmpty(file: DiskFile): Promise<void> {
  if (file.size() > 0) return;
  throw new TetcdError(ERROR_CODES.CORRUPT, `${file.path} is empty, and no database`);
}

/** Tries until it is not LOCKED any more, or the time is over: then the last LOCKED. */
async function retryLocked<Result>(
  { clock, timers }: OfflineEnv,
  { lockTimeoutMs = 0 }: LockOptions,
  attempt: () => Promise<Result>,
): Promise<Result> {
  const endMs = lockTimeoutMs <= 0 ? Number.POSITIVE_INFINITY : clock.monotonicMs() + lockTimeoutMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (!hasCode(error, ERROR_CODES.LOCKED) || clock.monotonicMs() >= endMs) throw error;
    }
    const leftMs = Math.min(LOCK_RETRY_MS, endMs - clock.monotonicMs());
    await new Promise<void>((resolve) => timers.after(Math.max(0, leftMs), resolve));
  }
}
