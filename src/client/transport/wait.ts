// Waits: exponential backoff, timeouts, sleep.

import type { Entropy, Timer } from '../../env/index.ts';
import { DELAY_MS_MAX, WAIT_JITTER } from '../limits.ts';
import type { Runtime } from '../options.ts';

/** Wait before attempt `count` (from 0) after a failure: doubling, bounded, with jitter. */
export function backoffMs(
  entropy: Entropy,
  count: number,
  bounds: { readonly minMs: number; readonly maxMs: number },
): number {
  const base = Math.min(bounds.minMs * 2 ** Math.min(count, 30), bounds.maxMs);
  const bytes = entropy.bytes(2);
  const fraction = (bytes[0]! * 256 + bytes[1]!) / 65_536;
  return base * (1 + WAIT_JITTER * (2 * fraction - 1));
}

/** Settles as the promise, unless a timeout or a signal comes first. The promise is not cancelled. */
export function inTime<T>(
  runtime: Runtime,
  promise: Promise<T>,
  limits: {
    readonly delayMs: number;
    readonly signal: AbortSignal | undefined;
    /** Makes the error of a timeout. */
    readonly late: () => Error;
  },
): Promise<T> {
  const { delayMs, signal, late } = limits;
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal?.reason);
    const timer =
      delayMs === Number.POSITIVE_INFINITY
        ? undefined
        : runtime.timers.after(Math.min(delayMs, DELAY_MS_MAX), () => reject(late()));
    const leave = (): void => {
      timer?.cancel();
      signal?.removeEventListener('abort', onAbort);
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    promise.finally(leave).then(resolve, reject);
  });
}

/** Resolves after `delayMs`; rejects with the signal's reason if it is aborted before. */
export function sleep(
  runtime: Runtime,
  delayMs: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let timer: Timer | undefined;
    const onAbort = (): void => {
      timer?.cancel();
      reject(signal?.reason);
    };
    if (signal?.aborted === true) {
      onAbort();
      return;
    }
    signal?.addEventListener('abort', onAbort, { once: true });
    timer = runtime.timers.after(delayMs, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
  });
}
