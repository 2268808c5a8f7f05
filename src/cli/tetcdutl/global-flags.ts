// Flags that every command of tetcdutl takes.

import { durationFlag, type Flag, stringFlag } from '../shell/flags.ts';

/** Values of the global flags, by commander's names. */
export interface GlobalOptions {
  /** In milliseconds. */
  readonly timeout: number;
  readonly writeOut: string;
}

export function globalFlags(): Flag[] {
  return [
    durationFlag({
      flag: '--timeout',
      help: 'how long to wait for a database that is in use; 0 is without an end',
      initial: 10_000,
    }),
    stringFlag({
      flag: '-w, --write-out',
      help: 'form of the output: fields, json, protobuf, simple or table',
      initial: 'simple',
      values: ['fields', 'json', 'protobuf', 'simple', 'table'],
    }),
  ];
}
