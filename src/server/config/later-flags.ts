// Flags of etcd 3.7 whose feature this release lacks. A value that asks for nothing (the default,
// "off", a setting of a feature that another flag switches on) is taken without effect,
// so that command lines written for etcd work. Any other value is refused by name: a flag that is
// silently ignored could mean a server without the TLS that was asked for.

import { PARSE_ERROR, type Parsed, parseBool } from './values.ts';

/** The outcome for a value. */
type LaterOutcome =
  | 'nothing asked'
  | 'not implemented'
  /** Not a value of this kind, as Go's flag package says it. */
  | { readonly reason: string };

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

const always = (): boolean => true;
const asText = (value: string): Parsed<string> => ({ value });

const OFF = later(parseTruth, (value) => !value, true);

// Settings of a feature that another flag switches on: alone they ask for nothing.
const ANY_TEXT = later(asText, always);

export const LATER_FLAGS: Readonly<Record<string, LaterFlag>> = {
  'backend-bbolt-freelist-type': ANY_TEXT, // how free pages are kept in memory: never on disk
  'memory-mlock': OFF,
  'socket-reuse-port': OFF,
};

export function laterFlag(name: string): LaterFlag | undefined {
  return Object.hasOwn(LATER_FLAGS, name) ? LATER_FLAGS[name] : undefined;
}
