// Threads that compute bcrypt, so that the event loop does not wait for it. They are started when there is
// something to do, one job each; what is more waits, up to a bound.

import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { compare, hash } from 'bcryptjs';
import { ERROR_CODES, TetcdError } from '../../base/index.ts';
import type { Timer, Timers } from '../../env/index.ts';
import { asError, type Logger } from '../telemetry/log.ts';
import { type PasswordJob, runPasswordJob } from './bcrypt.ts';
import { PASSWORD_JOB_MS_MAX, PASSWORD_JOBS_MAX, PASSWORD_THREADS_MAX } from './limits.ts';

/** Computes bcrypt. */
export interface PasswordRunner {
  /**
   * Resolves to a hash, or to whether a password is right. LIMIT_EXCEEDED: too many wait; TIMEOUT: it took
   * too long; CLOSED.
   */
  run(job: PasswordJob): Promise<string | boolean>;
  close(): void;
}

/** In the same turn, for simulated worlds: the same every time. */
export const IMMEDIATE_PASSWORDS: PasswordRunner = {
  run: async (job) => runPasswordJob(job),
  close: () => {},
};

/** Made once: in a flood of logins a stack for each costs more than the rest of its refusal. */
const TOO_MANY_WAIT = new TetcdError(
  ERROR_CODES.LIMIT_EXCEEDED,
  `${PASSWORD_JOBS_MAX} passwords wait to be hashed`,
);

interface Waiting {
  readonly job: PasswordJob;
  readonly resolve: (result: string | boolean) => void;
  readonly reject: (error: TetcdError) => void;
}

interface Thread {
  readonly worker: Worker;
  /** Has answered before: what fails now is not its start. */
  proven: boolean;
  current: Waiting | undefined;
  timer: Timer | undefined;
}

interface PasswordThreadsOptions {
  readonly timers: Timers;
  readonly log: Logger;
  /** The file of `password-worker.ts`; default: the one beside this file's. */
  readonly workerUrl?: URL;
  /** Default: one for each core but the one of the event loop, within a bound. */
  readonly count?: number;
}

export class PasswordThreads implements PasswordRunner {
  readonly #options: PasswordThreadsOptions;
  readonly #count: number;
  readonly #threads = new Set<Thread>();
  readonly #waiting: Waiting[] = [];
  /** No thread can be started here: jobs run on the event loop, in the library's slices. */
  #hasNone = false;
  #inSlices = 0;
  #closed = false;

  constructor(options: PasswordThreadsOptions) {
    this.#options = options;
    const cores = availableParallelism() - 1;
    this.#count = options.count ?? Math.max(1, Math.min(cores, PASSWORD_THREADS_MAX));
  }

  run(job: PasswordJob): Promise<string | boolean> {
    return new Promise((resolve, reject) => {
      if (this.#closed) reject(closed());
      else if (this.#waiting.length >= PASSWORD_JOBS_MAX) {
        reject(TOO_MANY_WAIT);
      } else {
        this.#waiting.push({ job, resolve, reject });
        this.#next();
      }
    });
  }

  close(): void {
    this.#closed = true;
    for (const { reject } of this.#waiting.splice(0)) reject(closed());
    for (const thread of this.#threads) this.#end(thread, closed());
  }

  #next(): void {
    while (this.#waiting.length > 0) {
      if (this.#hasNone) {
        if (this.#inSlices > 0) return;
        void this.#runInSlices(this.#waiting.shift()!);
        continue;
      }
      const thread = this.#idleThread();
      if (thread !== undefined) this.#give(thread, this.#waiting.shift()!);
      else if (!this.#hasNone) return;
    }
  }

  #idleThread(): Thread | undefined {
    for (const thread of this.#threads) if (thread.current === undefined) return thread;
    return this.#threads.size < this.#count ? this.#start() : undefined;
  }

  #start(): Thread | undefined {
    const url = this.#options.workerUrl ?? new URL('./password-worker.js', import.meta.url);
    let worker: Worker;
    try {
      // Flags and environment of the process are not for it.
      worker = new Worker(url, { execArgv: [], env: {}, name: 'passwords' });
    } catch (error) {
      this.#doWithout(error);
      return undefined;
    }
    const thread: Thread = { worker, proven: false, current: undefined, timer: undefined };
    worker.on('message', (result: string | boolean) => {
      thread.proven = true;
      this.#finish(thread)?.resolve(result);
      this.#next();
    });
    worker.on('error', (error) => this.#acceptFailure(thread, error));
    // Last: a listener for messages keeps the process running.
    worker.unref();
    this.#threads.add(thread);
    return thread;
  }

  #give(thread: Thread, waiting: Waiting): void {
    thread.current = waiting;
    thread.worker.postMessage(waiting.job);
    thread.timer = this.#options.timers.after(PASSWORD_JOB_MS_MAX, () => {
      const text = `a password was not hashed within ${PASSWORD_JOB_MS_MAX} ms`;
      this.#end(thread, new TetcdError(ERROR_CODES.TIMEOUT, text));
      this.#next();
    });
  }

  #finish(thread: Thread): Waiting | undefined {
    const { current } = thread;
    thread.timer?.cancel();
    thread.current = undefined;
    return current;
  }

  #end(thread: Thread, error: TetcdError): void {
    this.#threads.delete(thread);
    this.#finish(thread)?.reject(error);
    void thread.worker.terminate();
  }

  #acceptFailure(thread: Thread, error: unknown): void {
    if (!this.#threads.has(thread)) return;
    this.#threads.delete(thread);
    const current = this.#finish(thread);
    if (!thread.proven) this.#doWithout(error);
    // Not its fault, and not seen before: it is the first again.
    if (current !== undefined) this.#waiting.unshift(current);
    this.#next();
  }

  #doWithout(error: unknown): void {
    if (this.#hasNone) return;
    this.#hasNone = true;
    const text = 'no thread can be started to hash passwords; the event loop does it, in slices';
    this.#options.log.warn(text, { error: asError(error) });
  }

  async #runInSlices({ job, resolve, reject }: Waiting): Promise<void> {
    this.#inSlices++;
    try {
      if (job.kind === 'hash') resolve(await hash(job.password, job.salt));
      else resolve(await compare(job.password, job.hash).catch(() => false));
    } catch (error) {
      const text = 'a password cannot be hashed';
      reject(new TetcdError(ERROR_CODES.INVALID_ARGUMENT, text, { cause: error }));
    }
    this.#inSlices--;
    this.#next();
  }
}

function closed(): TetcdError {
  return new TetcdError(ERROR_CODES.CLOSED, 'the member stops');
}
