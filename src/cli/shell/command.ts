// The interface by which a command's file adds its command.

import type { Command } from 'commander';
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
}

/** `Context` is what all commands of a program get besides. */
export interface CommandInit<Options, Context> {
  readonly name: string;
  /** What follows the name in the usage line. */
  readonly usage: string;
  readonly summary: string;
  /** More than the summary, for the command's own help. */
  readonly description?: string;
  readonly group?: string;
  readonly flags?: readonly Flag[];
  /** Names of flags without which the command line is refused, as cobra refuses it. */
  readonly requiredFlags?: readonly string[];
  /** How many words there must be, no more and no fewer; without it the command decides. */
  readonly wordCount?: number;
  /** The only words that are taken. */
  readonly allowedWords?: readonly Word[];
  /** Without it the command is a group of others. */
  readonly run?: (invocation: Invocation<Options> & Context) => Promise<void> | void;
}

/** Adds commands to commander's tree and runs them. */
export interface CommandTree<Context> {
  add<Options = Readonly<Record<string, never>>>(
    parent: Command,
    init: CommandInit<Options, Context>,
  ): Command;
}
