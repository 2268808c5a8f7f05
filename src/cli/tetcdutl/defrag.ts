// `tetcdutl defrag`: the database of a directory, written again without its free pages.

import type { Command } from 'commander';
import { humanBytes } from '../../base/index.ts';
import { dataDirectoryOf, defragmentFile } from '../../offline/index.ts';
import { EXIT, ExitError, messageOf } from '../shell/exit.ts';
import { stringFlag } from '../shell/flags.ts';
import type { CommandTree } from './command.ts';

export function addDefrag(parent: Command, tree: CommandTree): void {
  tree.add<{ readonly dataDir: string }>(parent, {
    name: 'defrag',
    usage: '[options]',
    summary: 'free the disk space that the database of a stopped member does not use',
    flags: [stringFlag({ flag: '--data-dir', help: 'the data directory, which no member uses' })],
    requiredFlags: ['data-dir'],
    run: async ({ options: { dataDir }, env, lock, report }) => {
      const { database: path } = dataDirectoryOf({ dataDir });
      try {
        const { sizeBefore, sizeAfter } = await defragmentFile(env, path, lock);
        report('finished defragmenting', {
          path,
          ...{ 'size-bytes': sizeAfter, size: humanBytes(sizeAfter) },
          'freed-bytes': sizeBefore - sizeAfter,
        });
      } catch (error) {
        const text = `Failed to defragment etcd data[${dataDir}] (${messageOf(error)})`;
        throw new ExitError(EXIT.ERROR, text);
      }
    },
  });
}
