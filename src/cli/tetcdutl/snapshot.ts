// `tetcdutl snapshot`: files that `tetcdctl snapshot save` has written.

import type { Command } from 'commander';
import { humanBytes } from '../../base/index.ts';
import { mustBeFile, type SnapshotStatus, snapshotStatus } from '../../offline/index.ts';
import { EXIT, ExitError } from '../shell/exit.ts';
import { textOfWord } from '../shell/words.ts';
import type { CommandTree } from './command.ts';
import type { OutputField } from './output.ts';
import { addSnapshotRestore } from './snapshot-restore.ts';

export function addSnapshot(parent: Command, tree: CommandTree): void {
  const group = tree.add(parent, {
    name: 'snapshot',
    usage: '<subcommand>',
    summary: 'look at a snapshot, or make the directory of a member of it',
  });
  addSnapshotRestore(group, tree);
  addStatus(group, tree);
}

function addStatus(parent: Command, tree: CommandTree): void {
  tree.add(parent, {
    name: 'status',
    usage: '<filename>',
    summary: 'show hash, revision, number of keys, size and version of a snapshot',
    run: async ({ words, env, lock, output }) => {
      if (words.length !== 1) {
        throw new ExitError(EXIT.BAD_ARGS, 'snapshot status requires exactly one argument');
      }
      const path = textOfWord(words[0]!);
      await mustBeFile(env, path);
      const print = output();
      print(fieldsOf(await snapshotStatus(env, path, lock)));
    },
  });
}

function fieldsOf(status: SnapshotStatus): OutputField[] {
  const { hash, revision, totalKeys, totalSize, version } = status;
  return [
    { json: 'hash', field: 'Hash', column: 'hash', value: hash, cell: hash.toString(16) },
    { json: 'revision', field: 'Revision', column: 'revision', value: revision },
    { json: 'totalKey', field: 'Keys', column: 'total keys', value: totalKeys },
    {
      ...{ json: 'totalSize', field: 'Size', column: 'total size' },
      ...{ value: totalSize, cell: humanBytes(totalSize) },
    },
    { json: 'version', field: 'Version', column: 'version', value: version },
  ];
}
