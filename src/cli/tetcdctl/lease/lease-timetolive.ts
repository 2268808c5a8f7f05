// `tetcdctl lease timetolive`: the remaining TTL of a lease, and its keys.

import type { Command } from 'commander';
import { etcdserverpb } from '../../../client/index.ts';
import { EXIT } from '../../shell/exit.ts';
import { boolFlag } from '../../shell/flags.ts';
import type { CommandTree } from '../command.ts';
import { leaseOfWords } from './lease-id.ts';

interface TimeToLiveOptions {
  readonly keys: boolean;
}

export function addLeaseTimeToLive(parent: Command, tree: CommandTree): void {
  tree.add<TimeToLiveOptions>(parent, {
    name: 'timetolive',
    usage: '[options] <leaseID>',
    summary: 'show how long a lease has left',
    flags: [boolFlag({ flag: '--keys', help: 'show the keys attached to it' })],
    run: async ({ words, options: { keys }, session }) => {
      const id = leaseOfWords(words, 'lease timetolive command needs lease ID as argument');
      const { client, printer, limits, ask } = await session();
      const { leaseTimeToLive } = etcdserverpb.LeaseService.methods;
      const call = client.call(leaseTimeToLive, { id, keys }, { ...limits, repeatable: true });
      printer.leaseTimeToLive(await ask(call, EXIT.BAD_CONNECTION), keys);
    },
  });
}
