// `tetcdctl auth`: authentication as a whole.

import type { Command } from 'commander';
import { type AuthClient, type CallOptions, isEtcdError } from '../../../client/index.ts';
import { type CommandTree, GROUPS } from '../command.ts';
import { exactWords } from './names.ts';

export function addAuth(parent: Command, tree: CommandTree): void {
  const auth = tree.add(parent, {
    name: 'auth',
    usage: '[command]',
    summary: 'enable or disable authentication',
    group: GROUPS.AUTHENTICATION,
  });
  addAuthEnable(auth, tree);
  addAuthDisable(auth, tree);
  addAuthStatus(auth, tree);
}

function addAuthEnable(parent: Command, tree: CommandTree): void {
  tree.add(parent, {
    name: 'enable',
    usage: '[options]',
    summary: 'enable authentication',
    description: `Enables authentication, for which there must be a user root. The role root is
created and granted to it if that is all that is missing.`,
    run: async ({ io, words, session }) => {
      exactWords(words, 0, 'auth enable command does not accept any arguments');
      const { client, limitsInAll, ask } = await session();
      await ask(enable(client.auth, limitsInAll()));
      io.out('Authentication Enabled\n');
    },
  });
}

async function enable(auth: AuthClient, limits: () => CallOptions): Promise<void> {
  try {
    await auth.enable(limits());
  } catch (error) {
    if (!isEtcdError(error, 'ROOT_ROLE_NOT_EXIST')) throw error;
    await auth.roleAdd('root', limits());
    await auth.userGrantRole('root', 'root', limits());
    await auth.enable(limits());
  }
}

function addAuthDisable(parent: Command, tree: CommandTree): void {
  tree.add(parent, {
    name: 'disable',
    usage: '[options]',
    summary: 'disable authentication',
    run: async ({ io, words, session }) => {
      exactWords(words, 0, 'auth disable command does not accept any arguments');
      const { client, limits, ask } = await session();
      await ask(client.auth.disable(limits));
      io.out('Authentication Disabled\n');
    },
  });
}

function addAuthStatus(parent: Command, tree: CommandTree): void {
  tree.add(parent, {
    name: 'status',
    usage: '[options]',
    summary: 'show whether authentication is enabled',
    run: async ({ words, session }) => {
      exactWords(words, 0, 'auth status command does not accept any arguments');
      const { client, printer, limits, ask } = await session();
      printer.authStatus(await ask(client.auth.status(limits)));
    },
  });
}
