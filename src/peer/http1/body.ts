// The body of a message, between a connection and its reader: whole, or piece by piece.

import { EMPTY_BYTES, ERROR_CODES, invariant, TetcdError } from '../../base/index.ts';
import { BODY_QUEUE_BYTES } from '../limits.ts';
import type { Headers } from './head.ts';

/** Flow control of the connection that a body comes from. */
interface BodySource {
  pause(): void;
  resume(): void;
}

const TAIL_BYTES = 4096;

/** Bytes that several bodies may hold together. */
export interface ByteBudget {
  bytesLeft: number;
}

const UNSHARED: ByteBudget = { bytesLeft: Number.POSITIVE_INFINITY };

/**
 * Queues pieces for one reader, which takes them with `for await` or {@link collect}; beyond
 * BODY_QUEUE_BYTES the connection is paused. For an incomplete body the reader gets an error.
 */
export class IncomingBody implements AsyncIterable<Uint8Array> {
  readonly #source: BodySource;
  #queue: Uint8Array[] = [];
  #queued = 0;
  /** The array of the queue's last piece while more fits into it. */
  #tail: Uint8Array | undefined;
  #tailFilled = 0;
  #paused = false;
  #error: Error | undefined;
  #trailers: Headers | undefined;
  #abandoned = false;
  #wake: (() => void) | undefined;

  constructor(source: BodySource) {
    this.#source = source;
  }

  /** Known once the body has been read to its end. */
  get trailers(): Headers | undefined {
    return this.#trailers;
  }

  // --- the connection's side -----------------------------------------------------------------------

  /** Copies `bytes`. */
  push(bytes: Uint8Array): void {
    if (this.#abandoned || this.#error !== undefined) return;
    this.#append(bytes);
    this.#queued += bytes.length;
    if (this.#queued >= BODY_QUEUE_BYTES && !this.#paused) {
      this.#paused = true;
      this.#source.pause();
    }
    this.#notify();
  }

  /** Small pieces share an array, so that a body that arrives byte by byte costs no more memory. */
  #append(bytes: Uint8Array): void {
    const tail = this.#tail;
    if (tail !== undefined && this.#tailFilled + bytes.length <= tail.length) {
      tail.set(bytes, this.#tailFilled);
      this.#tailFilled += bytes.length;
      this.#queue[this.#queue.length - 1] = tail.subarray(0, this.#tailFilled);
      return;
    }
    if (bytes.length >= TAIL_BYTES) {
      this.#tail = undefined;
      this.#queue.push(new Uint8Array(bytes));
      return;
    }
    this.#tail = new Uint8Array(TAIL_BYTES);
    this.#tail.set(bytes);
    this.#tailFilled = bytes.length;
    this.#queue.push(this.#tail.subarray(0, bytes.length));
  }

  finish(trailers: Headers): void {
    this.#trailers = trailers;
    this.#notify();
  }

  fail(error: Error): void {
    if (this.#trailers !== undefined || this.#error !== undefined) return;
    this.#error = error;
    this.#queue = [];
    this.#queued = 0;
    this.#notify();
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  // --- the reader's side ---------------------------------------------------------------------------

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for (;;) {
        const piece = await this.next();
        if (piece === undefined) return;
        yield piece;
      }
    } finally {
      this.abandon();
    }
  }

  /** The next piece, which the caller owns; undefined at the end. Throws if the body is incomplete. */
  async next(): Promise<Uint8Array | undefined> {
    for (;;) {
      if (this.#error !== undefined) throw this.#error;
      const piece = this.#queue.shift();
      if (piece !== undefined) {
        this.#queued -= piece.length;
        if (this.#queue.length === 0) this.#tail = undefined;
        if (this.#paused && this.#queued < BODY_QUEUE_BYTES / 2) {
          this.#paused = false;
          this.#source.resume();
        }
        return piece;
      }
      if (this.#trailers !== undefined) return undefined;
      invariant(this.#wake === undefined, 'a body has one reader');
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** The reader has stopped: later input is discarded. */
  abandon(): void {
    this.#abandoned = true;
    this.#queue = [];
    this.#queued = 0;
    if (this.#paused) {
      this.#paused = false;
      this.#source.resume();
    }
  }

  /**
   * The whole body, owned by the caller. LIMIT_EXCEEDED beyond `bytesMax`, or beyond what other
   * bodies that are being collected leave of `budget`.
   */
  async collect(bytesMax: number, budget: ByteBudget = UNSHARED): Promise<Uint8Array> {
    const taken = { bytes: 0 };
    try {
      return await this.#collect(bytesMax, budget, taken);
    } finally {
      budget.bytesLeft += taken.bytes;
    }
  }

  async #collect(
    bytesMax: number,
    budget: ByteBudget,
    taken: { bytes: number },
  ): Promise<Uint8Array> {
    let whole = EMPTY_BYTES;
    let size = 0;
    for (;;) {
      const piece = await this.next();
      if (piece === undefined) return whole.subarray(0, size);
      if (size + piece.length > bytesMax || piece.length > budget.bytesLeft) {
        this.abandon();
        const text = `a body exceeds the limit of ${bytesMax} bytes`;
        throw new TetcdError(ERROR_CODES.LIMIT_EXCEEDED, text);
      }
      budget.bytesLeft -= piece.length;
      taken.bytes += piece.length;
      if (size === 0) whole = piece;
      else {
        if (size + piece.length > whole.length) whole = grown(whole, size + piece.length);
        whole.set(piece, size);
      }
      size += piece.length;
    }
  }
}

function grown(bytes: Uint8Array, size: number): Uint8Array {
  const larger = new Uint8Array(Math.max(size, 2 * bytes.length));
  larger.set(bytes);
  return larger;
}
