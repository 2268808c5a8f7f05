// Tokens of one JSON value that the scanner has let pass, and errors that name their place in it, in the
// words of Go's protojson.

import {
  ERROR_CODES,
  goQuote,
  latin1FromBytes,
  TetcdError,
  utf8FromBytes,
} from '../../base/index.ts';
import { isUtf8 } from '../wire/utf8.ts';
import { isSpace } from './json-scanner.ts';

export const TOKEN = {
  OPEN_OBJECT: 0x7b,
  CLOSE_OBJECT: 0x7d,
  OPEN_ARRAY: 0x5b,
  CLOSE_ARRAY: 0x5d,
  STRING: 0x22,
  TRUE: 0x74,
  FALSE: 0x66,
  NULL: 0x6e,
  /** Stands for any digit or a minus. */
  NUMBER: 0x30,
} as const;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;

/** What stands for one char after a backslash. */
const ESCAPES: Readonly<Record<string, string>> = {
  ...{ '"': '"', '\\': '\\', '/': '/' },
  ...{ b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' },
};

/** Reads token after token; commas and colons, which the scanner has seen, are passed over. */
export class JsonTokens {
  /** Of the token read last: one of {@link TOKEN}, and where it lies. */
  kind: number = TOKEN.NULL;
  start = 0;
  end = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  next(): void {
    const bytes = this.#bytes;
    this.start = this.#nextStart();
    const first = bytes[this.start]!;
    let end = this.start + 1;
    if (first === QUOTE) {
      while (bytes[end] !== QUOTE) end += bytes[end] === BACKSLASH ? 2 : 1;
      end++;
    } else if (isWordByte(first)) while (isWordByte(bytes[end])) end++;
    this.end = end;
    this.kind = first === 0x2d || (first >= 0x30 && first <= 0x39) ? TOKEN.NUMBER : first;
  }

  /** Kind of the next token, without reading it. */
  peek(): number {
    return this.#bytes[this.#nextStart()]!;
  }

  #nextStart(): number {
    let at = this.end;
    for (;;) {
      const byte = this.#bytes[at]!;
      if (byte !== COMMA && byte !== COLON && !isSpace(byte)) return at;
      at++;
    }
  }

  /** The token as it is written. */
  raw(): string {
    return utf8FromBytes(this.#bytes, this.start, this.end);
  }

  /** What the string at hand means. MALFORMED if it is no text. */
  text(): string {
    const bytes = this.#bytes;
    const last = this.end - 1;
    let text = '';
    for (let at = this.start + 1; ; ) {
      const from = at;
      while (at < last && bytes[at] !== BACKSLASH) at++;
      if (!isUtf8(bytes, from, at)) throw this.syntaxError(this.start, 'invalid UTF-8 in string');
      text += utf8FromBytes(bytes, from, at);
      if (at === last) return text;
      const char = String.fromCharCode(bytes[at + 1]!);
      at += 2;
      if (char !== 'u') {
        text += ESCAPES[char];
        continue;
      }
      let code = this.#hex(at);
      at += 4;
      if (code >= 0xd800 && code <= 0xdfff) {
        code = this.#pair(code, at);
        at += 6;
      }
      text += String.fromCodePoint(code);
    }
  }

  /** As {@link text}, of a string that is ASCII if it is what it should be. */
  asciiText(): string {
    for (let at = this.start + 1; at < this.end - 1; at++) {
      const byte = this.#bytes[at]!;
      if (byte >= 0x80 || byte === BACKSLASH) return this.text();
    }
    return latin1FromBytes(this.#bytes, this.start + 1, this.end - 1);
  }

  #hex(at: number): number {
    return Number.parseInt(latin1FromBytes(this.#bytes, at, at + 4), 16);
  }

  /** The code point of a surrogate and the one that has to follow at `at`. */
  #pair(high: number, at: number): number {
    const bytes = this.#bytes;
    // As protojson, which looks at six bytes, wherever the string ends.
    if (bytes.length - at < 6) throw protoError('unexpected EOF');
    const isEscape = bytes[at] === BACKSLASH && bytes[at + 1] === 0x75;
    const low = isEscape ? this.#hex(at + 2) : 0;
    if (high <= 0xdbff && low >= 0xdc00 && low <= 0xdfff) {
      return ((high - 0xd800) << 10) + (low - 0xdc00) + 0x1_0000;
    }
    const wrong = goQuote(bytes.subarray(at, at + 6));
    throw this.syntaxError(this.start, `invalid escape code ${wrong} in string`);
  }

  /** Passes over the value that comes next, however deep; its strings must be text. */
  skip(): void {
    let open = 0;
    do {
      this.next();
      if (this.kind === TOKEN.STRING) this.text();
      else if (this.kind === TOKEN.OPEN_OBJECT || this.kind === TOKEN.OPEN_ARRAY) open++;
      else if (this.kind === TOKEN.CLOSE_OBJECT || this.kind === TOKEN.CLOSE_ARRAY) open--;
    } while (open > 0);
  }

  /** Of the token at hand. A string that is no text is refused as such. */
  unexpected(): TetcdError {
    if (this.kind === TOKEN.STRING) this.text();
    return this.syntaxError(this.start, `unexpected token ${this.raw()}`);
  }

  syntaxError(at: number, problem: string): TetcdError {
    return protoError(`syntax error (${this.#place(at)}): ${problem}`);
  }

  error(at: number, problem: string): TetcdError {
    return protoError(`(${this.#place(at)}): ${problem}`);
  }

  #place(at: number): string {
    let line = 1;
    let column = 1;
    for (let i = 0; i < at; i++) {
      const byte = this.#bytes[i]!;
      if (byte === 0x0a) {
        line++;
        column = 1;
      } else if ((byte & 0xc0) !== 0x80) column++;
    }
    return `line ${line}:${column}`;
  }
}

/** Of a number or a literal. */
function isWordByte(byte: number | undefined): boolean {
  if (byte === undefined) return false;
  const isDigitOrSign = (byte >= 0x30 && byte <= 0x39) || byte === 0x2d || byte === 0x2b;
  return isDigitOrSign || byte === 0x2e || ((byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a);
}

export function protoError(problem: string): TetcdError {
  return new TetcdError(ERROR_CODES.MALFORMED, `proto: ${problem}`);
}
