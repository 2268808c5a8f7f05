// The lock of a directory, for files of which new ones are made while a member serves. On Linux each lock
// is the start of a program, and a process that is large stops for tens of milliseconds to start one: with
// this lock a file in the directory needs none.
//
// Only on file systems that one machine has for itself. Where several share it, locks of files exclude
// the others, but that of a directory is known to this machine alone (the Linux client of NFS and most
// like it), so each file is locked there as before. So it is on macOS, the BSDs and Windows, where a lock
// starts no program and, on the first two, a real etcd sees it.
//
// flock(2) takes a directory as it takes a file; the lock belongs to the open directory, whatever its
// name, until we close it or die.

import { close, constants, open, type StatsFs, statfs } from 'node:fs';
import type { DirectoryLock } from '../disk.ts';
import { flockByProgram } from './lock.ts';
import { diskError } from './node-error.ts';

/** What statfs(2) of Linux calls the file systems of one machine. */
const LOCAL_FILE_SYSTEMS: ReadonlySet<number> = new Set([
  0xef53, // ext2, ext3, ext4
  0x5846_5342, // XFS
  0x9123_683e, // btrfs
  0xf2f5_2010, // F2FS
  0x2fc1_2fc1, // ZFS
  0xca45_1a4e, // bcachefs
  0x0102_1994, // tmpfs
  0x794c_7630, // overlayfs
]);

/** Covers nothing. */
const NO_LOCK: DirectoryLock = { coversFiles: false, release: async () => {} };

/** As `Disk.lockDirectory`. The options are there so that a test can take both away. */
export async function lockDirectory(
  path: string,
  { program = 'flock', fileSystems = LOCAL_FILE_SYSTEMS } = {},
): Promise<DirectoryLock> {
  const type = await fileSystemOf(path);
  if (process.platform !== 'linux' || !fileSystems.has(type)) return NO_LOCK;
  const descriptor = await openDirectory(path);
  let released: Promise<void> | undefined;
  const release = (): Promise<void> => {
    // Once: the system may have given the number to another file since.
    released ??= new Promise((done) => close(descriptor, () => done()));
    return released;
  };
  try {
    if (await flockByProgram(path, descriptor, program)) return { coversFiles: true, release };
  } catch (error) {
    await release();
    throw error;
  }
  await release();
  return NO_LOCK;
}

function fileSystemOf(path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    statfs(path, (error: NodeJS.ErrnoException | null, found: StatsFs) => {
      if (error !== null) reject(diskError(error, 'lock', path));
      else resolve(found.type);
    });
  });
}

function openDirectory(path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    open(path, constants.O_RDONLY | constants.O_DIRECTORY, (error, descriptor) => {
      if (error !== null) reject(diskError(error, 'lock', path));
      else resolve(descriptor);
    });
  });
}
