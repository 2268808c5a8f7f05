// Answers of Go and of real etcd, recorded.

import { readFileSync } from 'node:fs';

/** The lines of a file in `testdata`, without its comments. */
export function recorded(name: string): string[] {
  const text = readFileSync(new URL(`testdata/${name}`, import.meta.url), 'latin1');
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}
