// `tetcdctl role grant-permission` and `role revoke-permission`: what a role may do with which keys.

import type { Command } from 'commander';
import { type PermissionType, prefixEnd } from '../../../client/index.ts';
import { EXIT, ExitError } from '../../shell/exit.ts';
import { boolFlag, type Flag } from '../../shell/flags.ts';
import { bytesOfWord, textOfWord, type Word, wordFromBytes } from '../../shell/words.ts';
import type { CommandTree } from '../command.ts';
import { nameOf } from './names.ts';

interface RangeFlags {
  readonly prefix: boolean;
  readonly fromKey: boolean;
}

function rangeFlags(): Flag[] {
  return [
    boolFlag({ flag: '--from-key', help: 'all keys from <key> on, in byte order' }),
    boolFlag({ flag: '--prefix', help: 'all keys that begin with <key>' }),
  ];
}

const TYPES: readonly PermissionType[] = ['read', 'write', 'readwrite'];

function typeOf(word: Word): PermissionType {
  const type = TYPES.find((each) => each === word.toLowerCase());
  if (type !== undefined) return type;
  throw new ExitError(EXIT.BAD_ARGS, `invalid permission type: ${textOfWord(word)}`);
}

export function addRoleGrantPermission(parent: Command, tree: CommandTree): void {
  tree.add<RangeFlags>(parent, {
    name: 'grant-permission',
    usage: '[options] <role name> <permission type> <key> [endkey]',
    summary: 'let a role read or write keys',
    description: 'Lets a role read or write keys. <permission type> is read, write or readwrite.',
    flags: rangeFlags(),
    run: async ({ words, options, session }) => {
      const [role, typeWord, ...keys] = words;
      if (role === undefined || typeWord === undefined || keys.length === 0) {
        const text =
          'role grant command requires role name, permission type, and key [endkey] as its argument';
        throw new ExitError(EXIT.BAD_ARGS, text);
      }
      const type = typeOf(typeWord);
      const { key, rangeEnd } = rangeOfWords(keys, options);
      const { client, printer, limits, ask } = await session();
      const range = { rangeEnd: bytesOfWord(rangeEnd), ...limits };
      const { auth } = client;
      const header = await ask(
        auth.roleGrantPermission(nameOf(role), type, bytesOfWord(key), range),
      );
      printer.authChange(`Role ${role} updated`, header);
    },
  });
}

export function addRoleRevokePermission(parent: Command, tree: CommandTree): void {
  tree.add<RangeFlags>(parent, {
    name: 'revoke-permission',
    usage: '<role name> <key> [endkey]',
    summary: 'no longer let a role read or write keys',
    flags: rangeFlags(),
    run: async ({ words, options, session }) => {
      const [role, ...keys] = words;
      if (role === undefined || keys.length === 0) {
        const text =
          'role revoke-permission command requires role name and key [endkey] as its argument';
        throw new ExitError(EXIT.BAD_ARGS, text);
      }
      const { key, rangeEnd } = rangeOfWords(keys, options);
      const { client, printer, limits, ask } = await session();
      const range = { rangeEnd: bytesOfWord(rangeEnd), ...limits };
      const { auth } = client;
      const header = await ask(auth.roleRevokePermission(nameOf(role), bytesOfWord(key), range));
      printer.authChange(revokedText(keys[0]!, rangeEnd, role), header);
    },
  });
}

function revokedText(key: Word, rangeEnd: Word, role: Word): Word {
  const keys =
    rangeEnd === ''
      ? `key ${key}`
      : `range [${key}, ${rangeEnd === ZERO_BYTE ? '<open ended>' : `${rangeEnd})`}`;
  return `Permission of ${keys} is revoked from role ${role}`;
}

const ZERO_BYTE: Word = '\0';

/** BAD_ARGS if words and flags contradict each other. An empty end is that one key. */
function rangeOfWords(
  [key = '', end]: readonly Word[],
  { prefix, fromKey }: RangeFlags,
): { readonly key: Word; readonly rangeEnd: Word } {
  if (key !== '' && end !== undefined && (prefix || fromKey)) {
    const flag = prefix ? '--prefix' : '--from-key';
    throw new ExitError(EXIT.BAD_ARGS, `unexpected endkey argument with ${flag} flag`);
  }
  if (prefix && fromKey) {
    throw new ExitError(EXIT.BAD_ARGS, '--from-key and --prefix flags are mutually exclusive');
  }
  // Beside an empty key, an end is passed over.
  if (key === '') return { key: ZERO_BYTE, rangeEnd: prefix || fromKey ? ZERO_BYTE : '' };
  if (end !== undefined) return { key, rangeEnd: end };
  if (prefix) return { key, rangeEnd: wordFromBytes(prefixEnd(bytesOfWord(key))) };
  return { key, rangeEnd: fromKey ? ZERO_BYTE : '' };
}
