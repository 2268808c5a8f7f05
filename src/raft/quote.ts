// Bytes as a quoted string with Go's escapes, the form in which etcd prints them.

import { utf8FromBytes } from '../base/index.ts';

const NAMED_ESCAPES: ReadonlyMap<string, string> = new Map([
  ['\x07', '\\a'],
  ['\b', '\\b'],
  ['\f', '\\f'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
  ['\v', '\\v'],
  ['"', '\\"'],
  ['\\', '\\\\'],
]);

/** What Go prints as it is: letters, marks, numbers, punctuation, symbols and the ASCII space. */
const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u;

/** Such as `"a\n\xff"`: valid UTF-8 as text where printable, all else escaped. */
export function quote(bytes: Uint8Array): string {
  let text = '"';
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes, at);
    if (length === 0) {
      text += `\\x${hex(bytes[at]!, 2)}`;
      at++;
      continue;
    }
    text += quoteCharacter(utf8FromBytes(bytes, at, at + length));
    at += length;
  }
  return `${text}"`;
}

function quoteCharacter(character: string): string {
  const named = NAMED_ESCAPES.get(character);
  if (named !== undefined) return named;
  if (PRINTABLE.test(character)) return character;
  const code = character.codePointAt(0)!;
  if (code < 0x20 || code === 0x7f) return `\\x${hex(code, 2)}`;
  return code < 0x1_0000 ? `\\u${hex(code, 4)}` : `\\U${hex(code, 8)}`;
}

/** Bytes of the UTF-8 sequence that begins at `at`; 0 if there is no valid one. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const lead = bytes[at]!;
  if (lead < 0x80) return 1;
  const length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (at + length > bytes.length) return 0;
  // One character out, and not the replacement for something invalid.
  const text = utf8FromBytes(bytes, at, at + length);
  if ([...text].length !== 1) return 0;
  const isReplacement = text === '\ufffd';
  const spellsReplacement = length === 3 && lead === 0xef && bytes[at + 1] === 0xbf;
  return isReplacement && !(spellsReplacement && bytes[at + 2] === 0xbd) ? 0 : length;
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}
