// Whether a file's next sync may be waited for on the event loop. A fast one is cheaper there: the thread
// pool costs two changes of thread and a wake-up of the loop. A slow one would hold up everything else.
//
// How long the next sync takes is not known. It is expected to be fast if the last ones were. One that was
// not, and held the loop up, is followed by a rest of many times its length, in which syncs go to the pool:
// whatever the disk does, slow syncs have only so small a share of the loop's time.

/** A sync up to this is fast: less than other turns of the loop take. */
export const FAST_SYNC_MS_MAX = 1;

/**
 * The same for one that was seen through the pool. Where threads share a core, its thread waited before the
 * disk was asked, and the loop after it had answered: one that seems slow would often be fast on the loop.
 */
export const FAST_POOL_SYNC_MS_MAX = 2;

/** So many fast syncs in a row are expected to be followed by another. */
export const FAST_SYNCS_MIN = 4;

/** A rest is so many times as long as the sync before it: slow ones have 6 % of the time at most. */
export const REST_FACTOR = 16;

export class SyncPace {
  /** Fast syncs in a row, up to FAST_SYNCS_MIN. */
  #fastInRow = 0;
  #restsUntilMs = Number.NEGATIVE_INFINITY;

  /** Whether the loop may wait for a sync that begins now, on a monotonic clock. */
  isFast(nowMs: number): boolean {
    return this.#fastInRow >= FAST_SYNCS_MIN && nowMs >= this.#restsUntilMs;
  }

  /** A sync has ended; `onLoop`: the loop waited for it. */
  observe(beganMs: number, endMs: number, onLoop: boolean): void {
    const tookMs = endMs - beganMs;
    if (tookMs <= (onLoop ? FAST_SYNC_MS_MAX : FAST_POOL_SYNC_MS_MAX)) {
      if (this.#fastInRow < FAST_SYNCS_MIN) this.#fastInRow++;
      return;
    }
    this.#fastInRow = 0;
    if (onLoop) this.#restsUntilMs = endMs + tookMs * REST_FACTOR;
  }
}
