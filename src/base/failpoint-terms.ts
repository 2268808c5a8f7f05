// The terms of a failpoint: what happens there, how often and how likely, in the grammar of gofail
// (github.com/etcd-io/gofail).
//
//     terms    term ( "->" term )*             the first term that still applies is the one that happens
//     term     modifier* action [ "(" value ")" ]
//     modifier count "*"  |  percent "%"       a percentage has a point: 50.0%return
//     action   off | return | sleep | panic | break | print
//     value    an integer, "a text", true, false, or nothing

/** `return` and `panic` without a value carry this. */
export const NOTHING = '{}';

export type FailpointValue = number | string | boolean;

export interface FailpointTerm {
  readonly action: 'off' | 'return' | 'sleep' | 'panic' | 'break' | 'print';
  /** Undefined if there is none, and other terms follow. */
  readonly value: FailpointValue | undefined;
}

type Modifier = { count: number } | { readonly share: number };

interface ModifiedTerm extends FailpointTerm {
  readonly modifiers: readonly Modifier[];
}

const COUNT = /^(\d+)\*/;
const PERCENT = /^(\d+\.\d*)%/;
const ACTION = /^(off|return|sleep|panic|break|print)/;
const EMPTY_VALUE = /^\(\)/;
const INTEGER_VALUE = /^\(([+-]?\d{1,15})\)/;
const TEXT_VALUE = /^\("([^"\\]*)"\)/;
const TRUTH_VALUE = /^\((true|false)\)/;

/** Terms as they stand now: counts go down as they are used. */
export class FailpointTerms {
  readonly text: string;
  readonly #chain: readonly ModifiedTerm[];
  /** How often one of them has happened. */
  count = 0;

  private constructor(text: string, chain: readonly ModifiedTerm[]) {
    this.text = text;
    this.#chain = chain;
  }

  /** Undefined if the text is not understood. */
  static parse(text: string): FailpointTerms | undefined {
    const chain: ModifiedTerm[] = [];
    const input = { rest: text };
    while (input.rest !== '') {
      const term = termAt(input);
      if (term === undefined) return undefined;
      chain.push(term);
      if (input.rest === '') break;
      if (take(input, /^->/) === undefined) return undefined;
    }
    return chain.length === 0 ? undefined : new FailpointTerms(text, chain);
  }

  /** What happens this time; undefined if no term applies. `random` gives numbers from 0 to 1. */
  next(random: () => number): FailpointTerm | undefined {
    for (const term of this.#chain) {
      if (!term.modifiers.every((modifier) => allows(modifier, random))) continue;
      this.count++;
      return term;
    }
    return undefined;
  }
}

interface Input {
  rest: string;
}

function take(input: Input, pattern: RegExp): RegExpExecArray | undefined {
  const match = pattern.exec(input.rest);
  if (match === null) return undefined;
  input.rest = input.rest.slice(match[0].length);
  return match;
}

function termAt(input: Input): ModifiedTerm | undefined {
  const modifiers: Modifier[] = [];
  for (;;) {
    const count = take(input, COUNT);
    const percent = count === undefined ? take(input, PERCENT) : undefined;
    if (count !== undefined) modifiers.push({ count: Number(count[1]) });
    else if (percent !== undefined) modifiers.push({ share: Number(percent[1]) / 100 });
    else break;
  }
  const action = take(input, ACTION)?.[1] as FailpointTerm['action'] | undefined;
  return action && { modifiers, action, value: valueAt(input) };
}

function valueAt(input: Input): FailpointValue | undefined {
  if (input.rest === '' || take(input, EMPTY_VALUE) !== undefined) return NOTHING;
  const integer = take(input, INTEGER_VALUE);
  if (integer !== undefined) return Number(integer[1]);
  const text = take(input, TEXT_VALUE);
  if (text !== undefined) return text[1]!;
  const truth = take(input, TRUTH_VALUE);
  return truth && truth[1] === 'true';
}

function allows(modifier: Modifier, random: () => number): boolean {
  if ('share' in modifier) return random() <= modifier.share;
  if (modifier.count === 0) return false;
  modifier.count--;
  return true;
}

const DURATION = /^((\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h))+$/;
const DURATION_PART = /(\d*\.?\d*)(ns|us|µs|ms|s|m|h)/g;
const UNIT_MS: Readonly<Record<string, number>> = {
  ...{ ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 },
};

/** Milliseconds of a `sleep`: an integer, or a duration such as `"1m30s"`; undefined for any other. */
export function sleepMsOf(value: FailpointValue | undefined): number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value !== 'string' || !DURATION.test(value)) return undefined;
  let ms = 0;
  for (const [, count, unit] of value.matchAll(DURATION_PART))
    ms += Number(count) * UNIT_MS[unit!]!;
  return ms;
}
