// What a manual says of a program, read out of its tree of commands, so that it is in step with its help.

import type { Command } from 'commander';
import { flagsOf } from '../shell/command-line.ts';
import { Flag } from '../shell/flags.ts';

export interface ManualFlag {
  /** With the kind of its value. */
  readonly term: string;
  readonly help: string;
}

interface ManualFlags {
  readonly title: string;
  readonly flags: readonly ManualFlag[];
}

export interface ManualCommand {
  /** With the name of the program before it. */
  readonly path: string;
  /** What follows it on a command line. */
  readonly usage: string;
  /** Paragraphs; one whose lines are indented is taken as it stands. */
  readonly description: readonly string[];
  readonly flags: readonly ManualFlag[];
  /** Lines for a shell, which the tests run; undefined for none. */
  readonly example: string | undefined;
}

export interface Manual {
  readonly name: string;
  readonly summary: string;
  readonly synopsis: readonly string[];
  readonly description: readonly string[];
  /** Of the program without a command; undefined where it needs one. */
  readonly example?: string | undefined;
  /** In the order of their names. */
  readonly commands: readonly ManualCommand[];
  readonly flags: readonly ManualFlags[];
  readonly sections: ReadonlyArray<{ readonly title: string; readonly text: readonly string[] }>;
  readonly seeAlso: readonly string[];
}

/** The commands of a tree that do something themselves, without groups of others. */
export function commandsOf(
  root: Command,
  examples: Readonly<Record<string, string>>,
): ManualCommand[] {
  const found: ManualCommand[] = [];
  const walk = (command: Command, names: readonly string[]): void => {
    for (const each of command.commands) walk(each, [...names, each.name()]);
    if (command.commands.length > 0) return;
    const path = names.join(' ');
    found.push({
      path: `${root.name()} ${path}`,
      usage: usageOf(command),
      description: paragraphs(command.description()),
      flags: manualFlags(ownFlags(command)),
      example: examples[path]?.trim(),
    });
  };
  walk(root, []);
  return found.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** commander says [options] where nothing was said. */
function usageOf(command: Command): string {
  const usage = command.usage().replace('[options]', '[flags]');
  return usage === '[flags]' && ownFlags(command).length === 0 ? '' : usage;
}

/** Those of the command and of its group, without those of every command. */
function ownFlags(command: Command): Flag[] {
  let root = command;
  while (root.parent !== null) root = root.parent;
  return flagsOf(command).filter((flag) => !root.options.includes(flag));
}

export function manualFlags(flags: readonly Flag[]): ManualFlag[] {
  return [...flags]
    .sort((a, b) => (a.long! < b.long! ? -1 : 1))
    .map((flag) => ({ term: flag.term.trimStart(), help: flag.shownHelp }));
}

export function paragraphs(text: string): string[] {
  return text.split('\n\n').filter((each) => each.trim() !== '');
}

/** Whether a paragraph is taken as it stands. */
export function isLiteral(paragraph: string): boolean {
  return paragraph.startsWith(' ');
}

/** The flags of every command. */
export function rootFlags(root: Command): Flag[] {
  return root.options.filter((option) => option instanceof Flag);
}
