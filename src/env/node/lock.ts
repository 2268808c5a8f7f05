// The exclusive lock of a file, so that two processes never open one data directory.
//
// Node cannot call flock(2). What is done instead, by platform:
//
// - Linux: `flock(1)` locks the descriptor that it inherits. The lock belongs to the open file, not
//   to that program, so it stays after the program has ended, until we close the descriptor or die.
//   It is the lock that etcd takes on its database file. On its log segments etcd takes another kind
//   (open file description locks), which flock does not see: those are looked up in `/proc/locks`.
// - macOS and the BSDs: open(2) can take the same lock (O_EXLOCK). A second descriptor holds it.
// - Windows: a lock file beside the file, held open with sharing denied.
// - Where none of these works: `lock-file.ts`.
//
// The lock of a directory (`directory-lock.ts`) spares those of its files.
//
// A lock is the file's, not its name's: a database that is renamed over another one, which this process
// still has open and locked, is locked beside it. Where the lock is the name's, it is taken for the new
// name before the file is renamed, and `held-locks.ts` lets both files share it.
//
// What this cannot stop: on Linux, an etcd that opens only log segments (`etcdutl` on a directory in
// use); on Windows, a real etcd, which has its own kind of lock; a process in another container or
// machine whose locks the file system does not share (some NFS mounts), and there `/proc/locks`
// shows nothing either.

import { spawn } from 'node:child_process';
import { close, constants, open } from 'node:fs';
import { ERROR_CODES, TetcdError } from '../../base/index.ts';
import { shareLock } from './held-locks.ts';
import { type HeldLock, lockedError, type ReleaseLock, takeLockFile } from './lock-file.ts';
import { diskError, errnoOf } from './node-error.ts';
import { foreignLock } from './proc-locks.ts';

/** open(2): take an exclusive flock; the same bit on macOS, FreeBSD, OpenBSD and NetBSD. */
const BSD_O_EXLOCK = 0x20;
/** libuv: deny every other open of the file. */
const WINDOWS_EXLOCK = 0x1000_0000;
/** libuv: the file goes when it is closed. */
const WINDOWS_TEMPORARY = 0x40;
/** `flock -n` when another process holds the lock. */
const FLOCK_EXIT_CONFLICT = 1;
/** Bytes of flock's complaints that we keep. */
const STDERR_SIZE_MAX = 1024;

/**
 * Locks the file, which is open as `descriptor`. Rejects with LOCKED at once if another owner has
 * it. The caller closes the descriptor; the function returned releases everything else.
 */
export async function lockFile(path: string, descriptor: number): Promise<HeldLock> {
  switch (process.platform) {
    case 'win32':
      return ofName(
        await shareLock(path, descriptor, () =>
          holdOpen(
            `${path}.lock`,
            constants.O_RDWR | constants.O_CREAT | WINDOWS_EXLOCK | WINDOWS_TEMPORARY,
          ),
        ),
      );
    case 'darwin':
    case 'freebsd':
    case 'openbsd':
    case 'netbsd':
      return ofFile(await holdOpen(path, constants.O_RDONLY | constants.O_NONBLOCK | BSD_O_EXLOCK));
    default:
      return lockByProgram(path, descriptor, 'flock');
  }
}

function ofName(release: ReleaseLock): HeldLock {
  return { release, isOfName: true };
}

function ofFile(release: ReleaseLock): HeldLock {
  return { release, isOfName: false };
}

/** Programs that were not found: each attempt to start one stops the process for as long as a start. */
const missingPrograms = new Set<string>();

/** See `Disk.lockGap`. */
export function lockGap(): string | undefined {
  if (missingPrograms.size === 0) return undefined;
  return (
    'there is no flock program (util-linux, busybox): a real etcd can open the same directory ' +
    'at the same time and destroy it'
  );
}

/** Linux. `program` is a parameter so that a test can take it away. */
export async function lockByProgram(
  path: string,
  descriptor: number,
  program: string,
): Promise<HeldLock> {
  if (!(await flockByProgram(path, descriptor, program))) {
    return ofName(await shareLock(path, descriptor, () => takeLockFile(path, descriptor)));
  }
  const other = await foreignLock(descriptor, { ignoreFlock: true });
  if (other !== undefined) throw lockedError(path, other);
  return ofFile(async () => {});
}

/** False without the program; LOCKED if another process holds such a lock. */
export async function flockByProgram(
  path: string,
  descriptor: number,
  program: string,
): Promise<boolean> {
  if (missingPrograms.has(program)) return false;
  const outcome = await runFlock(program, descriptor);
  if (outcome === 'missing') {
    missingPrograms.add(program);
    return false;
  }
  if (outcome === 'conflict') throw lockedError(path, (await foreignLock(descriptor)) ?? '');
  if (outcome !== 'locked') {
    throw new TetcdError(ERROR_CODES.DISK_FAILED, `lock ${path}: ${outcome.complaint}`);
  }
  return true;
}

/**
 * For a file whose directory is locked by this process: nothing is taken, LOCKED if another one has locked
 * the file itself.
 */
export async function lockWithinDirectory(path: string, descriptor: number): Promise<HeldLock> {
  const other = await foreignLock(descriptor);
  if (other !== undefined) throw lockedError(path, other);
  return ofFile(async () => {});
}

type FlockOutcome = 'locked' | 'conflict' | 'missing' | { readonly complaint: string };

/** Listens to what it says only when it has failed: a pipe doubles what the first start costs. */
async function runFlock(program: string, descriptor: number): Promise<FlockOutcome> {
  const outcome = await startFlock(program, descriptor, 'ignore');
  if (outcome === 'locked' || outcome === 'missing') return outcome;
  return startFlock(program, descriptor, 'pipe');
}

function startFlock(
  program: string,
  descriptor: number,
  words: 'ignore' | 'pipe',
): Promise<FlockOutcome> {
  return new Promise((resolve) => {
    const child = spawn(program, ['-x', '-n', '3'], {
      stdio: ['ignore', 'ignore', words, descriptor],
    });
    let complaint = '';
    child.stderr?.on('data', (bytes: Buffer) => {
      if (complaint.length < STDERR_SIZE_MAX) complaint += bytes.toString('utf8');
    });
    child.on('error', (error) => {
      const errno = errnoOf(error);
      if (errno === 'ENOENT' || errno === 'EACCES') resolve('missing');
      else resolve({ complaint: diskError(error, 'start', program).message });
    });
    child.on('close', (code, signal) => {
      if (code === 0) resolve('locked');
      // A conflict is silent; with words, the same exit code means another failure (busybox).
      else if (code === FLOCK_EXIT_CONFLICT && complaint === '') resolve('conflict');
      else resolve({ complaint: `${program} ended with ${signal ?? code}: ${complaint.trim()}` });
    });
  });
}

/** Opens the path with flags that lock it, and keeps it open until released. */
function holdOpen(path: string, flags: number): Promise<ReleaseLock> {
  return new Promise((resolve, reject) => {
    open(path, flags, 0o600, (error, held) => {
      if (error === null) {
        resolve(() => new Promise((released) => close(held, () => released())));
        return;
      }
      const errno = errnoOf(error);
      // macOS says EAGAIN; Windows a sharing violation, which libuv calls EBUSY.
      if (errno === 'EAGAIN' || errno === 'EWOULDBLOCK' || errno === 'EBUSY') {
        reject(lockedError(path, ''));
      } else reject(diskError(error, 'lock', path));
    });
  });
}
