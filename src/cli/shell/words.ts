// Words of a command line as byte strings: one char (0 to 255) per byte, so that a key or value that
// is not UTF-8 (`"\xff"` in a transaction) is preserved by every layer.

import {
  bytesFromLatin1,
  bytesFromUtf8,
  latin1FromBytes,
  utf8FromBytes,
} from '../../base/index.ts';

/** A string of which every char is a byte. */
export type Word = string;

export function wordFromText(text: string): Word {
  return latin1FromBytes(bytesFromUtf8(text));
}

export function wordFromBytes(bytes: Uint8Array): Word {
  return latin1FromBytes(bytes);
}

export function bytesOfWord(word: Word): Uint8Array {
  return bytesFromLatin1(word);
}

/** The word as text, for error messages. */
export function textOfWord(word: Word): string {
  return utf8FromBytes(bytesFromLatin1(word));
}
