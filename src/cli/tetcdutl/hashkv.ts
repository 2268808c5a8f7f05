// `tetcdutl hashkv`: the checksum of the keys in a database file.

import type { Command } from 'commander';
import { hashOfDatabase } from '../../offline/index.ts';
import { intFlag } from '../shell/flags.ts';
import { clampedNumber } from '../shell/go-numbers.ts';
import { textOfWord } from '../shell/words.ts';
import type { CommandTree } from './command.ts';

export function addHashKv(parent: Command, tree: CommandTree): void {
  tree.add<{ readonly rev: bigint }>(parent, {
    name: 'hashkv',
    usage: '<filename>',
    summary: 'show the hash of the keys in a database file',
    flags: [intFlag({ flag: '--rev', help: 'up to this revision; 0 is the newest' })],
    wordCount: 1,
    run: async ({ words, options, env, lock, output }) => {
      const print = output();
      const revision = clampedNumber(options.rev);
      const found = await hashOfDatabase(env, textOfWord(words[0]!), { ...lock, revision });
      const { hash, hashRevision, compactRevision } = found;
      print([
        { json: 'hash', field: 'Hash', column: 'hash', value: hash },
        ...[
          {
            ...{ json: 'hashRevision', field: 'Hash revision', column: 'hash revision' },
            value: hashRevision,
          },
          {
            ...{ json: 'compactRevision', field: 'Compact revision', column: 'compact revision' },
            value: compactRevision,
          },
        ],
      ]);
    },
  });
}
