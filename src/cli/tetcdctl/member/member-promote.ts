// `tetcdctl member promote`: makes a learner a voting member.

import type { Command } from 'commander';
import type { CommandTree } from '../command.ts';
import { memberIdOf } from './member-id.ts';

export function addMemberPromote(parent: Command, tree: CommandTree): void {
  tree.add(parent, {
    name: 'promote',
    usage: '[options] <member id>',
    summary: 'give a learner a vote',
    run: async ({ words, session }) => {
      const id = memberIdOf(words);
      const { client, printer, limits, ask } = await session();
      printer.memberPromote(id, await ask(client.cluster.memberPromote(id, limits)));
    },
  });
}
