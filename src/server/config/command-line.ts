// Go's flag syntax, which etcd's command line has: one dash or two, `-f=v` or `-f v`, truth values
// only as `-f` or `-f=v`, a repeated flag overrides, `--` and the first word that is no flag end
// the flags.

import type { Flag } from './flag-types.ts';
import {
  FLAGS,
  type FlagName,
  type FlagValues,
  IGNORED_FLAGS,
  isFlagName,
  LATER_FLAGS,
} from './flags.ts';
import { parseBool, quote } from './values.ts';

export interface CommandLine {
  readonly values: FlagValues;
  /** Names that were given, ignored ones included. */
  readonly given: ReadonlySet<string>;
  /** What follows the flags. */
  readonly positional: readonly string[];
}

export type CommandLineResult =
  | { readonly kind: 'parsed'; readonly commandLine: CommandLine }
  | { readonly kind: 'help' }
  | { readonly kind: 'error'; readonly message: string };

/** The values while they are collected. */
export class FlagCollector {
  readonly #values = new Map<FlagName, unknown>();
  readonly given = new Set<string>();

  /** Takes a value; returns the reason if the flag refuses it. */
  set(name: FlagName, text: string): string | undefined {
    const flag: Flag<unknown> = FLAGS[name];
    const before = this.#values.has(name) ? this.#values.get(name) : flag.byDefault;
    const parsed = flag.parse(text, before);
    if ('reason' in parsed) return parsed.reason;
    this.#values.set(name, parsed.value);
    this.given.add(name);
    return undefined;
  }

  values(): FlagValues {
    const entries = Object.entries(FLAGS).map(([name, flag]) => {
      const isSet = this.#values.has(name as FlagName);
      return [name, isSet ? this.#values.get(name as FlagName) : flag.byDefault];
    });
    return Object.fromEntries(entries) as FlagValues;
  }
}

export function notImplemented(name: string): string {
  return `flag provided but not implemented by this release: -${name}`;
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
  if (LATER_FLAGS.has(name)) return { message: notImplemented(name) };
  if (!isFlagName(name)) return { message: `flag provided but not defined: -${name}` };
  if (FLAGS[name].isBool) {
    const text = value ?? 'true';
    if (parseBool(text) === undefined) {
      return { message: `invalid boolean value ${quote(text)} for -${name}: parse error` };
    }
    collector.set(name, text);
    return {};
  }
  const text = value ?? next;
  if (text === undefined) return { message: `flag needs an argument: -${name}` };
  const reason = collector.set(name, text);
  if (reason !== undefined) {
    return { message: `invalid value ${quote(text)} for flag -${name}: ${reason}` };
  }
  return { usedNext: value === undefined };
}
