// `--memory-mlock`: what the database file has grown by is locked in memory too, and so is the file that
// has taken its place. The start has covered it; later it is never worth the end of a member.

import type { Env, MemoryLock } from '../../env/index.ts';
import type { DataDirectory } from '../../offline/index.ts';
import { MEMORY_LOCK_INTERVAL_MS } from '../limits.ts';
import { asError, type Logger } from '../telemetry/log.ts';
import { Periodic } from './periodic.ts';

export interface MemoryLockParts {
  readonly env: Pick<Env, 'timers'>;
  readonly log: Logger;
  readonly directory: DataDirectory;
  /** Undefined if nothing is locked. */
  readonly memoryLock: MemoryLock | undefined;
}

export class MemoryLockDuty {
  readonly #log: Logger;
  readonly #path: string;
  readonly #lock: MemoryLock;
  readonly #interval: Periodic;
  #isBusy = false;
  /** A failure is told once, and again after a success. */
  #hasFailed = false;

  static of({ env, log, directory, memoryLock }: MemoryLockParts): MemoryLockDuty[] {
    if (memoryLock === undefined) return [];
    return [new MemoryLockDuty(env, log, directory.database, memoryLock)];
  }

  private constructor(env: Pick<Env, 'timers'>, log: Logger, path: string, lock: MemoryLock) {
    this.#log = log;
    this.#path = path;
    this.#lock = lock;
    this.#interval = new Periodic(env.timers, MEMORY_LOCK_INTERVAL_MS, () => void this.#cover());
  }

  start(): void {
    this.#interval.start();
  }

  stop(): void {
    this.#interval.stop();
  }

  async #cover(): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    try {
      await this.#lock.cover(this.#path);
      this.#hasFailed = false;
    } catch (error) {
      if (!this.#hasFailed) {
        const fields = { path: this.#path, error: asError(error) };
        this.#log.warn('failed to lock the whole database file in memory', fields);
      }
      this.#hasFailed = true;
    } finally {
      this.#isBusy = false;
    }
  }
}
