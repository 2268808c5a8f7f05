// Environment variables: ETCD_ and the flag's name in upper case, dashes as underscores. They fill
// flags that the command line does not give.

import { goQuote } from '../../base/index.ts';
import type { FlagCollector } from './command-line.ts';
import { FLAGS, IGNORED_FLAGS } from './flags.ts';
import type { LogNote } from './log-note.ts';

const PREFIX = 'ETCD_';
const CONFLICT =
  'conflicting environment variable is shadowed by corresponding command-line flag ' +
  '(either unset environment variable or disable flag))';

export type Environment = Readonly<Record<string, string | undefined>>;

export function environmentName(flag: string): string {
  return PREFIX + flag.toUpperCase().replaceAll('-', '_');
}

const FLAG_BY_VARIABLE: ReadonlyMap<string, string> = new Map(
  [...Object.keys(FLAGS), ...IGNORED_FLAGS].sort().map((flag) => [environmentName(flag), flag]),
);

interface EnvironmentResult {
  readonly notes: readonly LogNote[];
  /** Why the program must not start. */
  readonly problem: string | undefined;
  /** A variable and a flag say the same thing: fatal, already among the notes. */
  readonly conflict: boolean;
}

/** Takes every variable that names a flag; an empty one counts as unset. */
export function applyEnvironment(env: Environment, collector: FlagCollector): EnvironmentResult {
  const notes: LogNote[] = [];
  const onCommandLine = new Set([...collector.given].map(environmentName));
  const used = new Set<string>();
  let problem: string | undefined;
  const version = env['ETCD_VERSION'];
  if (version !== undefined && version !== '') {
    const fields = { key: 'ETCD_VERSION', value: version };
    notes.push({ level: 'warn', msg: 'cannot set special environment variable', fields });
    used.add('ETCD_VERSION');
  }
  for (const [variable, flag] of FLAG_BY_VARIABLE) {
    const value = env[variable];
    if (onCommandLine.has(variable) || used.has(variable) || value === undefined || value === '') {
      continue;
    }
    used.add(variable);
    const reason = takeVariable(flag, value, collector);
    if (reason !== undefined) {
      problem = `invalid value ${goQuote(value)} for ${variable}: ${reason}`;
      continue;
    }
    const fields = { 'variable-name': variable, 'variable-value': value };
    notes.push({ level: 'info', msg: 'recognized and used environment variable', fields });
  }
  for (const [variable, value] of Object.entries(env)) {
    if (used.has(variable) || value === undefined) continue;
    if (onCommandLine.has(variable)) {
      const fields = { 'environment-variable': variable };
      notes.push({ level: 'fatal', msg: CONFLICT, fields });
      return { notes, problem, conflict: true };
    }
    if (!variable.startsWith(PREFIX)) continue;
    const fields = { 'environment-variable': `${variable}=${value}` };
    notes.push({ level: 'warn', msg: 'unrecognized environment variable', fields });
  }
  return { notes, problem, conflict: false };
}

function takeVariable(flag: string, value: string, collector: FlagCollector): string | undefined {
  if (!IGNORED_FLAGS.has(flag)) return collector.set(flag, value);
  collector.given.add(flag);
  return undefined;
}
