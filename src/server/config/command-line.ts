// Go's flag syntax, which etcd's command line has: one dash or two, `-f=v` or `-f v`, truth values
// only as `-f` or `-f=v`, a repeated flag overrides, `--` and the first word that is no flag end
// the flags.

import { goQuote, invariant } from '../../base/index.ts';
import type { Flag } from './flag-types.ts';
import {
  FLAGS,
  type FlagValues,
  IGNORED_FLAGS,
  isFlagName,
  isSettingName,
  SETTINGS,
  type SettingName,
} from './flags.ts';

interface CommandLine {
  readonly values: FlagValues;
  /** Names that were given, ignored ones included. */
  readonly given: ReadonlySet<string>;
  /** What follows the flags. */
  readonly positional: readonly string[];
}

type CommandLineResult =
  | { readonly kind: 'parsed'; readonly commandLine: CommandLine }
  | { readonly kind: 'help' }
  | { readonly kind: 'error'; readonly message: string };

/** The values while they are collected. */
export class FlagCollector {
  readonly #values = new Map<SettingName, unknown>();
  readonly given = new Set<string>();

  /** Whether the flag alone means true; undefined if there is no such flag. */
  isBool(name: string): boolean | undefined {
    return isFlagName(name) ? FLAGS[name].isBool : undefined;
  }

  /** Takes a value of a flag, or of a setting, that exists; returns why if it is refused. */
  set(name: string, text: string): string | undefined {
    invariant(isSettingName(name), 'FlagCollector: no such setting');
    const flag: Flag<unknown> = SETTINGS[name];
    const before = this.#values.has(name) ? this.#values.get(name) : flag.byDefault;
    const parsed = flag.parse(text, before);
    if ('reason' in parsed) return parsed.reason;
    this.#values.set(name, parsed.value);
    this.given.add(name);
    return undefined;
  }

  values(): FlagValues {
    const entries = Object.entries(SETTINGS).map(([name, flag]) => {
      const isSet = this.#values.has(name as SettingName);
      return [name, isSet ? this.#values.get(name as SettingName) : flag.byDefault];
    });
    return Object.fromEntries(entries) as FlagValues;
  }
}

/**
 * Reads the arguments (without the program's name) into `collector`. Stops at the first error,
 * whose message is etcd's.
 */
export function parseCommandLine(
  argv: readonly string[],
  collector: FlagCollector,
): CommandLineResult {
  let at = 0;
  while (at < argv.length) {
    const argument = argv[at]!;
    if (argument.length < 2 || !argument.startsWith('-')) break;
    at++;
    if (argument === '--') break;
    const body = argument.slice(argument.startsWith('--') ? 2 : 1);
    if (body === '' || body.startsWith('-') || body.startsWith('=')) {
      return { kind: 'error', message: `bad flag syntax: ${argument}` };
    }
    const equals = body.indexOf('=');
    const name = equals < 0 ? body : body.slice(0, equals);
    const value = equals < 0 ? undefined : body.slice(equals + 1);
    if (name === 'help' || name === 'h') return { kind: 'help' };
    const taken = takeFlag(collector, name, value, argv[at]);
    if (taken.message !== undefined) return { kind: 'error', message: taken.message };
    if (taken.usedNext) at++;
  }
  const { given } = collector;
  const commandLine = { values: collector.values(), given, positional: argv.slice(at) };
  return { kind: 'parsed', commandLine };
}

interface Taken {
  readonly message?: string;
  readonly usedNext?: boolean;
}

function takeFlag(
  collector: FlagCollector,
  name: string,
  value: string | undefined,
  next: string | undefined,
): Taken {
  if (IGNORED_FLAGS.has(name)) {
    collector.given.add(name);
    return {};
  }
  const isBool = collector.isBool(name);
  if (isBool === undefined) return { message: `flag provided but not defined: -${name}` };
  const text = value ?? (isBool ? 'true' : next);
  if (text === undefined) return { message: `flag needs an argument: -${name}` };
  const reason = collector.set(name, text);
  if (reason === undefined) return { usedNext: !isBool && value === undefined };
  const what = isBool
    ? `invalid boolean value ${goQuote(text)} for -${name}`
    : `invalid value ${goQuote(text)} for flag -${name}`;
  return { message: `${what}: ${reason}` };
}
