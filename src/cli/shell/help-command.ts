// `help`: what `--help` of a command prints.

import type { Command } from 'commander';
import type { CommandTree } from './command.ts';
import { subcommand } from './command-line.ts';
import { helpText, usageText } from './help.ts';
import { textOfWord, type Word } from './words.ts';

/** `group`: where the help of the program lists it. */
export function addHelp<Context>(root: Command, tree: CommandTree<Context>, group?: string): void {
  tree.add(root, {
    name: 'help',
    usage: '[command]',
    summary: 'say more about a command',
    ...(group === undefined ? {} : { group }),
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
    command = next;
  }
  return command;
}
