// The directory of a member of a new cluster that begins with the content of a database file.
//
// The log of a restored one holds an entry for each founder, all committed, and a snapshot that covers them;
// that of a recovered one begins with a snapshot at the database's entry, and holds what followed it; that
// of a backup begins with the snapshot of the log that it was made of. The order, so that no member starts
// on a part of it:
//
//     member/snap/db     a copy, then changed: identity, index, term, configuration; synced
//     member/snap/….snap the membership at the last entry; synced
//     the log            made beside its place, complete, and given its name last

import { dirname, resolve } from 'node:path';
import { ERROR_CODES, invariant, TetcdError } from '../base/index.ts';
import { openDatabase, type ReadTransaction } from '../bbolt/index.ts';
import { OPEN_MODES } from '../env/index.ts';
import {
  bootstrapClusterId,
  bootstrapMembers,
  Cluster,
  type ClusterVersion,
  CONF_CHANGE,
  confChangeContext,
  emptyState,
  type Member,
  writeV2Store,
} from '../membership/index.ts';
import { etcdserverpb, raftpb } from '../protocol/index.ts';
import {
  BUCKET,
  confStateOfMembers,
  encodeConfState,
  META_KEY,
  readMembershipRows,
  uint64Bytes,
  writeMembershipRows,
} from '../store/index.ts';
import { createWal, type Wal, writeSnapFile } from '../wal/index.ts';
import { type DataDirectory, dataDirectoryOf } from './data-directory.ts';
import { type DatabaseEdit, editDatabase } from './database-edit.ts';
import { FirstFiles } from './first-files.ts';
import type { LogPosition } from './member-log.ts';
import type { OfflineEnv } from './types.ts';

/** The term of the first entries; etcd's. */
const FIRST_TERM = 1;
/** raftpb.EntryType. */
const ENTRY_CONF_CHANGE = 1;
const STAGING_SUFFIX = '.new';

/** Where a directory is to be made. */
export interface NewPlace {
  readonly dataDir: string;
  /** Empty for the place within `dataDir`. */
  readonly walDir: string;
}

/** Who the member is to be, and where. */
export interface NewMember extends NewPlace {
  readonly name: string;
  /** All members of the new cluster, this one included. */
  readonly founders: readonly { readonly name: string; readonly peerURLs: readonly string[] }[];
  readonly token: string;
}

interface FirstLog {
  /** What the `.snap` file covers; from its first entry on. */
  readonly snapshot: LogPosition;
  /** Up to the snapshot. */
  readonly before: readonly raftpb.Entry[];
  readonly after: readonly raftpb.Entry[];
  /** At the end of the log. */
  readonly hardState: raftpb.HardState;
  /** The cluster's, in the `.snap` file; undefined for none yet. */
  readonly version: ClusterVersion | undefined;
}

/** What a directory is made of. */
interface MemberContent {
  readonly identity: MadeMember;
  /** The database to copy; undefined for one with nothing but the identity. */
  readonly source: ReadTransaction | undefined;
  /** Gets the copy before the identity is entered. */
  readonly change?: (edit: DatabaseEdit) => void;
  /** The newest entry whose effects are in the database. */
  readonly position: LogPosition;
  readonly log: FirstLog;
}

/** Identity of a member that was made. */
export interface MadeMember {
  readonly memberId: bigint;
  readonly clusterId: bigint;
  readonly members: readonly Member[];
}

/** The identity that the member gets. INVALID_ARGUMENT if it is not among the founders. */
export function identityOf({ name, founders, token }: NewMember): MadeMember {
  const members = bootstrapMembers(founders, token);
  const own = members.find((member) => member.name === name);
  if (own === undefined) {
    const text = `couldn't find local name "${name}" in the initial cluster configuration`;
    throw new TetcdError(ERROR_CODES.INVALID_ARGUMENT, text);
  }
  return { memberId: own.id, clusterId: bootstrapClusterId(members), members };
}

/**
 * ALREADY_EXISTS, in etcd's words, if there is something in the places of the new member; `flags` are
 * what the caller calls the two.
 */
export async function mustBeFree(
  { disk }: OfflineEnv,
  target: NewPlace,
  flags = { dataDir: 'data-dir', walDir: 'wal-dir' },
): Promise<void> {
  const { dataDir } = target;
  const found = await disk.stat(dataDir);
  const isFree = found?.kind === 'directory' && (await disk.list(dataDir)).length === 0;
  if (found !== undefined && !isFree) {
    const text = `${flags.dataDir} "${dataDir}" not empty or could not be read`;
    throw new TetcdError(ERROR_CODES.ALREADY_EXISTS, text);
  }
  const { wal } = dataDirectoryOf(target);
  if ((await disk.stat(wal)) === undefined) return;
  throw new TetcdError(ERROR_CODES.ALREADY_EXISTS, `${flags.walDir} "${wal}" exists`);
}

/**
 * Makes the directory. If anything fails, what was made is removed again. Rejects as {@link mustBeFree}
 * does, and with DISK_FULL and DISK_FAILED.
 */
export async function makeMember(
  env: OfflineEnv,
  place: NewPlace,
  { identity, source, change, position, log }: MemberContent,
): Promise<void> {
  await mustBeFree(env, place);
  const directory = dataDirectoryOf(place);
  const staging = `${directory.wal}${STAGING_SUFFIX}`;
  const files = new FirstFiles(env.disk);
  try {
    await files.makeDirectory(directory.snap, 2);
    await files.makeDirectory(dirname(directory.wal), 0);
    if (source !== undefined) await copyDatabase(env, source, directory.database);
    await enterIdentity(env, directory, (edit) => {
      change?.(edit);
      writeIdentity(edit, identity, position);
    });
    await writeLog(env, { staging, snap: directory.snap }, identity, log);
    await env.disk.rename(staging, directory.wal);
    await env.disk.syncDirectory(dirname(directory.wal));
  } catch (error) {
    await takeBack(env, files, [staging, `${staging}.tmp`, ...snapshotsOf(directory)]);
    throw error;
  }
}

/** The member's own directory: the data directory had nothing in it. */
function snapshotsOf({ snap }: DataDirectory): string[] {
  invariant(resolve(snap) !== resolve('/'), 'a snap directory is below a data directory');
  return [snap];
}

async function takeBack(
  { disk }: OfflineEnv,
  files: FirstFiles,
  paths: readonly string[],
): Promise<void> {
  for (const path of paths) await disk.removeTree(path).catch(() => undefined);
  await files.takeBackDirectories();
}

async function copyDatabase(
  { disk }: OfflineEnv,
  source: ReadTransaction,
  path: string,
): Promise<void> {
  const file = await disk.open(path, OPEN_MODES.CREATE);
  try {
    let at = 0;
    for await (const chunk of source.chunks()) {
      await file.write([chunk], at);
      at += chunk.length;
    }
    invariant(at === source.size, 'a copy is as long as the database');
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.syncDirectory(dirname(path));
}

async function enterIdentity(
  env: OfflineEnv,
  directory: DataDirectory,
  change: (edit: DatabaseEdit) => void,
): Promise<void> {
  const database = await openDatabase(env, directory.database);
  try {
    await editDatabase(database, change);
  } finally {
    await database.close();
  }
}

/** The members of the old cluster, removed ones too, give way to those of the new one. */
function writeIdentity(
  edit: DatabaseEdit,
  { members, clusterId }: MadeMember,
  { index, term }: LogPosition,
): void {
  const cluster = new Cluster(
    { ...emptyState(0), members },
    { clusterId, maxLearners: members.length },
  );
  // What the cluster had agreed on stays: its version, and that it was downgrading.
  const old = readMembershipRows(edit).filter(({ bucket }) => bucket !== 'cluster');
  writeMembershipRows(edit, cluster.rewriteRows(old));
  edit.set(BUCKET.META, META_KEY.CONSISTENT_INDEX, uint64Bytes(index));
  edit.set(BUCKET.META, META_KEY.TERM, uint64Bytes(term));
  edit.set(BUCKET.META, META_KEY.CONF_STATE, encodeConfState(confStateOfMembers(members)));
}

/** Each founder is added by an entry of its own; the database is as of these. */
export function founding(
  identity: MadeMember,
): Pick<MemberContent, 'identity' | 'position' | 'log'> {
  const { members } = identity;
  const position = { index: members.length, term: FIRST_TERM };
  // All have voted for the first founder, as in etcd's restored logs.
  const hardState = { term: FIRST_TERM, vote: members[0]!.id, commit: position.index };
  const before = members.map(entryOf);
  const log = { snapshot: position, before, after: [], hardState, version: undefined };
  return { identity, position, log };
}

async function writeLog(
  env: OfflineEnv,
  places: { readonly staging: string; readonly snap: string },
  { memberId, clusterId, members }: MadeMember,
  { snapshot, before, after, hardState, version }: FirstLog,
): Promise<void> {
  invariant(snapshot.index <= hardState.commit, 'what a snapshot covers is committed');
  const metadata = etcdserverpb.MetadataCodec.encode({ nodeID: memberId, clusterID: clusterId });
  const wal = await createWal(env, places.staging, metadata);
  try {
    if (before.length > 0) await append(wal, before, hardState);
    const covered = { ...snapshot, confState: confStateOfMembers(members) };
    const data = writeV2Store({ members, removed: [], version });
    await writeSnapFile(env.disk, places.snap, { data, metadata: covered });
    await wal.saveSnapshot(covered);
    if (before.length === 0 || after.length > 0) await append(wal, after, hardState);
  } finally {
    await wal.close();
  }
}

function entryOf(member: Member, i: number): raftpb.Entry {
  const change = {
    type: CONF_CHANGE.ADD_NODE,
    nodeId: member.id,
    context: confChangeContext(member),
  };
  const data = raftpb.ConfChangeCodec.encode(raftpb.ConfChangeCodec.create(change));
  return { type: ENTRY_CONF_CHANGE, term: FIRST_TERM, index: i + 1, data };
}

function append(
  wal: Wal,
  entries: readonly raftpb.Entry[],
  hardState: raftpb.HardState,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const complete = (error: TetcdError | undefined): void => {
      if (error === undefined) resolve();
      else reject(error);
    };
    wal.append({ entries, hardState, mustSync: true, complete });
  });
}
