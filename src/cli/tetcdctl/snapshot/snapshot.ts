// `tetcdctl snapshot`: the group.

import type { Command } from 'commander';
import { type CommandTree, GROUPS } from '../command.ts';
import { addSnapshotSave } from './snapshot-save.ts';

export function addSnapshot(parent: Command, tree: CommandTree): void {
  const group = tree.add(parent, {
    name: 'snapshot',
    usage: '[options]',
    summary: "save a member's database as a file",
    group: GROUPS.CLUSTER,
  });
  addSnapshotSave(group, tree);
}
