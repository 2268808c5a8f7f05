// Base64 as the JSON mapping has it: written in the standard alphabet with padding, read in either
// alphabet with or without. Neither Buffer nor atob exists for pure code.

import { latin1FromBytes } from '../../base/index.ts';

const STANDARD = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const URL_SAFE = `${STANDARD.slice(0, 62)}-_`;
const PADDING = 61;

const digits = Uint8Array.from(STANDARD, (char) => char.charCodeAt(0));

export function base64FromBytes(bytes: Uint8Array): string {
  const text = new Uint8Array(Math.ceil(bytes.length / 3) * 4).fill(PADDING);
  let out = 0;
  for (let i = 0; i < bytes.length; i += 3) {
    const left = bytes.length - i;
    const group = (bytes[i]! << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    text[out] = digits[group >>> 18]!;
    text[out + 1] = digits[(group >>> 12) & 63]!;
    if (left > 1) text[out + 2] = digits[(group >>> 6) & 63]!;
    if (left > 2) text[out + 3] = digits[group & 63]!;
    out += 4;
  }
  return latin1FromBytes(text);
}

function valuesOf(alphabet: string): Int8Array {
  const values = new Int8Array(128).fill(-1);
  for (let i = 0; i < 64; i++) values[alphabet.charCodeAt(i)] = i;
  return values;
}

const standardValues = valuesOf(STANDARD);
const urlSafeValues = valuesOf(URL_SAFE);

/**
 * The bytes of `text`, undefined if it is no base64. As etcd's gateway reads it: the URL-safe
 * alphabet if `-` or `_` occurs at all, padding exactly if the length is a multiple of four, line
 * breaks ignored, excess bits in the last digit ignored.
 */
export function bytesFromBase64(text: string): Uint8Array | undefined {
  const values = /[-_]/.test(text) ? urlSafeValues : standardValues;
  const isPadded = text.length % 4 === 0;
  const body = text.replace(/[\r\n]/g, '');
  let length = body.length;
  if (isPadded && body.length % 4 !== 0) return undefined;
  if (isPadded) for (let i = 0; i < 2 && body.charCodeAt(length - 1) === PADDING; i++) length--;
  if (length % 4 === 1) return undefined;
  const bytes = new Uint8Array(Math.floor((length * 3) / 4));
  let bits = 0;
  let group = 0;
  let out = 0;
  for (let i = 0; i < length; i++) {
    const value = values[body.charCodeAt(i)] ?? -1;
    if (value < 0) return undefined;
    group = ((group << 6) | value) & 0xfff;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    bytes[out++] = group >>> bits;
  }
  return bytes;
}
