// The file of the next exchange. Two temporary names alternate: while the new file is filled under one of
// them, the old one gets the other just before it loses its own, is emptied when its readers have ended,
// and is the next new file: it is locked already (`bbolt/file/spare-file.ts` says why that matters).
//
//     1  db: old    name 0: empty, locked     name 1: -
//     2  db: old    name 0: filled            name 1: old
//     3  db: new    name 0: -                 name 1: old, still read, then emptied
//     4  db: new    name 0: -                 name 1: empty, locked
//
// A crash leaves temporary names, which are removed at the next start. Where there is no spare file (none
// was prepared, the old one is still read, the file system knows no second names), the new file is made and
// locked as any other.

import { invariant } from '../../base/index.ts';
import { type Database, openSpareFile, type SpareFile } from '../../bbolt/index.ts';
import type { Env } from '../../env/index.ts';

/** Of the file that takes part in an exchange, or that waits for one. */
interface NewFile {
  readonly path: string;
  /** Undefined if it has to be made. */
  readonly spare: SpareFile | undefined;
}

export class SpareFiles {
  readonly #disk: Env['disk'];
  /** Empty, for the next exchange. */
  #spare: SpareFile | undefined;
  /** Its name, or that of the old file that will be it. */
  #name: string | undefined;
  #preparing: Promise<void> = Promise.resolve();
  #ended = false;

  constructor({ disk }: Pick<Env, 'disk'>) {
    this.#disk = disk;
  }

  /** Makes the first one. Without it the next exchange makes its own, so a failure is none. */
  prepare(path: string): Promise<void> {
    if (this.#name !== undefined || this.#ended) return this.#preparing;
    this.#name = path;
    this.#preparing = openSpareFile({ disk: this.#disk }, path).then(
      (spare) => this.settle(path, spare),
      () => this.settle(path, undefined),
    );
    return this.#preparing;
  }

  /** The new file of an exchange for which `path` was chosen. */
  async take(path: string): Promise<NewFile> {
    await this.#preparing;
    const spare = this.#spare;
    this.#spare = undefined;
    if (spare !== undefined) {
      invariant(this.#name === spare.path, 'the spare file has the name that is taken');
      this.#name = undefined;
      return { path: spare.path, spare };
    }
    return { path: this.#name === path ? alternate(path) : path, spare: undefined };
  }

  /**
   * Gives the old file, which is about to lose its name, the name that it then keeps; undefined if it shall
   * not become the next one. `newPath` is that of the new file, `path` as for {@link take}.
   */
  async keep(old: Database, newPath: string, path: string): Promise<string | undefined> {
    if (this.#name !== undefined || this.#ended) return undefined;
    const name = newPath === path ? alternate(path) : path;
    try {
      await old.link(name);
    } catch {
      return undefined;
    }
    this.#name = name;
    return name;
  }

  /** What has become of the file of that name: a spare one, or it was closed and its name removed. */
  async settle(name: string, spare: SpareFile | undefined): Promise<void> {
    invariant(this.#name === name, 'one file at a time becomes the next one');
    if (spare !== undefined && !this.#ended) {
      this.#spare = spare;
      return;
    }
    this.#name = undefined;
    await spare?.remove().catch(() => undefined);
  }

  /** The old file keeps its own name after all. */
  async undo(name: string): Promise<void> {
    invariant(this.#name === name, 'one file at a time becomes the next one');
    this.#name = undefined;
    await this.#disk.remove(name).catch(() => undefined);
  }

  /** Removes the spare file, and others as soon as they are empty. */
  async end(): Promise<void> {
    this.#ended = true;
    await this.#preparing;
    const spare = this.#spare;
    this.#spare = undefined;
    if (spare === undefined) return;
    this.#name = undefined;
    await spare.remove().catch(() => undefined);
  }
}

/** The other one of two names; of different length, so that no name is made from the other one twice. */
function alternate(path: string): string {
  return `${path}.next`;
}
