// A permission: what may be done with the keys of a range. Keys are strings of one char per byte.

import { authpb } from '../protocol/index.ts';

export interface Permission {
  /** READ, WRITE or READWRITE; any other number permits nothing. */
  readonly type: number;
  readonly key: string;
  /** As requests have it: `''` for the single key, `'\0'` for every key from `key` on. */
  readonly rangeEnd: string;
}

/** Every key, as the role `root` has it. */
export const ROOT_PERMISSION: Permission = {
  type: authpb.Type.READWRITE,
  key: '',
  rangeEnd: '\0',
};

const OPEN_END = '\0';

/** Whether a role may be given the range. Releases up to 3.4 gave any. */
export function isPermissionRange(key: string, rangeEnd: string): boolean {
  if (key === '') return false;
  return rangeEnd === '' || rangeEnd === OPEN_END || key < rangeEnd;
}

/** Above every key; in the order of {@link intervalOf} the empty string stands there. */
const TOP = '\u0100';

/**
 * The range as an interval `[begin, end)`. As in etcd an empty string on either side is the greatest
 * of all, so an empty key is in no interval.
 */
export function intervalOf(key: string, rangeEnd: string): readonly [begin: string, end: string] {
  const begin = key === '' ? TOP : key;
  if (rangeEnd === '') return [begin, `${key}\0`];
  return [begin, rangeEnd === OPEN_END ? TOP : rangeEnd];
}
