// `tetcdctl check`: the group.

import type { Command } from 'commander';
import { type CommandTree, GROUPS } from '../command.ts';
import { addCheckDatascale } from './check-datascale.ts';
import { addCheckPerf } from './check-perf.ts';

export function addCheck(parent: Command, tree: CommandTree): void {
  const group = tree.add(parent, {
    name: 'check',
    usage: '[options]',
    summary: 'check what a cluster can do',
    group: GROUPS.UTILITY,
  });
  addCheckPerf(group, tree);
  addCheckDatascale(group, tree);
}
