import type { ByteStream } from '../../env/index.ts';

/** Detects that a byte stream has not taken any bytes for too long. Checked periodically. */
export class StallWatch {
  readonly #timeoutMs: number;
  #bufferedBytes = 0;
  /** Time of the check that first saw the current state; only while something is buffered. */
  #sinceMs = 0;

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /** The stream has taken bytes. */
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
