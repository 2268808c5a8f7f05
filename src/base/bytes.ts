// Conversions between bytes and strings, and byte comparison.
//
// Keys live in memory as latin1 strings: one char per byte, lossless, and native string comparison
// is then byte order. Text (user names, error messages) is UTF-8.
//
// The four prototype functions are called with a plain Uint8Array as receiver; Node implements them
// for any Uint8Array. `TextDecoder('latin1')` is windows-1252 by its standard and is never used.

const latin1Slice = Buffer.prototype.latin1Slice;
const utf8Slice = Buffer.prototype.utf8Slice;
const latin1WriteInto = Buffer.prototype.latin1Write;
const utf8WriteInto = Buffer.prototype.utf8Write;

export const EMPTY_BYTES: Uint8Array = new Uint8Array(0);

/** The bytes `[start, end)` as a string with one char (0–255) per byte. */
export function latin1FromBytes(bytes: Uint8Array, start = 0, end = bytes.length): string {
  return latin1Slice.call(bytes, start, end);
}

/** A fresh array with one byte per char; chars above 255 lose their high bits. */
export function bytesFromLatin1(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  latin1WriteInto.call(bytes, text, 0, text.length);
  return bytes;
}

/** Writes one byte per char at `offset`; the caller has made room. Returns the offset after. */
export function writeLatin1(text: string, target: Uint8Array, offset: number): number {
  latin1WriteInto.call(target, text, offset, text.length);
  return offset + text.length;
}

/** The bytes `[start, end)` decoded as UTF-8; malformed sequences become U+FFFD. */
export function utf8FromBytes(bytes: Uint8Array, start = 0, end = bytes.length): string {
  return utf8Slice.call(bytes, start, end);
}

/** Number of bytes of `text` in UTF-8. */
export function utf8Length(text: string): number {
  return Buffer.byteLength(text, 'utf8');
}

/** A fresh array holding `text` in UTF-8. */
export function bytesFromUtf8(text: string): Uint8Array {
  const bytes = new Uint8Array(utf8Length(text));
  utf8WriteInto.call(bytes, text, 0, bytes.length);
  return bytes;
}

/** Writes `text` as UTF-8 at `offset`; the caller has made room. Returns the offset after. */
export function writeUtf8(text: string, target: Uint8Array, offset: number): number {
  return offset + utf8WriteInto.call(target, text, offset, target.length - offset);
}

/** Up to here a loop beats the call into the runtime. */
const COPY_LOOP_MAX = 48;

/** Copies `source[start, start + length)` to `target` at `offset`; the caller has made room. */
export function copyBytes(
  source: Uint8Array,
  start: number,
  length: number,
  target: Uint8Array,
  offset: number,
): void {
  if (length <= COPY_LOOP_MAX) {
    for (let i = 0; i < length; i++) target[offset + i] = source[start + i]!;
  } else if (length === source.length) {
    target.set(source, offset);
  } else {
    target.set(source.subarray(start, start + length), offset);
  }
}

/** Copies pieces to `offset`, one behind the other; there is room for them. Returns the offset after. */
export function copyPieces(
  pieces: readonly Uint8Array[],
  target: Uint8Array,
  offset: number,
): number {
  let at = offset;
  for (const piece of pieces) {
    target.set(piece, at);
    at += piece.length;
  }
  return at;
}

/** Negative, zero or positive as `a` sorts before, equals or sorts after `b`, byte by byte. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const difference = a[i]! - b[i]!;
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && compareBytes(a, b) === 0;
}
