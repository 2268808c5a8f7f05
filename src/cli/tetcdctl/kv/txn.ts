// `tetcdctl txn`: a transaction read from standard input.

import { Command } from 'commander';
import { EMPTY_BYTES } from '../../../base/index.ts';
import { etcdserverpb } from '../../../client/index.ts';
import { argify } from '../../shell/argify.ts';
import {
  type CommandLine,
  ownOptions,
  readCommandLine,
  UsageError,
} from '../../shell/command-line.ts';
import { EXIT, ExitError } from '../../shell/exit.ts';
import { boolFlag, type Flag } from '../../shell/flags.ts';
import type { Io } from '../../shell/io.ts';
import { textOfWord, type Word, wordFromBytes } from '../../shell/words.ts';
import { type CommandTree, GROUPS } from '../command.ts';
import { type DelOptions, deleteRequestOf, delFlags } from './del.ts';
import { type GetOptions, getFlags, rangeRequestOf } from './get.ts';
import { type PutOptions, putFlags, putRequestOf } from './put.ts';
import { parseCompare } from './txn-compare.ts';

interface TxnOptions {
  readonly interactive: boolean;
}

const DESCRIPTION = `Reads comparisons, then the requests for when all of them hold, then those
for when one does not, each part one per line and ended by an empty line, and executes them as
one:

  mod("key1") > "0"
  lease("key2") = "0"

  put key1 "overwrote it"

  put key1 "created it"
  get key2 --prefix

A comparison is target("key") operator "value": the target ver, create, mod, val or lease, the
operator =, !=, < or >. A request is get, put or del with the flags of those commands.`;

export function addTxn(parent: Command, tree: CommandTree): void {
  tree.add<TxnOptions>(parent, {
    name: 'txn',
    usage: '[options]',
    summary: 'execute several requests as one, under conditions',
    description: DESCRIPTION,
    group: GROUPS.KV,
    flags: [boolFlag({ flag: '-i, --interactive', help: 'say what is to be typed next' })],
    run: async ({ io, words, options, session }) => {
      if (words.length > 0) {
        throw new ExitError(EXIT.BAD_ARGS, 'txn command does not accept argument');
      }
      const { client, printer, limits, ask } = await session();
      const prompt = (text: string): void => {
        if (options.interactive) io.out(`${text}\n`);
      };
      prompt('compares:');
      const compare = await readPart(io, parseCompare);
      prompt('success requests (get, put, del):');
      const success = await readPart(io, (line) => parseRequest(line, io));
      prompt('failure requests (get, put, del):');
      const failure = await readPart(io, (line) => parseRequest(line, io));
      const { txn } = etcdserverpb.KVService.methods;
      printer.txn(await ask(client.call(txn, { compare, success, failure }, limits)));
    },
  });
}

/** Parses lines up to an empty one. INVALID_INPUT if the input ends before. */
async function readPart<T>(io: Io, parse: (line: Word) => T | Promise<T>): Promise<T[]> {
  const items: T[] = [];
  for (;;) {
    const bytes = await io.readLine();
    if (bytes === undefined) throw new ExitError(EXIT.INVALID_INPUT, 'EOF');
    const line = wordFromBytes(bytes).trim();
    if (line === '') return items;
    items.push(await parse(line));
  }
}

/** No value from standard input, which is the transaction. */
const NO_VALUE = async (): Promise<Uint8Array> => EMPTY_BYTES;

/** The commands of transaction lines, with new flags for each line. */
function requestCommands(): Command {
  const root = new Command('txn');
  const add = (name: string, flags: readonly Flag[]): void => {
    const command = root.command(name).argument('[words...]');
    for (const flag of flags) command.addOption(flag);
  };
  add('get', getFlags());
  add('put', putFlags());
  add('del', delFlags());
  return root;
}

async function parseRequest(line: Word, io: Io): Promise<etcdserverpb.RequestOp> {
  const words = argify(line);
  if (words.length < 2) {
    const text = `invalid txn compare request: ${textOfWord(line)}`;
    throw new ExitError(EXIT.INVALID_INPUT, text);
  }
  try {
    const read = readCommandLine(requestCommands(), words);
    return { request: await requestOf(read, io) };
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new ExitError(EXIT.INVALID_INPUT, `invalid txn request: ${textOfWord(line)}`);
  }
}

async function requestOf(line: CommandLine, io: Io): Promise<etcdserverpb.RequestOp['request']> {
  const { command, words } = line;
  if (line.wantsHelp) throw new UsageError(command, 'asks for help', false);
  switch (command.name()) {
    case 'get':
      return { case: 'requestRange', value: rangeRequestOf(words, ownOptions<GetOptions>(line)) };
    case 'put': {
      const value = await putRequestOf(words, ownOptions<PutOptions>(line), NO_VALUE);
      return { case: 'requestPut', value };
    }
    case 'del': {
      const value = await deleteRequestOf(words, ownOptions<DelOptions>(line), io);
      return { case: 'requestDeleteRange', value };
    }
    default:
      throw new UsageError(command, 'not a request', false);
  }
}
