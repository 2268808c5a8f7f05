// `tetcdctl alarm disarm`: ends all alarms.

import type { Command } from 'commander';
import { EXIT, ExitError } from '../../shell/exit.ts';
import type { CommandTree } from '../command.ts';

export function addAlarmDisarm(parent: Command, tree: CommandTree): void {
  tree.add(parent, {
    name: 'disarm',
    usage: '[options]',
    summary: 'end all alarms',
    run: async ({ words, session }) => {
      if (words.length > 0) {
        throw new ExitError(EXIT.BAD_ARGS, 'alarm disarm command accepts no arguments');
      }
      const { client, printer, limits, ask } = await session();
      printer.alarm(await ask(client.maintenance.disarm({}, limits)));
    },
  });
}
