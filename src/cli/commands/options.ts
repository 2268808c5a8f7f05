// `tetcdctl options`: the flags that every command takes.

import type { Command } from 'commander';
import { type CommandTree, GROUPS } from '../ctl/command.ts';
import { flagsOf } from '../ctl/command-line.ts';

export function addOptions(parent: Command, tree: CommandTree): void {
  tree.add(parent, {
    name: 'options',
    usage: '[options]',
    summary: 'list the flags that every command takes',
    group: GROUPS.UTILITY,
    run: ({ io }) => {
      const flags = [...flagsOf(parent)].sort((a, b) => (a.long! < b.long! ? -1 : 1));
      const width = Math.max(...flags.map((flag) => flag.term.length));
      const lines = flags.map((flag) => `  ${flag.term.padEnd(width)}   ${flag.shownHelp}\n`);
      io.out(`Every command takes these flags, before or after its name:\n\n${lines.join('')}`);
    },
  });
}
