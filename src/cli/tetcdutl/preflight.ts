// `tetcdutl preflight`: which releases can take the directory of a stopped member.

import type { Command } from 'commander';
import { formatVersion } from '../../membership/index.ts';
import { preflight } from '../../offline/index.ts';
import { EXIT, SilentExit } from '../shell/exit.ts';
import { stringFlag } from '../shell/flags.ts';
import { goJson } from '../shell/go-json.ts';
import type { CommandTree } from './command.ts';
import { mustBeTextOrJson } from './output.ts';

interface PreflightOptions {
  readonly dataDir: string;
  readonly walDir: string;
  readonly writeOut: string;
}

export function addPreflight(parent: Command, tree: CommandTree): void {
  tree.add<PreflightOptions>(parent, {
    name: 'preflight',
    usage: '--data-dir {data dir} [options]',
    summary: 'say which releases can take the directory of a stopped member',
    description: `Reads the directory of a stopped member as a member that starts does, and says
whether this release can take it, and which older ones after a downgrade. Exits with 1 if
this release cannot. Changes nothing.`,
    flags: [
      stringFlag({ flag: '--data-dir', help: 'the data directory, which no member uses' }),
      stringFlag({ flag: '--wal-dir', help: 'directory of the log, if it is another one' }),
    ],
    requiredFlags: ['data-dir'],
    run: async ({ io, options, env, lock }) => {
      const { dataDir, walDir, writeOut } = options;
      mustBeTextOrJson(writeOut);
      const { releases } = await preflight(env, { ...lock, dataDir, walDir });
      if (writeOut === 'json') {
        const list = releases.map(({ release, kind, reasons }) => ({
          ...{ release: formatVersion(release), verdict: kind, reasons },
        }));
        io.out(`${goJson({ releases: list })}\n`);
      } else {
        for (const [i, { release, kind, reasons }] of releases.entries()) {
          const name = formatVersion(release);
          const texts = {
            starts: 'starts',
            afterMigration: `starts after: tetcdutl migrate --target-version=${name}`,
            refuses: 'refuses it',
          };
          io.out(`${i === 0 ? 'tetcd' : 'etcd'} ${name}: ${texts[kind]}\n`);
          for (const reason of reasons) io.out(`     ${reason}\n`);
        }
      }
      if (releases[0]?.kind === 'refuses') throw new SilentExit(EXIT.ERROR);
    },
  });
}
