// Transfer rate of another side, counted only during its turn: a sender that waits for our disk is
// not slow.

/** Half-life of the past, in milliseconds of waiting. */
const WAITED_MS_HALVED = 10_000;

export class Pace {
  #bytes = 0;
  #waitedMs = 0;
  /** Up to when its turn is counted; undefined while it is not its turn. */
  #sinceMs: number | undefined;

  /** The other side's turn begins. */
  begin(nowMs: number): void {
    this.#sinceMs ??= nowMs;
  }

  /** Its turn is over. */
  end(nowMs: number): void {
    this.#count(nowMs);
    this.#sinceMs = undefined;
  }

  add(bytes: number, nowMs: number): void {
    this.#bytes += bytes;
    this.#count(nowMs);
  }

  /** Whether it stays below so many bytes per second; not before it had `waitedMsMin`. */
  isBelow(bytesPerSecond: number, waitedMsMin: number, nowMs: number): boolean {
    const turnMs = this.#sinceMs === undefined ? 0 : nowMs - this.#sinceMs;
    const waitedMs = this.#waitedMs + turnMs;
    return waitedMs >= waitedMsMin && this.#bytes * 1_000 < bytesPerSecond * waitedMs;
  }

  #count(nowMs: number): void {
    if (this.#sinceMs === undefined) return;
    this.#waitedMs += nowMs - this.#sinceMs;
    this.#sinceMs = nowMs;
    while (this.#waitedMs > WAITED_MS_HALVED) {
      this.#waitedMs /= 2;
      this.#bytes /= 2;
    }
  }
}
