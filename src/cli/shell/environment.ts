// ETCDCTL_* variables for the global flags. A variable together with its flag is refused, as by etcdctl; an
// unknown variable is reported on standard error and ignored.

import type { Command } from 'commander';
import { flagsOf } from './command-line.ts';
import { EXIT, SilentExit } from './exit.ts';
import type { Flag, FlagValue } from './flags.ts';
import type { Io } from './io.ts';
import { logLine } from './log-line.ts';
import { type Word, wordFromText } from './words.ts';

const PREFIX = 'ETCDCTL_';
const CONFLICT =
  'conflicting environment variable is shadowed by corresponding command-line flag ' +
  '(either unset environment variable or disable flag))';

/** Not flags: the version of the API (this program has one), and what `watch` reads by itself. */
const OTHERS: ReadonlySet<string> = new Set([
  'ETCDCTL_API',
  'ETCDCTL_WATCH_KEY',
  'ETCDCTL_WATCH_RANGE_END',
]);

export function variableOf(flag: Flag): string {
  return PREFIX + flag.long!.slice(2).toUpperCase().replaceAll('-', '_');
}

/**
 * Values of the flags that the environment sets, for all flags that `command` inherits, except those that
 * were `given`. An invalid value counts as in etcdctl: a boolean is false, any other flag keeps its default.
 */
export function flagsFromEnvironment(
  command: Command,
  given: ReadonlyMap<string, Word>,
  io: Io,
): ReadonlyMap<Flag, FlagValue> {
  const inherited = command.parent === null ? [] : flagsOf(command.parent);
  const flags = new Map(inherited.map((flag) => [variableOf(flag), flag]));
  const found = new Map<Flag, FlagValue>();
  for (const [variable, value = ''] of Object.entries(io.env)) {
    if (!variable.startsWith(PREFIX) || OTHERS.has(variable)) continue;
    const flag = flags.get(variable);
    if (flag !== undefined && given.has(flag.long!.slice(2))) {
      logLine(io, 'fatal', CONFLICT, { 'environment-variable': variable });
      throw new SilentExit(EXIT.ERROR);
    }
    if (flag === undefined || value === '') {
      const fields = { 'environment-variable': `${variable}=${value}` };
      logLine(io, 'warn', 'unrecognized environment variable', fields);
      continue;
    }
    const parsed = flag.read(wordFromText(value));
    if (parsed.reason === undefined) found.set(flag, parsed.value);
    else {
      const fields = { 'environment-variable': `${variable}=${value}`, error: parsed.reason };
      logLine(io, 'warn', 'environment variable without a valid value', fields);
      if (flag.kind === 'bool') found.set(flag, false);
    }
  }
  return found;
}
