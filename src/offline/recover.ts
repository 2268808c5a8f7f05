// `recover`: what is left of a cluster that has lost its majority becomes a new cluster.
//
// The surviving directories are ranked by the position of their logs, as in an election: the one that would
// win has every entry that any of them knows to be committed. Its database and the rest of its log, all
// of which then counts as committed, go to a new directory under a new identity; changes of the old
// membership in that rest become empty entries, so that indexes stay as they were.

import {
  EMPTY_BYTES,
  ERROR_CODES,
  type LogIndex,
  type Revision,
  TetcdError,
} from '../base/index.ts';
import { formatId, quorumOf, v2RequestIn } from '../membership/index.ts';
import { etcdserverpb, type raftpb } from '../protocol/index.ts';
import { ENTRY_NORMAL } from '../store/index.ts';
import { checkDirectory, type Problem } from './check-directory.ts';
import { dataDirectoryOf } from './data-directory.ts';
import type { LockOptions } from './database-file.ts';
import { type MemberDatabase, readingMemberDatabase } from './member-database.ts';
import { type LogPosition, type MemberLog, readMemberLog, termOf } from './member-log.ts';
import { identityOf, type MadeMember, makeMember, type NewMember } from './new-member.ts';
import type { OfflineEnv } from './types.ts';

/** What a surviving directory has. */
interface Survivor {
  readonly dataDir: string;
  /** Empty for the place within `dataDir`. */
  readonly walDir: string;
  /** Why it cannot be used; empty for a sound one. */
  readonly problems: readonly Problem[];
  readonly log: MemberLog | undefined;
  readonly database: MemberDatabase | undefined;
  /** The newest entry in log or database; 0 and 0 of one that cannot be read. */
  readonly position: LogPosition;
}

export interface RecoveryPlan {
  /** Best first. */
  readonly survivors: readonly Survivor[];
  /** The first one, which is sound. */
  readonly chosen: Survivor;
  readonly voters: number;
  /** Voters whose directories are not among the survivors. */
  readonly missingVoters: readonly bigint[];
  /**
   * Whether writes that were acknowledged may be lost: so many voters are missing that they can have
   * committed something by themselves.
   */
  readonly mayLoseAcknowledged: boolean;
  /** Entries of the others that the chosen one does not have, by directory; none was committed. */
  readonly leftOut: ReadonlyMap<string, readonly LogIndex[]>;
  /** Entries of the chosen log that are not known to be committed, and will count as that. */
  readonly uncommitted: number;
}

/**
 * Looks at the directories, and changes nothing. INVALID_ARGUMENT if they are not of one cluster, CORRUPT if
 * none of them is sound; errors of {@link checkDirectory}.
 */
export async function planRecovery(
  env: OfflineEnv,
  directories: readonly Pick<Survivor, 'dataDir' | 'walDir'>[],
  lock: LockOptions,
): Promise<RecoveryPlan> {
  const survivors: Survivor[] = [];
  for (const directory of directories) {
    const found = await checkDirectory(env, { ...lock, ...directory });
    survivors.push({ ...directory, ...found, position: positionOf(found.log, found.database) });
  }
  mustBeOneCluster(survivors);
  survivors.sort(
    (a, b) =>
      Number(a.problems.length > 0) - Number(b.problems.length > 0) ||
      b.position.term - a.position.term ||
      b.position.index - a.position.index,
  );
  const chosen = survivors[0];
  if (chosen?.log === undefined || chosen.database === undefined || chosen.problems.length > 0) {
    const texts = survivors.flatMap(({ problems }) => problems.map(({ text }) => text));
    throw new TetcdError(
      ERROR_CODES.CORRUPT,
      ['none of the directories is sound', ...texts].join('\n'),
    );
  }
  const voters = chosen.database.members.filter(({ isLearner }) => !isLearner);
  const present = new Set(survivors.map(({ log }) => log?.memberId));
  const missingVoters = voters.map(({ id }) => id).filter((id) => !present.has(id));
  return {
    ...{ survivors, chosen, voters: voters.length, missingVoters },
    mayLoseAcknowledged: missingVoters.length >= quorumOf(voters.length),
    leftOut: new Map(
      survivors.slice(1).map(({ dataDir, log }) => [dataDir, entriesLeftOut(log, chosen.log!)]),
    ),
    uncommitted: chosen.log.entries.filter(({ index }) => index > chosen.log!.hardState.commit)
      .length,
  };
}

function positionOf(log: MemberLog | undefined, database: MemberDatabase | undefined): LogPosition {
  const last = log?.last ?? { index: 0, term: 0 };
  if (database === undefined || database.consistentIndex <= last.index) return last;
  // etcd applies what a quorum has before its own log has it.
  return { index: database.consistentIndex, term: Math.max(database.term, last.term) };
}

function mustBeOneCluster(survivors: readonly Survivor[]): void {
  const ids = new Map<bigint, string>();
  const members = new Map<bigint, string>();
  for (const { dataDir, log } of survivors) {
    if (log === undefined) continue;
    ids.set(log.clusterId, dataDir);
    const other = members.get(log.memberId);
    if (other !== undefined) {
      const text = `${other} and ${dataDir} are both of member ${formatId(log.memberId)}`;
      throw new TetcdError(ERROR_CODES.INVALID_ARGUMENT, text);
    }
    members.set(log.memberId, dataDir);
  }
  if (ids.size <= 1) return;
  const list = [...ids].map(([id, dataDir]) => `${dataDir} is of ${formatId(id)}`);
  throw new TetcdError(
    ERROR_CODES.INVALID_ARGUMENT,
    `the directories are of different clusters: ${list.join(', ')}`,
  );
}

/** Indexes at which the other log has an entry of a term that the chosen one does not have there. */
function entriesLeftOut(log: MemberLog | undefined, chosen: MemberLog): LogIndex[] {
  const left: LogIndex[] = [];
  for (const { index, term } of log?.entries ?? []) {
    if (index <= chosen.base.index) continue;
    if (chosen.entries[index - chosen.base.index - 1]?.term !== term) left.push(index);
  }
  return left;
}

/** A recovered member: where its database begins, and what the log adds at its first start. */
interface RecoveredMember extends MadeMember {
  readonly revision: Revision;
  readonly replayed: number;
}

/** Makes the directory of the plan. Rejects as {@link makeMember} does, with nothing made. */
export function recoverMember(
  env: OfflineEnv,
  { chosen }: RecoveryPlan,
  target: NewMember,
  lock: LockOptions,
): Promise<RecoveredMember> {
  const { database: path, wal } = dataDirectoryOf(chosen);
  return readingMemberDatabase(env, path, lock, async (found, database) => {
    const log = await readMemberLog(env, wal);
    const index = found.consistentIndex;
    const after = log.entries.filter((entry) => entry.index > index).map(withoutMembership);
    // As the log has it: files of releases up to 3.4 have no term.
    const position = { index, term: termOf(log, index) ?? found.term };
    const term = Math.max(log.hardState.term, position.term, after.at(-1)?.term ?? 0);
    const source = database.beginRead();
    try {
      const identity = identityOf(target);
      const hardState = { term, vote: 0n, commit: after.at(-1)?.index ?? index };
      const first = { snapshot: position, before: [], after, hardState, version: undefined };
      await makeMember(env, target, { identity, source, position, log: first });
      return { ...identity, revision: found.revision, replayed: after.length };
    } finally {
      source.close();
    }
  });
}

/** An entry that concerns the members of the old cluster has no effect in the new one. */
function withoutMembership(entry: raftpb.Entry): raftpb.Entry {
  const { type, data } = entry;
  if (type === ENTRY_NORMAL && !isOfMember(data)) return entry;
  return { ...entry, type: ENTRY_NORMAL, data: EMPTY_BYTES };
}

function isOfMember(data: Uint8Array): boolean {
  if (data.length === 0) return false;
  if (v2RequestIn(data) !== undefined) return true;
  return etcdserverpb.InternalRaftRequestCodec.decode(data).clusterMemberAttrSet !== undefined;
}
