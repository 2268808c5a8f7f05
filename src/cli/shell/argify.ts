// Splits a line of input into words the way etcdctl's interactive modes do.

import { goUnquote } from '../../base/index.ts';
import { EXIT, ExitError } from './exit.ts';
import { textOfWord, type Word } from './words.ts';

/** "double quoted", 'single quoted', or a run without spaces that does not begin with a quote. */
const WORD = /"(?:[^"\\]|\\.)*"|'[^']*'|[^'"\s]\S*[^'"\s]?/g;

/** Words of a line; INVALID_INPUT if a double-quoted one is malformed. */
export function argify(line: Word): Word[] {
  return (line.match(WORD) ?? []).map((word) => {
    if (word.startsWith("'")) return word.slice(1, -1);
    if (!word.startsWith('"')) return word;
    const meaning = goUnquote(word.slice(1, -1));
    if (meaning === undefined) {
      throw new ExitError(EXIT.INVALID_INPUT, `malformed quoted word: ${textOfWord(word)}`);
    }
    return meaning;
  });
}
