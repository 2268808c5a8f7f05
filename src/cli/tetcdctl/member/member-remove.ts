// `tetcdctl member remove`: removes a member from the cluster.

import type { Command } from 'commander';
import type { CommandTree } from '../command.ts';
import { memberIdOf } from './member-id.ts';

export function addMemberRemove(parent: Command, tree: CommandTree): void {
  tree.add(parent, {
    name: 'remove',
    usage: '[options] <member id>',
    summary: 'take a member out of the cluster',
    run: async ({ words, session }) => {
      const id = memberIdOf(words);
      const { client, printer, limits, ask } = await session();
      printer.memberRemove(id, await ask(client.cluster.memberRemove(id, limits)));
    },
  });
}
