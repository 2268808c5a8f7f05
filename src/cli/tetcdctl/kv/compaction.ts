// `tetcdctl compaction`: compacts old revisions.

import type { Command } from 'commander';
import { EXIT, ExitError } from '../../shell/exit.ts';
import { boolFlag } from '../../shell/flags.ts';
import { clampedNumber, parseGoInt } from '../../shell/go-numbers.ts';
import { type CommandTree, GROUPS } from '../command.ts';

interface CompactionOptions {
  readonly physical: boolean;
}

export function addCompaction(parent: Command, tree: CommandTree): void {
  tree.add<CompactionOptions>(parent, {
    name: 'compaction',
    usage: '[options] <revision>',
    summary: 'forget what was overwritten or deleted before a revision',
    group: GROUPS.KV,
    flags: [boolFlag({ flag: '--physical', help: 'wait until it is gone from the disk' })],
    run: async ({ io, words, options, session }) => {
      if (words.length !== 1) {
        throw new ExitError(EXIT.BAD_ARGS, 'compaction command needs 1 argument');
      }
      const revision = parseGoInt(words[0]!, 10);
      if (revision.reason !== undefined) throw new ExitError(EXIT.ERROR, revision.reason);
      const { client, limits, ask } = await session();
      const { physical } = options;
      await ask(client.kv.compact(clampedNumber(revision.value), { ...limits, physical }));
      io.out(`compacted revision ${revision.value}\n`);
    },
  });
}
