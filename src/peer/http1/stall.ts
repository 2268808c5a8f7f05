import type { ByteStream } from '../../env/index.ts';

/** Finds out that a byte stream has not taken anything for too long. Looked at now and then. */
export class StallWatch {
  readonly #timeoutMs: number;
  #bufferedBytes = 0;
  /** When it was first seen as it is; only while something is buffered. */
  #sinceMs = 0;

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /** The queue has moved. */
  progress(): void {
    this.#bufferedBytes = 0;
  }

  isStalled(stream: ByteStream, nowMs: number): boolean {
    const before = this.#bufferedBytes;
    this.#bufferedBytes = stream.bufferedBytes;
    if (before === 0 || this.#bufferedBytes < before) this.#sinceMs = nowMs;
    return this.#bufferedBytes > 0 && nowMs - this.#sinceMs >= this.#timeoutMs;
  }
}
