// `grpc-message` on the wire: UTF-8, with every byte but printable ASCII (and the percent sign itself)
// as %XX.

import { bytesFromUtf8, utf8FromBytes } from '../base/index.ts';

const PLAIN = /^[\x20-\x24\x26-\x7e]*$/;
const ESCAPE = /%[0-9A-Fa-f]{2}/;

export function percentEncode(message: string): string {
  if (PLAIN.test(message)) return message;
  let text = '';
  for (const byte of bytesFromUtf8(message)) {
    if (byte >= 0x20 && byte <= 0x7e && byte !== 0x25) text += String.fromCharCode(byte);
    else text += `%${byte < 16 ? '0' : ''}${byte.toString(16).toUpperCase()}`;
  }
  return text;
}

/** Lenient: an invalid escape is kept as text. `text` holds one char per byte. */
export function percentDecode(text: string): string {
  if (PLAIN.test(text) || !ESCAPE.test(text)) return text;
  const bytes = new Uint8Array(text.length);
  let length = 0;
  for (let i = 0; i < text.length; i++) {
    const piece = text.slice(i, i + 3);
    if (piece.length === 3 && ESCAPE.test(piece)) {
      bytes[length++] = Number.parseInt(piece.slice(1), 16);
      i += 2;
    } else {
      bytes[length++] = text.charCodeAt(i);
    }
  }
  return utf8FromBytes(bytes, 0, length);
}
