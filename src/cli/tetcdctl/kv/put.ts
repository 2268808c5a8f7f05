// `tetcdctl put`: stores a value under a key.

import type { Command } from 'commander';
import { EMPTY_BYTES } from '../../../base/index.ts';
import { etcdserverpb } from '../../../client/index.ts';
import { EXIT, ExitError } from '../../shell/exit.ts';
import { boolFlag, type Flag, stringFlag } from '../../shell/flags.ts';
import { parseGoInt } from '../../shell/go-numbers.ts';
import { bytesOfWord, type Word } from '../../shell/words.ts';
import { type CommandTree, GROUPS } from '../command.ts';

export interface PutOptions {
  readonly lease: string;
  readonly prevKv: boolean;
  readonly ignoreValue: boolean;
  readonly ignoreLease: boolean;
}

export function putFlags(): Flag[] {
  return [
    boolFlag({ flag: '--ignore-lease', help: 'keep the lease that the key has' }),
    boolFlag({ flag: '--ignore-value', help: 'keep the value that the key has' }),
    stringFlag({
      flag: '--lease',
      help: 'lease to attach to the key, in hexadecimal',
      initial: '0',
    }),
    boolFlag({ flag: '--prev-kv', help: 'print what was there before' }),
  ];
}

const DESCRIPTION = `Stores <value> under <key>. Without <value>, standard input is read to its end:

  cat file | tetcdctl put <key>

A key or value that begins with - is taken for a flag; words after -- are not:

  tetcdctl put <key> -- <value>
  tetcdctl put -- <key> <value>`;

export function addPut(parent: Command, tree: CommandTree): void {
  tree.add<PutOptions>(parent, {
    name: 'put',
    usage: '[options] <key> [value]',
    summary: 'store a value under a key',
    description: DESCRIPTION,
    group: GROUPS.KV,
    flags: putFlags(),
    run: async ({ io, words, options, session }) => {
      const request = await putRequestOf(words, options, () => io.readAll());
      const { client, printer, limits, ask } = await session();
      const { put } = etcdserverpb.KVService.methods;
      printer.put(await ask(client.call(put, request, limits)));
    },
  });
}

const WORDS_NEEDED = 'put command needs 1 argument and input from stdin or 2 arguments';

/**
 * The request that the words and flags describe; also for a line of a transaction. `readValue` provides a
 * value that is not among the words; an empty one counts as missing.
 */
export async function putRequestOf(
  words: readonly Word[],
  options: PutOptions,
  readValue: () => Promise<Uint8Array>,
): Promise<etcdserverpb.PutRequest> {
  const [key, value] = words;
  if (key === undefined) throw new ExitError(EXIT.BAD_ARGS, WORDS_NEEDED);
  if (options.ignoreValue && value !== undefined) {
    const text = "put command needs only 1 argument when 'ignore-value' is set";
    throw new ExitError(EXIT.BAD_ARGS, text);
  }
  const bytes = options.ignoreValue ? EMPTY_BYTES : await valueBytes(value, readValue);
  const lease = parseGoInt(options.lease, 16);
  if (lease.reason !== undefined) {
    throw new ExitError(EXIT.BAD_ARGS, `bad lease ID (${lease.reason}), expecting ID in Hex`);
  }
  return etcdserverpb.PutRequestCodec.create({
    key: bytesOfWord(key),
    value: bytes,
    lease: lease.value,
    prevKv: options.prevKv,
    ignoreValue: options.ignoreValue,
    ignoreLease: options.ignoreLease,
  });
}

async function valueBytes(
  word: Word | undefined,
  readValue: () => Promise<Uint8Array>,
): Promise<Uint8Array> {
  if (word !== undefined) return bytesOfWord(word);
  const input = await readValue();
  if (input.length === 0) throw new ExitError(EXIT.BAD_ARGS, WORDS_NEEDED);
  return input;
}
