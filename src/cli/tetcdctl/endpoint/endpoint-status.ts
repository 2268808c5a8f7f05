// `tetcdctl endpoint status`: the status of each member.

import type { Command } from 'commander';
import { errorText } from '../../shell/error-text.ts';
import { EXIT, SilentExit } from '../../shell/exit.ts';
import type { CommandTree } from '../command.ts';
import type { EndpointStatus } from '../printers/printer.ts';
import { type EndpointOptions, endpointsToAsk } from './endpoint-list.ts';

export function addEndpointStatus(parent: Command, tree: CommandTree): void {
  tree.add<EndpointOptions>(parent, {
    name: 'status',
    usage: '[options]',
    summary: 'show the state of each endpoint',
    description: `Shows the state of each endpoint. In the simple form a line has endpoint,
member id, version, storage version, size of the database, size in use, percentage not in use,
quota, whether it leads, whether it is a learner, raft term, raft index, applied raft index,
errors, target version of a downgrade, and whether a downgrade is under way.`,
    run: async ({ io, options, sessionOfEndpoints: open }) => {
      const session = await open();
      const list: EndpointStatus[] = [];
      let hasFailed = false;
      for (const endpoint of await endpointsToAsk(session, options)) {
        const client = await session.clientOf([endpoint]);
        try {
          list.push({ endpoint, status: await client.maintenance.status(session.limits) });
        } catch (error) {
          session.noteFailure(error);
          hasFailed = true;
          io.err(`Failed to get the status of endpoint ${endpoint} (${errorText(error)})\n`);
        } finally {
          client.close();
        }
      }
      session.printer.endpointStatus(list);
      if (hasFailed) throw new SilentExit(EXIT.ERROR);
    },
  });
}
