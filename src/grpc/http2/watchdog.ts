// Detects a peer that stalls: a missing preface, an unfinished frame or header block, output that is
// not read. It checks about once a second and compares with the previous check, so that the hot path
// reads no clock.

import type { ConnectionLimits } from '../limits.ts';

const NEVER = Number.POSITIVE_INFINITY;

/** State of a connection at a check. */
interface Vitals {
  readonly nowMs: number;
  /** The peer's preface and SETTINGS have arrived. */
  readonly settled: boolean;
  readonly framesReceived: number;
  /** A frame has begun to arrive and is not whole. */
  readonly framePartial: boolean;
  /** A header block has begun and CONTINUATION is awaited. */
  readonly blockPartial: boolean;
  /** Bytes written to the stream so far, and those that it still buffers. */
  readonly handedBytes: number;
  readonly bufferedBytes: number;
}

export class Watchdog {
  /** Whether frames arrived between the last two checks. */
  moved = false;
  readonly #limits: ConnectionLimits;
  readonly #openedMs: number;
  #framesSeen = 0;
  #partialSinceMs = NEVER;
  #takenSeen = -1;
  #stalledSinceMs = NEVER;

  constructor(limits: ConnectionLimits, nowMs: number) {
    this.#limits = limits;
    this.#openedMs = nowMs;
  }

  /** Why the connection must end, if it must. */
  look(vitals: Vitals): string | undefined {
    const { nowMs } = vitals;
    this.moved = vitals.framesReceived !== this.#framesSeen;
    this.#framesSeen = vitals.framesReceived;
    if (!vitals.settled && nowMs - this.#openedMs > this.#limits.prefaceTimeoutMs) {
      return 'no HTTP/2 preface in time';
    }
    if (this.#partialTooLong(vitals)) return 'a frame did not arrive whole in time';
    if (this.#outputStalled(vitals)) return 'output is not read';
    return undefined;
  }

  #partialTooLong(vitals: Vitals): boolean {
    // On a busy connection some frame is always partial, but a different one each time. A header block
    // is unfinished even while its CONTINUATION frames arrive.
    const sameFrame = vitals.framePartial && !this.moved;
    if (!sameFrame && !vitals.blockPartial) {
      this.#partialSinceMs = vitals.framePartial ? vitals.nowMs : NEVER;
      return false;
    }
    this.#partialSinceMs = Math.min(this.#partialSinceMs, vitals.nowMs);
    return vitals.nowMs - this.#partialSinceMs > this.#limits.frameTimeoutMs;
  }

  #outputStalled(vitals: Vitals): boolean {
    const taken = vitals.handedBytes - vitals.bufferedBytes;
    const stalled = vitals.bufferedBytes > 0 && taken === this.#takenSeen;
    this.#takenSeen = taken;
    this.#stalledSinceMs = stalled ? Math.min(this.#stalledSinceMs, vitals.nowMs) : NEVER;
    return vitals.nowMs - this.#stalledSinceMs > this.#limits.writeStallTimeoutMs;
  }
}
