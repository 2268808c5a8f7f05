// `tetcdctl alarm list`: alarms that are raised.

import type { Command } from 'commander';
import { EXIT, ExitError } from '../../shell/exit.ts';
import type { CommandTree } from '../command.ts';

export function addAlarmList(parent: Command, tree: CommandTree): void {
  tree.add(parent, {
    name: 'list',
    usage: '[options]',
    summary: 'show the alarms that are raised',
    run: async ({ words, session }) => {
      if (words.length > 0) {
        throw new ExitError(EXIT.BAD_ARGS, 'alarm list command accepts no arguments');
      }
      const { client, printer, limits, ask } = await session();
      printer.alarm(await ask(client.maintenance.alarms(limits)));
    },
  });
}
