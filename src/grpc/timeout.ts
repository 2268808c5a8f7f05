// `grpc-timeout` on the wire: up to eight digits and a unit.

import { ERROR_CODES, TetcdError } from '../base/index.ts';

const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/** Largest timeout: about 292 years, as in Go. A longer one is reduced to it. */
const TIMEOUT_MS_MAX = 2 ** 63 / 1e6;

/** Milliseconds, with fraction. MALFORMED with grpc-go's text if it is no timeout. */
export function parseTimeout(text: string): number {
  if (text.length < 2) throw malformed(`timeout string is too short: ${JSON.stringify(text)}`);
  if (text.length > 9) throw malformed(`timeout string is too long: ${JSON.stringify(text)}`);
  const unit = UNIT_MS[text.charAt(text.length - 1)];
  if (unit === undefined) {
    throw malformed(`timeout unit is not recognized: ${JSON.stringify(text)}`);
  }
  let value = 0;
  for (let i = 0; i < text.length - 1; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) {
      throw malformed(`timeout is not a number: ${JSON.stringify(text)}`);
    }
    value = value * 10 + digit;
  }
  return Math.min(value * unit, TIMEOUT_MS_MAX);
}

const DIGITS_MAX = 99_999_999;

/** The timeout in the finest unit that has room for it, rounded up; at least one nanosecond. */
export function formatTimeout(timeoutMs: number): string {
  if (timeoutMs <= 0) return '1n';
  for (const unit of ['n', 'u', 'm', 'S', 'M']) {
    const value = Math.ceil(timeoutMs / UNIT_MS[unit]!);
    if (value <= DIGITS_MAX) return `${value}${unit}`;
  }
  return `${Math.min(Math.ceil(timeoutMs / UNIT_MS['H']!), DIGITS_MAX)}H`;
}

function malformed(text: string): TetcdError {
  return new TetcdError(ERROR_CODES.MALFORMED, `transport: ${text}`);
}
