// How a flag's text becomes a value. The accepted forms and the words for a refusal are those of
// etcd, whose flags are Go's: `parse error` for a wrong form, `value out of range` for a number
// that does not fit.

/** A parsed value, or the reason why the text has none. */
export type Parsed<T> = { readonly value: T } | { readonly reason: string };

export const PARSE_ERROR = { reason: 'parse error' } as const;
const OUT_OF_RANGE = { reason: 'value out of range' } as const;

const TRUE_WORDS: ReadonlySet<string> = new Set(['1', 't', 'T', 'TRUE', 'true', 'True']);
const FALSE_WORDS: ReadonlySet<string> = new Set(['0', 'f', 'F', 'FALSE', 'false', 'False']);

/** Undefined if the word is not one of the twelve that Go takes for a truth value. */
export function parseBool(text: string): boolean | undefined {
  if (TRUE_WORDS.has(text)) return true;
  return FALSE_WORDS.has(text) ? false : undefined;
}

export interface IntegerRange {
  readonly min: bigint;
  readonly max: bigint;
}

export const UINT64: IntegerRange = { min: 0n, max: 2n ** 64n - 1n };
export const UINT32: IntegerRange = { min: 0n, max: 2n ** 32n - 1n };
export const INT64: IntegerRange = { min: -(2n ** 63n), max: 2n ** 63n - 1n };

// Decimal, 0x, 0o, 0b, or a leading 0 for octal; underscores may stand between digits and after a
// prefix.
const DIGITS = {
  hex: '0[xX]_?([\\da-fA-F]+(?:_[\\da-fA-F]+)*)',
  binary: '0[bB]_?([01]+(?:_[01]+)*)',
  octal: '(?:0[oO]_?|0_?)([0-7]+(?:_[0-7]+)*)',
  decimal: '(0|[1-9]\\d*(?:_\\d+)*)',
};
const INTEGER = new RegExp(
  `^([+-]?)(?:${DIGITS.hex}|${DIGITS.binary}|${DIGITS.octal}|${DIGITS.decimal})$`,
);

/** An integer in Go's base-prefix syntax; a sign is refused where the range has no negatives. */
export function parseInteger(text: string, range: IntegerRange): Parsed<bigint> {
  const match = INTEGER.exec(text);
  if (match === null) return PARSE_ERROR;
  const [, sign = '', hex, binary, octal, decimal = ''] = match;
  if (sign !== '' && range.min === 0n) return PARSE_ERROR;
  let digits = decimal;
  if (hex !== undefined) digits = `0x${hex}`;
  else if (binary !== undefined) digits = `0b${binary}`;
  else if (octal !== undefined) digits = `0o${octal}`;
  const magnitude = BigInt(digits.replaceAll('_', ''));
  const value = sign === '-' ? -magnitude : magnitude;
  return value < range.min || value > range.max ? OUT_OF_RANGE : { value };
}

/**
 * Numbers above 2^53-1 are legal to give and mean "no limit" wherever a flag counts something, so
 * they become 2^53-1 (and likewise below).
 */
export function clampToNumber(value: bigint): number {
  const most = BigInt(Number.MAX_SAFE_INTEGER);
  if (value > most) return Number.MAX_SAFE_INTEGER;
  return value < -most ? -Number.MAX_SAFE_INTEGER : Number(value);
}

const UNIT_NANOSECONDS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n, // micro sign, U+00B5
  μs: 1_000n, // Greek mu, U+03BC
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};
const DURATION = /^[+-]?(?:0|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)$/;
const DURATION_PART = /(\d*)\.?(\d*)(ns|us|µs|μs|ms|s|m|h)/g;

/** A duration such as `1h15m30.918s`, in milliseconds with fraction. */
export function parseDurationMs(text: string): Parsed<number> {
  if (!DURATION.test(text)) return PARSE_ERROR;
  let nanoseconds = 0n;
  for (const [, whole = '', fraction = '', unit = ''] of text.matchAll(DURATION_PART)) {
    const scale = UNIT_NANOSECONDS[unit]!;
    nanoseconds += BigInt(whole || '0') * scale;
    if (fraction !== '') nanoseconds += (BigInt(fraction) * scale) / 10n ** BigInt(fraction.length);
  }
  if (nanoseconds > INT64.max) return PARSE_ERROR;
  const milliseconds = Number(nanoseconds) / 1e6;
  return { value: text.startsWith('-') ? -milliseconds : milliseconds };
}
