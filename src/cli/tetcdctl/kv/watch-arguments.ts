// The arguments of `watch`: the key or range, and the program to run per event.

import { EXIT, ExitError } from '../../shell/exit.ts';
import { type Word, wordFromText } from '../../shell/words.ts';

export interface WatchArguments {
  readonly key: Word;
  readonly rangeEnd: Word | undefined;
  /** Program and arguments; empty for none. */
  readonly exec: readonly Word[];
}

interface WatchEnvironment {
  readonly ETCDCTL_WATCH_KEY?: string | undefined;
  readonly ETCDCTL_WATCH_RANGE_END?: string | undefined;
}

const TOO_FEW_OR_MANY = 'bad number of arguments';

function refuse(why = ''): never {
  throw new ExitError(EXIT.BAD_ARGS, `${TOO_FEW_OR_MANY}${why}`);
}

/**
 * `words` with the number of those before `--` (undefined without one). Key and range end come from
 * the words or from the environment, not from both.
 */
export function watchOfArguments(
  words: readonly Word[],
  wordsBeforeDash: number | undefined,
  env: WatchEnvironment,
): WatchArguments {
  const { ETCDCTL_WATCH_KEY: envKey = '', ETCDCTL_WATCH_RANGE_END: envEnd = '' } = env;
  if (envKey === '' && envEnd !== '') {
    const text = `ETCDCTL_WATCH_KEY is empty but got ETCDCTL_WATCH_RANGE_END=${JSON.stringify(envEnd)}`;
    throw new ExitError(EXIT.BAD_ARGS, text);
  }
  const exec = wordsBeforeDash === undefined ? [] : words.slice(wordsBeforeDash);
  if (wordsBeforeDash !== undefined && exec.length === 0) {
    refuse(' (found separator --, but no commands)');
  }
  const own = words.slice(0, wordsBeforeDash);
  if (envKey !== '') {
    if (own.length > 0) refuse(' (found conflicting environment key)');
    const rangeEnd = envEnd === '' ? undefined : wordFromText(envEnd);
    return { key: wordFromText(envKey), rangeEnd, exec };
  }
  const [key, rangeEnd] = own;
  if (key === undefined || own.length > 2) refuse();
  return { key, rangeEnd, exec };
}
