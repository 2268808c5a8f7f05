// `tetcdctl help`: what `--help` of a command prints.

import type { Command } from 'commander';
import { subcommand } from '../shell/command-line.ts';
import { helpText, usageText } from '../shell/help.ts';
import { textOfWord, type Word } from '../shell/words.ts';
import { type CommandTree, GROUPS } from './command.ts';
import { refuseMissing } from './missing-commands.ts';

export function addHelp(root: Command, tree: CommandTree): void {
  tree.add(root, {
    name: 'help',
    usage: '[command]',
    summary: 'say more about a command',
    group: GROUPS.UTILITY,
    run: ({ io, words }) => {
      const command = commandOf(root, words);
      if (command === root && words.length > 0) {
        const topic = words.map((word) => `\`${textOfWord(word)}\``).join(' ');
        io.err(`Unknown help topic [${topic}]\n${usageText(root)}`);
      } else {
        io.out(helpText(command));
      }
    },
  });
}

/** The innermost command that the words lead to; those after it are arguments. */
function commandOf(root: Command, words: readonly Word[]): Command {
  let command = root;
  for (const word of words) {
    const next = subcommand(command, word);
    if (next === undefined) break;
    refuseMissing(next);
    command = next;
  }
  return command;
}
