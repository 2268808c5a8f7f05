// One direction of a stream inside this process: messages are queued until the turn ends or, while the
// receiver pauses, until it resumes. So neither side runs inside a call of the other.

import type { Timers } from '../env/index.ts';
import { LOCAL_HIGH_WATER_BYTES, LOCAL_QUEUED_BYTES_MAX } from './limits.ts';

/** Both ends of a pipe. */
interface PipeEnds {
  /** The next message, for the receiver. */
  deliver(message: Uint8Array): void;
  /** The sender has ended, and everything that it sent is delivered. */
  deliverEnd(): void;
  /** There is room again, after `push` returned false. */
  drained(): void;
}

export class LocalPipe {
  readonly #timers: Timers;
  readonly #ends: PipeEnds;
  #messages: Uint8Array[] = [];
  #bytes = 0;
  #paused = false;
  #ended = false;
  #closed = false;
  /** The sender waits for `drained`. */
  #awaited = false;
  #scheduled = false;

  constructor(timers: Timers, ends: PipeEnds) {
    this.#timers = timers;
    this.#ends = ends;
  }

  /** Whether another message should be sent now; if not, `drained` follows. */
  get hasRoom(): boolean {
    if (this.#bytes >= LOCAL_HIGH_WATER_BYTES) this.#awaited = true;
    return !this.#awaited;
  }

  /** Whether the bound is reached: nothing more is accepted. */
  get isOverfull(): boolean {
    return this.#bytes >= LOCAL_QUEUED_BYTES_MAX;
  }

  /** Takes a message, which belongs to the pipe from now on. Returns {@link hasRoom}. */
  push(message: Uint8Array): boolean {
    if (this.#ended || this.#closed) return true;
    this.#messages.push(message);
    this.#bytes += message.length;
    this.#schedule();
    return this.hasRoom;
  }

  /** No more messages follow. */
  end(): void {
    this.#ended = true;
    this.#schedule();
  }

  /** Drops the queue; no further callback to either end. */
  close(): void {
    this.#closed = true;
    this.#messages = [];
    this.#bytes = 0;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || this.#closed || this.#paused) return;
    this.#scheduled = true;
    this.#timers.atEndOfTurn(() => {
      this.#scheduled = false;
      this.#run();
    });
  }

  #run(): void {
    const messages = this.#messages;
    let next = 0;
    while (next < messages.length && !this.#paused && !this.#closed) {
      const message = messages[next++]!;
      this.#bytes -= message.length;
      this.#ends.deliver(message);
    }
    if (this.#closed) return;
    messages.splice(0, next);
    if (this.#paused) return;
    if (messages.length > 0) this.#schedule();
    else if (this.#ended) {
      this.#closed = true;
      this.#ends.deliverEnd();
    } else if (this.#awaited) {
      this.#awaited = false;
      this.#ends.drained();
    }
  }
}
