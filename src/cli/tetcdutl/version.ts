// `tetcdutl version`.

import type { Command } from 'commander';
import type { CommandTree } from './command.ts';
import { VERSION_TEXT } from './release.ts';

export function addVersion(parent: Command, tree: CommandTree): void {
  tree.add(parent, {
    name: 'version',
    usage: '[options]',
    summary: 'print the versions of this program and of the API',
    run: ({ io }) => {
      io.out(VERSION_TEXT);
    },
  });
}
