// `tetcdctl get`: reads a key or a range of keys.

import type { Command } from 'commander';
import { etcdserverpb } from '../../../client/index.ts';
import { EXIT, ExitError } from '../../shell/exit.ts';
import { boolFlag, type Flag, intFlag, stringFlag } from '../../shell/flags.ts';
import { clampedNumber } from '../../shell/go-numbers.ts';
import { bytesOfWord, type Word } from '../../shell/words.ts';
import { type CommandTree, GROUPS } from '../command.ts';
import { isSerializable } from './consistency.ts';
import { rangeOfArguments } from './range-arguments.ts';

export interface GetOptions {
  readonly consistency: string;
  readonly order: string;
  readonly sortBy: string;
  readonly limit: bigint;
  readonly prefix: boolean;
  readonly fromKey: boolean;
  readonly rev: bigint;
  readonly keysOnly: boolean;
  readonly countOnly: boolean;
  readonly printValueOnly: boolean;
  readonly minCreateRev: bigint;
  readonly maxCreateRev: bigint;
  readonly minModRev: bigint;
  readonly maxModRev: bigint;
  readonly stream: boolean;
}

export function getFlags(): Flag[] {
  return [
    stringFlag({
      flag: '--consistency',
      help: 'l: as the cluster agrees (linearizable); s: as the member has it (serializable)',
      initial: 'l',
      values: ['l', 's'],
    }),
    boolFlag({ flag: '--count-only', help: 'only how many keys there are' }),
    boolFlag({ flag: '--from-key', help: 'all keys from <key> on, in byte order' }),
    boolFlag({ flag: '--keys-only', help: 'no values' }),
    intFlag({ flag: '--limit', help: 'most keys returned; 0 is all' }),
    intFlag({ flag: '--max-create-rev', help: 'only keys created at this revision or before' }),
    intFlag({ flag: '--max-mod-rev', help: 'only keys last changed at this revision or before' }),
    intFlag({ flag: '--min-create-rev', help: 'only keys created at this revision or after' }),
    intFlag({ flag: '--min-mod-rev', help: 'only keys last changed at this revision or after' }),
    stringFlag({ flag: '--order', help: 'ASCEND or DESCEND', values: ['ASCEND', 'DESCEND'] }),
    boolFlag({ flag: '--prefix', help: 'all keys that begin with <key>' }),
    boolFlag({ flag: '--print-value-only', help: 'no keys, in the simple form' }),
    intFlag({ flag: '--rev', help: 'as it was at this revision; 0 is now' }),
    stringFlag({
      flag: '--sort-by',
      help: 'CREATE, KEY, MODIFY, VALUE or VERSION',
      values: ['CREATE', 'KEY', 'MODIFY', 'VALUE', 'VERSION'],
    }),
    boolFlag({ flag: '--stream', help: 'receive the answer in pieces (servers from 3.7 on)' }),
  ];
}

export function addGet(parent: Command, tree: CommandTree): void {
  tree.add<GetOptions>(parent, {
    name: 'get',
    usage: '[options] <key> [range_end]',
    summary: 'read a key or a range of keys',
    group: GROUPS.KV,
    flags: getFlags(),
    run: async ({ words, options, session }) => {
      const request = rangeRequestOf(words, options);
      const { client, printer, limits, ask, options: globals } = await session();
      const { methods } = etcdserverpb.KVService;
      const response = options.stream
        ? await ask(merged(client.callStream(methods.rangeStream, request, limits)))
        : await ask(client.call(methods.range, request, { ...limits, repeatable: true }));
      if (options.countOnly && globals.writeOut !== 'fields') {
        throw new ExitError(EXIT.BAD_ARGS, '--count-only is only for `--write-out=fields`');
      }
      if (options.printValueOnly && globals.writeOut !== 'simple') {
        throw new ExitError(EXIT.BAD_ARGS, 'print-value-only is only for `--write-out=simple`');
      }
      printer.get(response, options.printValueOnly);
    },
  });
}

/** Merges the parts of a streamed range. */
async function merged(
  pieces: AsyncIterable<etcdserverpb.RangeStreamResponse>,
): Promise<etcdserverpb.RangeResponse> {
  const whole = etcdserverpb.RangeResponseCodec.create();
  for await (const { rangeResponse } of pieces) {
    if (rangeResponse === undefined) continue;
    whole.header = rangeResponse.header ?? whole.header;
    for (const kv of rangeResponse.kvs) whole.kvs.push(kv);
    whole.more = rangeResponse.more;
    whole.count = rangeResponse.count;
  }
  return whole;
}

const ORDERS: ReadonlyMap<string, etcdserverpb.SortOrder> = new Map([
  ['', etcdserverpb.SortOrder.NONE],
  ['ASCEND', etcdserverpb.SortOrder.ASCEND],
  ['DESCEND', etcdserverpb.SortOrder.DESCEND],
]);

const TARGETS: ReadonlyMap<string, etcdserverpb.SortTarget> = new Map([
  ['', etcdserverpb.SortTarget.KEY],
  ['KEY', etcdserverpb.SortTarget.KEY],
  ['CREATE', etcdserverpb.SortTarget.CREATE],
  ['MODIFY', etcdserverpb.SortTarget.MOD],
  ['VALUE', etcdserverpb.SortTarget.VALUE],
  ['VERSION', etcdserverpb.SortTarget.VERSION],
]);

/** The request that the words and flags describe; also for a line of a transaction. */
export function rangeRequestOf(
  words: readonly Word[],
  options: GetOptions,
): etcdserverpb.RangeRequest {
  if (words.length === 0) {
    const text = 'get command needs one argument as key and an optional argument as range_end';
    throw new ExitError(EXIT.BAD_ARGS, text);
  }
  if (options.keysOnly && options.countOnly) {
    const text = '`--keys-only` and `--count-only` cannot be set at the same time, choose one';
    throw new ExitError(EXIT.BAD_ARGS, text);
  }
  const range = rangeOfArguments(bytesOfWord(words[0]!), words[1], options);
  const serializable = isSerializable(options.consistency);
  const sortOrder = ORDERS.get(options.order.toUpperCase());
  if (sortOrder === undefined) {
    throw new ExitError(EXIT.BAD_FEATURE, `bad sort order ${options.order}`);
  }
  const sortTarget = TARGETS.get(options.sortBy.toUpperCase());
  if (sortTarget === undefined) {
    throw new ExitError(EXIT.BAD_FEATURE, `bad sort target ${options.sortBy}`);
  }
  const { minCreateRev, maxCreateRev, minModRev, maxModRev } = options;
  checkBounds('CreateRev', minCreateRev, maxCreateRev);
  checkBounds('ModRev', minModRev, maxModRev);
  const { KEY } = etcdserverpb.SortTarget;
  const { ASCEND, NONE } = etcdserverpb.SortOrder;
  return etcdserverpb.RangeRequestCodec.create({
    ...range,
    serializable,
    limit: clampedNumber(options.limit),
    revision: positive(options.rev),
    // Keys are in ascending order already.
    sortOrder: sortTarget === KEY && sortOrder === ASCEND ? NONE : sortOrder,
    sortTarget,
    keysOnly: options.keysOnly,
    countOnly: options.countOnly,
    minCreateRevision: positive(minCreateRev),
    maxCreateRevision: positive(maxCreateRev),
    minModRevision: positive(minModRev),
    maxModRevision: positive(maxModRev),
  });
}

function checkBounds(name: string, min: bigint, max: bigint): void {
  if (max > 0n && min > max) {
    const text = `getMin${name}(=${min}) > getMax${name}(=${max})`;
    throw new ExitError(EXIT.BAD_FEATURE, text);
  }
}

/** Flags that count only when they are positive. */
function positive(value: bigint): number {
  return value > 0n ? clampedNumber(value) : 0;
}
