// `tetcdctl options`: the global flags.

import type { Command } from 'commander';
import { flagsOf } from '../shell/command-line.ts';
import { flagLines } from '../shell/help.ts';
import { type CommandTree, GROUPS } from './command.ts';

export function addOptions(parent: Command, tree: CommandTree): void {
  tree.add(parent, {
    name: 'options',
    usage: '[options]',
    summary: 'list the flags that every command takes',
    group: GROUPS.UTILITY,
    run: ({ io }) => {
      const lines = flagLines(flagsOf(parent));
      io.out(`Every command takes these flags, before or after its name:\n\n${lines}\n`);
    },
  });
}
