// Who guesses passwords waits. Failed logins are counted by user and by address; from the third on each
// waits twice as long as the one before, up to a second. Nobody is locked out, and a user whose password
// was right a moment ago does not wait at all.

import type { Clock, Timers } from '../../env/index.ts';
import {
  FAILURES_KEPT_MS,
  FAILURES_KEPT_NAMES,
  FAILURES_WITHOUT_DELAY,
  LOGIN_DELAY_MS_MAX,
  LOGIN_DELAY_MS_MIN,
  LOGINS_DELAYED_MAX,
} from './limits.ts';

interface Failures {
  count: number;
  /** Under way now: what fails at once is as many guesses. */
  underWay: number;
  lastMs: number;
}

/** One login. */
export interface Attempt {
  readonly user: string;
  /** Without a port; undefined where all clients have the same, which names none of them. */
  readonly address: string | undefined;
}

interface LoginThrottleOptions {
  readonly clock: Clock;
  readonly timers: Timers;
}

export class LoginThrottle {
  readonly #options: LoginThrottleOptions;
  readonly #users = new FailureCounts();
  readonly #addresses = new FailureCounts();
  #delayed = 0;

  constructor(options: LoginThrottleOptions) {
    this.#options = options;
  }

  /**
   * Resolves to true when the attempt may be made; then {@link end} is called once. False if too many wait.
   */
  async begin({ user, address }: Attempt): Promise<boolean> {
    const { clock, timers } = this.#options;
    const nowMs = clock.monotonicMs();
    const delayMs = Math.max(this.#users.begin(user, nowMs), this.#addresses.begin(address, nowMs));
    if (delayMs === 0) return true;
    if (this.#delayed >= LOGINS_DELAYED_MAX) {
      this.#users.end(user, undefined, nowMs);
      this.#addresses.end(address, undefined, nowMs);
      return false;
    }
    this.#delayed++;
    await new Promise<void>((resolve) => timers.after(delayMs, resolve));
    this.#delayed--;
    return true;
  }

  /** `isRight` undefined: it was not found out. */
  end({ user, address }: Attempt, isRight: boolean | undefined): void {
    const nowMs = this.#options.clock.monotonicMs();
    this.#users.end(user, isRight, nowMs);
    this.#addresses.end(address, isRight, nowMs);
    if (isRight === true) this.#users.forget(user);
  }
}

/** Failures by name, those of the last minute. */
class FailureCounts {
  /** The one that failed longest ago first. */
  readonly #byName = new Map<string, Failures>();

  /** Counts an attempt; how long it has to wait. */
  begin(name: string | undefined, nowMs: number): number {
    const found = name === undefined ? undefined : this.#byName.get(name);
    if (found === undefined) return 0;
    if (nowMs - found.lastMs > FAILURES_KEPT_MS) found.count = 0;
    const count = found.count === 0 ? 0 : found.count + found.underWay;
    found.underWay++;
    return delayMsOf(count);
  }

  end(name: string | undefined, isRight: boolean | undefined, nowMs: number): void {
    if (name === undefined) return;
    const found = this.#byName.get(name);
    if (found !== undefined && found.underWay > 0) found.underWay--;
    if (isRight !== false) return;
    const failures = found ?? { count: 0, underWay: 0, lastMs: nowMs };
    failures.count++;
    failures.lastMs = nowMs;
    this.#byName.delete(name);
    this.#byName.set(name, failures);
    if (this.#byName.size > FAILURES_KEPT_NAMES) {
      this.#byName.delete(this.#byName.keys().next().value!);
    }
  }

  forget(name: string): void {
    const found = this.#byName.get(name);
    if (found?.underWay === 0) this.#byName.delete(name);
    else if (found !== undefined) found.count = 0;
  }
}

function delayMsOf(failures: number): number {
  if (failures < FAILURES_WITHOUT_DELAY) return 0;
  const doublings = Math.min(failures - FAILURES_WITHOUT_DELAY, 16);
  return Math.min(LOGIN_DELAY_MS_MIN * 2 ** doublings, LOGIN_DELAY_MS_MAX);
}
