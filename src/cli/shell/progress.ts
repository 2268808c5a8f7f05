// A line that shows how far long work has come, on a terminal only: elsewhere nothing is printed. It is drawn
// on standard error and removed when the work has ended.

import type { Io } from './io.ts';

const REDRAW_MS = 100;
const BAR_COLUMNS = 30;
const CLEAR = '\r\x1b[K';

interface ProgressInit {
  readonly label: string;
  /** A count as text; without it, there is nothing to count. */
  readonly show?: (count: number) => string;
  /** What `done` ends at; undefined where nobody knows. */
  readonly total?: number;
}

export class Progress {
  done = 0;
  total: number | undefined;
  readonly #io: Io;
  readonly #init: ProgressInit;
  readonly #startNs: number;
  readonly #stop: () => void;

  constructor(io: Io, init: ProgressInit) {
    this.#io = io;
    this.#init = init;
    this.total = init.total;
    this.#startNs = io.monotonicNs();
    this.#stop = io.terminalColumns === undefined ? () => {} : io.every(REDRAW_MS, this.#draw);
  }

  /** Removes the line; safe to call twice. */
  end(): void {
    this.#stop();
    if (this.#io.terminalColumns !== undefined) this.#io.err(CLEAR);
  }

  readonly #draw = (): void => {
    const columns = this.#io.terminalColumns ?? 0;
    this.#io.err(`${CLEAR}${this.#line().slice(0, Math.max(0, columns - 1))}`);
  };

  #line(): string {
    const { done, total } = this;
    const { label, show } = this.#init;
    const seconds = (this.#io.monotonicNs() - this.#startNs) / 1e9;
    const time = `${Math.floor(seconds)}s`;
    if (show === undefined) return `${label} ${time}`;
    const rate = `${show(Math.round(done / Math.max(seconds, 0.001)))}/s`;
    if (total === undefined) return `${label} ${show(done)} ${rate} ${time}`;
    const part = total === 0 ? 1 : Math.min(1, done / total);
    const bar = '='.repeat(Math.floor(part * BAR_COLUMNS)).padEnd(BAR_COLUMNS);
    const percent = `${Math.floor(part * 100)}%`;
    return `${label} [${bar}] ${percent} ${show(done)}/${show(total)} ${rate} ${time}`;
  }
}
