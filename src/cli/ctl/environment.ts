// ETCDCTL_* variables: the global flags by other means. A variable and its flag together are refused,
// as etcdctl does; a variable that means nothing is told on standard error and ignored.

import type { Command } from 'commander';
import { flagsOf } from './command-line.ts';
import { EXIT, ExitError, SilentExit } from './exit.ts';
import type { Flag } from './flags.ts';
import type { Io } from './io.ts';
import { textOfWord, type Word, wordFromText } from './words.ts';

const PREFIX = 'ETCDCTL_';

/** Not flags: the version of the API (this program has one), and what `watch` reads by itself. */
const OTHERS: ReadonlySet<string> = new Set([
  'ETCDCTL_API',
  'ETCDCTL_WATCH_KEY',
  'ETCDCTL_WATCH_RANGE_END',
]);

export function variableOf(flag: Flag): string {
  return PREFIX + flag.long!.slice(2).toUpperCase().replaceAll('-', '_');
}

/** The flags of `root` that the environment sets, by name, beside those that were `given`. */
export function flagsFromEnvironment(
  root: Command,
  given: ReadonlyMap<string, Word>,
  io: Io,
): ReadonlyMap<string, Word> {
  const flags = new Map(flagsOf(root).map((flag) => [variableOf(flag), flag]));
  const found = new Map<string, Word>();
  for (const [variable, value = ''] of Object.entries(io.env)) {
    if (!variable.startsWith(PREFIX) || OTHERS.has(variable)) continue;
    const flag = flags.get(variable);
    if (flag !== undefined && given.has(flag.long!.slice(2))) {
      const text =
        'conflicting environment variable is shadowed by corresponding command-line flag ' +
        '(either unset environment variable or disable flag))';
      note(io, 'fatal', text, variable);
      throw new SilentExit(EXIT.ERROR);
    }
    if (flag === undefined || value === '') {
      note(io, 'warn', 'unrecognized environment variable', `${variable}=${value}`);
      continue;
    }
    const word = wordFromText(value);
    const { reason } = flag.read(word);
    if (reason !== undefined) {
      const shown = JSON.stringify(textOfWord(word));
      throw new ExitError(EXIT.BAD_ARGS, `invalid value ${shown} for ${variable}: ${reason}`);
    }
    found.set(flag.long!.slice(2), word);
  }
  return found;
}

function note(io: Io, level: string, msg: string, variable: string): void {
  const ts = new Date(io.wallMs()).toISOString();
  const line = { level, ts, caller: 'environment', msg, 'environment-variable': variable };
  io.err(`${JSON.stringify(line)}\n`);
}
