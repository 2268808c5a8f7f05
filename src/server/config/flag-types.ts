// The kinds of flags. A flag is a row: how its text is read, its default, and what `--help` says.

import { type FeatureGates, parseFeatureGates } from './feature-gates.ts';
import { type ParsedUrl, parseUrls } from './urls.ts';
import {
  clampToNumber,
  INT64,
  type IntegerRange,
  PARSE_ERROR,
  type Parsed,
  parseBool,
  parseDurationMs,
  parseInteger,
  UINT32,
  UINT64,
} from './values.ts';

export const FLAG_GROUPS = {
  member: 'Member',
  clustering: 'Clustering',
  auth: 'Auth',
  monitoring: 'Profiling and Monitoring',
  tracing: 'Distributed tracing',
  logging: 'Logging',
  security: 'Security',
  features: 'Features',
  compatibility: 'Compatibility',
  unsafe: 'Unsafe feature',
  misc: 'Other',
} as const;
type FlagGroup = keyof typeof FLAG_GROUPS;

export interface Flag<T> {
  /** Whether the flag alone, without `=value`, means true. */
  readonly isBool: boolean;
  readonly byDefault: T;
  /** How `--help` shows the default. */
  readonly defaultText: string;
  readonly group: FlagGroup;
  readonly help: string;
  /** Logged when the flag is given. */
  readonly deprecation?: string;
  /** The value is a number of milliseconds, its text a duration with a unit. */
  readonly isDuration?: true;
  /** `before` is the previous value: the default, or that of an earlier occurrence. */
  parse(text: string, before: T): Parsed<T>;
}

/** The value type of a row. */
export type FlagValue<F> = F extends Flag<infer T> ? T : never;

interface Row {
  readonly group: FlagGroup;
  readonly help: string;
  readonly deprecation?: string;
}

function flag<T>(
  row: Row,
  byDefault: T,
  defaultText: string,
  parse: (text: string, before: T) => Parsed<T>,
): Flag<T> {
  return { ...row, isBool: false, byDefault, defaultText, parse };
}

export function stringFlag(byDefault: string, row: Row): Flag<string> {
  return flag(row, byDefault, byDefault, (value) => ({ value }));
}

/** One of `valid`, the first of which is the default. */
export function choiceFlag<T extends string>(valid: readonly [T, ...T[]], row: Row): Flag<T> {
  return flag<T>(row, valid[0], valid[0], (text) => {
    const value = valid.find((choice) => choice === text);
    return value === undefined ? { reason: 'invalid value' } : { value };
  });
}

export function boolFlag(byDefault: boolean, row: Row): Flag<boolean> {
  const parse = (text: string): Parsed<boolean> => {
    const value = parseBool(text);
    return value === undefined ? PARSE_ERROR : { value };
  };
  return { ...row, isBool: true, byDefault, defaultText: String(byDefault), parse };
}

function integerFlag(byDefault: number, range: IntegerRange, row: Row): Flag<number> {
  return flag(row, byDefault, String(byDefault), (text) => {
    const parsed = parseInteger(text, range);
    return 'reason' in parsed ? parsed : { value: clampToNumber(parsed.value) };
  });
}

export function uintFlag(byDefault: number, row: Row): Flag<number> {
  return integerFlag(byDefault, UINT64, row);
}

export function uint32Flag(byDefault: number, row: Row): Flag<number> {
  return integerFlag(byDefault, UINT32, row);
}

export function intFlag(byDefault: number, row: Row): Flag<number> {
  return integerFlag(byDefault, INT64, row);
}

/** In milliseconds. `defaultText` is the default as a duration. */
export function durationFlag(defaultText: string, row: Row): Flag<number> {
  const byDefault = parseDurationMs(defaultText);
  if ('reason' in byDefault) throw new RangeError(`bad default ${defaultText}`);
  return { ...flag(row, byDefault.value, defaultText, parseDurationMs), isDuration: true };
}

export function urlsFlag(defaultText: string, row: Row): Flag<readonly ParsedUrl[]> {
  const byDefault = defaultText === '' ? { value: [] } : parseUrls(defaultText);
  if ('reason' in byDefault) throw new RangeError(`bad default ${defaultText}`);
  // As in etcd, an empty value leaves the list as it is.
  return flag(row, byDefault.value, defaultText, (text, before) =>
    text === '' ? { value: before } : parseUrls(text),
  );
}

/** URLs, or `*`, which is the default. */
export function originsFlag(row: Row): Flag<readonly string[]> {
  const all = '*';
  return flag<readonly string[]>(row, [all], all, (text, before) => {
    // As in etcd, what is there already stays, and `*` is added to it.
    if (before.includes(text)) return { value: before };
    if (text === all) return { value: [...before, all] };
    const parsed = parseUrls(text);
    return 'reason' in parsed ? parsed : { value: parsed.value.map((url) => url.text) };
  });
}

/** Comma separated, duplicates removed, in the order given. */
export function stringsFlag(defaultText: string, row: Row): Flag<readonly string[]> {
  const split = (text: string): readonly string[] => [...new Set(text.split(','))];
  return flag(row, split(defaultText), defaultText, (text) => ({ value: split(text) }));
}

/** Comma separated, in the order given; none by default, and for an empty text. */
export function listFlag(row: Row): Flag<readonly string[]> {
  return flag<readonly string[]>(row, [], '', (text) => ({
    value: text === '' ? [] : text.split(','),
  }));
}

/** Comma separated, sorted, duplicates removed; none by default, one that is empty for an empty text. */
export function uniqueStringsFlag(row: Row): Flag<readonly string[]> {
  return flag<readonly string[]>(row, [], '', (text) => ({
    value: [...new Set(text.split(','))].sort(),
  }));
}

export function featureGatesFlag(byDefault: FeatureGates, row: Row): Flag<FeatureGates> {
  return flag(row, byDefault, '', (text) => {
    const parsed = parseFeatureGates(text);
    return typeof parsed === 'string' ? { reason: parsed } : { value: parsed };
  });
}

/** Read by `read`; undefined while the flag is not given. */
export function optionalFlag<T>(read: (text: string) => Parsed<T>, row: Row): Flag<T | undefined> {
  return flag<T | undefined>(row, undefined, '', read);
}
