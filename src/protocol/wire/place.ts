// Finds, after a decode has failed, the message and field at a byte offset. Decoding itself keeps no
// record of where it is, which would cost a store per field.

import type { MessageInfo } from '../descriptor.ts';
import { MESSAGE_NESTING_MAX } from '../limits.ts';

/** Where a field lies. `valueEnd` is Infinity if it is cut off; for a group's two tags it is `tagEnd`. */
interface FieldSpan {
  readonly number: number;
  readonly wireType: number;
  /** After the tag. */
  readonly tagEnd: number;
  /** After the length, if there is one. */
  readonly valueStart: number;
  readonly valueEnd: number;
}

/**
 * `package.Message.field.field` down to the field that holds the byte at `at`, in its tag or value;
 * only the message if no field does. A field without a name appears as its number.
 */
export function describePlace(
  root: MessageInfo,
  bytes: Uint8Array,
  start: number,
  stop: number,
  at: number,
): string {
  let text = root.name;
  let message = root;
  let pos = start;
  let limit = stop;
  for (let depth = 0; depth < MESSAGE_NESTING_MAX; ) {
    const span = pos < limit ? fieldSpan(bytes, pos, limit) : undefined;
    if (span === undefined) return text;
    const end = span.wireType === 3 ? groupEnd(bytes, span.tagEnd, limit) : span.valueEnd;
    if (at >= end) {
      pos = end;
      continue;
    }
    const field = message.fieldByNumber(span.number);
    text += `.${field?.name ?? span.number}`;
    if (field?.message === undefined || span.wireType !== 2 || at < span.valueStart) return text;
    message = field.message;
    pos = span.valueStart;
    limit = Math.min(limit, span.valueEnd);
    depth++;
  }
  return text;
}

/** Offset after the tag that ends the group whose first tag ends at `from`; Infinity without one. */
function groupEnd(bytes: Uint8Array, from: number, limit: number): number {
  let pos = from;
  for (let open = 1; open > 0; ) {
    const span = pos < limit ? fieldSpan(bytes, pos, limit) : undefined;
    if (span === undefined) return Number.POSITIVE_INFINITY;
    if (span.wireType === 3) open++;
    if (span.wireType === 4) open--;
    pos = span.valueEnd;
  }
  return pos;
}

/** Undefined if no whole tag is there. */
function fieldSpan(bytes: Uint8Array, pos: number, limit: number): FieldSpan | undefined {
  const tagEnd = varintEnd(bytes, pos, limit);
  if (tagEnd > limit) return undefined;
  const tag = varintValue(bytes, pos, tagEnd);
  const number = Math.floor(tag / 8);
  const wireType = tag % 8;
  let valueStart = tagEnd;
  let valueEnd = Number.POSITIVE_INFINITY;
  if (wireType === 0) {
    valueEnd = varintEnd(bytes, tagEnd, limit);
  } else if (wireType === 1 || wireType === 5) {
    valueEnd = tagEnd + (wireType === 1 ? 8 : 4);
  } else if (wireType === 2) {
    valueStart = varintEnd(bytes, tagEnd, limit);
    if (valueStart <= limit) valueEnd = valueStart + varintValue(bytes, tagEnd, valueStart);
  } else if (wireType === 3 || wireType === 4) {
    valueEnd = tagEnd;
  }
  return { number, wireType, tagEnd, valueStart, valueEnd };
}

/** Offset after the varint; Infinity if it is cut off or too long. */
function varintEnd(bytes: Uint8Array, from: number, limit: number): number {
  const stop = Math.min(limit, from + 10);
  for (let pos = from; pos < stop; pos++) if (bytes[pos]! < 0x80) return pos + 1;
  return Number.POSITIVE_INFINITY;
}

/** Inexact beyond 2^53, which no length or tag in a message reaches. */
function varintValue(bytes: Uint8Array, from: number, end: number): number {
  let value = 0;
  for (let pos = end - 1; pos >= from; pos--) value = value * 128 + (bytes[pos]! & 0x7f);
  return value;
}
