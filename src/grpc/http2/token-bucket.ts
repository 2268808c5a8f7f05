/** A token bucket: overhead takes tokens; useful work and time add them, up to a maximum. */
export class TokenBucket {
  #tokens: number;
  readonly #burst: number;

  constructor(burst: number) {
    this.#tokens = burst;
    this.#burst = burst;
  }

  /** False if there were not `count` left: the limit is reached. */
  take(count: number): boolean {
    this.#tokens -= count;
    return this.#tokens >= 0;
  }

  give(count: number): void {
    if (this.#tokens < this.#burst) this.#tokens = Math.min(this.#burst, this.#tokens + count);
  }
}
