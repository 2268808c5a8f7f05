// `tetcdutl check`: everything that is wrong in the directory of a stopped member.

import type { Command } from 'commander';
import { formatId, formatStoredVersion } from '../../membership/index.ts';
import { checkDirectory, type DirectoryCheck } from '../../offline/index.ts';
import { EXIT, SilentExit } from '../shell/exit.ts';
import { stringFlag } from '../shell/flags.ts';
import { goJson, type JsonObject } from '../shell/go-json.ts';
import type { CommandTree } from './command.ts';
import { mustBeTextOrJson } from './output.ts';

interface CheckOptions {
  readonly dataDir: string;
  readonly walDir: string;
  readonly writeOut: string;
}

export function addCheck(parent: Command, tree: CommandTree): void {
  tree.add<CheckOptions>(parent, {
    name: 'check',
    usage: '--data-dir {data dir} [options]',
    summary: 'say what is wrong in the directory of a stopped member, and where',
    description: `Reads the log, the .snap files and the database of a stopped member, and compares
them. Prints one line for each thing that is wrong, and exits with 1 if there is any; else
what the directory holds. Changes nothing.`,
    flags: [
      stringFlag({ flag: '--data-dir', help: 'the data directory, which no member uses' }),
      stringFlag({ flag: '--wal-dir', help: 'directory of the log, if it is another one' }),
    ],
    requiredFlags: ['data-dir'],
    run: async ({ io, options, env, lock }) => {
      const { dataDir, walDir, writeOut } = options;
      mustBeTextOrJson(writeOut);
      const found = await checkDirectory(env, { ...lock, dataDir, walDir });
      const { problems } = found;
      const facts = factsOf(found);
      if (writeOut === 'json') {
        const list = problems.map(({ part, text }) => ({ part, text }));
        io.out(`${goJson({ problems: list, ...facts })}\n`);
      } else if (problems.length > 0) {
        for (const { part, text } of problems) io.out(`${part}: ${text}\n`);
      } else {
        const lines = Object.entries(facts).map(([name, value]) => `${name}: ${value}\n`);
        io.out(`nothing is wrong\n${lines.join('')}`);
      }
      if (problems.length > 0) throw new SilentExit(EXIT.ERROR);
    },
  });
}

function factsOf({ log, database }: DirectoryCheck): JsonObject {
  return {
    ...(log === undefined
      ? {}
      : {
          'member id': formatId(log.memberId),
          'cluster id': formatId(log.clusterId),
          'log snapshot index': log.base.index,
          'log last index': log.last.index,
          'log last term': log.last.term,
          'log commit index': log.hardState.commit,
        }),
    ...(database === undefined
      ? {}
      : {
          'database consistent index': database.consistentIndex,
          'database revision': database.revision,
          'database size': database.size,
          'database storage version':
            database.storageVersion === undefined
              ? ''
              : formatStoredVersion(database.storageVersion),
          'database members': database.members.length,
        }),
  };
}
