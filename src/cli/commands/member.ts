// `tetcdctl member`: the group of commands about members.

import type { Command } from 'commander';
import { type CommandTree, GROUPS } from '../ctl/command.ts';
import { addMemberList } from './member-list.ts';

export function addMember(parent: Command, tree: CommandTree): void {
  const member = tree.add(parent, {
    name: 'member',
    usage: '[command]',
    summary: 'show the members of the cluster',
    group: GROUPS.CLUSTER,
  });
  addMemberList(member, tree);
}
