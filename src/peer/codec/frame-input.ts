// Bytes of known length out of pieces of any size.
//
// A decoder asks for `want` bytes; the input passes them on as soon as they are complete: as a view of
// the piece if it contains all of them, otherwise collected in a buffer that grows with the bytes that
// arrive, never with an announced length.

import { invariant } from '../../base/index.ts';
import { FRAME_BYTES_TRUSTED } from '../limits.ts';

/** Takes exactly the bytes asked for; returns how many it wants next, at least 1. */
type TakeBytes = (bytes: Uint8Array, start: number) => number;

export class FrameInput {
  readonly #take: TakeBytes;
  #want: number;
  /** Collected bytes, the first `#filled` of the buffer; unused while 0. */
  #buffer = new Uint8Array(0);
  #filled = 0;

  constructor(firstWant: number, take: TakeBytes) {
    invariant(firstWant > 0, 'FrameInput: wants something');
    this.#want = firstWant;
    this.#take = take;
  }

  /** Whether the input stopped in the middle of what was asked for. */
  get partial(): boolean {
    return this.#filled > 0;
  }

  /**
   * Feeds a piece that the caller must never change: what is taken may be a view of it. Errors of `take`
   * pass through; the input must not be used after one.
   */
  feed(piece: Uint8Array): void {
    let at = 0;
    while (at < piece.length) {
      if (this.#filled > 0) {
        const size = Math.min(this.#want - this.#filled, piece.length - at);
        this.#reserve(size);
        this.#buffer.set(piece.subarray(at, at + size), this.#filled);
        this.#filled += size;
        at += size;
        if (this.#filled < this.#want) return;
        const whole = this.#buffer;
        this.#buffer = new Uint8Array(0);
        this.#filled = 0;
        this.#setWant(this.#take(whole, 0));
      } else if (piece.length - at >= this.#want) {
        const start = at;
        at += this.#want;
        this.#setWant(this.#take(piece, start));
      } else {
        const size = piece.length - at;
        this.#reserve(size);
        this.#buffer.set(piece.subarray(at), 0);
        this.#filled = size;
        return;
      }
    }
  }

  #setWant(want: number): void {
    invariant(want > 0, 'FrameInput: wants something');
    this.#want = want;
  }

  #reserve(more: number): void {
    const needed = this.#filled + more;
    invariant(needed <= this.#want, 'FrameInput: collects no more than was asked for');
    if (needed <= this.#buffer.length) return;
    const size = Math.min(
      this.#want,
      Math.max(needed, 2 * this.#buffer.length, Math.min(this.#want, FRAME_BYTES_TRUSTED)),
    );
    const grown = new Uint8Array(size);
    grown.set(this.#buffer.subarray(0, this.#filled));
    this.#buffer = grown;
  }
}
