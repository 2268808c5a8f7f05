// Prepares the next segment while the current one fills: a file of zeros, written and synced, so that
// later writes to it neither meet a full disk nor change the file's size (which makes a sync shorter).
// It works in chunks with pauses between them, so that commits are hardly delayed; without pauses once
// a cut waits for it.
//
// Two names, `0.tmp` and `1.tmp`, alternate, since the file taken last may not be renamed yet.

import { invariant, type TetcdError } from '../base/index.ts';
import { type DiskFile, OPEN_MODES } from '../env/index.ts';
import { PREPARE_CHUNK_SIZE, PREPARE_REST_FACTOR } from './limits.ts';
import { syncFile } from './observe.ts';
import { TEMPORARY_SUFFIX } from './segments.ts';
import type { WalEnv, WalOptions } from './types.ts';

export class SegmentPreparer {
  readonly #env: WalEnv;
  readonly #directory: string;
  readonly #size: number;
  readonly #options: WalOptions;
  #count = 0;
  /** The file that is prepared or being prepared. */
  #file: Promise<DiskFile> | undefined;
  /** A cut waits: prepare without pauses. */
  #hurry = false;
  #stopped = false;
  #endRest: (() => void) | undefined;

  constructor(env: WalEnv, directory: string, size: number, options: WalOptions) {
    this.#env = env;
    this.#directory = directory;
    this.#size = size;
    this.#options = options;
  }

  /** Begins the preparation, unless it has begun. A failure is reported to the observer. */
  start(): void {
    if (this.#file !== undefined || this.#stopped) return;
    this.#hurry = false;
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
    this.#hurry = true;
    this.#endRest?.();
    const file = await this.#file!;
    invariant(file.size() >= this.#size, 'a prepared segment has its full size');
    this.#file = undefined;
    this.#count++;
    return file;
  }

  /** Removes what was prepared. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#endRest?.();
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
      let at = 0;
      while (at < this.#size && !this.#stopped) {
        const startMs = this.#env.clock.monotonicMs();
        const next = Math.min(this.#size, at + PREPARE_CHUNK_SIZE);
        await file.zeroFill(at, next);
        await syncFile(this.#env, file, { ...this.#options, observer: {} });
        at = next;
        await this.#rest((this.#env.clock.monotonicMs() - startMs) * PREPARE_REST_FACTOR);
      }
      return file;
    } catch (error) {
      await file.close();
      // Frees the space, if that was too little.
      await this.#env.disk.remove(path).catch(() => {});
      throw error;
    }
  }

  async #rest(durationMs: number): Promise<void> {
    if (this.#hurry || this.#stopped) return;
    await new Promise<void>((resolve) => {
      const timer = this.#env.timers.after(durationMs, resolve);
      this.#endRest = () => {
        timer.cancel();
        resolve();
      };
    });
    this.#endRest = undefined;
  }
}
