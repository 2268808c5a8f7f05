// The word that names a member: its id in hexadecimal.

import { EXIT, ExitError } from '../../shell/exit.ts';
import { parseGoUint } from '../../shell/go-numbers.ts';
import { textOfWord, type Word } from '../../shell/words.ts';

/** The only word of `words` as an id. BAD_ARGS if it is not the only one, or no id. */
export function memberIdOf(words: readonly Word[]): bigint {
  const [word] = words;
  if (word === undefined || words.length !== 1) {
    throw new ExitError(EXIT.BAD_ARGS, 'member ID is not provided');
  }
  const id = parseGoUint(textOfWord(word), 16);
  if (id.reason !== undefined) {
    const text = `bad member ID arg (${id.reason}), expecting ID in Hex`;
    throw new ExitError(EXIT.BAD_ARGS, text);
  }
  return id.value;
}
