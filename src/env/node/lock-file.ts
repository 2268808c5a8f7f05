// The lock where the platform offers none: a file `<path>.lock` that holds the pid and the start time
// of the process that has the lock. One whose process is gone is stale and is taken over: the start
// time tells a process from a later one that got the same pid.
//
// It is made under a private name and then linked to its real one, so that it is never seen half
// written. On Linux `/proc/locks` is looked at as well, so that a real etcd's lock is respected;
// etcd, however, does not look at the lock file and would not be stopped by it.

import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { link, readFile, rename, unlink, writeFile } from 'node:fs/promises';
import { ERROR_CODES, TetcdError } from '../../base/index.ts';
import { diskError, errnoOf } from './node-error.ts';
import { foreignLock } from './proc-locks.ts';

/** Stale locks taken over in one call; more means that several processes fight for it. */
const TAKE_OVERS_MAX = 3;

/** Gives up what a lock holds beside the descriptor. */
export type ReleaseLock = () => Promise<void>;

export interface HeldLock {
  readonly release: ReleaseLock;
  /** Whether it is the lock of a name, to be taken for another one, and not of the open file. */
  readonly isOfName: boolean;
}

export function lockedError(path: string, who: string): TetcdError {
  const text = `lock ${path}: another process uses it${who === '' ? '' : ` (${who})`}`;
  return new TetcdError(ERROR_CODES.LOCKED, text);
}

export async function takeLockFile(path: string, descriptor: number): Promise<ReleaseLock> {
  const other = await foreignLock(descriptor);
  if (other !== undefined) throw lockedError(path, other);
  const lockPath = `${path}.lock`;
  const owner = await describeOwner(process.pid);
  for (let attempt = 0; attempt < TAKE_OVERS_MAX; attempt++) {
    if (await createExclusively(lockPath, owner)) {
      return async () => {
        await unlink(lockPath).catch(() => {});
      };
    }
    const found = await readFile(lockPath, 'utf8').catch(() => undefined);
    if (found === undefined) continue;
    if (await isAlive(found)) throw lockedError(path, `process ${found.split(' ')[0]}`);
    await setAside(lockPath, found);
  }
  throw lockedError(path, 'several processes try to take it over');
}

/** False if the lock file exists. */
async function createExclusively(lockPath: string, owner: string): Promise<boolean> {
  const privatePath = privateName(lockPath);
  try {
    await writeFile(privatePath, owner, { flag: 'wx', mode: 0o600 });
    await link(privatePath, lockPath);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    throw diskError(error, 'create lock file', lockPath);
  } finally {
    await unlink(privatePath).catch(() => {});
  }
}

/**
 * Takes a stale lock file out of the way. Two processes may judge the same file stale:
 * 1. both read it, A renames it away and creates its own;
 * 2. B renames A's new file away.
 * So B looks at what it has renamed, and puts it back if it is not what it had judged.
 */
async function setAside(lockPath: string, judged: string): Promise<void> {
  const privatePath = privateName(lockPath);
  try {
    await rename(lockPath, privatePath);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    throw diskError(error, 'take over lock file', lockPath);
  }
  const moved = await readFile(privatePath, 'utf8').catch(() => '');
  if (moved !== judged) await link(privatePath, lockPath).catch(() => {});
  await unlink(privatePath).catch(() => {});
}

function privateName(lockPath: string): string {
  return `${lockPath}.${process.pid}.${randomBytes(6).toString('hex')}`;
}

async function describeOwner(pid: number): Promise<string> {
  return `${pid} ${await startTimeOf(pid)}\n`;
}

async function isAlive(owner: string): Promise<boolean> {
  const pid = Number.parseInt(owner, 10);
  if (!Number.isSafeInteger(pid) || pid <= 0) {
    const text = `lock file content ${JSON.stringify(owner.slice(0, 80))} names no process`;
    throw new TetcdError(ERROR_CODES.LOCKED, text);
  }
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it exists and belongs to another user.
    if (errnoOf(error) === 'ESRCH') return false;
  }
  return (await describeOwner(pid)) === owner;
}

/** Start time of the process, in the platform's format; a dash where it has none. */
async function startTimeOf(pid: number): Promise<string> {
  if (process.platform === 'linux') {
    const line = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '');
    // Field 2 is the program's name in parentheses and may hold spaces; 22 is the start time.
    const afterName = line.slice(line.lastIndexOf(')') + 2).split(' ');
    return afterName[19] ?? '-';
  }
  if (process.platform === 'win32') return '-';
  return new Promise((resolve) => {
    execFile('ps', ['-o', 'lstart=', '-p', String(pid)], (error, stdout) => {
      resolve(error === null && stdout.trim() !== '' ? stdout.trim() : '-');
    });
  });
}
