// Who holds a lock on a file, as Linux lists them in `/proc/locks`:
//
//   3: FLOCK  ADVISORY  WRITE 13918 fe:00:9978028 0 EOF
//      kind             access pid  device:inode  range
//
// The pid is -1 for an open file description lock. A waiter's line has `->` after the number.

import { fstat, readFile } from 'node:fs';

/**
 * Other holders of a lock on the open file, in words; undefined if there are none or the platform
 * cannot tell. `ignoreFlock`: leave out locks of the flock kind, for a caller that holds that lock.
 */
export async function foreignLock(
  descriptor: number,
  options?: { readonly ignoreFlock: boolean },
): Promise<string | undefined> {
  const [table, file] = await Promise.all([readLocks(), deviceAndInode(descriptor)]);
  if (table === undefined || file === undefined) return undefined;
  return findLock(table, file, options?.ignoreFlock === true);
}

/** The parser, apart so that a test can feed it. */
export function findLock(table: string, file: string, ignoreFlock: boolean): string | undefined {
  for (const line of table.split('\n')) {
    const words = line.trim().split(/\s+/);
    const [, kind, , , pid, at] = words;
    if (words.length < 8 || kind === undefined || at !== file) continue;
    if (ignoreFlock && kind === 'FLOCK') continue;
    return pid === undefined || pid === '-1' ? `a lock of kind ${kind}` : `process ${pid}`;
  }
  return undefined;
}

function readLocks(): Promise<string | undefined> {
  return new Promise((resolve) => {
    readFile('/proc/locks', 'latin1', (error, text) => resolve(error ? undefined : text));
  });
}

/** `major:minor:inode` with the device in hexadecimal, as the table writes it. */
function deviceAndInode(descriptor: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    fstat(descriptor, { bigint: true }, (error, found) => {
      if (error !== null) {
        resolve(undefined);
        return;
      }
      const device = found.dev;
      const major = (device >> 8n) & 0xfffn;
      const minor = (device & 0xffn) | ((device >> 12n) & 0xfff00n);
      const hex = (value: bigint): string => value.toString(16).padStart(2, '0');
      resolve(`${hex(major)}:${hex(minor)}:${found.ino}`);
    });
  });
}
