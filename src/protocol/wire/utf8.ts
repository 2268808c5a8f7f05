// UTF-8: strict validation (base's conversion replaces what is malformed), and text of unknown but
// mostly short and ASCII content, which a loop handles faster than a call into the runtime.

import { utf8Length, writeLatin1, writeUtf8 } from '../../base/index.ts';

/** Up to this many chars a loop beats the call; measured at 3 ns against 40 for ten chars. */
const LOOP_CHARS_MAX = 40;

/** Whether `bytes[start, end)` is well-formed UTF-8: no overlong forms, surrogates or stray bytes. */
export function isUtf8(bytes: Uint8Array, start: number, end: number): boolean {
  let pos = start;
  while (pos < end) {
    const lead = bytes[pos]!;
    if (lead < 0x80) {
      pos++;
      continue;
    }
    const size = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (size === 0 || size > end - pos) return false;
    // The second byte rules out overlong forms, surrogates, and code points above U+10FFFF.
    const second = bytes[pos + 1]!;
    const least = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
    const most = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
    if (second < least || second > most) return false;
    if (size > 2 && (bytes[pos + 2]! & 0xc0) !== 0x80) return false;
    if (size > 3 && (bytes[pos + 3]! & 0xc0) !== 0x80) return false;
    pos += size;
  }
  return true;
}

function isShortAscii(text: string): boolean {
  if (text.length > LOOP_CHARS_MAX) return false;
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) >= 0x80) return false;
  return true;
}

/** Number of bytes of `text` in UTF-8; a lone surrogate counts as U+FFFD. */
export function sizeOfText(text: string): number {
  return isShortAscii(text) ? text.length : utf8Length(text);
}

/** Writes `text`, whose size is `size`, at `offset`. */
export function writeText(text: string, size: number, target: Uint8Array, offset: number): void {
  if (size !== text.length) writeUtf8(text, target, offset);
  else if (size > LOOP_CHARS_MAX) writeLatin1(text, target, offset);
  else for (let i = 0; i < size; i++) target[offset + i] = text.charCodeAt(i);
}
