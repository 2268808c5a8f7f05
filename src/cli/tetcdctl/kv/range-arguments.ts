// The range of keys of a command's words and flags.

import { EMPTY_BYTES } from '../../../base/index.ts';
import { prefixEnd } from '../../../client/index.ts';
import { EXIT, ExitError } from '../../shell/exit.ts';
import { bytesOfWord, type Word } from '../../shell/words.ts';

const ZERO_BYTE: Uint8Array = new Uint8Array([0]);

interface RangeFlags {
  readonly prefix: boolean;
  readonly fromKey: boolean;
}

interface KeyRange {
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
}

/** BAD_ARGS if a second word and the flags contradict each other. */
export function rangeOfArguments(
  key: Uint8Array,
  end: Word | undefined,
  { prefix, fromKey }: RangeFlags,
): KeyRange {
  if (prefix && fromKey) {
    const text = '`--prefix` and `--from-key` cannot be set at the same time, choose one';
    throw new ExitError(EXIT.BAD_ARGS, text);
  }
  if (end !== undefined && (prefix || fromKey)) {
    const text =
      'too many arguments, only accept one argument when `--prefix` or `--from-key` is set';
    throw new ExitError(EXIT.BAD_ARGS, text);
  }
  if (end !== undefined) return { key, rangeEnd: bytesOfWord(end) };
  if (!prefix && !fromKey) return { key, rangeEnd: EMPTY_BYTES };
  if (key.length === 0) return { key: ZERO_BYTE, rangeEnd: ZERO_BYTE };
  return { key, rangeEnd: prefix ? prefixEnd(key) : ZERO_BYTE };
}
