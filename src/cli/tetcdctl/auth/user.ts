// `tetcdctl user`: the group of commands about users.

import type { Command } from 'commander';
import type { UserGetResult } from '../../../client/index.ts';
import { boolFlag } from '../../shell/flags.ts';
import { type Word, wordFromText } from '../../shell/words.ts';
import { type CommandTree, GROUPS } from '../command.ts';
import type { Session } from '../session.ts';
import { exactWords, nameOf } from './names.ts';
import { addUserAdd, addUserPasswd } from './user-password.ts';

export function addUser(parent: Command, tree: CommandTree): void {
  const user = tree.add(parent, {
    name: 'user',
    usage: '[command]',
    summary: 'add, change, show and delete users',
    group: GROUPS.AUTHENTICATION,
  });
  addUserAdd(user, tree);
  addUserDelete(user, tree);
  addUserGet(user, tree);
  addUserGrantRole(user, tree);
  addUserList(user, tree);
  addUserPasswd(user, tree);
  addUserRevokeRole(user, tree);
}

function addUserDelete(parent: Command, tree: CommandTree): void {
  tree.add(parent, {
    name: 'delete',
    usage: '<user name>',
    summary: 'delete a user',
    run: async ({ words, session }) => {
      const text = 'user delete command requires user name as its argument';
      const [word] = exactWords(words, 1, text) as [Word];
      const { client, printer, limits, ask } = await session();
      const header = await ask(client.auth.userDelete(nameOf(word), limits));
      printer.authChange(`User ${word} deleted`, header);
    },
  });
}

interface UserGetOptions {
  readonly detail: boolean;
}

function addUserGet(parent: Command, tree: CommandTree): void {
  tree.add<UserGetOptions>(parent, {
    name: 'get',
    usage: '<user name> [options]',
    summary: 'show the roles of a user',
    flags: [boolFlag({ flag: '--detail', help: 'show what each of the roles may do' })],
    run: async ({ words, options, session: open }) => {
      const text = 'user get command requires user name as its argument';
      const [word] = exactWords(words, 1, text) as [Word];
      const session = await open();
      const { client, printer, limits, ask } = session;
      const user = await ask(client.auth.userGet(nameOf(word), limits));
      if (options.detail) await printDetail(session, word, user);
      else printer.userGet(word, user);
    },
  });
}

/** In the simple form whatever was asked for, but for the roles. */
async function printDetail(
  { io, client, printer, limits, ask }: Session,
  name: Word,
  { roles }: UserGetResult,
): Promise<void> {
  io.out('User: ');
  io.out(Buffer.from(name, 'latin1'));
  io.out('\n');
  for (const role of roles) {
    io.out('\n');
    printer.roleGet(wordFromText(role), await ask(client.auth.roleGet(role, limits)));
  }
}

function addUserList(parent: Command, tree: CommandTree): void {
  tree.add(parent, {
    name: 'list',
    usage: '[options]',
    summary: 'list all users',
    run: async ({ words, session }) => {
      exactWords(words, 0, 'user list command requires no arguments');
      const { client, printer, limits, ask } = await session();
      printer.userList(await ask(client.auth.userList(limits)));
    },
  });
}

function addUserGrantRole(parent: Command, tree: CommandTree): void {
  tree.add(parent, {
    name: 'grant-role',
    usage: '<user name> <role name>',
    summary: 'give a role to a user',
    run: async ({ words, session }) => {
      const text = 'user grant command requires user name and role name as its argument';
      const [user, role] = exactWords(words, 2, text) as [Word, Word];
      const { client, printer, limits, ask } = await session();
      const { auth } = client;
      const header = await ask(auth.userGrantRole(nameOf(user), nameOf(role), limits));
      printer.authChange(`Role ${role} is granted to user ${user}`, header);
    },
  });
}

function addUserRevokeRole(parent: Command, tree: CommandTree): void {
  tree.add(parent, {
    name: 'revoke-role',
    usage: '<user name> <role name>',
    summary: 'take a role from a user',
    run: async ({ words, session }) => {
      const text = 'user revoke-role requires user name and role name as its argument';
      const [user, role] = exactWords(words, 2, text) as [Word, Word];
      const { client, printer, limits, ask } = await session();
      const { auth } = client;
      const header = await ask(auth.userRevokeRole(nameOf(user), nameOf(role), limits));
      printer.authChange(`Role ${role} is revoked from user ${user}`, header);
    },
  });
}
