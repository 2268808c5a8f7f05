// The directory of a member of a new cluster that begins with the content of a database file.
//
// The log of a restored one holds an entry for each founder, all committed, and a snapshot that covers them;
// that of a recovered one begins with a snapshot at the database's entry, and holds what followed it. The
// order, so that no member starts on a part of it:
//
//     member/snap/db     a copy, then changed: identity, index, term, configuration; synced
//     member/snap/….snap the membership at the last entry; synced
//     the log            made beside its place, complete, and given its name last

import { dirname, resolve } from 'node:path';
import { ERROR_CODES, invariant, type Term, TetcdError } from '../base/index.ts';
import { openDatabase, type ReadTransaction } from '../bbolt/index.ts';
import { OPEN_MODES } from '../env/index.ts';
import {
  bootstrapClusterId,
  bootstrapMembers,
  Cluster,
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

/** Who the member is to be, and where. */
export interface NewMember {
  readonly dataDir: string;
  /** Empty for the place within `dataDir`. */
  readonly walDir: string;
  readonly name: string;
  /** All members of the new cluster, this one included. */
  readonly founders: readonly { readonly name: string; readonly peerURLs: readonly string[] }[];
  readonly token: string;
}

/** What the log holds, and where in it the database is. */
interface FirstLog {
  /** Of the snapshot, and of the database. */
  readonly position: LogPosition;
  /** Up to the position. */
  readonly before: readonly raftpb.Entry[];
  /** After the position, all of them committed. */
  readonly after: readonly raftpb.Entry[];
  readonly term: Term;
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

/** ALREADY_EXISTS, in etcd's words, if there is something in the places of the new member. */
export async function mustBeFree({ disk }: OfflineEnv, target: NewMember): Promise<void> {
  const { dataDir } = target;
  const found = await disk.stat(dataDir);
  const isFree = found?.kind === 'directory' && (await disk.list(dataDir)).length === 0;
  if (found !== undefined && !isFree) {
    const text = `data-dir "${dataDir}" not empty or could not be read`;
    throw new TetcdError(ERROR_CODES.ALREADY_EXISTS, text);
  }
  const { wal } = dataDirectoryOf(target);
  if ((await disk.stat(wal)) === undefined) return;
  throw new TetcdError(ERROR_CODES.ALREADY_EXISTS, `wal-dir "${wal}" exists`);
}

/**
 * Makes the directory, with the database as `source` has it; `change` gets it before it is used. If
 * anything fails, what was made is removed again. Rejects as {@link mustBeFree} does, and with DISK_FULL
 * and DISK_FAILED.
 */
export async function makeMember(
  env: OfflineEnv,
  target: NewMember,
  source: ReadTransaction,
  change: (edit: DatabaseEdit) => void,
  log: FirstLog = foundingLog(target),
): Promise<MadeMember> {
  const made = identityOf(target);
  await mustBeFree(env, target);
  const directory = dataDirectoryOf(target);
  const staging = `${directory.wal}${STAGING_SUFFIX}`;
  const files = new FirstFiles(env.disk);
  try {
    await files.makeDirectory(directory.snap, 2);
    await files.makeDirectory(dirname(directory.wal), 0);
    await copyDatabase(env, source, directory.database);
    await enterIdentity(env, directory, (edit) => {
      change(edit);
      writeIdentity(edit, made, log.position);
    });
    await writeLog(env, { staging, snap: directory.snap }, made, log);
    await env.disk.rename(staging, directory.wal);
    await env.disk.syncDirectory(dirname(directory.wal));
    return made;
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

/** Each founder is added by an entry of its own. */
function foundingLog(target: NewMember): FirstLog {
  const { members } = identityOf(target);
  const position = { index: members.length, term: FIRST_TERM };
  return { position, before: members.map(entryOf), after: [], term: FIRST_TERM };
}

async function writeLog(
  env: OfflineEnv,
  places: { readonly staging: string; readonly snap: string },
  { memberId, clusterId, members }: MadeMember,
  { position, before, after, term }: FirstLog,
): Promise<void> {
  const metadata = etcdserverpb.MetadataCodec.encode({ nodeID: memberId, clusterID: clusterId });
  const wal = await createWal(env, places.staging, metadata);
  try {
    // In the term of the first entries all have voted for the first founder, as in etcd's restored logs.
    const vote = before.length > 0 ? members[0]!.id : 0n;
    const covered = { term, vote, commit: position.index };
    if (before.length > 0) await append(wal, before, covered);
    const confState = confStateOfMembers(members);
    const data = writeV2Store({ members, removed: [], version: undefined });
    const snapshot = { ...position, confState };
    await writeSnapFile(env.disk, places.snap, { data, metadata: snapshot });
    await wal.saveSnapshot(snapshot);
    if (before.length === 0) await append(wal, [], covered);
    if (after.length > 0) await append(wal, after, { term, vote, commit: after.at(-1)!.index });
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
