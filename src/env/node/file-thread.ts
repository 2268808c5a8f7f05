// A log file as an output that takes lines without waiting: a thread of its own writes it, so that a disk
// that stalls in any call (write, open, rename, unlink) holds up that thread alone.
//
// Why a thread, and not asynchronous calls: a call that stalls would hold one of the few threads of the pool
// that file syncs need, and at the end of the process, when no event comes any more, nobody could tell
// whether a write under way is done. Here the memory that both share tells it.

import { performance } from 'node:perf_hooks';
import { Worker } from 'node:worker_threads';
import type { Clock } from '../clock.ts';
import { createNodeClock } from './clock.ts';
import { FileMailbox, OWNERS } from './file-mailbox.ts';
import type { FileWriterNews, FileWriterStart } from './file-writer.ts';
import { CHUNK_BYTES, type LineTarget, type Settled } from './line-target.ts';
import { checkLogFile, type LogFile, type LogFileSpec, openLogFile } from './log-file.ts';

/** How long the end of the process waits for a disk. */
export const FILE_END_WAIT_MS = 2000;

/** Of the thread's heap, which holds little. */
const HEAP_MIB = 16;
const YOUNG_HEAP_MIB = 2;

const NOTHING = Buffer.alloc(0);

/** `what` is a constant text for the log. */
export type FileTrouble = (what: string, error: unknown) => void;

interface FileThreadOptions {
  readonly onTrouble: FileTrouble;
  readonly clock?: Pick<Clock, 'wallMs'>;
  /** The file of `file-writer.ts`; default: the one beside this file's. */
  readonly workerUrl?: URL;
}

export class FileThread implements LineTarget {
  readonly chunkBytes = CHUNK_BYTES;
  readonly endWaitMs = FILE_END_WAIT_MS;
  onRoom: (() => void) | undefined;
  readonly #spec: LogFileSpec;
  readonly #options: FileThreadOptions;
  readonly #mailbox = new FileMailbox();
  #worker: Worker | undefined;
  /** The file, where this thread owns it. */
  #own: LogFile | undefined;

  /** Throws the system's error if the file cannot be opened. */
  constructor(spec: LogFileSpec, options: FileThreadOptions) {
    this.#spec = spec;
    this.#options = options;
    if (spec.descriptor === undefined) checkLogFile(spec);
    const url = options.workerUrl ?? new URL('./file-writer.js', import.meta.url);
    const workerData: FileWriterStart = { memory: this.#mailbox.memory, spec };
    try {
      this.#worker = new Worker(url, {
        ...{ workerData, name: 'log file', execArgv: [], env: {} },
        resourceLimits: {
          maxOldGenerationSizeMb: HEAP_MIB,
          maxYoungGenerationSizeMb: YOUNG_HEAP_MIB,
        },
      });
    } catch (error) {
      setImmediate(() => this.#doWithout(error));
      return;
    }
    this.#worker.on('message', (news: FileWriterNews) => {
      if (news.kind === 'room') this.onRoom?.();
      else this.#reportTidying(news.error);
    });
    this.#worker.on('error', (error) => this.#doWithout(error));
    // Last: a listener for messages keeps the process running.
    this.#worker.unref();
  }

  encode(line: string): Buffer {
    return Buffer.from(line);
  }

  write(chunk: Buffer): number {
    if (this.#mailbox.owner === OWNERS.CALLER) return this.#writeHere(chunk);
    const count = this.#mailbox.append(chunk);
    if (count === 0)
      throw Object.assign(new Error('the file is being written'), { code: 'EAGAIN' });
    return count;
  }

  rest(): void {
    this.#mailbox.handOver();
    if (this.#mailbox.owner !== OWNERS.CALLER) return;
    this.#writeHere(NOTHING);
    this.#own?.tidy();
  }

  settle(limitMs: number): Settled {
    const mailbox = this.#mailbox;
    // The thread is still being started: what has to be written now is written here.
    if (mailbox.claim(OWNERS.CALLER)) {
      setImmediate(() => this.onRoom?.());
      try {
        this.rest();
        return 'written';
      } catch {
        return 'failed';
      }
    }
    const { news, failedCount } = mailbox;
    if (mailbox.isFree) return 'written';
    if (failedCount > 0) mailbox.poke();
    mailbox.waitForNews(news, limitMs);
    if (mailbox.isFree) return 'written';
    return mailbox.failedCount > failedCount ? 'failed' : 'waiting';
  }

  close(limitMs: number): boolean {
    const mailbox = this.#mailbox;
    if (mailbox.claim(OWNERS.CALLER)) {
      this.#own?.close();
      this.#own = undefined;
      void this.#worker?.terminate();
      return true;
    }
    mailbox.stop();
    const until = performance.now() + limitMs;
    for (;;) {
      const { news } = mailbox;
      if (mailbox.hasEnded) return true;
      const leftMs = until - performance.now();
      if (leftMs <= 0) return false;
      mailbox.waitForNews(news, leftMs);
    }
  }

  /** First what the thread has left. */
  #writeHere(chunk: Buffer): number {
    const { clock = createNodeClock() } = this.#options;
    this.#own ??= openLogFile(this.#spec, clock, (error) => this.#reportTidying(error));
    let left = this.#mailbox.waiting();
    while (left.length > 0) {
      this.#mailbox.advance(this.#own.write(left));
      left = this.#mailbox.waiting();
    }
    return chunk.length === 0 ? 0 : this.#own.write(chunk);
  }

  #reportTidying(error: unknown): void {
    this.#options.onTrouble('cannot tidy up former log files', error);
  }

  /** The thread could not be started, or has failed. */
  #doWithout(error: unknown): void {
    if (this.#mailbox.owner === OWNERS.CALLER) return;
    this.#mailbox.inherit();
    const what = 'no thread can be started to write a log file; the event loop does it';
    this.#options.onTrouble(what, error);
    this.onRoom?.();
  }
}
