// `tetcdctl lease revoke`: ends a lease and deletes its keys.

import type { Command } from 'commander';
import { etcdserverpb } from '../../../client/index.ts';
import { EXIT } from '../../shell/exit.ts';
import type { CommandTree } from '../command.ts';
import { leaseOfWords } from './lease-id.ts';

export function addLeaseRevoke(parent: Command, tree: CommandTree): void {
  tree.add(parent, {
    name: 'revoke',
    usage: '<leaseID>',
    summary: 'end a lease and delete its keys',
    run: async ({ words, session }) => {
      const id = leaseOfWords(words, 'lease revoke command needs 1 argument');
      const { client, printer, limits, ask } = await session();
      const { leaseRevoke } = etcdserverpb.LeaseService.methods;
      const call = client.call(leaseRevoke, { id }, limits);
      printer.leaseRevoke(id, await ask(call, EXIT.ERROR, 'failed to revoke lease (', ')'));
    },
  });
}
