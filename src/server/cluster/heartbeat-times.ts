// When a leader sent its last heartbeat to each member (etcd's contention detector): one that is late
// means that this process, or its disk, is too slow to lead.

export class HeartbeatTimes {
  readonly #intervalMs: number;
  /** By member; bounded by the members of the cluster. */
  readonly #lastMs = new Map<bigint, number>();
  #term = 0;

  /** Heartbeats are due at this interval. */
  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
  }

  /** A heartbeat is sent; how many milliseconds beyond two intervals it comes after the one before. */
  note(to: bigint, term: number, nowMs: number): number {
    if (term !== this.#term) {
      this.#term = term;
      this.#lastMs.clear();
    }
    const lastMs = this.#lastMs.get(to) ?? nowMs;
    this.#lastMs.set(to, nowMs);
    return Math.max(0, nowMs - lastMs - 2 * this.#intervalMs);
  }

  forget(id: bigint): void {
    this.#lastMs.delete(id);
  }
}
