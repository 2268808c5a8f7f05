// Parses a command line by pflag's and cobra's rules into a canonical form that commander parses the same
// way: full command names, every flag as `--name=value`, then `--` and the other words. pflag accepts and
// commander does not: `--bool=false`, `-w=json`, flags before or after the command in any order,
// unambiguous prefixes of command names.

import type { Command } from 'commander';
import { invariant } from '../../base/index.ts';
import { Flag } from './flags.ts';
import { textOfWord, type Word } from './words.ts';

export interface CommandLine {
  readonly command: Command;
  /** For commander's `parseAsync(…, { from: 'user' })`. */
  readonly canonical: readonly string[];
  /** Words that are no flags, those after `--` included. */
  readonly words: readonly Word[];
  /** How many of `words` came before `--`; undefined without one. */
  readonly wordsBeforeDash: number | undefined;
  /** Flags that were given, by name. */
  readonly given: ReadonlyMap<string, Word>;
  /** `--help` or `-h` was given. */
  readonly wantsHelp: boolean;
}

/** A wrong command line. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly command: Command;
  /** Whether the usage of the command is shown too. */
  readonly showUsage: boolean;

  constructor(command: Command, text: string, showUsage: boolean) {
    super(text);
    this.command = command;
    this.showUsage = showUsage;
  }
}

/** UsageError with the texts of pflag and cobra. */
export function readCommandLine(root: Command, argv: readonly Word[]): CommandLine {
  const { command, path, rest } = findCommand(root, argv);
  const reader = new FlagReader(command);
  reader.read(rest);
  const isGroup = command.commands.length > 0;
  const first = reader.words[0];
  if (isGroup && command === root && first !== undefined) {
    throw new UsageError(
      root,
      `unknown command ${JSON.stringify(textOfWord(first))} for "${root.name()}"`,
      false,
    );
  }
  const flags = [...reader.given].map(([name, word]) => `--${name}=${word}`);
  return {
    command,
    canonical: [...path, ...flags, '--', ...reader.words],
    words: reader.words,
    wordsBeforeDash: reader.wordsBeforeDash,
    given: reader.given,
    // A group without a subcommand shows its help.
    wantsHelp: reader.wantsHelp || isGroup,
  };
}

/** Flags of a command: its own and those of its parents. */
export function flagsOf(command: Command): Flag[] {
  const flags = command.options.filter((option) => option instanceof Flag);
  return command.parent === null ? flags : [...flagsOf(command.parent), ...flags];
}

/** Values of a command's own flags, for a line that commander does not execute. */
export function ownOptions<Options>({ command, given }: CommandLine): Options {
  const options: Record<string, unknown> = {};
  for (const flag of command.options) {
    if (!(flag instanceof Flag)) continue;
    const word = given.get(flag.long!.slice(2));
    const parsed = word === undefined ? undefined : flag.read(word);
    invariant(parsed?.reason === undefined, 'a flag that was read can be read again');
    options[flag.attributeName()] = parsed === undefined ? flag.defaultValue : parsed.value;
  }
  return options as Options;
}

/** Finds the command; collects flags and their values on the way. */
function findCommand(
  root: Command,
  argv: readonly Word[],
): { readonly command: Command; readonly path: readonly string[]; readonly rest: readonly Word[] } {
  let command = root;
  const path: string[] = [];
  const rest: Word[] = [];
  let at = 0;
  for (; at < argv.length && command.commands.length > 0; at++) {
    const word = argv[at]!;
    if (word === '--') break;
    if (!word.startsWith('-') || word === '-') {
      const next = subcommand(command, word);
      if (next === undefined) break;
      command = next;
      path.push(next.name());
      continue;
    }
    rest.push(word);
    if (takesNextWord(command, word) && at + 1 < argv.length) rest.push(argv[++at]!);
  }
  return { command, path, rest: [...rest, ...argv.slice(at)] };
}

/** The subcommand of this name, or the only one whose name begins so. */
export function subcommand(command: Command, word: Word): Command | undefined {
  const exact = command.commands.find((each) => each.name() === word);
  if (exact !== undefined || word === '') return exact;
  const beginning = command.commands.filter((each) => each.name().startsWith(word));
  return beginning.length === 1 ? beginning[0] : undefined;
}

/** Whether the value of this flag is the next word; assumed of unknown flags. */
function takesNextWord(command: Command, word: Word): boolean {
  if (word.includes('=')) return false;
  if (word === '-h' || word === '--help') return false;
  if (!word.startsWith('--') && word.length !== 2) return false;
  const flag = flagsOf(command).find((each) => each.long === word || each.short === word);
  return flag === undefined || flag.kind !== 'bool';
}

class FlagReader {
  readonly words: Word[] = [];
  readonly given = new Map<string, Word>();
  wordsBeforeDash: number | undefined = undefined;
  wantsHelp = false;
  readonly #command: Command;
  readonly #flags: readonly Flag[];

  constructor(command: Command) {
    this.#command = command;
    this.#flags = flagsOf(command);
  }

  read(argv: readonly Word[]): void {
    const waiting = [...argv];
    for (;;) {
      const word = waiting.shift();
      if (word === undefined) return;
      if (word === '--') {
        this.wordsBeforeDash = this.words.length;
        this.words.push(...waiting);
        return;
      }
      if (word.startsWith('--')) this.#long(word, waiting);
      else if (word.startsWith('-') && word !== '-') this.#short(word.slice(1), waiting);
      else this.words.push(word);
      if (this.wantsHelp) return;
    }
  }

  #long(word: Word, waiting: Word[]): void {
    const equals = word.indexOf('=');
    const name = word.slice(2, equals < 0 ? undefined : equals);
    if (name === '' || name.startsWith('-'))
      throw this.#error(`bad flag syntax: ${textOfWord(word)}`);
    const flag = this.#flags.find((each) => each.long === `--${name}`);
    if (flag === undefined) {
      if (name === 'help') this.wantsHelp = true;
      else throw this.#error(`unknown flag: --${textOfWord(name)}`);
    } else if (equals >= 0) this.#set(flag, word.slice(equals + 1));
    else if (flag.kind === 'bool') this.#set(flag, 'true');
    else if (waiting.length === 0) throw this.#error(`flag needs an argument: --${name}`);
    else this.#set(flag, waiting.shift()!);
  }

  /** One dash: single letters, the last of which may have a value, joined or not. */
  #short(letters: Word, waiting: Word[]): void {
    for (let at = 0; at < letters.length; at++) {
      const letter = letters[at]!;
      const rest = letters.slice(at + 1);
      const flag = this.#flags.find((each) => each.short === `-${letter}`);
      const where = `'${letter}' in -${textOfWord(letters.slice(at))}`;
      if (flag === undefined) {
        if (letter === 'h') {
          this.wantsHelp = true;
          return;
        }
        throw this.#error(`unknown shorthand flag: ${where}`);
      }
      if (rest.startsWith('=')) this.#set(flag, rest.slice(1));
      else if (flag.kind === 'bool') {
        this.#set(flag, 'true');
        continue;
      } else if (rest !== '') this.#set(flag, rest);
      else if (waiting.length === 0) throw this.#error(`flag needs an argument: ${where}`);
      else this.#set(flag, waiting.shift()!);
      return;
    }
  }

  #set(flag: Flag, word: Word): void {
    const parsed = flag.read(word);
    const name = flag.long!.slice(2);
    if (parsed.reason !== undefined) {
      const shown = flag.short === undefined ? flag.long : `${flag.short}, ${flag.long}`;
      const value = JSON.stringify(textOfWord(word));
      throw this.#error(`invalid argument ${value} for "${shown}" flag: ${parsed.reason}`);
    }
    const before = this.given.get(name);
    const isAddition = flag.kind === 'strings' && before !== undefined && before !== '';
    this.given.set(name, isAddition ? `${before},${word}` : word);
  }

  #error(text: string): UsageError {
    return new UsageError(this.#command, text, true);
  }
}
