// Numbers, truth values and durations as Go's programs read and print them.

import { goQuote } from '../../base/index.ts';

/** A value, or the text of Go's own error. */
export type Parsed<T> =
  | { readonly value: T; readonly reason?: undefined }
  | { readonly reason: string };

const INT64_MAX = 2n ** 63n - 1n;
const INT64_MIN = -(2n ** 63n);
const CLAMP = 2n ** 53n;

/** Digits of a base, grouped by single underscores. */
const PREFIXED =
  /^([+-]?)(0[xX](?:_?[0-9a-fA-F])+|0[bB](?:_?[01])+|0[oO]?(?:_?[0-7])+|0|[1-9](?:_?[0-9])*)$/;

function failed(what: string, text: string, why: string): { readonly reason: string } {
  return { reason: `strconv.${what}: parsing ${goQuote(text)}: ${why}` };
}

/** `strconv.ParseInt(text, base, 64)`; base 0 takes the base from a prefix. */
export function parseGoInt(text: string, base: 0 | 10 | 16): Parsed<bigint> {
  const value = base === 0 ? prefixedInt(text) : plainInt(text, base);
  if (value === undefined) return failed('ParseInt', text, 'invalid syntax');
  if (value > INT64_MAX || value < INT64_MIN) {
    return failed('ParseInt', text, 'value out of range');
  }
  return { value };
}

/** `strconv.ParseUint(text, base, bits)`: no sign; base 0 takes the base from a prefix. */
export function parseGoUint(text: string, base: 0 | 16, bits: 32 | 64 = 64): Parsed<bigint> {
  const unsigned = base === 0 ? prefixedInt : (digits: string) => plainInt(digits, base);
  const value = /^[+-]/.test(text) ? undefined : unsigned(text);
  if (value === undefined) return failed('ParseUint', text, 'invalid syntax');
  if (value >> BigInt(bits) !== 0n) return failed('ParseUint', text, 'value out of range');
  return { value };
}

function prefixedInt(text: string): bigint | undefined {
  const match = PREFIXED.exec(text);
  if (match === null) return undefined;
  const digits = match[2]!.replaceAll('_', '').toLowerCase();
  // A leading zero alone is Go's older way to write octal.
  const literal = /^0[0-7]+$/.test(digits) ? `0o${digits.slice(1)}` : digits;
  return match[1] === '-' ? -BigInt(literal) : BigInt(literal);
}

function plainInt(text: string, base: 10 | 16): bigint | undefined {
  const match = (base === 10 ? /^([+-]?)(\d+)$/ : /^([+-]?)([0-9a-fA-F]+)$/).exec(text);
  if (match === null) return undefined;
  const value = BigInt(base === 10 ? match[2]! : `0x${match[2]}`);
  return match[1] === '-' ? -value : value;
}

/** An int64 for a request: clamped to ±2^53, which changes no answer. */
export function clampedNumber(value: bigint): number {
  return Number(value > CLAMP ? CLAMP : value < -CLAMP ? -CLAMP : value);
}

const TRUE_WORDS = ['1', 't', 'T', 'TRUE', 'true', 'True'];
const FALSE_WORDS = ['0', 'f', 'F', 'FALSE', 'false', 'False'];

/** `strconv.ParseBool`. */
export function parseGoBool(text: string): Parsed<boolean> {
  if (TRUE_WORDS.includes(text)) return { value: true };
  if (FALSE_WORDS.includes(text)) return { value: false };
  return failed('ParseBool', text, 'invalid syntax');
}

const UNIT_NS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/** `time.ParseDuration`, in milliseconds. */
export function parseGoDuration(text: string): Parsed<number> {
  const invalid = { reason: `time: invalid duration ${JSON.stringify(text)}` };
  const sign = /^[+-]/.exec(text)?.[0] ?? '';
  let rest = text.slice(sign.length);
  if (rest === '0') return { value: 0 };
  if (rest === '') return invalid;
  let totalNs = 0;
  while (rest !== '') {
    const number = /^(?:\d+\.?\d*|\.\d+)/.exec(rest)?.[0];
    if (number === undefined) return invalid;
    rest = rest.slice(number.length);
    const unit = /^[^\d.]*/.exec(rest)![0];
    rest = rest.slice(unit.length);
    if (unit === '') {
      return { reason: `time: missing unit in duration ${JSON.stringify(text)}` };
    }
    const unitNs = UNIT_NS[unit];
    if (unitNs === undefined) {
      const quoted = JSON.stringify(unit);
      return { reason: `time: unknown unit ${quoted} in duration ${JSON.stringify(text)}` };
    }
    totalNs += Number(number) * unitNs;
  }
  if (totalNs > Number(INT64_MAX)) return invalid;
  return { value: (sign === '-' ? -totalNs : totalNs) / 1e6 };
}

/** `%016x` of an int64: what etcd's tools show as a lease id. */
export function goHex16(value: bigint): string {
  return value < 0n
    ? `-${(-value).toString(16).padStart(15, '0')}`
    : value.toString(16).padStart(16, '0');
}
