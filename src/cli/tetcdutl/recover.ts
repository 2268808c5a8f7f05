// `tetcdutl recover`: what is left of a cluster that has lost its majority becomes a new cluster.

import type { Command } from 'commander';
import { formatId } from '../../membership/index.ts';
import { planRecovery, type RecoveryPlan, recoverMember } from '../../offline/index.ts';
import { EXIT, ExitError } from '../shell/exit.ts';
import { boolFlag, stringsFlag } from '../shell/flags.ts';
import { goJson } from '../shell/go-json.ts';
import { textOfWord } from '../shell/words.ts';
import type { CommandTree } from './command.ts';
import { type NewMemberOptions, newMemberFlags, newMemberOf } from './new-member-flags.ts';
import { mustBeTextOrJson } from './output.ts';

interface RecoverOptions extends NewMemberOptions {
  readonly walDirOf: readonly string[];
  readonly write: boolean;
  readonly writeOut: string;
}

export function addRecover(parent: Command, tree: CommandTree): void {
  tree.add<RecoverOptions>(parent, {
    name: 'recover',
    usage: '<surviving data dir>... --data-dir {output dir} [options]',
    summary: 'make a new cluster of what is left of one that has lost its majority',
    description: `Ranks the surviving directories of a cluster by the position of their logs, and
says what would be lost. With --write it makes, of the best one, the directory of a member of
a new cluster, with a new identity; without it nothing is made. The surviving directories are
not changed; no member may use them.`,
    flags: [
      ...newMemberFlags(''),
      stringsFlag({
        flag: '--wal-dir-of',
        help: 'where the log of a surviving directory is, if elsewhere, as <data dir>=<wal dir>',
        initial: [],
      }),
      boolFlag({ flag: '--write', help: 'make the directory, after what is said was read' }),
    ],
    run: async ({ io, words, options, env, lock, report }) => {
      if (words.length === 0) {
        throw new ExitError(
          EXIT.BAD_ARGS,
          'recover requires at least one surviving data directory',
        );
      }
      mustBeTextOrJson(options.writeOut);
      const { name, initialAdvertisePeerUrls: urls } = options;
      const alone = urls.split(',').map((url) => `${name}=${url}`);
      const initialCluster = options.initialCluster || alone.join(',');
      const target = await newMemberOf(env, { ...options, initialCluster });
      const directories = directoriesOf(words.map(textOfWord), options.walDirOf);
      const plan = await planRecovery(env, directories, lock);
      io.out(options.writeOut === 'json' ? planJson(plan) : planText(plan));
      if (!options.write) {
        report('nothing was made: repeat it with --write', { 'data-dir': target.dataDir });
        return;
      }
      const made = await recoverMember(env, plan, target, lock);
      report('recovered a member', {
        'data-dir': target.dataDir,
        'member-id': formatId(made.memberId),
        'cluster-id': formatId(made.clusterId),
        revision: made.revision,
        'entries-to-apply': made.replayed,
      });
    },
  });
}

interface SurvivingDirectory {
  readonly dataDir: string;
  /** Empty for the place within. */
  readonly walDir: string;
}

/** BAD_ARGS for a log of a directory that is not among them, and for a second log of one. */
function directoriesOf(
  dataDirs: readonly string[],
  walDirsOf: readonly string[],
): SurvivingDirectory[] {
  const walDirs = new Map<string, string>();
  for (const pair of walDirsOf) {
    // Paths may have a = in them: the longest one that fits.
    const fitting = dataDirs.filter((each) => pair.startsWith(`${each}=`));
    const dataDir = fitting.sort((a, b) => b.length - a.length)[0];
    const walDir = dataDir === undefined ? '' : pair.slice(dataDir.length + 1);
    if (dataDir === undefined || walDir === '') {
      const text = `--wal-dir-of ${JSON.stringify(pair)}: not <surviving data dir>=<wal dir>`;
      throw new ExitError(EXIT.BAD_ARGS, text);
    }
    if (walDirs.has(dataDir)) {
      throw new ExitError(EXIT.BAD_ARGS, `--wal-dir-of names two logs of ${dataDir}`);
    }
    walDirs.set(dataDir, walDir);
  }
  return dataDirs.map((dataDir) => ({ dataDir, walDir: walDirs.get(dataDir) ?? '' }));
}

function planJson(plan: RecoveryPlan): string {
  const { survivors, chosen, voters, missingVoters, mayLoseAcknowledged, leftOut } = plan;
  const list = survivors.map(({ dataDir, log, database, position, problems }) => ({
    dataDir,
    member: log === undefined ? null : formatId(log.memberId),
    ...{ term: position.term, index: position.index },
    commit: log?.hardState.commit ?? 0,
    database: database?.consistentIndex ?? 0,
    problems: problems.map(({ text }) => text),
    leftOut: leftOut.get(dataDir) ?? [],
  }));
  const missing = missingVoters.map(formatId);
  return `${goJson({ survivors: list, chosen: chosen.dataDir, voters, missing, mayLoseAcknowledged })}\n`;
}

function planText(plan: RecoveryPlan): string {
  const { survivors, chosen, voters, missingVoters, leftOut, uncommitted } = plan;
  const lines: string[] = [];
  for (const [i, { dataDir, log, database, position, problems }] of survivors.entries()) {
    const member = log === undefined ? 'unknown' : formatId(log.memberId);
    lines.push(
      `${i + 1}. ${dataDir}: member ${member}, last entry ${position.index} of term ${position.term}, ` +
        `committed ${log?.hardState.commit ?? 0}, database at ${database?.consistentIndex ?? 0}`,
    );
    for (const { text } of problems) lines.push(`   damaged: ${text}`);
    const left = leftOut.get(dataDir) ?? [];
    if (left.length > 0) {
      lines.push(`   left out: ${left.length} entries that were not committed, from ${left[0]} on`);
    }
  }
  lines.push(`chosen: ${chosen.dataDir}`);
  if (uncommitted > 0) {
    lines.push(`${uncommitted} entries that are not known to be committed will count as committed`);
  }
  const missing = `${missingVoters.length} of ${voters} voters are missing`;
  const ids = missingVoters.map(formatId).join(', ');
  lines.push(ids === '' ? missing : `${missing}: ${ids}`);
  lines.push(
    plan.mayLoseAcknowledged
      ? 'writes that only the missing ones have acknowledged are lost'
      : 'every acknowledged write is here',
  );
  return `${lines.join('\n')}\n`;
}
