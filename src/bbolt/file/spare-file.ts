// An empty file that is locked already, for a database to come.
//
// On Linux a lock takes a fork of the process (see `env/node/lock.ts`), which stands still while its page
// tables are copied: 30 ms for each GB of resident memory. So a file is locked while the process is small,
// and a replaced one, which is locked, is emptied and used again.

import { ERROR_CODES, hasCode, invariant } from '../../base/index.ts';
import { type Disk, type DiskFile, type Env, OPEN_MODES } from '../../env/index.ts';
import type { SpareFile } from '../api.ts';

/**
 * Makes the file, or empties one that a crash has left. LOCKED if another process has it. The caller
 * passes it to `openDatabase`, or removes it.
 */
export async function openSpareFile(env: Pick<Env, 'disk'>, path: string): Promise<SpareFile> {
  const file = await env.disk.open(path, OPEN_MODES.OPEN_OR_CREATE, 0o600);
  try {
    await file.lock();
    await file.truncate(0);
    return new LockedFile(env.disk, file);
  } catch (error) {
    await file.close();
    throw error;
  }
}

export class LockedFile implements SpareFile {
  readonly path: string;
  readonly #disk: Disk;
  #file: DiskFile | undefined;

  /** Takes over an open file, which is locked and empty. */
  constructor(disk: Disk, file: DiskFile) {
    invariant(file.size() === 0, 'a spare file is empty');
    this.path = file.path;
    this.#disk = disk;
    this.#file = file;
  }

  /** The file, which is the caller's from now on. */
  take(): DiskFile {
    const file = this.#file;
    invariant(file !== undefined, 'a spare file is used once');
    this.#file = undefined;
    return file;
  }

  async remove(): Promise<void> {
    await removeFile(this.#disk, this.take());
  }
}

/** Removes the name by which the file goes, unless another file has it by now, and closes the file. */
export async function removeFile(disk: Disk, file: DiskFile): Promise<void> {
  try {
    if (file.isNamed()) await disk.remove(file.path);
  } catch (error) {
    if (!hasCode(error, ERROR_CODES.NOT_FOUND)) throw error;
  } finally {
    await file.close();
  }
}
