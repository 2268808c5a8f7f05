// `tetcdctl lease list`: all leases.

import type { Command } from 'commander';
import { etcdserverpb } from '../../../client/index.ts';
import { EXIT } from '../../shell/exit.ts';
import type { CommandTree } from '../command.ts';

export function addLeaseList(parent: Command, tree: CommandTree): void {
  tree.add(parent, {
    name: 'list',
    usage: '[options]',
    summary: 'list all leases',
    run: async ({ session }) => {
      const { client, printer, limits, ask } = await session();
      const { leaseLeases } = etcdserverpb.LeaseService.methods;
      const call = client.call(leaseLeases, {}, { ...limits, repeatable: true });
      printer.leaseList(await ask(call, EXIT.BAD_CONNECTION));
    },
  });
}
