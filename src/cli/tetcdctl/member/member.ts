// `tetcdctl member`: the group of commands about members.

import type { Command } from 'commander';
import { type CommandTree, GROUPS } from '../command.ts';
import { addMemberAdd } from './member-add.ts';
import { addMemberList } from './member-list.ts';
import { addMemberPromote } from './member-promote.ts';
import { addMemberRemove } from './member-remove.ts';
import { addMemberUpdate } from './member-update.ts';

export function addMember(parent: Command, tree: CommandTree): void {
  const member = tree.add(parent, {
    name: 'member',
    usage: '[command]',
    summary: 'show and change the members of the cluster',
    group: GROUPS.CLUSTER,
  });
  addMemberAdd(member, tree);
  addMemberList(member, tree);
  addMemberPromote(member, tree);
  addMemberRemove(member, tree);
  addMemberUpdate(member, tree);
}
