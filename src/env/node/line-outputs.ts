// Lines of text to terminals, pipes, sockets and files, without waiting for their readers or disks.
//
// A write that would block (the pipe is not read, the terminal is stopped) or fails (the reader is
// gone, the disk is full) is tried again later; meanwhile lines wait, up to a bound, and then get
// lost, are counted, and leave a line that says how many. Everything goes out in order, and no line
// in part. Writes are system calls of this thread on what does not block; a file, which always may,
// is written by a thread of its own (`file-thread.ts`). An asynchronous write would hold one of the
// few threads that file syncs need as well for as long as it is not read, and keep the process from
// ending.

import { performance } from 'node:perf_hooks';
import type { FileTrouble } from './file-thread.ts';
import type { LineTarget } from './line-target.ts';
import { openNamedTarget } from './named-target.ts';
import { errnoOf } from './node-error.ts';

/** Bytes of lines that wait for an output. Reached: lines get lost until all that waits is written. */
export const WAITING_BYTES_MAX: number = 1024 * 1024;

/** What urgent lines may have beyond it. Reached: they get lost too. */
export const URGENT_BYTES_MAX: number = 64 * 1024;

/** Bytes of one turn that do not wait for its end. */
const TURN_BYTES_MAX: number = 64 * 1024;

/** Pause before an output that would block is tried again; one that fails gets a longer one. */
const BLOCKED_RETRY_MS = 20;
const FAILED_RETRY_MS = 1000;

/** How long the end of the process waits for an output that would block. */
export const END_WAIT_MS = 500;
const END_POLL_MS = 5;

/** What is left of that, at least, for a file to be closed. */
const END_CLOSE_MS = 100;

/** Outputs that all get every line; each has its own pace, losses and line about them. */
export class LineOutputs {
  readonly #outputs: readonly LineOutput[];
  readonly #atExit = (code: number): void => {
    this.end();
    if (this.#outputs.some(({ state }) => state === 'stuck')) leaveThreads(code);
  };

  /**
   * Opens `stdout`, `stderr` or files by their names; targets are open. Throws the system's error if one
   * cannot be opened. `lossLine` makes the line that stands where `count` are missing. `onTrouble` gets what
   * costs no line. What waits at the exit of the process is written then; call {@link end} before it is
   * ended by a signal.
   */
  constructor(
    targets: readonly (string | LineTarget)[],
    lossLine: (count: number) => string,
    onTrouble: FileTrouble = () => {},
  ) {
    this.#outputs = [...new Set(targets)].map((target) => {
      const opened = typeof target === 'string' ? openNamedTarget(target, onTrouble) : target;
      return new LineOutput(opened, lossLine);
    });
    process.once('exit', this.#atExit);
  }

  /** Lines that did not get out, summed over the outputs. */
  get lostCount(): number {
    return this.#outputs.reduce((sum, output) => sum + output.lostCount, 0);
  }

  /** Takes a line with its end. It is written with the others of this turn; an urgent one at once. */
  write(line: string, urgent: boolean): void {
    for (const output of this.#outputs) output.write(line, urgent);
  }

  /**
   * Writes what waits, for at most {@link END_WAIT_MS} per output or {@link LineTarget.endWaitMs}, and closes
   * files: they take no more lines.
   */
  end(): void {
    for (const output of this.#outputs) output.end();
    if (this.#outputs.every(({ state }) => state === 'closed')) process.off('exit', this.#atExit);
  }
}

/**
 * Ends the process while it exits: an exit waits for all threads, and one in a system call on a disk
 * that does not answer is never done. For a service manager it is an orderly end, or none, as the
 * exit code would be.
 */
function leaveThreads(code: number): void {
  // The kernel does not end the first process of a container by a signal of its own.
  if (process.pid === 1) process.abort();
  process.removeAllListeners('SIGTERM');
  process.kill(process.pid, code === 0 ? 'SIGTERM' : 'SIGKILL');
}

class LineOutput {
  readonly #target: LineTarget;
  readonly #lossLine: (count: number) => string;
  /** Whole lines, but for the first, of which a part may be written. */
  readonly #chunks: Buffer[] = [];
  #waitingBytes = 0;
  /** Lines lost since the last line about it. */
  #lost = 0;
  #lostEver = 0;
  #flushDue = false;
  /** It takes nothing now; there will be another try. */
  #isPaused = false;
  /** An urgent line has waited for what is being written now. */
  #hasWaited = false;
  #state: 'open' | 'closed' | 'stuck' = 'open';

  constructor(target: LineTarget, lossLine: (count: number) => string) {
    this.#target = target;
    this.#lossLine = lossLine;
    target.onRoom = () => this.#resume();
  }

  /** Stuck: closed, while a system call goes on that nothing ends. */
  get state(): 'open' | 'closed' | 'stuck' {
    return this.#state;
  }

  get lostCount(): number {
    return this.#lostEver;
  }

  write(line: string, urgent: boolean): void {
    const bytes = this.#target.encode(line);
    const room = WAITING_BYTES_MAX + (urgent ? URGENT_BYTES_MAX : 0) - this.#waitingBytes;
    const isClosed = this.#state !== 'open';
    if (isClosed || (this.#lost > 0 && !urgent) || bytes.length > room) {
      this.#lost++;
      this.#lostEver++;
      return;
    }
    if (this.#lost > 0) this.#noteLoss();
    this.#push(bytes);
    if (urgent) this.#flushUrgent();
    else if (this.#isPaused) return;
    else if (this.#waitingBytes >= TURN_BYTES_MAX) this.#flush();
    else this.#flushAtEndOfTurn();
  }

  end(): void {
    if (this.#state === 'closed') return;
    const until = performance.now() + (this.#target.endWaitMs ?? END_WAIT_MS);
    if (this.#state === 'open') this.#settle(until);
    if (this.#target.close === undefined) return;
    const leftMs = Math.max(until - performance.now(), END_CLOSE_MS);
    this.#state = this.#target.close(leftMs) ? 'closed' : 'stuck';
  }

  /** Writes out until nothing waits, it fails, or time is over. */
  #settle(until: number): void {
    for (;;) {
      const trouble = this.#writeOut();
      const leftMs = Math.max(until - performance.now(), 0);
      const settled = this.#target.settle?.(leftMs) ?? 'written';
      if (settled === 'failed' || (trouble !== undefined && trouble !== 'EAGAIN')) return;
      if ((settled === 'written' && trouble === undefined) || leftMs === 0) return;
      if (this.#target.settle === undefined) pause(END_POLL_MS);
    }
  }

  /** Written when it returns, if that is soon: the process may be about to end. */
  #flushUrgent(): void {
    if (!this.#isPaused) this.#flush();
    if (this.#target.settle === undefined || this.#hasWaited) return;
    this.#settle(performance.now() + END_WAIT_MS);
    // Once is enough: further lines go out after what did not.
    this.#hasWaited = this.#target.settle(0) !== 'written';
  }

  #push(bytes: Buffer): void {
    const last = this.#chunks.at(-1);
    this.#waitingBytes += bytes.length;
    if (last === undefined || last.length + bytes.length > this.#target.chunkBytes)
      this.#chunks.push(bytes);
    else this.#chunks[this.#chunks.length - 1] = Buffer.concat([last, bytes]);
  }

  #noteLoss(): void {
    this.#push(this.#target.encode(this.#lossLine(this.#lost)));
    this.#lost = 0;
  }

  #flushAtEndOfTurn(): void {
    if (this.#flushDue) return;
    this.#flushDue = true;
    setImmediate(() => {
      this.#flushDue = false;
      if (!this.#isPaused) this.#flush();
    });
  }

  #flush(): void {
    if (this.#state !== 'open') return;
    const trouble = this.#writeOut();
    if (trouble === undefined) return;
    this.#isPaused = true;
    const isBlocked = trouble === 'EAGAIN';
    if (isBlocked && this.#target.settle !== undefined) return;
    const timer = setTimeout(() => this.#resume(), isBlocked ? BLOCKED_RETRY_MS : FAILED_RETRY_MS);
    // The process may end meanwhile: `end` is called then.
    timer.unref();
  }

  #resume(): void {
    this.#isPaused = false;
    this.#flush();
  }

  /** Writes until nothing waits, or returns what kept it from that. */
  #writeOut(): string | undefined {
    try {
      for (;;) {
        const first = this.#chunks[0];
        if (first !== undefined) this.#accept(first, this.#take(first));
        else if (this.#lost > 0) this.#noteLoss();
        else {
          this.#target.rest?.();
          return undefined;
        }
      }
    } catch (error) {
      return errnoOf(error) ?? String(error);
    }
  }

  /** Bytes that need not wait any more, of a chunk that is too large because it is lost. */
  #take(chunk: Buffer): number {
    try {
      return this.#target.write(chunk);
    } catch (error) {
      if (errnoOf(error) !== 'EMSGSIZE') throw error;
      this.#lost++;
      this.#lostEver++;
      return chunk.length;
    }
  }

  #accept(first: Buffer, count: number): void {
    this.#hasWaited = false;
    this.#waitingBytes -= count;
    if (count === first.length) this.#chunks.shift();
    else this.#chunks[0] = first.subarray(count);
  }
}

function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
