// `tetcdctl version`: two lines that scripts read, in etcdctl's words.

import type { Command } from 'commander';
import { type CommandTree, GROUPS } from '../ctl/command.ts';

/** The release whose commands and output this program has. */
const RELEASE = '3.7.1';
const API_VERSION = '3.7';

export function addVersion(parent: Command, tree: CommandTree): void {
  tree.add(parent, {
    name: 'version',
    usage: '[options]',
    summary: 'print the versions of this program and of the API',
    group: GROUPS.UTILITY,
    run: ({ io }) => {
      io.out(`etcdctl version: ${RELEASE}\nAPI version: ${API_VERSION}\n`);
    },
  });
}
