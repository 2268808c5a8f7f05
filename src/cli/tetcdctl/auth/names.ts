// Names of users and roles among a command's words.

import { EXIT, ExitError } from '../../shell/exit.ts';
import { textOfWord, type Word, wordFromText } from '../../shell/words.ts';

/** The text of a name; `text` of an error in gRPC's words if it has none, as the protocol takes no other. */
export function nameOf(word: Word): string {
  const name = textOfWord(word);
  if (wordFromText(name) === word) return name;
  const text = 'grpc: error while marshaling: string field contains invalid UTF-8';
  throw new ExitError(EXIT.ERROR, `rpc error: code = Internal desc = ${text}`);
}

/** All words, if there are as many as `count`. BAD_ARGS with `text` otherwise. */
export function exactWords(words: readonly Word[], count: number, text: string): readonly Word[] {
  if (words.length !== count) throw new ExitError(EXIT.BAD_ARGS, text);
  return words;
}
