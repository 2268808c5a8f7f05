// Files and directories that a first start creates before it writes its identity, and their removal.
//
// A failed first start leaves nothing behind, so that it can be repeated with other settings. Only what
// this start created is removed, and the database only under its lock, since it might be another
// process's. The identity is written last (`createWal` is atomic), and from then on nothing is removed:
// raft runs, and others may count on this member's votes.

import { dirname } from 'node:path';
import type { Disk } from '../env/index.ts';

export class FirstFiles {
  readonly #disk: Disk;
  /** Created directories, each before its subdirectories. */
  readonly #directories: string[] = [];
  #database: string | undefined;

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  /**
   * Creates the directory and its missing parents durably. The lowest `ownLevels` are synced even if they
   * exist: a process that died may have created them.
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

  /** Called before the database is opened, which creates a missing one. */
  async expectDatabase(path: string): Promise<void> {
    if ((await this.#disk.stat(path)) === undefined) this.#database = path;
  }

  /** To be called while the database is locked by this process. */
  async takeBackDatabase(): Promise<void> {
    if (this.#database !== undefined) await this.#disk.removeTree(this.#database).catch(ignore);
  }

  /** The last step. A directory with other content stays. */
  async takeBackDirectories(): Promise<void> {
    for (const path of this.#directories.reverse()) {
      const names = await this.#disk.list(path).catch(() => undefined);
      if (names?.length === 0) await this.#disk.removeTree(path).catch(ignore);
    }
  }
}

/** Ignores errors of the removal: the start has failed already, and leftovers are harmless. */
function ignore(): void {}
