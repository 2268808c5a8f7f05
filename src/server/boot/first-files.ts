// What a first start makes on disk before it writes who it is, and how it takes that back.
//
// A first start that fails leaves nothing behind that was not there before: it may be tried again with
// other settings. Only what this start made is taken back, and the database only under its lock, or it
// might be that of another process. The identity is written last (`createWal` leaves all or nothing), and
// from then on nothing is taken back: raft begins, and others may count on this member's votes.

import { dirname } from 'node:path';
import type { Disk } from '../../env/index.ts';

export class FirstFiles {
  readonly #disk: Disk;
  /** Directories that were missing, each before what is in it. */
  readonly #directories: string[] = [];
  #database: string | undefined;

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  /**
   * Makes the directory and its missing parents so that no crash takes their names away. The lowest
   * `ownLevels` are synced even if they are there: a process that died may have made them.
   */
  async makeDirectory(path: string, ownLevels: number): Promise<void> {
    const disk = this.#disk;
    const missing: string[] = [];
    const parents: string[] = [];
    for (let at = path; dirname(at) !== at; at = dirname(at)) {
      const isThere = (await disk.stat(at)) !== undefined;
      if (isThere && parents.length >= ownLevels) break;
      if (!isThere) missing.unshift(at);
      parents.push(dirname(at));
    }
    this.#directories.push(...missing);
    await disk.makeDirectory(path);
    for (const parent of parents) await disk.syncDirectory(parent);
  }

  /** The database is about to be opened, and made if it is missing. */
  async expectDatabase(path: string): Promise<void> {
    if ((await this.#disk.stat(path)) === undefined) this.#database = path;
  }

  /** To be called while the database is locked by this process. */
  async takeBackDatabase(): Promise<void> {
    if (this.#database !== undefined) await this.#disk.removeTree(this.#database).catch(ignore);
  }

  /** Last of all. A directory that something else has been put into stays. */
  async takeBackDirectories(): Promise<void> {
    for (const path of this.#directories.reverse()) {
      const names = await this.#disk.list(path).catch(() => undefined);
      if (names?.length === 0) await this.#disk.removeTree(path).catch(ignore);
    }
  }
}

/** The start has failed already; what cannot be taken back does no harm. */
function ignore(): void {}
