// Keys, values and ranges as arguments of the client.

import { bytesFromUtf8, EMPTY_BYTES } from '../base/index.ts';
import { checkBytes, checkFlags } from './arguments.ts';
import { invalidArgument } from './errors.ts';

/** Text is sent as UTF-8. Bytes are not copied: do not change them until the call has been made. */
export type Bytes = string | Uint8Array;

/** At most one of the three may be given. Without any, the range is the single key. */
export interface RangeOptions {
  /** All keys that begin with `key`; with an empty key, all keys. */
  readonly prefix?: boolean | undefined;
  /** All keys from `key` on. */
  readonly fromKey?: boolean | undefined;
  /** All keys from `key` up to this one, exclusive. */
  readonly rangeEnd?: Bytes | undefined;
}

const ZERO_BYTE: Uint8Array = new Uint8Array([0]);

/** The bytes of a key or value. INVALID_ARGUMENT, with `name`, for any other type. */
export function bytesOf(value: Bytes, name: string): Uint8Array {
  checkBytes(value, name);
  return typeof value === 'string' ? bytesFromUtf8(value) : value;
}

/** The range end of all keys that begin with `prefix`; a zero byte, "to the end", if there is none. */
export function prefixEnd(prefix: Uint8Array): Uint8Array {
  if (!(prefix instanceof Uint8Array)) throw invalidArgument('prefix must be a Uint8Array');
  let length = prefix.length;
  while (length > 0 && prefix[length - 1] === 0xff) length--;
  if (length === 0) return ZERO_BYTE;
  // A copy: a Buffer's own slice would not be one.
  const end = Uint8Array.from(prefix.subarray(0, length));
  end[length - 1] = end[length - 1]! + 1;
  return end;
}

/** `key` and `rangeEnd` of a request. INVALID_ARGUMENT for a wrong type or conflicting options. */
export function rangeOf(
  key: Bytes,
  options: RangeOptions,
): { readonly key: Uint8Array; readonly rangeEnd: Uint8Array } {
  checkFlags(options, ['prefix', 'fromKey']);
  const { prefix = false, fromKey = false, rangeEnd } = options;
  if (Number(prefix) + Number(fromKey) + Number(rangeEnd !== undefined) > 1) {
    throw invalidArgument('prefix, fromKey and rangeEnd exclude each other');
  }
  const first = bytesOf(key, 'key');
  if (rangeEnd !== undefined) return { key: first, rangeEnd: bytesOf(rangeEnd, 'rangeEnd') };
  if (!prefix && !fromKey) return { key: first, rangeEnd: EMPTY_BYTES };
  if (first.length === 0) return { key: ZERO_BYTE, rangeEnd: ZERO_BYTE };
  return { key: first, rangeEnd: prefix ? prefixEnd(first) : ZERO_BYTE };
}
