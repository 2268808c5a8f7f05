// The argument that names a lease.

import { EXIT, ExitError } from '../../shell/exit.ts';
import { parseGoInt } from '../../shell/go-numbers.ts';
import type { Word } from '../../shell/words.ts';

/** The only word, a lease in hexadecimal; BAD_ARGS with `missing` if there is not exactly one. */
export function leaseOfWords(words: readonly Word[], missing: string): bigint {
  if (words.length !== 1) throw new ExitError(EXIT.BAD_ARGS, missing);
  const id = parseGoInt(words[0]!, 16);
  if (id.reason !== undefined) {
    throw new ExitError(EXIT.BAD_ARGS, `bad lease ID arg (${id.reason}), expecting ID in Hex`);
  }
  return id.value;
}
