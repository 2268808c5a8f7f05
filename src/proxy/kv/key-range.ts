// Ranges of keys as requests have them, in strings of one char per byte.

import { latin1FromBytes } from '../../base/index.ts';
import type { etcdserverpb } from '../../protocol/index.ts';

export interface KeyRange {
  readonly from: string;
  /** Empty for one key, and `\0` beyond all keys. */
  readonly end: string;
}

export function rangeOf({
  key,
  rangeEnd,
}: Pick<etcdserverpb.RangeRequest, 'key' | 'rangeEnd'>): KeyRange {
  return { from: latin1FromBytes(key), end: latin1FromBytes(rangeEnd) };
}

export function isWithin(key: string, { from, end }: KeyRange): boolean {
  if (end === '') return key === from;
  return key >= from && (end === '\0' || key < end);
}
