// Prepares the next segment while the current one fills: a file of zeros, written and synced. Without
// pauses once a cut waits for it.
//
// Two names, `0.tmp` and `1.tmp`, alternate, since the file taken last may not be renamed yet.

import { invariant, type TetcdError } from '../base/index.ts';
import { type DiskFile, OPEN_MODES } from '../env/index.ts';
import { syncFile } from './observe.ts';
import { TEMPORARY_SUFFIX } from './segments.ts';
import type { WalEnv, WalOptions } from './types.ts';
import { ZeroFiller } from './zero-filler.ts';

export class SegmentPreparer {
  readonly #env: WalEnv;
  readonly #directory: string;
  readonly #size: number;
  readonly #options: WalOptions;
  #count = 0;
  /** The file that is prepared or being prepared. */
  #file: Promise<DiskFile> | undefined;
  #filler: ZeroFiller | undefined;
  /** A cut waits: prepare without pauses. */
  #hurried = false;
  #stopped = false;

  constructor(env: WalEnv, directory: string, size: number, options: WalOptions) {
    invariant(size > 0, 'a segment has a size');
    this.#env = env;
    this.#directory = directory;
    this.#size = size;
    this.#options = options;
  }

  /** Begins the preparation, unless it has begun. A failure is reported to the observer. */
  start(): void {
    if (this.#file !== undefined || this.#stopped) return;
    this.#hurried = false;
    const file = this.#prepare();
    this.#file = file;
    file.catch((error: TetcdError) => {
      if (this.#file === file) this.#file = undefined;
      this.#options.observer?.prepareFailed?.(error);
    });
  }

  /** The file, which belongs to the caller; the next `start` makes another. */
  async take(): Promise<DiskFile> {
    invariant(!this.#stopped, 'SegmentPreparer.take: stopped');
    this.start();
    this.#hurried = true;
    this.#filler?.hurry();
    const preparing = this.#file;
    invariant(preparing !== undefined, 'a preparation that has begun has its file');
    const file = await preparing;
    invariant(this.#file === preparing, 'one cut at a time takes the file');
    invariant(file.size() >= this.#size, 'a prepared segment has its full size');
    this.#file = undefined;
    this.#count++;
    return file;
  }

  /** Removes what was prepared. */
  async stop(): Promise<void> {
    invariant(!this.#stopped, 'a preparer is stopped once');
    this.#stopped = true;
    this.#filler?.stop();
    const file = await this.#file?.catch(() => undefined);
    if (file === undefined) return;
    await file.close();
    await this.#env.disk.remove(file.path).catch(() => {});
  }

  async #prepare(): Promise<DiskFile> {
    const path = `${this.#directory}/${this.#count % 2}${TEMPORARY_SUFFIX}`;
    const file = await this.#env.disk.open(path, OPEN_MODES.OPEN_OR_CREATE);
    try {
      // A file left behind by a crash may hold records.
      await file.truncate(0);
      const filler = new ZeroFiller(this.#env, file, this.#size, this.#options);
      this.#filler = filler;
      if (this.#hurried) filler.hurry();
      if (this.#stopped) filler.stop();
      await filler.fill(() => syncFile(this.#env, file, { ...this.#options, observer: {} }), 0);
      return file;
    } catch (error) {
      await file.close();
      // Frees the space, if that was too little.
      await this.#env.disk.remove(path).catch(() => {});
      throw error;
    }
  }
}
