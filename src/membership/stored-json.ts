// JSON exactly as etcd's encoder writes it and as strictly as stored state deserves. Two things
// JavaScript's own JSON cannot do: an identity above 2^53 keeps every digit (it is a bigint here),
// and `<`, `>`, `&`, U+2028 and U+2029 are escaped, because stored texts are compared byte by byte.

import { ERROR_CODES, TetcdError } from '../base/index.ts';

/** An integer literal reads as bigint, any other number as number. */
export type StoredJson =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly StoredJson[]
  | JsonObject;
interface JsonObject {
  readonly [key: string]: StoredJson;
}

/** Nesting of stored membership state is 6 at most; deeper text is refused, not recursed into. */
const DEPTH_MAX = 64;

const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters must be escaped
const ESCAPED = /["\\\u0000-\u001f<>&\u2028\u2029]|[\ud800-\udbff][\udc00-\udfff]|[\ud800-\udfff]/g;

/** The text in quotes. A surrogate without its partner becomes U+FFFD, as invalid text does. */
export function writeString(text: string): string {
  return `"${text.replace(ESCAPED, escapeOne)}"`;
}

function escapeOne(found: string): string {
  if (found.length === 2) return found;
  const code = found.charCodeAt(0);
  if (code >= 0xd800 && code <= 0xdfff) return '\\ufffd';
  return SHORT_ESCAPES[found] ?? `\\u${code.toString(16).padStart(4, '0')}`;
}

export function writeStrings(texts: readonly string[]): string {
  return `[${texts.map(writeString).join(',')}]`;
}

/**
 * Reads one JSON text with nothing after it but white space. A key given twice, and everything that
 * JSON does not allow, is MALFORMED; the error names `what` and the offset in characters.
 */
export function parseStoredJson(text: string, what: string): StoredJson {
  const reader = new Reader(text, what);
  const value = reader.value(0);
  reader.end();
  return value;
}

const WHITE_SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y;
const WORDS: ReadonlyMap<string, StoredJson> = new Map<string, StoredJson>([
  ['true', true],
  ['false', false],
  ['null', null],
]);

class Reader {
  #at = 0;
  readonly #text: string;
  readonly #what: string;

  constructor(text: string, what: string) {
    this.#text = text;
    this.#what = what;
  }

  value(depth: number): StoredJson {
    if (depth > DEPTH_MAX) this.#refuse('nested too deeply');
    this.#match(WHITE_SPACE);
    const first = this.#text[this.#at];
    if (first === '{') return this.#object(depth);
    if (first === '[') return this.#array(depth);
    if (first === '"') return this.#string();
    for (const [word, meaning] of WORDS) {
      if (!this.#text.startsWith(word, this.#at)) continue;
      this.#at += word.length;
      return meaning;
    }
    return this.#number();
  }

  end(): void {
    this.#match(WHITE_SPACE);
    if (this.#at !== this.#text.length) this.#refuse('more text than one value');
  }

  #object(depth: number): JsonObject {
    // Without a prototype, so that no key means anything but itself.
    const fields: Record<string, StoredJson> = Object.create(null);
    this.#at++;
    if (this.#accept('}')) return fields;
    do {
      this.#match(WHITE_SPACE);
      const key = this.#string();
      if (key in fields) this.#refuse(`key ${writeString(key)} given twice`);
      if (!this.#accept(':')) this.#refuse('expected ":"');
      fields[key] = this.value(depth + 1);
    } while (this.#accept(','));
    if (!this.#accept('}')) this.#refuse('expected "," or "}"');
    return fields;
  }

  #array(depth: number): StoredJson[] {
    const items: StoredJson[] = [];
    this.#at++;
    if (this.#accept(']')) return items;
    do items.push(this.value(depth + 1));
    while (this.#accept(','));
    if (!this.#accept(']')) this.#refuse('expected "," or "]"');
    return items;
  }

  /** Found by hand: a pattern over a text of megabytes would exhaust the matcher's stack. */
  #string(): string {
    if (this.#text[this.#at] !== '"') this.#refuse('expected a string');
    let end = this.#at + 1;
    while (end < this.#text.length && this.#text[end] !== '"') {
      end += this.#text[end] === '\\' ? 2 : 1;
    }
    const raw = this.#text.slice(this.#at, end + 1);
    try {
      const text = JSON.parse(raw) as string;
      this.#at = end + 1;
      return text;
    } catch {
      return this.#refuse('broken string');
    }
  }

  #number(): number | bigint {
    const raw = this.#match(NUMBER);
    if (raw === undefined) this.#refuse('expected a value');
    return /[.eE]/.test(raw) ? Number(raw) : BigInt(raw);
  }

  #accept(character: string): boolean {
    this.#match(WHITE_SPACE);
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #refuse(reason: string): never {
    throw new TetcdError(
      ERROR_CODES.MALFORMED,
      `${this.#what}: JSON: ${reason} at offset ${this.#at}`,
    );
  }
}

/**
 * The fields of a JSON object by their types. A key that is not expected is refused by
 * `onlyThese`: a newer release's data is never half understood.
 */
export class Fields {
  readonly #object: JsonObject;
  readonly #what: string;
  readonly #known = new Set<string>();

  constructor(value: StoredJson, what: string) {
    if (typeof value !== 'object' || value === null || isArray(value)) {
      throw new TetcdError(ERROR_CODES.MALFORMED, `${what}: JSON: expected an object`);
    }
    this.#object = value;
    this.#what = what;
  }

  get keys(): readonly string[] {
    return Object.keys(this.#object);
  }

  /** The raw value; undefined if the key is missing. */
  take(key: string): StoredJson | undefined {
    this.#known.add(key);
    return this.#object[key];
  }

  object(key: string): Fields {
    return new Fields(this.take(key) ?? null, `${this.#what}.${key}`);
  }

  /** Missing and null read as the empty string, as they do for etcd. */
  string(key: string): string {
    const value = this.take(key) ?? '';
    return typeof value === 'string' ? value : this.refuse(key, 'a string');
  }

  /** Missing and null read as false. */
  boolean(key: string): boolean {
    const value = this.take(key) ?? false;
    return typeof value === 'boolean' ? value : this.refuse(key, 'true or false');
  }

  /** Missing and null read as empty. */
  strings(key: string): readonly string[] {
    const value = this.take(key) ?? [];
    if (!isArray(value)) return this.refuse(key, 'an array of strings');
    return value.map((item) =>
      typeof item === 'string' ? item : this.refuse(key, 'an array of strings'),
    );
  }

  /** An unsigned 64-bit integer; missing and null read as 0. */
  uint64(key: string): bigint {
    const value = this.take(key) ?? 0n;
    if (typeof value !== 'bigint' || value < 0n || value >= 1n << 64n) {
      return this.refuse(key, 'an unsigned 64-bit integer');
    }
    return value;
  }

  /** An unsigned integer up to 2^53-1; missing and null read as 0. */
  count(key: string): number {
    const value = this.uint64(key);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new TetcdError(ERROR_CODES.NUMBER_TOO_LARGE, `${this.#what}: JSON: ${key} is ${value}`);
    }
    return Number(value);
  }

  onlyThese(): void {
    const unknown = this.keys.find((key) => !this.#known.has(key));
    if (unknown === undefined) return;
    throw new TetcdError(
      ERROR_CODES.UNSUPPORTED,
      `${this.#what}: JSON: the key ${writeString(unknown)} is not known to this release`,
    );
  }

  refuse(key: string, expected: string): never {
    throw new TetcdError(ERROR_CODES.MALFORMED, `${this.#what}: JSON: ${key} must be ${expected}`);
  }
}

export function isArray(value: StoredJson): value is readonly StoredJson[] {
  return Array.isArray(value);
}
