// `tetcdctl lease grant`: creates a lease.

import type { Command } from 'commander';
import { etcdserverpb } from '../../../client/index.ts';
import { EXIT, ExitError } from '../../shell/exit.ts';
import { clampedNumber, parseGoInt } from '../../shell/go-numbers.ts';
import type { CommandTree } from '../command.ts';

export function addLeaseGrant(parent: Command, tree: CommandTree): void {
  tree.add(parent, {
    name: 'grant',
    usage: '<ttl>',
    summary: 'create a lease of <ttl> seconds',
    run: async ({ words, session }) => {
      if (words.length !== 1) {
        throw new ExitError(EXIT.BAD_ARGS, 'lease grant command needs TTL argument');
      }
      const ttl = parseGoInt(words[0]!, 10);
      if (ttl.reason !== undefined) throw new ExitError(EXIT.BAD_ARGS, `bad TTL (${ttl.reason})`);
      const { client, printer, limits, ask } = await session();
      const { leaseGrant } = etcdserverpb.LeaseService.methods;
      const call = client.call(leaseGrant, { ttl: clampedNumber(ttl.value) }, limits);
      printer.leaseGrant(await ask(call, EXIT.ERROR, 'failed to grant lease (', ')'));
    },
  });
}
