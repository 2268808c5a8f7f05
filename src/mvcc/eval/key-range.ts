// Ranges of keys, in the form that requests use, over latin1 strings: a pair of `key` and
// `rangeEnd`, passed as two arguments so that no object is made per request.

/** The `rangeEnd` that makes a range of the single key. */
export const SINGLE_KEY = '';

/** The `rangeEnd` of a range without upper bound: every key from `key` on. */
export const FROM_KEY = '\0';

/** Whether `candidate` is in the range: a single key, an open end, or `[key, rangeEnd)`. */
export function rangeContains(key: string, rangeEnd: string, candidate: string): boolean {
  if (rangeEnd === SINGLE_KEY) return candidate === key;
  return candidate >= key && (rangeEnd === FROM_KEY || candidate < rangeEnd);
}
