// `tetcdutl backup`: a new cluster can begin with the directory of a stopped member.

import type { Command } from 'commander';
import { formatId } from '../../membership/index.ts';
import { backupDirectory } from '../../offline/index.ts';
import { boolFlag, stringFlag } from '../shell/flags.ts';
import type { CommandTree } from './command.ts';

interface BackupFlags {
  readonly dataDir: string;
  readonly walDir: string;
  readonly backupDir: string;
  readonly backupWalDir: string;
  readonly withV3: boolean;
}

export function addBackup(parent: Command, tree: CommandTree): void {
  tree.add<BackupFlags>(parent, {
    name: 'backup',
    usage: '--data-dir {data dir} --backup-dir {output dir} [options]',
    summary: 'make a directory with which a new cluster can begin, of that of a stopped member',
    description: `Copies the log of a stopped member from its newest snapshot on, and its database.
What the log says of the members of the cluster becomes empty entries, so that indexes stay
true. Start a member on the copy with --force-new-cluster. Prefer a snapshot, which is made
while the member serves: this is for who has done it so with etcdutl up to 3.5.`,
    flags: [
      stringFlag({ flag: '--data-dir', help: 'the data directory, which no member uses' }),
      stringFlag({ flag: '--wal-dir', help: 'directory of its log, if it is another one' }),
      stringFlag({ flag: '--backup-dir', help: 'directory to make' }),
      stringFlag({
        flag: '--backup-wal-dir',
        help: 'directory to make for the log, if it is another one',
      }),
      boolFlag({
        flag: '--with-v3',
        help: 'with keys, leases and users; without them their entries are emptied too',
        initial: true,
      }),
    ],
    requiredFlags: ['data-dir', 'backup-dir'],
    run: async ({ options, env, lock, report }) => {
      const { dataDir, walDir, backupDir, backupWalDir, withV3 } = options;
      const target = { dataDir: backupDir, walDir: backupWalDir };
      const made = await backupDirectory(env, { ...lock, dataDir, walDir, target, withV3 });
      report('made a backup', {
        'backup-dir': backupDir,
        'member-id': formatId(made.memberId),
        'cluster-id': formatId(made.clusterId),
        'consistent-index': made.consistentIndex,
        'commit-index': made.commit,
        'emptied-entries': made.emptied,
      });
    },
  });
}
