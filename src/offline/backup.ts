// `backup`: a new cluster can begin with the directory of a stopped member, as etcdutl of releases up to 3.5
// makes it.
//
// The log after the newest snapshot is kept, entry by entry. What does not belong to the backup becomes an
// empty entry, so that indexes and terms stay as they were: changes of the membership, what members say of
// themselves, and without the v3 store all of its requests. The member that is left in the membership has a
// placeholder for a name and a peer URL, and new ids: `--force-new-cluster` makes it a cluster.

import { EMPTY_BYTES, ERROR_CODES, invariant, type LogIndex, TetcdError } from '../base/index.ts';
import type { Env } from '../env/index.ts';
import {
  Cluster,
  type ClusterState,
  type ClusterVersion,
  emptyState,
  meaningOfV2Request,
  readV2Store,
  v2RequestIn,
} from '../membership/index.ts';
import { etcdserverpb, type raftpb } from '../protocol/index.ts';
import { ENTRY_NORMAL, replayMembership } from '../store/index.ts';
import { readSnapFile, snapName } from '../wal/index.ts';
import { checkDirectory, type DirectoryOptions } from './check-directory.ts';
import { type DataDirectory, dataDirectoryOf } from './data-directory.ts';
import { type MemberDatabase, readingMemberDatabase } from './member-database.ts';
import { type LogPosition, type MemberLog, readMemberLog, termOf } from './member-log.ts';
import { type MadeMember, makeMember, mustBeFree, type NewPlace } from './new-member.ts';
import type { OfflineEnv } from './types.ts';

/** etcdutl's, both. */
const PLACEHOLDER_NAME = 'etcdctl-v2-backup';
const PLACEHOLDER_URL = 'http://use-flag--force-new-cluster:2080';

interface BackupOptions extends DirectoryOptions {
  readonly target: NewPlace;
  /** Whether keys, leases and users belong to the backup; without them its database is a new one. */
  readonly withV3: boolean;
}

interface Backup extends MadeMember {
  /** Of the database that was made: the newest entry whose effects are in it. */
  readonly consistentIndex: LogIndex;
  /** Of the log that was made. */
  readonly commit: LogIndex;
  /** Entries that are empty now and were not. */
  readonly emptied: number;
}

/**
 * Rejects, before anything is made, with NOT_FOUND, LOCKED, CORRUPT or UNSUPPORTED for a directory that no
 * member of this release could start on, and with ALREADY_EXISTS if there is something in the places of the
 * backup; later as {@link makeMember} does. The directory itself is not changed.
 */
export async function backupDirectory(
  env: OfflineEnv & Pick<Env, 'entropy'>,
  options: BackupOptions,
): Promise<Backup> {
  const { target, withV3 } = options;
  await mustBeFree(env, target, { dataDir: 'backup-dir', walDir: 'backup-wal-dir' });
  const { problems } = await checkDirectory(env, options);
  if (problems.length > 0) {
    throw new TetcdError(ERROR_CODES.CORRUPT, problems.map(({ text }) => text).join('\n'));
  }
  const directory = dataDirectoryOf(options);
  return readingMemberDatabase(env, directory.database, options, async (found, database) => {
    const log = await readMemberLog(env, directory.wal);
    const entries = log.entries.map((entry) => (belongs(entry, withV3) ? entry : emptied(entry)));
    const { version, isAlone } = await membershipOf(env, directory, log, found);
    const parts = { log, entries, found, withV3, isAlone };
    const { snapshot, position, commit } = positionsOf(directory, parts);
    // Terms do not go back, if the newest hard state is lost. Nobody has voted for the new member.
    const term = Math.max(log.hardState.term, log.last.term, position.term);
    const hardState = { term, vote: 0n, commit };
    const after = entries.filter(({ index }) => index > snapshot.index);
    const identity = newIdentity(env.entropy);
    const source = withV3 ? database.beginRead() : undefined;
    try {
      const first = { snapshot, before: [], after, hardState, version };
      await makeMember(env, target, { identity, source, position, log: first });
    } finally {
      source?.close();
    }
    const changed = entries.filter((entry, i) => entry !== log.entries[i]).length;
    return { ...identity, consistentIndex: position.index, commit, emptied: changed };
  });
}

/** UNSUPPORTED or MALFORMED, naming the entry, for a request that no member of this release applies. */
function belongs({ type, data, index }: raftpb.Entry, withV3: boolean): boolean {
  if (type !== ENTRY_NORMAL) return false;
  if (data.length === 0) return true;
  try {
    const v2 = v2RequestIn(data);
    if (v2 !== undefined) return meaningOfV2Request(v2).kind !== 'attributes';
    const { header, clusterMemberAttrSet } = etcdserverpb.InternalRaftRequestCodec.decode(data);
    // Requests of the v3 store have a header.
    return clusterMemberAttrSet === undefined && (withV3 || header === undefined);
  } catch (error) {
    if (!(error instanceof TetcdError)) throw error;
    throw new TetcdError(error.code, `log entry ${index}: ${error.message}`, { cause: error });
  }
}

function emptied(entry: raftpb.Entry): raftpb.Entry {
  return { ...entry, type: ENTRY_NORMAL, data: EMPTY_BYTES };
}

interface Parts {
  readonly log: MemberLog;
  /** The log's, as they are in the backup. */
  readonly entries: readonly raftpb.Entry[];
  readonly found: MemberDatabase;
  readonly withV3: boolean;
  readonly isAlone: boolean;
}

interface Positions {
  readonly snapshot: LogPosition;
  /** Of the database. */
  readonly position: LogPosition;
  readonly commit: LogIndex;
}

function positionsOf(
  directory: DataDirectory,
  { log, entries, found, withV3, isAlone }: Parts,
): Positions {
  const applied = { index: found.consistentIndex, term: found.term };
  // etcd applies what a quorum has before its own log has it; the rest came from others, and is applied.
  if (applied.index > log.last.index) {
    return { snapshot: applied, position: applied, commit: applied.index };
  }
  const snapshot = log.base.index > 0 ? log.base : firstOf(directory, entries);
  const { hardState } = log;
  // What the log of an only voter has is committed, and may be acknowledged, before the log says so.
  const noted = isAlone ? log.last.index : hardState.commit;
  const commit = Math.max(applied.index, snapshot.index, noted);
  const index = withV3 ? Math.max(applied.index, snapshot.index) : commit;
  return { snapshot, position: { index, term: termOf(log, index) ?? applied.term }, commit };
}

/**
 * Where the log has no snapshot yet, one covers its first entry, which adds a founder: else members
 * of 3.6 and later would find themselves in the membership, and raft without a voter.
 */
function firstOf({ wal }: DataDirectory, [first]: readonly raftpb.Entry[]): LogPosition {
  if (first?.index === 1 && first.data.length === 0) return { index: 1, term: first.term };
  throw new TetcdError(ERROR_CODES.CORRUPT, `the log in ${wal} does not begin with a founder`);
}

interface Membership {
  /** As of the log's snapshot; undefined where the cluster had none. */
  readonly version: ClusterVersion | undefined;
  /** Whether the member is the only voter. */
  readonly isAlone: boolean;
}

async function membershipOf(
  { disk }: OfflineEnv,
  { snap }: DataDirectory,
  { base, entries, memberId, clusterId }: MemberLog,
  found: MemberDatabase,
): Promise<Membership> {
  const limits = { clusterId, maxLearners: Number.POSITIVE_INFINITY };
  let state: ClusterState = emptyState(base.index);
  if (found.storageVersion !== undefined) {
    const { members, removed, clusterVersion: version, consistentIndex: appliedIndex } = found;
    state = { ...state, members, removed, version, appliedIndex };
  } else if (base.index > 0) {
    const { data } = await readSnapFile(disk, `${snap}/${snapName(base.term, base.index)}`);
    state = { ...state, ...readV2Store(data) };
  }
  const cluster = new Cluster(state, limits);
  const later = entries.filter(({ index }) => index > state.appliedIndex);
  replayMembership(cluster, later, later.at(-1)?.index ?? state.appliedIndex);
  const [voter, ...others] = cluster.votingMembers();
  return { version: state.version, isAlone: voter?.id === memberId && others.length === 0 };
}

function newIdentity(entropy: Env['entropy']): MadeMember {
  const [memberId, clusterId] = [drawId(entropy), drawId(entropy)];
  invariant(memberId !== clusterId, 'two random ids differ');
  const [name, peerURLs] = [PLACEHOLDER_NAME, [PLACEHOLDER_URL]];
  const member = { id: memberId, name, peerURLs, clientURLs: [], isLearner: false };
  return { memberId, clusterId, members: [member] };
}

/** Not 0, which stands for nobody. */
function drawId(entropy: Env['entropy']): bigint {
  const bytes = entropy.bytes(8);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return view.getBigUint64(0) || 1n;
}
