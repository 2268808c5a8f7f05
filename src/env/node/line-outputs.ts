// Lines of text to a terminal, a pipe, a socket or a file, without waiting for its reader.
//
// A write that would block (the pipe is not read, the terminal is stopped) or fails (the reader is
// gone, the disk is full) is tried again later; meanwhile lines wait, up to a bound, and then get
// lost, are counted, and leave a line that says how many. Everything goes out in order, and no line
// in part. Writes are system calls of this thread: an asynchronous write would hold one of the few
// threads that file syncs need as well for as long as it is not read, and keep the process from
// ending. A file is written the same way, into the system's cache.

import { constants, fstatSync, openSync, type Stats, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { errnoOf } from './node-error.ts';

/** Bytes of lines that wait for an output. Reached: lines get lost until all that waits is written. */
export const WAITING_BYTES_MAX: number = 1024 * 1024;

/** What urgent lines may have beyond it. Reached: they get lost too. */
export const URGENT_BYTES_MAX: number = 64 * 1024;

/** Linux's PIPE_BUF: bytes that a pipe takes as a whole or not at all, so other writers cut no line. */
export const CHUNK_BYTES = 4096;

/** Bytes of one turn that do not wait for its end. */
const TURN_BYTES_MAX: number = 64 * 1024;

/** Pause before an output that would block is tried again; one that fails gets a longer one. */
const BLOCKED_RETRY_MS = 20;
const FAILED_RETRY_MS = 1000;

/** How long the end of the process waits for an output that would block. */
export const END_WAIT_MS = 500;
const END_POLL_MS = 5;

const STANDARD = { stdout: 1, stderr: 2 } as const;

/** Where the lines of an output go. */
export interface LineTarget {
  /** Lines of together so many bytes at most are handed over as one chunk; 0: each on its own. */
  readonly chunkBytes: number;
  /** The form in which it takes a line. */
  encode(line: string): Buffer;
  /**
   * Takes the first bytes of a chunk and returns how many, without waiting. Throws an error with a code:
   * EAGAIN to be asked again soon, EMSGSIZE for a chunk that it will never take, another to be asked later.
   */
  write(chunk: Buffer): number;
  /** Nothing waits to be written. */
  rest?(): void;
}

function descriptorTarget(name: string): LineTarget {
  const descriptor = descriptorOf(name);
  return {
    chunkBytes: CHUNK_BYTES,
    encode: (line) => Buffer.from(line),
    write: (chunk) => writeSync(descriptor, chunk),
  };
}

/** Names `stdout` and `stderr`; all others are paths, appended to. */
function descriptorOf(name: string): number {
  if (name === 'stdout' || name === 'stderr') return nonBlocking(STANDARD[name]);
  const { O_APPEND, O_CREAT, O_NONBLOCK, O_NOCTTY, O_RDWR, O_WRONLY } = constants;
  const flags = O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY;
  try {
    return openSync(name, O_WRONLY | flags, 0o666);
  } catch (error) {
    // A named pipe without a reader: it keeps what fits until one comes.
    if (errnoOf(error) !== 'ENXIO') throw error;
    return openSync(name, O_RDWR | flags, 0o666);
  }
}

/**
 * A descriptor of the same pipe, terminal or socket that does not block. Opened again it is ours
 * alone, and other processes that share the old one (a shell) still block. What cannot be opened
 * again (a socket, a pipe of another user) is made non-blocking itself, which Node undoes at exit,
 * except for a terminal, which other processes share.
 */
function nonBlocking(standard: number): number {
  const stat: Stats = fstatSync(standard);
  if (stat.isFIFO() || stat.isCharacterDevice()) {
    try {
      const { O_NONBLOCK, O_NOCTTY, O_WRONLY } = constants;
      return openSync(`/proc/self/fd/${standard}`, O_WRONLY | O_NONBLOCK | O_NOCTTY);
    } catch {
      if (stat.isCharacterDevice()) return standard;
    }
  }
  if (stat.isFIFO() || stat.isSocket()) {
    try {
      // Only for what it does to the descriptor; nothing closes it.
      new Socket({ fd: standard, readable: false, writable: true });
    } catch {
      // Of a kind that Node does not know: it may block.
    }
  }
  return standard;
}

/** Outputs that all get every line; each has its own pace, losses and line about them. */
export class LineOutputs {
  readonly #outputs: readonly LineOutput[];

  /**
   * Opens `stdout`, `stderr` or files by their names; targets are open. Throws the system's error if one
   * cannot be opened. `lossLine` makes the line that stands where `count` are missing. What waits at the
   * exit of the process is written then; call {@link end} before it is ended by a signal.
   */
  constructor(targets: readonly (string | LineTarget)[], lossLine: (count: number) => string) {
    this.#outputs = [...new Set(targets)].map((target) => new LineOutput(target, lossLine));
    process.once('exit', () => this.end());
  }

  /** Lines that did not get out, summed over the outputs. */
  get lostCount(): number {
    return this.#outputs.reduce((sum, output) => sum + output.lostCount, 0);
  }

  /** Takes a line with its end. It is written with the others of this turn; an urgent one at once. */
  write(line: string, urgent: boolean): void {
    for (const output of this.#outputs) output.write(line, urgent);
  }

  /** Writes what waits, for at most {@link END_WAIT_MS} per output. */
  end(): void {
    for (const output of this.#outputs) output.end();
  }
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
  #retry: NodeJS.Timeout | undefined;

  constructor(target: string | LineTarget, lossLine: (count: number) => string) {
    this.#target = typeof target === 'string' ? descriptorTarget(target) : target;
    this.#lossLine = lossLine;
  }

  get lostCount(): number {
    return this.#lostEver;
  }

  write(line: string, urgent: boolean): void {
    const bytes = this.#target.encode(line);
    const room = WAITING_BYTES_MAX + (urgent ? URGENT_BYTES_MAX : 0) - this.#waitingBytes;
    if ((this.#lost > 0 && !urgent) || bytes.length > room) {
      this.#lost++;
      this.#lostEver++;
      return;
    }
    if (this.#lost > 0) this.#noteLoss();
    this.#push(bytes);
    if (this.#retry !== undefined) return;
    if (urgent || this.#waitingBytes >= TURN_BYTES_MAX) this.#flush();
    else this.#flushAtEndOfTurn();
  }

  end(): void {
    const until = performance.now() + END_WAIT_MS;
    for (;;) {
      const trouble = this.#writeOut();
      if (trouble !== 'EAGAIN' || performance.now() >= until) return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, END_POLL_MS);
    }
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
      if (this.#retry === undefined) this.#flush();
    });
  }

  #flush(): void {
    const trouble = this.#writeOut();
    if (trouble === undefined) return;
    const pauseMs = trouble === 'EAGAIN' ? BLOCKED_RETRY_MS : FAILED_RETRY_MS;
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.#flush();
    }, pauseMs);
    // The process may end meanwhile: `end` is called then.
    this.#retry.unref();
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
    this.#waitingBytes -= count;
    if (count === first.length) this.#chunks.shift();
    else this.#chunks[0] = first.subarray(count);
  }
}
