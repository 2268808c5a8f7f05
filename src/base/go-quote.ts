// Go's quoted strings: `%q` when printing, `strconv.Unquote` when reading. What is read is a string of one
// char per byte, since a quoted string may mean bytes that are no UTF-8.

import { bytesFromUtf8, equalBytes, latin1FromBytes, utf8FromBytes } from './bytes.ts';

const SHORT: Readonly<Record<string, string>> = {
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '"': '\\"',
  '\\': '\\\\',
};

/** What Go calls printable, as far as the two Unicode versions agree. */
const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u;

/** Bytes of the UTF-8 sequence that begins here, 0 if there is none. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at]!;
  const length = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
  if (length === 0 || at + length > bytes.length) return 0;
  const sequence = bytes.subarray(at, at + length);
  return equalBytes(bytesFromUtf8(utf8FromBytes(sequence)), sequence) ? length : 0;
}

/** `"text"` with escapes, as Go's `%q` prints a string of these bytes. */
export function goQuote(value: Uint8Array | string): string {
  const bytes = typeof value === 'string' ? bytesFromUtf8(value) : value;
  let text = '"';
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes, at);
    if (length === 0) {
      text += `\\x${bytes[at]!.toString(16).padStart(2, '0')}`;
      at++;
      continue;
    }
    text += quotedChar(utf8FromBytes(bytes, at, at + length));
    at += length;
  }
  return `${text}"`;
}

function quotedChar(char: string): string {
  const short = SHORT[char];
  if (short !== undefined) return short;
  if (PRINTABLE.test(char)) return char;
  const code = char.codePointAt(0)!;
  if (code < 0x20 || code === 0x7f) return `\\x${code.toString(16).padStart(2, '0')}`;
  if (code > 0xffff) return `\\U${code.toString(16).padStart(8, '0')}`;
  return `\\u${code.toString(16).padStart(4, '0')}`;
}

const ESCAPE =
  /\\(?:[abfnrtv\\"]|x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))/y;

const SHORT_MEANINGS: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(SHORT).map(([char, written]) => [written, char]),
);

/** What a double-quoted Go string means, without its quotes; undefined if it is malformed. */
export function goUnquote(body: string): string | undefined {
  let word = '';
  for (let at = 0; at < body.length; ) {
    const char = body[at]!;
    if (char === '"' || char === '\n') return undefined;
    if (char !== '\\') {
      word += char;
      at++;
      continue;
    }
    ESCAPE.lastIndex = at;
    const match = ESCAPE.exec(body);
    const meaning = match === null ? undefined : escapeMeaning(match);
    if (match === null || meaning === undefined) return undefined;
    word += meaning;
    at += match[0].length;
  }
  return word;
}

function escapeMeaning(match: RegExpExecArray): string | undefined {
  const [whole, hex, octal, short, long] = match;
  if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
  if (octal !== undefined) {
    const byte = Number.parseInt(octal, 8);
    return byte > 255 ? undefined : String.fromCharCode(byte);
  }
  const point = short ?? long;
  if (point === undefined) return SHORT_MEANINGS[whole];
  const code = Number.parseInt(point, 16);
  if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return undefined;
  return latin1FromBytes(bytesFromUtf8(String.fromCodePoint(code)));
}

/** A quoted string at the beginning of `text`, double or back quotes: its meaning and what follows. */
export function takeGoString(
  text: string,
): { readonly word: string; readonly rest: string } | undefined {
  const raw = /^`([^`]*)`/s.exec(text);
  if (raw !== null) return { word: raw[1]!, rest: text.slice(raw[0].length) };
  const quoted = /^"((?:[^"\\\n]|\\.)*)"/s.exec(text);
  if (quoted === null) return undefined;
  const word = goUnquote(quoted[1]!);
  return word === undefined ? undefined : { word, rest: text.slice(quoted[0].length) };
}
