// `tetcdctl defrag`: has the databases of members written again without free pages, one after the other.

import type { Command } from 'commander';
import { goDuration } from '../../../base/index.ts';
import { errorText } from '../../shell/error-text.ts';
import { EXIT, SilentExit } from '../../shell/exit.ts';
import { boolFlag } from '../../shell/flags.ts';
import { Progress } from '../../shell/progress.ts';
import { type CommandTree, GROUPS } from '../command.ts';
import { type EndpointOptions, endpointsToAsk } from './endpoint-list.ts';

export function addDefrag(parent: Command, tree: CommandTree): void {
  tree.add<EndpointOptions>(parent, {
    name: 'defrag',
    usage: '[options]',
    summary: 'give back the free space in the databases of the endpoints given',
    description: `Has each endpoint given write its database again without free pages, one after the
other. A large one takes longer than the default of --command-timeout: the member then finishes all
the same, and says so in its log.`,
    group: GROUPS.CLUSTER,
    flags: [boolFlag({ flag: '--cluster', help: 'all endpoints that the member list names' })],
    run: async ({ io, options, sessionOfEndpoints: open }) => {
      const session = await open();
      let hasFailed = false;
      for (const endpoint of await endpointsToAsk(session, options)) {
        const client = await session.clientOf([endpoint]);
        const startNs = io.monotonicNs();
        const took = () => goDuration(io.monotonicNs() - startNs);
        const progress = new Progress(io, { label: `Defragmenting ${endpoint}` });
        try {
          await client.maintenance.defragment(session.limits).finally(() => progress.end());
          io.out(`Finished defragmenting etcd member[${endpoint}]. took ${took()}\n`);
        } catch (error) {
          session.noteFailure(error);
          hasFailed = true;
          const reason = `took ${took()}. (${errorText(error)})`;
          io.err(`Failed to defragment etcd member[${endpoint}]. ${reason}\n`);
        } finally {
          client.close();
        }
      }
      if (hasFailed) throw new SilentExit(EXIT.ERROR);
    },
  });
}
