// `tetcdctl del`: deletes a key or a range of keys.

import type { Command } from 'commander';
import { goQuote } from '../../../base/index.ts';
import { etcdserverpb } from '../../../client/index.ts';
import { EXIT, ExitError } from '../../shell/exit.ts';
import { boolFlag, type Flag } from '../../shell/flags.ts';
import type { Io } from '../../shell/io.ts';
import { bytesOfWord, type Word } from '../../shell/words.ts';
import { type CommandTree, GROUPS } from '../command.ts';
import { rangeOfArguments } from './range-arguments.ts';

export interface DelOptions {
  readonly prefix: boolean;
  readonly prevKv: boolean;
  readonly fromKey: boolean;
  readonly range: boolean;
}

/** Delay before a range is deleted without an explicit flag. */
const REGRET_MS = 2_000;

export function delFlags(): Flag[] {
  return [
    boolFlag({ flag: '--from-key', help: 'all keys from <key> on, in byte order' }),
    boolFlag({ flag: '--prefix', help: 'all keys that begin with <key>' }),
    boolFlag({ flag: '--prev-kv', help: 'print what was deleted' }),
    boolFlag({ flag: '--range', help: 'yes, delete from <key> to <range_end>' }),
  ];
}

export function addDel(parent: Command, tree: CommandTree): void {
  tree.add<DelOptions>(parent, {
    name: 'del',
    usage: '[options] <key> [range_end]',
    summary: 'delete a key or a range of keys',
    group: GROUPS.KV,
    flags: delFlags(),
    run: async ({ io, words, options, session }) => {
      const request = await deleteRequestOf(words, options, io);
      const { client, printer, limits, ask } = await session();
      const { deleteRange } = etcdserverpb.KVService.methods;
      printer.del(await ask(client.call(deleteRange, request, limits)));
    },
  });
}

/** The request that the words and flags describe; also for a line of a transaction. */
export async function deleteRequestOf(
  words: readonly Word[],
  options: DelOptions,
  io: Io,
): Promise<etcdserverpb.DeleteRangeRequest> {
  const [key, end] = words;
  if (key === undefined || words.length > 2) {
    const text = 'del command needs one argument as key and an optional argument as range_end';
    throw new ExitError(EXIT.BAD_ARGS, text);
  }
  const range = rangeOfArguments(bytesOfWord(key), end, options);
  if (end !== undefined && !options.range) {
    const between = `${goQuote(bytesOfWord(key))} and ${goQuote(bytesOfWord(end))}`;
    io.err(
      `Warning: Keys between ${between} will be deleted. Please interrupt the command within ` +
        'next 2 seconds to cancel. You can provide `--range` flag to avoid the delay.\n',
    );
    await io.sleep(REGRET_MS);
  }
  return etcdserverpb.DeleteRangeRequestCodec.create({ ...range, prevKv: options.prevKv });
}
