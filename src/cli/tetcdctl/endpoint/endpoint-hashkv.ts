// `tetcdctl endpoint hashkv`: the hash of each member's keys and their history.

import type { Command } from 'commander';
import { errorText } from '../../shell/error-text.ts';
import { EXIT, ExitError } from '../../shell/exit.ts';
import { intFlag } from '../../shell/flags.ts';
import { clampedNumber } from '../../shell/go-numbers.ts';
import type { CommandTree } from '../command.ts';
import type { EndpointHashKv } from '../printers/printer.ts';
import { type EndpointOptions, endpointsToAsk } from './endpoint-list.ts';

interface HashKvOptions extends EndpointOptions {
  readonly rev: bigint;
}

export function addEndpointHashKv(parent: Command, tree: CommandTree): void {
  tree.add<HashKvOptions>(parent, {
    name: 'hashkv',
    usage: '[options]',
    summary: 'show the hash of the keys of each endpoint',
    flags: [intFlag({ flag: '--rev', help: 'up to this revision; 0 is the newest' })],
    run: async ({ io, options, sessionOfEndpoints: open }) => {
      const session = await open();
      const revision = clampedNumber(options.rev);
      const list: EndpointHashKv[] = [];
      let failure: string | undefined;
      for (const endpoint of await endpointsToAsk(session, options)) {
        const client = await session.clientOf([endpoint]);
        try {
          const hash = await client.maintenance.hashKv({ ...session.limits, revision });
          list.push({ endpoint, hash });
        } catch (error) {
          session.noteFailure(error);
          failure = errorText(error);
          io.err(`Failed to get the hash of endpoint ${endpoint} (${failure})\n`);
        } finally {
          client.close();
        }
      }
      session.printer.endpointHashKv(list);
      if (failure !== undefined) throw new ExitError(EXIT.ERROR, failure);
    },
  });
}
