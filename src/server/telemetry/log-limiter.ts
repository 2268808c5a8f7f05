// Rate limit per kind of log line. Remote peers can cause log lines, one for each bad request at the peer
// port, and must not be able to fill the disk.

import { LOG_KIND_LINES_AT_ONCE, LOG_KIND_LINES_PER_SECOND, LOG_KINDS_MAX } from '../limits.ts';

/** Numbers and ids, which differ between raft's lines of one kind. */
const VARYING = /\b[0-9a-f]*\d[0-9a-f]*\b/g;

interface Kind {
  /** Lines that may be written now, as of `atMs`. */
  allowance: number;
  atMs: number;
  /** Lines dropped since the last one that was written. */
  suppressed: number;
}

export class LogLimiter {
  readonly #kinds = new Map<string, Kind>();
  #suppressedEver = 0;

  /** Lines dropped since the start. */
  get suppressedCount(): number {
    return this.#suppressedEver;
  }

  /**
   * Whether a line with this message may be written now: undefined if not, else how many of its kind were
   * dropped since the last one.
   */
  admit(msg: string, nowMs: number): number | undefined {
    const kind = this.#kindOf(msg.replace(VARYING, '#'), nowMs);
    const earned = ((nowMs - kind.atMs) * LOG_KIND_LINES_PER_SECOND) / 1000;
    kind.allowance = Math.min(kind.allowance + earned, LOG_KIND_LINES_AT_ONCE);
    kind.atMs = nowMs;
    if (kind.allowance < 1) {
      kind.suppressed++;
      this.#suppressedEver++;
      return undefined;
    }
    kind.allowance--;
    const { suppressed } = kind;
    kind.suppressed = 0;
    return suppressed;
  }

  #kindOf(name: string, nowMs: number): Kind {
    let kind = this.#kinds.get(name);
    if (kind !== undefined) return kind;
    if (this.#kinds.size >= LOG_KINDS_MAX) {
      const [oldest] = this.#kinds.keys();
      this.#kinds.delete(oldest!);
    }
    kind = { allowance: LOG_KIND_LINES_AT_ONCE, atMs: nowMs, suppressed: 0 };
    this.#kinds.set(name, kind);
    return kind;
  }
}
