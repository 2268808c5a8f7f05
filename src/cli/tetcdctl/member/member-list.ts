// `tetcdctl member list`: the members of the cluster.

import type { Command } from 'commander';
import { stringFlag } from '../../shell/flags.ts';
import type { CommandTree } from '../command.ts';
import { isSerializable } from '../kv/consistency.ts';

interface MemberListOptions {
  readonly consistency: string;
}

export function addMemberList(parent: Command, tree: CommandTree): void {
  tree.add<MemberListOptions>(parent, {
    name: 'list',
    usage: '[options]',
    summary: 'list the members of the cluster',
    description: `Lists the members of the cluster. In the simple form a line has id, status, name,
peer addresses, client addresses, and whether the member is a learner.`,
    flags: [
      stringFlag({
        flag: '--consistency',
        help: 'l: as the cluster agrees (linearizable); s: as the member has it (serializable)',
        initial: 'l',
        values: ['l', 's'],
      }),
    ],
    run: async ({ options, session }) => {
      const linearizable = !isSerializable(options.consistency);
      const { client, printer, limits, ask } = await session();
      printer.memberList(await ask(client.cluster.memberList({ ...limits, linearizable })));
    },
  });
}
