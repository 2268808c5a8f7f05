// The fields of an encoded message as they lie, without what is inside: for bytes whose shape is not
// the usual one, where a hand-written reader gives up.

import type { MessageInfo } from '../descriptor.ts';
import { Reader } from './reader.ts';

export interface FieldSpan {
  readonly number: number;
  readonly wireType: number;
  /** The value: for type 2 without its length, for a group with the tag that ends it. */
  readonly start: number;
  readonly end: number;
}

const reader = new Reader();

/** All fields, in the order of the bytes; read as leniently as a decoder does. MALFORMED. */
export function fieldSpans(message: MessageInfo, bytes: Uint8Array): FieldSpan[] {
  const spans: FieldSpan[] = [];
  reader.open(message, bytes, 0, bytes.length);
  while (reader.pos < reader.limit) {
    const tag = reader.tag();
    const start = reader.passOver(tag);
    spans.push({ number: Math.floor(tag / 8), wireType: tag & 7, start, end: reader.pos });
  }
  reader.close();
  return spans;
}
