// Flags as commander options, with the kinds that Go's pflag has. Values are checked when the command
// line is read (`command-line.ts`), so that errors are in pflag's words.

import { Option } from 'commander';
import { goDuration } from '../../base/index.ts';
import {
  type Parsed,
  parseGoBool,
  parseGoDuration,
  parseGoInt,
  parseGoUint,
} from './go-numbers.ts';
import { textOfWord, type Word } from './words.ts';

export type FlagValue = boolean | bigint | number | string | readonly string[];

interface FlagInit<Value> {
  /** As `--name`, or `-n, --name`. */
  readonly flag: string;
  readonly help: string;
  readonly initial: Value;
  /** What the shell completes the value to; others may be taken too. */
  readonly values?: readonly string[];
}

/** A commander option that knows pflag's kind of its value. */
export class Flag extends Option {
  readonly kind: 'bool' | 'int' | 'uint' | 'uint32' | 'duration' | 'string' | 'strings';
  /** Reads a word; the reason is what pflag's message ends with. */
  readonly read: (word: Word) => Parsed<FlagValue>;
  /** All values of which it makes sense to name some; undefined where they are any. */
  readonly values: readonly string[] | undefined;

  constructor(
    kind: Flag['kind'],
    init: FlagInit<FlagValue>,
    read: (word: Word) => Parsed<FlagValue>,
  ) {
    // For commander every flag has a value; a bool without one gets `true` in the canonical form.
    super(`${init.flag} <${kind}>`, init.help);
    // For commander `--no-x` would be `--x` turned round.
    this.negate = false;
    this.kind = kind;
    this.read = read;
    this.values = init.values;
    this.default(init.initial, shownDefault(kind, init.initial));
    this.argParser((word: string) => {
      const parsed = read(word);
      if (parsed.reason !== undefined) throw new Error(parsed.reason);
      return parsed.value;
    });
  }

  show(value: FlagValue): string {
    return shown(this.kind, value);
  }

  /** Help text, with the default unless that is a zero value. */
  get shownHelp(): string {
    const initial = this.defaultValueDescription;
    return initial === undefined ? this.description : `${this.description} (default ${initial})`;
  }

  /** The flag in help, with the kind of its value unless it is a bool. */
  get term(): string {
    const name = this.short === undefined ? `    ${this.long}` : `${this.short}, ${this.long}`;
    return this.kind === 'bool' ? name : `${name} ${this.kind}`;
  }
}

/** A value as Go prints it. */
function shown(kind: Flag['kind'], value: FlagValue): string {
  if (kind === 'duration') return goDuration(Number(value) * 1e6);
  if (kind === 'strings') return `[${(value as readonly string[]).join(',')}]`;
  return String(value);
}

function shownDefault(kind: Flag['kind'], initial: FlagValue): string | undefined {
  if (!initial || (Array.isArray(initial) && initial.length === 0)) return undefined;
  return kind === 'string' ? JSON.stringify(initial) : shown(kind, initial);
}

export function boolFlag(init: Omit<FlagInit<boolean>, 'initial'> & { initial?: boolean }): Flag {
  return new Flag('bool', { ...init, initial: init.initial ?? false }, (word) =>
    parseGoBool(textOfWord(word)),
  );
}

/** An int64; the value is a bigint. */
export function intFlag(init: Omit<FlagInit<bigint>, 'initial'> & { initial?: bigint }): Flag {
  return new Flag('int', { ...init, initial: init.initial ?? 0n }, (word) =>
    parseGoInt(textOfWord(word), 0),
  );
}

/** An unsigned integer; the value is a bigint. */
export function uintFlag(kind: 'uint' | 'uint32', init: FlagInit<bigint>): Flag {
  const bits = kind === 'uint' ? 64 : 32;
  return new Flag(kind, init, (word) => parseGoUint(textOfWord(word), 0, bits));
}

/** In milliseconds. */
export function durationFlag(init: FlagInit<number>): Flag {
  return new Flag('duration', init, (word) => parseGoDuration(textOfWord(word)));
}

export function stringFlag(init: Omit<FlagInit<string>, 'initial'> & { initial?: string }): Flag {
  return new Flag('string', { ...init, initial: init.initial ?? '' }, (word) => ({
    value: textOfWord(word),
  }));
}

/** A list with commas between; given several times, the lists are put together. */
export function stringsFlag(init: FlagInit<readonly string[]>): Flag {
  return new Flag('strings', init, (word) => ({
    value: word === '' ? [] : textOfWord(word).split(','),
  }));
}
