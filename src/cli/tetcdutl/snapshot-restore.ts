// `tetcdutl snapshot restore`: the directory of a member of a new cluster, of a snapshot.

import type { Command } from 'commander';
import { formatId } from '../../membership/index.ts';
import { restoreSnapshot } from '../../offline/index.ts';
import { EXIT, ExitError } from '../shell/exit.ts';
import { boolFlag, uintFlag } from '../shell/flags.ts';
import { textOfWord } from '../shell/words.ts';
import type { CommandTree } from './command.ts';
import { type NewMemberOptions, newMemberFlags, newMemberOf } from './new-member-flags.ts';

interface SnapshotRestoreOptions extends NewMemberOptions {
  readonly skipHashCheck: boolean;
  readonly bumpRevision: bigint;
  readonly markCompacted: boolean;
}

const MEMORY_MAP_BYTES = 10n * 1024n ** 3n;

export function addSnapshotRestore(parent: Command, tree: CommandTree): void {
  tree.add<SnapshotRestoreOptions>(parent, {
    name: 'restore',
    usage: '<filename> --data-dir {output dir} [options]',
    summary: 'make the directory of a member of a new cluster, of a snapshot',
    flags: [
      ...newMemberFlags(),
      boolFlag({
        flag: '--skip-hash-check',
        help: 'take a file without a checksum, as one that was copied from a data directory',
      }),
      uintFlag('uint', {
        flag: '--initial-memory-map-size',
        help: 'accepted and not needed: nothing is mapped into memory',
        initial: MEMORY_MAP_BYTES,
      }),
      uintFlag('uint', {
        flag: '--bump-revision',
        help: 'how much the newest revision is raised',
        initial: 0n,
      }),
      boolFlag({
        flag: '--mark-compacted',
        help: 'all revisions up to the raised one count as compacted; together with it only',
      }),
    ],
    run: async ({ words, options, env, lock, report }) => {
      const { bumpRevision, markCompacted, skipHashCheck } = options;
      if (words.length !== 1) {
        throw new ExitError(EXIT.BAD_ARGS, 'snapshot restore requires exactly one argument');
      }
      if (bumpRevision > 0n !== markCompacted) {
        throw new ExitError(EXIT.BAD_ARGS, '--mark-compacted required if --revision-bump > 0');
      }
      const path = textOfWord(words[0]!);
      const target = await newMemberOf(env, options);
      const restored = await restoreSnapshot(env, path, target, {
        ...lock,
        skipHashCheck,
        bumpRevision,
      });
      const { dataDir, walDir } = target;
      const { memberId, clusterId, revision } = restored;
      report('restored snapshot', {
        path,
        'data-dir': dataDir,
        ...(walDir === '' ? {} : { 'wal-dir': walDir }),
        'member-id': formatId(memberId),
        'cluster-id': formatId(clusterId),
        revision,
      });
    },
  });
}
