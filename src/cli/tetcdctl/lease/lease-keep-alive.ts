// `tetcdctl lease keep-alive`: renews a lease periodically, or once with `--once`.

import type { Command } from 'commander';
import { isEtcdError } from '../../../client/index.ts';
import { errorText } from '../../shell/error-text.ts';
import { EXIT, ExitError } from '../../shell/exit.ts';
import { boolFlag } from '../../shell/flags.ts';
import { goHex16 } from '../../shell/go-numbers.ts';
import type { CommandTree } from '../command.ts';
import { leaseOfWords } from './lease-id.ts';

interface KeepAliveOptions {
  readonly once: boolean;
}

export function addLeaseKeepAlive(parent: Command, tree: CommandTree): void {
  tree.add<KeepAliveOptions>(parent, {
    name: 'keep-alive',
    usage: '[options] <leaseID>',
    summary: 'renew a lease until it is gone',
    flags: [boolFlag({ flag: '--once', help: 'renew it once' })],
    run: async ({ io, words, options, session }) => {
      const id = leaseOfWords(words, 'lease keep-alive command needs lease ID as argument');
      const { client, printer, limits, ask, options: globals } = await session();
      if (options.once) {
        const call = client.lease.keepAliveOnce(id, limits);
        printer.leaseKeepAlive(await ask(call, EXIT.BAD_CONNECTION));
        return;
      }
      try {
        for await (const response of client.lease.keepAlive(id)) printer.leaseKeepAlive(response);
      } catch (error) {
        if (error instanceof ExitError) throw error;
        if (!isEtcdError(error, 'LEASE_NOT_FOUND')) {
          throw new ExitError(EXIT.BAD_CONNECTION, errorText(error));
        }
      }
      if (globals.writeOut === 'simple') io.out(`lease ${goHex16(id)} expired or revoked.\n`);
    },
  });
}
