// The interface by which a command's file adds its command.

import type { Command } from 'commander';
import type { Session } from '../tetcdctl/session.ts';
import type { Flag } from './flags.ts';
import type { Io } from './io.ts';
import type { Word } from './words.ts';

/** One execution of a command. Options are commander's: by the flag's name in camel case. */
export interface Invocation<Options> {
  readonly io: Io;
  readonly options: Options;
  /** Words that are no flags. */
  readonly words: readonly Word[];
  /** How many of them came before `--`; undefined without one. */
  readonly wordsBeforeDash: number | undefined;
  /**
   * Client and printer, by the global flags; made on the first call. Afterwards `options` include flags of
   * the parent groups that the environment sets.
   */
  session(): Promise<Session>;
  /** As `session`, without a client: for commands that make one for each endpoint. */
  sessionOfEndpoints(): Promise<Session>;
}

export interface CommandInit<Options> {
  readonly name: string;
  /** What follows the name in the usage line. */
  readonly usage: string;
  readonly summary: string;
  /** More than the summary, for the command's own help. */
  readonly description?: string;
  readonly group?: string;
  readonly flags?: readonly Flag[];
  /** Without it the command is a group of others. */
  readonly run?: (invocation: Invocation<Options>) => Promise<void> | void;
}

/** Adds commands to commander's tree and runs them. */
export interface CommandTree {
  add<Options = Readonly<Record<string, never>>>(
    parent: Command,
    init: CommandInit<Options>,
  ): Command;
}

export const GROUPS = {
  KV: 'Keys and values:',
  CLUSTER: 'Cluster maintenance:',
  AUTHENTICATION: 'Authentication:',
  UTILITY: 'Utilities:',
} as const;
