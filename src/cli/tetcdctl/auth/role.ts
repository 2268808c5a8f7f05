// `tetcdctl role`: the group of commands about roles.

import type { Command } from 'commander';
import type { Word } from '../../shell/words.ts';
import { type CommandTree, GROUPS } from '../command.ts';
import { exactWords, nameOf } from './names.ts';
import { addRoleGrantPermission, addRoleRevokePermission } from './role-permission.ts';

export function addRole(parent: Command, tree: CommandTree): void {
  const role = tree.add(parent, {
    name: 'role',
    usage: '[command]',
    summary: 'add, change, show and delete roles',
    group: GROUPS.AUTHENTICATION,
  });
  addRoleAdd(role, tree);
  addRoleDelete(role, tree);
  addRoleGet(role, tree);
  addRoleGrantPermission(role, tree);
  addRoleList(role, tree);
  addRoleRevokePermission(role, tree);
}

function addRoleAdd(parent: Command, tree: CommandTree): void {
  tree.add(parent, {
    name: 'add',
    usage: '<role name>',
    summary: 'add a role',
    run: async ({ words, session }) => {
      const text = 'role add command requires role name as its argument';
      const [word] = exactWords(words, 1, text) as [Word];
      const { client, printer, limits, ask } = await session();
      const header = await ask(client.auth.roleAdd(nameOf(word), limits));
      printer.authChange(`Role ${word} created`, header);
    },
  });
}

function addRoleDelete(parent: Command, tree: CommandTree): void {
  tree.add(parent, {
    name: 'delete',
    usage: '<role name>',
    summary: 'delete a role',
    run: async ({ words, session }) => {
      const text = 'role delete command requires role name as its argument';
      const [word] = exactWords(words, 1, text) as [Word];
      const { client, printer, limits, ask } = await session();
      const header = await ask(client.auth.roleDelete(nameOf(word), limits));
      printer.authChange(`Role ${word} deleted`, header);
    },
  });
}

function addRoleGet(parent: Command, tree: CommandTree): void {
  tree.add(parent, {
    name: 'get',
    usage: '<role name>',
    summary: 'show what a role may do',
    run: async ({ words, session }) => {
      const text = 'role get command requires role name as its argument';
      const [word] = exactWords(words, 1, text) as [Word];
      const { client, printer, limits, ask } = await session();
      printer.roleGet(word, await ask(client.auth.roleGet(nameOf(word), limits)));
    },
  });
}

function addRoleList(parent: Command, tree: CommandTree): void {
  tree.add(parent, {
    name: 'list',
    usage: '[options]',
    summary: 'list all roles',
    run: async ({ words, session }) => {
      exactWords(words, 0, 'role list command requires no arguments');
      const { client, printer, limits, ask } = await session();
      printer.roleList(await ask(client.auth.roleList(limits)));
    },
  });
}
