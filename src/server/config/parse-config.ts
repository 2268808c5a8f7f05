// The settings of the `tetcd` command from its arguments and environment. Pure: what to print, to
// log and with which code to exit is returned, not done. A configuration file takes their place: that
// it is to be read is returned too.

import { goQuote } from '../../base/index.ts';
import { buildConfig } from './build.ts';
import { FlagCollector, parseCommandLine } from './command-line.ts';
import { applyConfigFile, type FileValue } from './config-file.ts';
import { applyEnvironment, type Environment, environmentName } from './environment.ts';
import { FLAGS, IGNORED_FLAGS, isFlagName } from './flags.ts';
import { helpText, USAGE } from './help.ts';
import type { LogNote } from './log-note.ts';
import type { ServerConfig } from './server-config.ts';
import { type About, versionText } from './version-text.ts';

export type ParsedConfig = ConfigFromFile | NamedFile;

/** Read this file, and give what it holds to `parseConfigFile`. */
interface NamedFile {
  readonly kind: 'file';
  readonly path: string;
}

export type ConfigFromFile =
  /** Log the notes with a logger made from `config.log`, then start. */
  | { readonly kind: 'run'; readonly config: ServerConfig; readonly notes: readonly LogNote[] }
  /** Write both texts as they are, then exit. */
  | {
      readonly kind: 'print';
      readonly text: string;
      readonly stderr: string;
      readonly exitCode: 0 | 2;
    }
  /** Log the notes as JSON lines on stderr, then exit with 1. The last one says why. */
  | { readonly kind: 'fail'; readonly notes: readonly LogNote[]; readonly exitCode: 1 };

/** `argv` without the program's name. */
export function parseConfig(argv: readonly string[], env: Environment, about: About): ParsedConfig {
  const collector = new FlagCollector();
  const result = parseCommandLine(argv, collector);
  if (result.kind === 'help') {
    return { kind: 'print', text: helpText(), stderr: USAGE, exitCode: 0 };
  }
  if (result.kind === 'error') {
    return { kind: 'print', text: '', stderr: `${result.message}\n${USAGE}`, exitCode: 2 };
  }
  const [stray] = result.commandLine.positional;
  if (stray !== undefined) return failure([], `${goQuote(stray)} is not a valid flag`);
  if (result.commandLine.values.version) {
    return { kind: 'print', text: versionText(about), stderr: '', exitCode: 0 };
  }
  const path = result.commandLine.values['config-file'] || env[environmentName('config-file')];
  if (path) return { kind: 'file', path };
  const fromEnvironment = applyEnvironment(env, collector);
  const notes = [...fromEnvironment.notes];
  if (fromEnvironment.conflict) return { kind: 'fail', notes, exitCode: 1 };
  if (fromEnvironment.problem !== undefined) return failure(notes, fromEnvironment.problem);
  return checked(collector, notes);
}

const LOADED =
  'loaded server configuration, other configuration command line flags and environment variables will be ' +
  'ignored if provided';

/** The settings of the file at `path`: what its YAML holds, or the text of why it cannot be read. */
export function parseConfigFile(
  path: string,
  content: { readonly document: FileValue } | { readonly error: string },
): ConfigFromFile {
  const collector = new FlagCollector();
  const error = 'error' in content ? content.error : applyConfigFile(content.document, collector);
  if (error !== undefined) return failure([], error);
  return checked(collector, [{ level: 'info', msg: LOADED, fields: { path } }]);
}

function checked(collector: FlagCollector, before: readonly LogNote[]): ConfigFromFile {
  const built = buildConfig(collector.values(), collector.given);
  if (typeof built === 'string') return failure(before, built);
  const notes = [...before, ...built.notes, ...givenNotes(collector.given)];
  return { kind: 'run', config: built.config, notes };
}

function failure(before: readonly LogNote[], error: string): ConfigFromFile {
  const note: LogNote = { level: 'warn', msg: 'failed to verify flags', fields: { error } };
  return { kind: 'fail', notes: [...before, note], exitCode: 1 };
}

/** Warnings about deprecated flags. */
function givenNotes(given: ReadonlySet<string>): LogNote[] {
  const notes: LogNote[] = [];
  for (const name of [...given].sort()) {
    if (IGNORED_FLAGS.has(name)) {
      const fields = { 'flag-name': name };
      notes.push({ level: 'warn', msg: 'flag is no longer supported - ignoring', fields });
    } else if (isFlagName(name)) {
      const { deprecation } = FLAGS[name] as { readonly deprecation?: string };
      if (deprecation !== undefined) notes.push({ level: 'warn', msg: deprecation, fields: {} });
    }
  }
  return notes;
}
