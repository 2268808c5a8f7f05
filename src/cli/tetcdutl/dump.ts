// `tetcdutl dump`: what is in a log, a `.snap` file or a database.

import type { Command } from 'commander';
import { formatId } from '../../membership/index.ts';
import { dataDirectoryOf, dumpDatabase, dumpLog, dumpSnapshot } from '../../offline/index.ts';
import { EXIT, ExitError } from '../shell/exit.ts';
import { intFlag, stringFlag, stringsFlag } from '../shell/flags.ts';
import { goJson } from '../shell/go-json.ts';
import { textOfWord, type Word } from '../shell/words.ts';
import type { CommandTree } from './command.ts';
import { mustBeTextOrJson } from './output.ts';

export function addDump(parent: Command, tree: CommandTree): void {
  const group = tree.add(parent, {
    name: 'dump',
    usage: '<subcommand>',
    summary: 'print what is in a log, a .snap file or a database',
  });
  addDumpLog(group, tree);
  addDumpSnap(group, tree);
  addDumpDb(group, tree);
}

interface DumpLogOptions {
  readonly from: bigint;
  readonly to: bigint;
  readonly kind: readonly string[];
  readonly writeOut: string;
}

function addDumpLog(parent: Command, tree: CommandTree): void {
  tree.add<DumpLogOptions>(parent, {
    name: 'log',
    usage: '<data dir or wal dir> [options]',
    summary: 'print the entries of a log: index, term, kind, content',
    description: `Prints one line for each entry of a log: its index and term, its kind, what is in
it, and a * behind the index of one that is not known to be committed. Passwords are not
shown, but with --write-out json.`,
    flags: [
      intFlag({ flag: '--from', help: 'from this index on' }),
      intFlag({ flag: '--to', help: 'up to this index; 0 is the last one' }),
      stringsFlag({
        flag: '--kind',
        help: 'entries of these kinds only: put, delete_range, txn, confChange, none …',
        initial: [],
      }),
    ],
    wordCount: 1,
    run: async ({ io, words, options, env }) => {
      const { from, to, kind, writeOut } = options;
      mustBeTextOrJson(writeOut);
      for (const entry of await dumpLog(env, await logOf(env, words[0]!))) {
        const { index, term, text, json, isCommitted } = entry;
        if (index < from || (to > 0n && index > to)) continue;
        if (kind.length > 0 && !kind.includes(entry.kind)) continue;
        if (writeOut === 'json') {
          const head = goJson({ index, term, kind: entry.kind, committed: isCommitted });
          io.out(`${head.slice(0, -1)},"content":${json}}\n`);
        } else io.out(`${index}${isCommitted ? '' : '*'}\t${term}\t${entry.kind}\t${text}\n`);
      }
    },
  });
}

type DumpEnv = Parameters<typeof dumpLog>[0];

/** The directory itself, or the log in a data directory. */
async function logOf({ disk }: DumpEnv, word: Word): Promise<string> {
  const path = textOfWord(word);
  const { wal } = dataDirectoryOf({ dataDir: path });
  if ((await disk.stat(wal)) !== undefined) return wal;
  if ((await disk.stat(path))?.kind === 'directory') return path;
  throw new ExitError(EXIT.ERROR, `stat ${path}: no such directory`);
}

function addDumpSnap(parent: Command, tree: CommandTree): void {
  tree.add<{ readonly writeOut: string }>(parent, {
    name: 'snap',
    usage: '<file>',
    summary: 'print a .snap file: index, term and membership',
    wordCount: 1,
    run: async ({ io, words, options: { writeOut }, env }) => {
      mustBeTextOrJson(writeOut);
      const found = await dumpSnapshot(env, textOfWord(words[0]!));
      const { index, term, voters, learners, members, removed } = found;
      const list = members.map(({ id, name, peerURLs, clientURLs, isLearner }) => ({
        ...{ id: formatId(id), name, peerURLs, clientURLs, isLearner },
      }));
      const ids = (all: readonly bigint[]) => all.map(formatId);
      if (writeOut === 'json') {
        const raft = { index, term, voters: ids(voters), learners: ids(learners) };
        io.out(`${goJson({ ...raft, members: list, removed: ids(removed) })}\n`);
        return;
      }
      io.out(`index ${index}, term ${term}, voters ${ids(voters).join(' ')}\n`);
      for (const { id, name, peerURLs, clientURLs, isLearner } of list) {
        const what = isLearner ? 'learner' : 'member';
        io.out(`${what}\t${id}\t${name}\t${peerURLs.join(',')}\t${clientURLs.join(',')}\n`);
      }
      for (const id of ids(removed)) io.out(`removed\t${id}\n`);
    },
  });
}

interface DumpDbOptions {
  readonly bucket: string;
  readonly prefix: string;
  readonly writeOut: string;
}

function addDumpDb(parent: Command, tree: CommandTree): void {
  tree.add<DumpDbOptions>(parent, {
    name: 'db',
    usage: '<file or data dir> [options]',
    summary: 'print the rows of a database: bucket, key, value',
    description: `Prints one line for each row of a database: the bucket, the key (of keys and
values: the revision, with a t behind that of a deletion), and what is in it. Password hashes
are not shown.`,
    flags: [
      stringFlag({ flag: '--bucket', help: 'this bucket only: key, meta, lease, members …' }),
      stringFlag({ flag: '--prefix', help: 'of the bucket key, rows of keys that begin so only' }),
    ],
    wordCount: 1,
    run: async ({ io, words, options, env, lock }) => {
      const { bucket, prefix, writeOut } = options;
      mustBeTextOrJson(writeOut);
      const path = textOfWord(words[0]!);
      const { database } = dataDirectoryOf({ dataDir: path });
      const file = (await env.disk.stat(database)) === undefined ? path : database;
      await dumpDatabase(env, file, { ...lock, bucket, prefix }, (row) => {
        const { key, text } = row;
        if (writeOut === 'json') io.out(`${goJson({ bucket: row.bucket, key, text })}\n`);
        else io.out(`${row.bucket}\t${key}\t${text}\n`);
      });
    },
  });
}
