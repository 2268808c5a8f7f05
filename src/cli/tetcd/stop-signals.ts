// SIGTERM and SIGINT. The first asks for an orderly end, which has a time limit; a second one ends the
// process at once. Either way nothing acknowledged is lost: a member may end at any instruction.
//
// One request may arrive twice: ctrl-C reaches npm and its child, and npm passes it on; timeout(1) signals
// its child and then its process group. The same signal again within a moment is therefore the same request.
//
// Until a member is about to start, the signals have their default effect: they end the process.

import type { Timers } from '../../env/index.ts';
import type { Logger } from '../../server/index.ts';
import { type ReceiveStopSignals, STOP_SIGNALS, type StopSignal } from './early-signals.ts';

/** For a member that has not served yet; etcd ends at once then. */
const START_LIMIT_MS = 2000;
/** For a member that serves: it ends its calls, hands over leadership and commits. */
const STOP_LIMIT_MS = 30_000;
/** For the second copy of one request. */
const REPEAT_MS = 500;

export class StopSignals {
  /** Aborted at the first signal. */
  readonly requested: AbortSignal;
  /** Resolves at the first signal. */
  readonly whenRequested: Promise<void>;
  readonly #log: Logger;
  readonly #timers: Timers;
  readonly #controller = new AbortController();
  #limitMs = START_LIMIT_MS;
  #received: StopSignal | undefined;
  /** Whether the signal that was received may still arrive a second time. */
  #mayRepeat = true;

  constructor(log: Logger, timers: Timers, receiveStopSignals: ReceiveStopSignals) {
    this.#log = log;
    this.#timers = timers;
    this.requested = this.#controller.signal;
    this.whenRequested = new Promise((resolve) => {
      this.requested.addEventListener('abort', () => resolve());
    });
    receiveStopSignals((signal) => this.#accept(signal));
  }

  /** The member serves: from now on it may take longer to stop. */
  acceptServing(): void {
    this.#limitMs = STOP_LIMIT_MS;
  }

  /**
   * Ends the process by the signal itself, so that its sender sees it: not by `exit`, which waits for
   * threads that may be stuck in a call of the operating system. The kernel does not end the first process of
   * a container in that way.
   */
  end(): void {
    this.#log.end();
    for (const name of STOP_SIGNALS) process.removeAllListeners(name);
    if (process.pid === 1) process.exit(0);
    process.kill(process.pid, this.#received ?? 'SIGTERM');
  }

  #accept(signal: StopSignal): void {
    if (this.#mayRepeat && signal === this.#received) return;
    if (this.#received !== undefined) {
      this.#log.warn('received another signal; ending at once', { signal });
      this.#force();
      return;
    }
    this.#received = signal;
    this.#log.info('received signal; shutting down', { signal });
    this.#timers.after(this.#limitMs, () => {
      this.#log.warn('did not stop in time; ending at once', { 'limit-ms': this.#limitMs });
      this.#force();
    });
    this.#timers.after(REPEAT_MS, () => {
      this.#mayRepeat = false;
    });
    this.#controller.abort();
  }

  #force(): void {
    // The one way out of a first process that does not wait for its threads.
    if (process.pid === 1) {
      this.#log.end();
      process.abort();
    }
    this.end();
  }
}
