// Bytes that requests keep, of all of them together.

export class HeldBytes {
  readonly #max: number;
  #bytes = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Whether so many more may be kept. */
  may(bytes: number): boolean {
    return this.#bytes + bytes <= this.#max;
  }

  /** Counts more, or less if negative. */
  add(bytes: number): void {
    this.#bytes += bytes;
  }
}
