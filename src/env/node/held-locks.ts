// Locks that belong to a name and not to an open file (a lock file beside it), within this process.
//
// A file may be renamed over one that is still open and locked; then both are ours, under one name,
// and share what stands for the lock. That cannot stop this process from locking one file twice, so
// this table tells apart the files that share it.

import { fstat } from 'node:fs';
import { resolve } from 'node:path';
import { lockedError, type ReleaseLock } from './lock-file.ts';

interface Held {
  readonly taken: Promise<ReleaseLock>;
  /** Files that share it, as device and inode. */
  readonly files: Set<string>;
}

/** By absolute path. A lock belongs to the process, not to the part that asked for it. */
const heldByPath = new Map<string, Held>();

/** Takes the lock of `path` for the open file, or shares it. LOCKED if this very file has it. */
export async function shareLock(
  path: string,
  descriptor: number,
  take: () => Promise<ReleaseLock>,
): Promise<ReleaseLock> {
  const key = resolve(path);
  const file = await identityOf(descriptor);
  let held = heldByPath.get(key);
  if (held?.files.has(file) === true) throw lockedError(path, `process ${process.pid}`);
  if (held === undefined) {
    held = { taken: take(), files: new Set() };
    heldByPath.set(key, held);
  }
  const { taken, files } = held;
  files.add(file);
  const leave = (): boolean => {
    files.delete(file);
    if (files.size > 0) return false;
    heldByPath.delete(key);
    return true;
  };
  try {
    const release = await taken;
    return async () => {
      if (leave()) await release();
    };
  } catch (error) {
    leave();
    throw error;
  }
}

function identityOf(descriptor: number): Promise<string> {
  return new Promise((done) => {
    fstat(descriptor, { bigint: true }, (error, found) => {
      // A file that cannot be told apart from others shares with none.
      done(error === null ? `${found.dev}:${found.ino}` : '');
    });
  });
}
