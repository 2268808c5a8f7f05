// Reads JSON text without losing what JSON.parse loses: the digits of large numbers, repeated names,
// and where in the text a value stands.

import { ERROR_CODES, TetcdError } from '../../base/index.ts';
import { JSON_NESTING_MAX } from '../limits.ts';

/** Objects and arrays within each other: a message field takes up to two. */
const VALUE_NESTING_MAX = 2 * JSON_NESTING_MAX;

export type JsonNode = { readonly at: number } & (
  | { readonly kind: 'null' | 'true' | 'false' }
  /** `text` as written for a number, unescaped for a string. */
  | { readonly kind: 'number' | 'string'; readonly text: string }
  | { readonly kind: 'array'; readonly items: readonly JsonNode[] }
  | { readonly kind: 'object'; readonly members: readonly JsonMember[] }
);

export interface JsonMember {
  readonly at: number;
  readonly name: string;
  readonly value: JsonNode;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /[A-Za-z]+/y;
const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

/** The string that `raw`, quotes included, denotes; undefined if an escape in it is none. */
function unescaped(raw: string): string | undefined {
  try {
    return JSON.parse(raw) as string;
  } catch {
    return undefined;
  }
}

/** `what` names the message in the error. */
export function jsonError(what: string, text: string, at: number, problem: string): TetcdError {
  const before = text.slice(0, at);
  const line = before.split('\n').length;
  const column = at - (before.lastIndexOf('\n') + 1) + 1;
  return new TetcdError(ERROR_CODES.MALFORMED, `${what} at ${line}:${column}: ${problem}`);
}

/** The one value of `text`. Throws MALFORMED, naming `what`, line and column. */
export function parseJson(what: string, text: string): JsonNode {
  const parser = new JsonParser(what, text);
  const node = parser.value(0);
  parser.end();
  return node;
}

class JsonParser {
  readonly #what: string;
  readonly #text: string;
  #pos = 0;

  constructor(what: string, text: string) {
    this.#what = what;
    this.#text = text;
  }

  value(depth: number): JsonNode {
    this.#space();
    const at = this.#pos;
    if (depth >= VALUE_NESTING_MAX) throw this.#error(at, 'nested too deeply');
    const char = this.#text[at];
    if (char === '{') return { at, kind: 'object', members: this.#members(depth) };
    if (char === '[') return { at, kind: 'array', items: this.#items(depth) };
    if (char === '"') return { at, kind: 'string', text: this.#string() };
    const number = this.#match(NUMBER);
    if (number !== undefined) return { at, kind: 'number', text: number };
    const word = this.#match(WORD);
    if (word === 'null' || word === 'true' || word === 'false') return { at, kind: word };
    throw this.#error(at, 'expected a value');
  }

  end(): void {
    this.#space();
    if (this.#pos < this.#text.length) throw this.#error(this.#pos, 'text after the value');
  }

  #members(depth: number): JsonMember[] {
    const members: JsonMember[] = [];
    this.#pos++;
    if (this.#accept('}')) return members;
    do {
      this.#space();
      const at = this.#pos;
      const name = this.#string();
      if (!this.#accept(':')) throw this.#error(this.#pos, 'expected a colon');
      members.push({ at, name, value: this.value(depth + 1) });
    } while (this.#accept(','));
    if (!this.#accept('}')) throw this.#error(this.#pos, 'expected a comma or a closing brace');
    return members;
  }

  #items(depth: number): JsonNode[] {
    const items: JsonNode[] = [];
    this.#pos++;
    if (this.#accept(']')) return items;
    do items.push(this.value(depth + 1));
    while (this.#accept(','));
    if (!this.#accept(']')) throw this.#error(this.#pos, 'expected a comma or a closing bracket');
    return items;
  }

  #string(): string {
    const at = this.#pos;
    const end = this.#stringEnd();
    if (end === undefined) throw this.#error(at, 'expected a string');
    const raw = this.#text.slice(at, end);
    this.#pos = end;
    const text = raw.includes('\\') ? unescaped(raw) : raw.slice(1, -1);
    if (text === undefined) throw this.#error(at, 'bad escape');
    if (LONE_SURROGATE.test(text)) throw this.#error(at, 'half a surrogate pair');
    return text;
  }

  /** Offset after the string that begins here; undefined if none does or it does not end. */
  #stringEnd(): number | undefined {
    const text = this.#text;
    if (text[this.#pos] !== '"') return undefined;
    for (let i = this.#pos + 1; i < text.length; i++) {
      const char = text.charCodeAt(i);
      if (char === QUOTE) return i + 1;
      if (char === BACKSLASH) i++;
      else if (char < 0x20) return undefined;
    }
    return undefined;
  }

  #accept(char: string): boolean {
    this.#space();
    if (this.#text[this.#pos] !== char) return false;
    this.#pos++;
    return true;
  }

  #space(): void {
    this.#match(SPACE);
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#pos;
    const match = pattern.exec(this.#text)?.[0];
    if (match !== undefined) this.#pos += match.length;
    return match;
  }

  #error(at: number, problem: string): TetcdError {
    return jsonError(this.#what, this.#text, at, problem);
  }
}

/**
 * Offset after the first object in `text` from `from` on, for a body that holds several; undefined
 * if it is not complete. It counts brackets only: what it delimits may still be malformed.
 */
export function jsonObjectEnd(text: string, from: number): number | undefined {
  let depth = 0;
  let inString = false;
  for (let i = from; i < text.length; i++) {
    const char = text.charCodeAt(i);
    if (inString) {
      if (char === BACKSLASH) i++;
      else if (char === QUOTE) inString = false;
    } else if (char === QUOTE) inString = true;
    else if (char === 0x7b || char === 0x5b) depth++;
    else if ((char === 0x7d || char === 0x5d) && --depth <= 0) return i + 1;
  }
  return undefined;
}
