// `tetcdctl alarm`: the group of commands about alarms.

import type { Command } from 'commander';
import { type CommandTree, GROUPS } from '../command.ts';
import { addAlarmDisarm } from './alarm-disarm.ts';
import { addAlarmList } from './alarm-list.ts';

export function addAlarm(parent: Command, tree: CommandTree): void {
  const alarm = tree.add(parent, {
    name: 'alarm',
    usage: '[command]',
    summary: 'show and end alarms',
    group: GROUPS.CLUSTER,
  });
  addAlarmDisarm(alarm, tree);
  addAlarmList(alarm, tree);
}
