// Periodic probes of a member: round-trip time and difference of the clocks.

import { ERROR_CODES, TetcdError, utf8FromBytes } from '../base/index.ts';
import type { Timer } from '../env/index.ts';
import { failureText, type PeerContext } from './context.ts';
import {
  CLOCK_DIFFERENCE_MS_MAX,
  PROBE_MARGIN_MS,
  PROBE_MONITOR_ERROR_MS,
  PROBE_MONITOR_MS,
  TIMER_SLACK,
} from './limits.ts';
import type { PeerResponse } from './types.ts';

export const PROBING_PATH = '/raft/probing';
/** Body of the response to a probe. */
export function probingBody(wallMs: number): string {
  // As Go writes a time: without the zeros at the end of its fraction.
  const now = new Date(wallMs).toISOString().replace(/\.?0*Z$/, 'Z');
  return `{"OK":true,"Now":"${now}"}\n`;
}

/** The weight of the newest probe in the smoothed time. */
const SMOOTHING = 0.125;

interface ProberOptions {
  readonly context: PeerContext;
  readonly peer: string;
  readonly urls: readonly string[];
  /** The probed kind of link, in logs. */
  readonly name: string;
  readonly ask: (url: string, timeoutMs: number) => Promise<PeerResponse>;
}

export class Prober {
  readonly #options: ProberOptions;
  #probe: Timer | undefined;
  #monitor: Timer | undefined;
  #pinned = 0;
  #healthy = false;
  #smoothedMs = 0;
  #clockDifferenceMs = 0;
  #error: string | undefined;
  #stopped = false;

  constructor(options: ProberOptions) {
    this.#options = options;
    this.#armProbe();
    this.#armMonitor(PROBE_MONITOR_ERROR_MS);
  }

  stop(): void {
    this.#stopped = true;
    this.#probe?.cancel();
    this.#monitor?.cancel();
  }

  get #intervalMs(): number {
    const { ioTimeoutMs } = this.#options.context;
    return Math.max(ioTimeoutMs / 2, ioTimeoutMs - PROBE_MARGIN_MS);
  }

  #armProbe(): void {
    const { env, ioTimeoutMs } = this.#options.context;
    const slackMs = TIMER_SLACK * ioTimeoutMs;
    this.#probe = env.timers.after(this.#intervalMs, () => void this.#run(), slackMs);
  }

  async #run(): Promise<void> {
    const { ask, context, urls } = this.#options;
    const url = urls[this.#pinned % urls.length]!;
    const sinceMs = context.nowMs();
    context.begin();
    try {
      const answer = await ask(url, this.#intervalMs);
      this.#record(readProbe(url, answer), context.nowMs() - sinceMs);
    } catch (error) {
      this.#healthy = false;
      this.#error = failureText(error);
      this.#pinned = (this.#pinned + 1) % urls.length;
    } finally {
      context.end();
    }
    if (!this.#stopped) this.#armProbe();
  }

  #record(theirWallMs: number, tookMs: number): void {
    this.#healthy = true;
    this.#error = undefined;
    this.#smoothedMs = (1 - SMOOTHING) * this.#smoothedMs + SMOOTHING * tookMs;
    const { clock } = this.#options.context.env;
    this.#clockDifferenceMs = clock.wallMs() - theirWallMs - this.#smoothedMs / 2;
  }

  #armMonitor(delayMs: number): void {
    const { context } = this.#options;
    this.#monitor = context.env.timers.after(delayMs, () => {
      this.#look();
      this.#armMonitor(this.#healthy ? PROBE_MONITOR_MS : PROBE_MONITOR_ERROR_MS);
    });
  }

  #look(): void {
    const { context, name, peer } = this.#options;
    const fields = {
      'round-tripper-name': name,
      'remote-peer-id': peer,
      rtt: `${this.#smoothedMs / 1000}s`,
      ...(this.#error === undefined ? {} : { error: this.#error }),
    };
    if (!this.#healthy) context.log.warn('prober detected unhealthy status', fields);
    if (this.#clockDifferenceMs > CLOCK_DIFFERENCE_MS_MAX) {
      context.log.warn('prober found high clock drift', {
        ...fields,
        'clock-drift': `${this.#clockDifferenceMs / 1000}s`,
      });
    }
    context.metrics.roundTripSeconds(peer).observe(this.#smoothedMs / 1000);
  }
}

/** The wall clock of the other side, in ms. Throws if the answer is not that of a healthy member. */
function readProbe(url: string, answer: PeerResponse): number {
  if (answer.status !== 200) {
    throw new TetcdError(ERROR_CODES.UNAVAILABLE, `got HTTP status ${answer.status} from ${url}`);
  }
  let value: unknown;
  try {
    value = JSON.parse(utf8FromBytes(answer.body));
  } catch {
    value = undefined;
  }
  const fields = typeof value === 'object' && value !== null ? value : {};
  const ok = 'OK' in fields && fields.OK === true;
  const wallMs = 'Now' in fields && typeof fields.Now === 'string' ? Date.parse(fields.Now) : NaN;
  if (!ok || Number.isNaN(wallMs)) {
    throw new TetcdError(ERROR_CODES.MALFORMED, `${url}: not the answer to a probe`);
  }
  return wallMs;
}
