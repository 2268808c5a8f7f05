// Keys, values and ranges as users give them.

import { bytesFromUtf8, EMPTY_BYTES } from '../base/index.ts';
import { invalidArgument } from './errors.ts';

/** Text is sent as UTF-8. Bytes are not copied: leave them alone until the call has been made. */
export type Bytes = string | Uint8Array;

/** At most one of the three. Without any, the range is the one key. */
export interface RangeOptions {
  /** All keys that begin with `key`; with an empty key, all keys. */
  readonly prefix?: boolean;
  /** All keys from `key` on. */
  readonly fromKey?: boolean;
  /** All keys from `key` up to this one, exclusive. */
  readonly rangeEnd?: Bytes;
}

const ZERO_BYTE: Uint8Array = new Uint8Array([0]);

export function bytesOf(value: Bytes): Uint8Array {
  return typeof value === 'string' ? bytesFromUtf8(value) : value;
}

/** The first key after all that begin with `prefix`; a zero byte, "to the end", if there is none. */
export function prefixEnd(prefix: Uint8Array): Uint8Array {
  let length = prefix.length;
  while (length > 0 && prefix[length - 1] === 0xff) length--;
  if (length === 0) return ZERO_BYTE;
  const end = prefix.slice(0, length);
  end[length - 1] = end[length - 1]! + 1;
  return end;
}

/** `key` and `rangeEnd` of a request. INVALID_ARGUMENT if the options contradict each other. */
export function rangeOf(
  key: Bytes,
  options: RangeOptions,
): { readonly key: Uint8Array; readonly rangeEnd: Uint8Array } {
  const { prefix = false, fromKey = false, rangeEnd } = options;
  if (Number(prefix) + Number(fromKey) + Number(rangeEnd !== undefined) > 1) {
    throw invalidArgument('prefix, fromKey and rangeEnd exclude each other');
  }
  const first = bytesOf(key);
  if (rangeEnd !== undefined) return { key: first, rangeEnd: bytesOf(rangeEnd) };
  if (!prefix && !fromKey) return { key: first, rangeEnd: EMPTY_BYTES };
  if (first.length === 0) return { key: ZERO_BYTE, rangeEnd: ZERO_BYTE };
  return { key: first, rangeEnd: prefix ? prefixEnd(first) : ZERO_BYTE };
}
