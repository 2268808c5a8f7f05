// Help in cobra's form: description, usage, subcommands, own flags, and flags inherited from the group.
// The flags of all commands are listed by `options` only, where a program has that command.

import type { Command } from 'commander';
import { flagsOf } from './command-line.ts';
import type { Flag } from './flags.ts';

/** Commands are aligned in a column at least this wide. */
const NAME_WIDTH_MIN = 11;

/** The text of `--help`. */
export function helpText(command: Command): string {
  return `${command.description()}\n\n${usageText(command)}`;
}

/** The usage, which is also shown for a wrong command line. */
export function usageText(command: Command): string {
  const path = pathOf(command);
  const isGroup = command.commands.length > 0;
  const words = command.usage() === '[options]' ? '' : `${command.usage()} `;
  const sections = [`Usage:\n  ${path} ${isGroup ? '[command]' : `${words}[flags]`}`];
  sections.push(...commandSections(command));
  const own = flagsOf(command).filter((flag) => command.options.includes(flag));
  if (command.parent === null && !hasOptions(command)) {
    sections.push(`Flags:\n${flagLines(own, command.name())}`);
  }
  if (command.parent !== null) {
    sections.push(`Flags:\n${flagLines(own, command.name())}`);
    const inherited = flagsOf(command.parent).filter((flag) => !isOfAll(command, flag));
    if (inherited.length > 0) sections.push(`Global Flags:\n${flagLines(inherited)}`);
  }
  const ends = isGroup ? [`"${path} [command] --help" says more about a command.`] : [];
  if (hasOptions(command)) {
    ends.push(`"${rootOf(command).name()} options" lists the flags that every command takes.`);
  }
  if (ends.length > 0) sections.push(ends.join('\n'));
  return `${sections.join('\n\n')}\n`;
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

function rootOf(command: Command): Command {
  return command.parent === null ? command : rootOf(command.parent);
}

/** Whether the program lists the flags of all its commands by a command of its own. */
function hasOptions(command: Command): boolean {
  return rootOf(command).commands.some((each) => each.name() === 'options');
}

function isOfAll(command: Command, flag: Flag): boolean {
  return hasOptions(command) && rootOf(command).options.includes(flag);
}

/** Subcommands by group, sorted by name. */
function commandSections(command: Command): string[] {
  const groups = new Map<string, Command[]>();
  for (const each of command.commands) {
    const title = each.helpGroup() || 'Available Commands:';
    groups.set(title, [...(groups.get(title) ?? []), each]);
  }
  return [...groups].map(([title, commands]) => {
    const names = commands.map((each) => each.name());
    const width = Math.max(NAME_WIDTH_MIN, ...names.map((name) => name.length));
    const lines = [...commands]
      .sort((a, b) => (a.name() < b.name() ? -1 : 1))
      .map((each) => `  ${each.name().padEnd(width)} ${each.summary()}`);
    return `${title}\n${lines.join('\n')}`;
  });
}

/** `helpFor`: the command whose `--help` is among them. */
export function flagLines(flags: readonly Flag[], helpFor?: string): string {
  const rows = flags.map((flag) => ({
    name: flag.long!.slice(2),
    term: flag.term,
    help: flag.shownHelp,
  }));
  if (helpFor !== undefined) {
    rows.push({ name: 'help', term: '-h, --help', help: `help for ${helpFor}` });
  }
  rows.sort((a, b) => (a.name < b.name ? -1 : 1));
  const width = Math.max(...rows.map(({ term }) => term.length));
  return rows.map(({ term, help }) => `  ${term.padEnd(width)}   ${help}`).join('\n');
}
