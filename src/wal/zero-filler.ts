// Fills a file with zeros ahead of its writer, so that writes neither meet a full disk nor change the
// size of the file (a sync is then shorter). It works in chunks and rests between them, so that commits
// hardly notice.
//
//   | records | zeros   |
//   0         offset    filledTo ─>                size
//
// Only the writer writes before `filledTo`, and only the filler from there on: a writer that needs more
// waits for `reach`. The file is as long as what is filled, so the next process sees where to go on.

import { invariant } from '../base/index.ts';
import type { DiskFile } from '../env/index.ts';
import { FILL_REST_FACTOR, FILL_SIZE_DEFAULT } from './limits.ts';
import type { WalEnv, WalOptions } from './types.ts';

export class ZeroFiller {
  readonly #env: WalEnv;
  readonly #file: DiskFile;
  readonly #size: number;
  readonly #chunkSize: number;
  #filledTo: number;
  /** The chunk that is being filled. */
  #chunk: Promise<void> | undefined;
  #hurried = false;
  #stopped = false;
  #endRest: (() => void) | undefined;

  /** The file becomes `size` bytes long; what it has is filled. */
  constructor(env: WalEnv, file: DiskFile, size: number, { fillSize }: WalOptions) {
    invariant(size > 0, 'a segment has a size');
    this.#env = env;
    this.#file = file;
    this.#size = size;
    this.#chunkSize = fillSize ?? FILL_SIZE_DEFAULT;
    this.#filledTo = file.size();
  }

  get filledTo(): number {
    return this.#filledTo;
  }

  get isDone(): boolean {
    return this.#filledTo >= this.#size;
  }

  /** Whether everything before `end` (or the whole size) is filled. */
  hasReached(end: number): boolean {
    return this.#filledTo >= Math.min(end, this.#size);
  }

  /** Resolves when everything before `end` (or the whole size) is filled; at once, without rests. */
  async reach(end: number): Promise<void> {
    const wanted = Math.min(end, this.#size);
    while (this.#filledTo < wanted) await this.#fillChunk();
  }

  /**
   * Fills all of it, each chunk followed by `sync`, and rests; before the first one for `delayMs`. Resolves
   * when it is done or stopped, and then touches the file no more.
   */
  async fill(sync: () => Promise<void>, delayMs: number): Promise<void> {
    await this.#rest(delayMs);
    while (!this.isDone && !this.#stopped) {
      const startMs = this.#env.clock.monotonicMs();
      await this.#fillChunk();
      await sync();
      await this.#rest((this.#env.clock.monotonicMs() - startMs) * FILL_REST_FACTOR);
    }
  }

  /** No more rests. */
  hurry(): void {
    this.#hurried = true;
    this.#endRest?.();
  }

  /** Has `fill` end after the chunk that is under way. */
  stop(): void {
    this.#stopped = true;
    this.#endRest?.();
  }

  /** Fills the next chunk; concurrent callers share one. */
  #fillChunk(): Promise<void> {
    this.#chunk ??= this.#fillNext().finally(() => {
      this.#chunk = undefined;
    });
    return this.#chunk;
  }

  async #fillNext(): Promise<void> {
    invariant(!this.isDone, 'ZeroFiller: nothing is left to fill');
    const end = Math.min(this.#size, this.#filledTo + this.#chunkSize);
    const start = this.#filledTo;
    invariant(end > start && end <= this.#size, 'a chunk lies behind what is filled');
    await this.#file.zeroFill(start, end);
    invariant(this.#filledTo === start, 'one chunk is filled at a time');
    this.#filledTo = end;
    invariant(this.#file.size() >= end, 'the file is as long as what is filled');
  }

  async #rest(durationMs: number): Promise<void> {
    if (this.#hurried || this.#stopped) return;
    invariant(this.#endRest === undefined, 'a filler has one rest at a time');
    invariant(durationMs >= 0, 'a rest has a length');
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
