// `tetcdctl user add` and `user passwd`: users and their passwords, which are asked for.

import type { Command } from 'commander';
import { EXIT, ExitError } from '../../shell/exit.ts';
import { boolFlag, type Flag, stringFlag } from '../../shell/flags.ts';
import type { Io } from '../../shell/io.ts';
import { textOfWord, type Word, wordFromText } from '../../shell/words.ts';
import type { CommandTree } from '../command.ts';
import { exactWords, nameOf } from './names.ts';

interface PasswordOptions {
  readonly interactive: boolean;
}

interface UserAddOptions extends PasswordOptions {
  readonly newUserPassword: string;
  readonly noPassword: boolean;
}

function interactiveFlag(): Flag {
  return boolFlag({
    flag: '--interactive',
    help: 'ask for the password; if false, read it from standard input',
    initial: true,
  });
}

export function addUserAdd(parent: Command, tree: CommandTree): void {
  tree.add<UserAddOptions>(parent, {
    name: 'add',
    usage: '<user name or user:password> [options]',
    summary: 'add a user',
    flags: [
      interactiveFlag(),
      stringFlag({ flag: '--new-user-password', help: 'password of the new user' }),
      boolFlag({
        flag: '--no-password',
        help: 'the user is known by the name in a client certificate alone',
      }),
    ],
    run: async ({ io, words, options, session }) => {
      const text = 'user add command requires user name as its argument';
      const [word] = exactWords(words, 1, text) as [Word];
      const { user, password } = await newUserOf(io, word, options);
      const { client, printer, limits, ask } = await session();
      const { auth } = client;
      const name = nameOf(user);
      const added =
        password === undefined
          ? auth.userAddWithoutPassword(name, limits)
          : auth.userAdd(name, password, limits);
      printer.authChange(`User ${user} created`, await ask(added));
    },
  });
}

interface NewUser {
  readonly user: Word;
  /** Undefined: the user gets none. */
  readonly password: string | undefined;
}

async function newUserOf(io: Io, word: Word, options: UserAddOptions): Promise<NewUser> {
  if (options.noPassword) return { user: word, password: undefined };
  if (options.newUserPassword !== '') return { user: word, password: options.newUserPassword };
  const colon = word.indexOf(':');
  if (colon < 0) return { user: word, password: await passwordFor(io, word, options) };
  if (colon === 0) throw new ExitError(EXIT.BAD_ARGS, 'empty user name is not allowed');
  return { user: word.slice(0, colon), password: nameOf(word.slice(colon + 1)) };
}

async function passwordFor(io: Io, user: Word, { interactive }: PasswordOptions): Promise<string> {
  // Loaded where a password is asked for.
  const { askNewPassword, readPassword } = await import('../../shell/prompts.ts');
  return interactive ? askNewPassword(io, textOfWord(user)) : readPassword(io);
}

export function addUserPasswd(parent: Command, tree: CommandTree): void {
  tree.add<PasswordOptions>(parent, {
    name: 'passwd',
    usage: '<user name> [options]',
    summary: 'change the password of a user',
    flags: [interactiveFlag()],
    run: async ({ io, words, options, session }) => {
      const text = 'user passwd command requires user name as its argument';
      const [word] = exactWords(words, 1, text) as [Word];
      const password = await passwordFor(io, word, options);
      const { client, printer, limits, ask } = await session();
      const { auth } = client;
      const header = await ask(auth.userChangePassword(nameOf(word), password, limits));
      printer.authChange(wordFromText('Password updated'), header);
    },
  });
}
