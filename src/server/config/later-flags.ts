// Flags of etcd 3.7 whose feature this release lacks. A value that asks for nothing (the default,
// "off", a setting of a feature that another flag switches on) is taken without effect,
// so that command lines written for etcd work. Any other value is refused by name: a flag that is
// silently ignored could mean a server without the TLS that was asked for.

import {
  clampToNumber,
  INT64,
  type IntegerRange,
  PARSE_ERROR,
  type Parsed,
  parseBool,
  parseDurationMs,
  parseInteger,
} from './values.ts';

/** The outcome for a value. */
type LaterOutcome =
  | 'nothing asked'
  | 'not implemented'
  /** Not a value of this kind, as Go's flag package says it. */
  | { readonly reason: string }
  /** A value of this kind that etcd refuses when it checks all settings together. */
  | { readonly problem: string };

interface LaterFlag {
  /** Whether the flag alone, without `=value`, means true. */
  readonly isBool: boolean;
  take(text: string): LaterOutcome;
}

function later<T>(
  parse: (text: string) => Parsed<T>,
  asksForNothing: (value: T) => boolean,
  isBool = false,
): LaterFlag {
  const take = (text: string): LaterOutcome => {
    const parsed = parse(text);
    if ('reason' in parsed) return parsed;
    return asksForNothing(parsed.value) ? 'nothing asked' : 'not implemented';
  };
  return { isBool, take };
}

function parseTruth(text: string): Parsed<boolean> {
  const value = parseBool(text);
  return value === undefined ? PARSE_ERROR : { value };
}

function integer(range: IntegerRange): (text: string) => Parsed<number> {
  return (text) => {
    const parsed = parseInteger(text, range);
    return 'reason' in parsed ? parsed : { value: clampToNumber(parsed.value) };
  };
}

const always = (): boolean => true;
const isText =
  (...texts: readonly string[]) =>
  (text: string): boolean =>
    texts.includes(text);
const asText = (value: string): Parsed<string> => ({ value });

const OFF = later(parseTruth, (value) => !value, true);
const UNSET = later(asText, isText(''));

// Settings of a feature that another flag switches on: alone they ask for nothing.
const ANY_TRUTH = later(parseTruth, always, true);
const ANY_TEXT = later(asText, always);
const ANY_INT = later(integer(INT64), always);
const ANY_DURATION = later(parseDurationMs, always);

export const LATER_FLAGS: Readonly<Record<string, LaterFlag>> = {
  'backend-bbolt-freelist-type': ANY_TEXT, // how free pages are kept in memory: never on disk
  'discovery-cacert': ANY_TEXT,
  'discovery-cert': ANY_TEXT,
  'discovery-dial-timeout': ANY_DURATION,
  'discovery-endpoints': UNSET,
  'discovery-fallback': { isBool: false, take: takeFallback },
  'discovery-insecure-skip-tls-verify': ANY_TRUTH,
  'discovery-insecure-transport': ANY_TRUTH,
  'discovery-keepalive-time': ANY_DURATION,
  'discovery-keepalive-timeout': ANY_DURATION,
  'discovery-key': ANY_TEXT,
  'discovery-password': ANY_TEXT,
  'discovery-request-timeout': ANY_DURATION,
  'discovery-srv': UNSET,
  'discovery-srv-name': UNSET,
  'discovery-token': UNSET,
  'discovery-user': ANY_TEXT,
  'distributed-tracing-address': ANY_TEXT,
  'distributed-tracing-instance-id': ANY_TEXT,
  'distributed-tracing-sampling-rate': ANY_INT,
  'distributed-tracing-service-name': ANY_TEXT,
  'enable-distributed-tracing': OFF,
  'memory-mlock': OFF,
  'socket-reuse-port': OFF,
};

export function laterFlag(name: string): LaterFlag | undefined {
  return Object.hasOwn(LATER_FLAGS, name) ? LATER_FLAGS[name] : undefined;
}

function takeFallback(text: string): LaterOutcome {
  if (text === 'exit') return 'nothing asked';
  if (text !== 'proxy') return { reason: 'invalid value' };
  return {
    problem: `v2 proxy is deprecated, and --discovery-fallback can't be configured as "proxy"`,
  };
}
