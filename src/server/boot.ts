// From a directory to a member that can begin: backend, log, membership, raft.
//
// What is durable, oldest truth first:
//
//     .snap S ≤ backend C ≤ end of the log
//
// The backend covers every entry up to its consistent index C, so raft begins with `applied` = C and
// only later entries reach the state machine. The membership is taken as of C: from the backend's
// rows where they are to be trusted (releases from 3.6 on write `storageVersion`), else from the
// `.snap` at S and the log's entries between S and C, whereupon the rows are written anew.

import { dirname } from 'node:path';
import { invariant, type LogIndex, seededRandom, TetcdError } from '../base/index.ts';
import type { Disk, Env } from '../env/index.ts';
import {
  bootstrapClusterId,
  bootstrapMembers,
  Cluster,
  checkMaxClusterVersion,
  confChangeContext,
  emptyState,
  formatId,
  type Member,
  type RowChange,
  readRows,
  readV2Store,
} from '../membership/index.ts';
import { etcdserverpb, type raftpb } from '../protocol/index.ts';
import { MemoryStorage, type Peer, RawNode } from '../raft/index.ts';
import {
  Backend,
  BUCKET,
  confStateOf,
  KvStore,
  META_KEY,
  Restore,
  readMembershipRows,
  replayMembership,
  Slices,
  writeMembershipRows,
} from '../store/index.ts';
import {
  cleanSnapDirectory,
  createWal,
  newestSnapFile,
  type OpenedWal,
  openWal,
  summarizeWal,
  type Wal,
  type WalObserver,
  type WalOptions,
  walExists,
} from '../wal/index.ts';
import { bootstrapProblem, type ServerConfig } from './config/index.ts';
import { type DataDirectory, dataDirectoryOf } from './data-directory.ts';
import {
  RAFT_INFLIGHT_MESSAGES_MAX,
  RAFT_MESSAGE_BYTES_MAX,
  RAFT_UNCOMMITTED_BYTES_MAX,
} from './limits.ts';
import type { Logger } from './log.ts';
import { raftLogger } from './raft-log.ts';

const { MetadataCodec } = etcdserverpb;

export interface BootOptions {
  readonly config: ServerConfig;
  readonly env: Env;
  readonly log: Logger;
  readonly walObserver: WalObserver;
  /** Bytes of a segment of the log; default etcd's. */
  readonly walSegmentSize?: number | undefined;
  readonly onBackendFailure: (error: unknown) => void;
  readonly onBackendDiskFull: (error: unknown) => void;
  readonly onBackendCommit: (tookMs: number) => void;
}

/** A member that has been read from disk and does nothing yet. */
export interface Booted {
  readonly memberId: bigint;
  readonly clusterId: bigint;
  readonly directory: DataDirectory;
  readonly backend: Backend;
  readonly kv: KvStore;
  readonly restore: Restore;
  readonly cluster: Cluster;
  readonly confState: raftpb.ConfState;
  readonly wal: Wal;
  readonly storage: MemoryStorage;
  readonly node: RawNode;
  /** Index of the newest snapshot that the log records. */
  readonly snapshotIndex: LogIndex;
}

/** Shortest lease: one and a half election timeouts, in whole seconds. */
export function minLeaseTtlSec(config: ServerConfig): number {
  const ticks = Math.floor(config.electionMs / config.heartbeatMs);
  return Math.ceil((Math.floor((3 * ticks) / 2) * config.heartbeatMs) / 1000);
}

/**
 * Reads or makes the member of `config`'s directory. Throws INVALID_ARGUMENT for settings that do not
 * fit, LOCKED if another process has the directory, CORRUPT or UNSUPPORTED, naming what, for a
 * directory that cannot be served. A directory that is refused is left as it was, but for what a
 * torn tail's repair keeps beside it.
 */
export async function boot(options: BootOptions): Promise<Booted> {
  const { config, env, log } = options;
  const directory = dataDirectoryOf(config);
  const isNew = !(await walExists(env, directory.wal));
  // `member` and what is in it are ours; the data directory may have been there before.
  if (isNew) await makeDurableDirectory(env.disk, directory.snap, 2);
  else await checkDatabaseIsThere(options, directory);
  const restore = new Restore(minLeaseTtlSec(config));
  const backend = await Backend.open(
    env,
    directory.database,
    {
      batchIntervalMs: config.backendBatchIntervalMs,
      batchChanges: config.backendBatchLimit,
      noSync: config.unsafeNoFsync,
      onFailure: options.onBackendFailure,
      onDiskFull: options.onBackendDiskFull,
      onCommit: (_durable, tookMs) => options.onBackendCommit(tookMs),
    },
    restore.rows,
    (snapshot) => restore.inspect(snapshot),
  );
  try {
    // Only with the lock: until then these may be the files of another process.
    await cleanSnapDirectory(env.disk, directory.snap);
    await restore.rows.attachLeases(new Slices(env));
    const kv = new KvStore(env, backend, restore.rows, restore.marks);
    log.info('recovered v3 backend', {
      'backend-size-bytes': backend.sizeBytes,
      'backend-size-in-use-bytes': backend.sizeInUseBytes,
      'current-revision': kv.currentRev,
      'consistent-index': backend.appliedIndex,
    });
    const parts = (await walExists(env, directory.wal))
      ? await restart(options, directory, backend)
      : await begin(options, directory, backend);
    return { ...parts, clusterId: parts.cluster.id, directory, backend, kv, restore };
  } catch (error) {
    await backend.close().catch(() => undefined);
    throw error;
  }
}

/**
 * A log that begins at its first entry can be replayed into a new database; one that begins after a
 * snapshot cannot, and then no new database is left beside it.
 */
async function checkDatabaseIsThere(options: BootOptions, directory: DataDirectory): Promise<void> {
  const { disk } = options.env;
  if ((await disk.stat(directory.database)) !== undefined) return;
  await disk.makeDirectory(directory.snap);
  const { index } = await findBase(options, directory);
  if (index === 0) return;
  throw new TetcdError(
    'CORRUPT',
    `database file (${directory.database}) of the backend is missing, and the log begins after ` +
      `the snapshot at ${index}`,
  );
}

type Parts = Pick<
  Booted,
  'memberId' | 'cluster' | 'confState' | 'wal' | 'storage' | 'node' | 'snapshotIndex'
>;

// --- The first start -------------------------------------------------------------------------------

/**
 * Makes the directory and its missing parents so that no crash takes their names away. The lowest
 * `ownLevels` are synced even if they are there: a process that died may have made them.
 */
async function makeDurableDirectory(disk: Disk, path: string, ownLevels: number): Promise<void> {
  const parents: string[] = [];
  for (let at = path; dirname(at) !== at; at = dirname(at)) {
    if (parents.length >= ownLevels && (await disk.stat(at)) !== undefined) break;
    parents.push(dirname(at));
  }
  await disk.makeDirectory(path);
  for (const parent of parents) await disk.syncDirectory(parent);
}

async function begin(
  options: BootOptions,
  directory: DataDirectory,
  backend: Backend,
): Promise<Parts> {
  const { env } = options;
  const { members, memberId, clusterId } = foundersOf(options, directory, backend);
  const metadata = MetadataCodec.encode({ nodeID: memberId, clusterID: clusterId });
  await makeDurableDirectory(env.disk, dirname(directory.wal), 0);
  const wal = await createWal(env, directory.wal, metadata, walOptions(options));
  return found(options, members, clusterId, wal);
}

/** The cluster that the settings ask for. */
function foundersOf(
  { config }: BootOptions,
  directory: DataDirectory,
  backend: Backend,
): { members: readonly Member[]; memberId: bigint; clusterId: bigint } {
  const problem = bootstrapProblem(config);
  if (problem !== undefined) throw new TetcdError('INVALID_ARGUMENT', problem);
  if (backend.appliedIndex > 0) {
    throw new TetcdError(
      'CORRUPT',
      `${directory.database} is a database at index ${backend.appliedIndex}, but there is no log ` +
        `in ${directory.wal}`,
    );
  }
  if (config.initialClusterState !== 'new' || config.initialCluster.length > 1) {
    throw new TetcdError(
      'UNSUPPORTED',
      'clusters of more than one member are not implemented: start with a new cluster of one',
    );
  }
  const members = bootstrapMembers(config.initialCluster, config.initialClusterToken);
  const clusterId = bootstrapClusterId(members);
  return { members, memberId: members[0]!.id, clusterId };
}

/** A new cluster; the log holds nothing yet. */
function found(
  options: BootOptions,
  members: readonly Member[],
  clusterId: bigint,
  wal: Wal,
): Parts {
  const { config, log } = options;
  const memberId = members[0]!.id;
  const storage = new MemoryStorage();
  const node = newNode(options, memberId, storage, 0);
  node.bootstrap(members.map(peerOf));
  log.info('starting local member', {
    'local-member-id': formatId(memberId),
    'cluster-id': formatId(clusterId),
  });
  const cluster = new Cluster(emptyState(0), { clusterId, maxLearners: config.maxLearners });
  const confState = confStateOf([]);
  return { memberId, cluster, confState, wal, storage, node, snapshotIndex: 0 };
}

function peerOf(member: Member): Peer {
  // As etcd's first entries have it: a member that has not published itself has no name there.
  return { id: member.id, context: confChangeContext(member) };
}

// --- Later starts ----------------------------------------------------------------------------------

async function restart(
  options: BootOptions,
  directory: DataDirectory,
  backend: Backend,
): Promise<Parts> {
  const { config, env, log } = options;
  const base = await findBase(options, directory);
  const position = { index: base.index, term: base.term };
  const opened = await openWal(env, directory.wal, position, walOptions(options));
  try {
    if (opened.repair !== undefined) {
      log.warn('repaired a torn log', {
        path: opened.repair.path,
        offset: opened.repair.offset,
        'kept-as': opened.repair.brokenPath,
      });
    }
    const { nodeID: memberId, clusterID: clusterId } = MetadataCodec.decode(opened.metadata);
    if (base.index === 0 && backend.appliedIndex === 0 && isUnfounded(opened)) {
      const founders = foundersOf(options, directory, backend);
      checkFounders(directory, founders, memberId, clusterId);
      return found(options, founders.members, clusterId, opened.wal);
    }
    const lastIndex = base.index + opened.entries.length;
    checkOrder(directory, base.index, backend.appliedIndex, lastIndex);
    const limits = { clusterId, maxLearners: config.maxLearners };
    const { cluster, rows } = recoverCluster(backend, base, opened.entries, limits);
    checkMembership(config, cluster, memberId, backend.appliedIndex);
    const confState = confStateOf(cluster.members());
    const storage = new MemoryStorage();
    storage.applySnapshot({
      data: new Uint8Array(0),
      metadata: { confState, index: base.index, term: base.term },
    });
    const applied = backend.appliedIndex;
    // What is applied was committed, even if the log lost the note of it.
    const commit = Math.max(opened.hardState.commit, applied);
    storage.setHardState({ ...opened.hardState, commit });
    storage.append(opened.entries);
    const node = newNode(options, memberId, storage, applied);
    log.info('restarting local member', {
      'local-member-id': formatId(memberId),
      'cluster-id': formatId(clusterId),
      'snapshot-index': base.index,
      'applied-index': applied,
      'commit-index': commit,
      'last-index': lastIndex,
    });
    // Last of all: a directory that is refused is left as it was.
    writeMembershipRows(backend, rows);
    const { wal } = opened;
    return { memberId, cluster, confState, wal, storage, node, snapshotIndex: base.index };
  } catch (error) {
    await opened.wal.close().catch(() => undefined);
    throw error;
  }
}

/** Refuses a membership that this member cannot serve. */
function checkMembership(
  config: ServerConfig,
  cluster: Cluster,
  memberId: bigint,
  appliedIndex: LogIndex,
): void {
  const { length } = cluster.members();
  if (length > 1) {
    throw new TetcdError(
      'UNSUPPORTED',
      `${config.dataDir} belongs to a cluster of ${length} members; ` +
        'clusters of more than one member are not implemented',
    );
  }
  if (appliedIndex > 0 && cluster.member(memberId) === undefined) {
    throw new TetcdError(
      'UNSUPPORTED',
      `this member (${formatId(memberId)}) is no longer part of its cluster`,
    );
  }
  checkMaxClusterVersion(cluster.version, config.maxClusterVersion);
}

/**
 * Whether the first start was cut off before its first entries were committed: there is no voter who
 * could ever commit them, and nothing was acknowledged. The cluster is then founded again.
 */
function isUnfounded({ entries, hardState }: OpenedWal): boolean {
  const { term, vote, commit } = hardState;
  return commit === 0 && vote === 0n && term <= 1 && entries.every((entry) => entry.term === 1);
}

function checkFounders(
  directory: DataDirectory,
  asked: { readonly memberId: bigint; readonly clusterId: bigint },
  memberId: bigint,
  clusterId: bigint,
): void {
  if (asked.memberId === memberId && asked.clusterId === clusterId) return;
  const name = (member: bigint, cluster: bigint) =>
    `member ${formatId(member)} of cluster ${formatId(cluster)}`;
  throw new TetcdError(
    'INVALID_ARGUMENT',
    `${directory.wal} was made for ${name(memberId, clusterId)}, whose first start was cut off; the ` +
      `settings ask for ${name(asked.memberId, asked.clusterId)}`,
  );
}

/** Where the log is read from: a snapshot that the log records, or its beginning. */
interface Base {
  readonly index: LogIndex;
  readonly term: number;
  /** The v2 store of the `.snap`; undefined at the beginning, or if there is no `.snap`. */
  readonly v2: Uint8Array | undefined;
}

async function findBase(options: BootOptions, directory: DataDirectory): Promise<Base> {
  const { env, log } = options;
  const { validSnapshots } = await summarizeWal(env, directory.wal);
  const found = await newestSnapFile(env.disk, directory.snap, {
    among: validSnapshots,
    observer: {
      setAside: (path, error) => log.warn('set a broken snapshot file aside', { path, error }),
    },
  });
  const metadata = found?.snapshot.metadata;
  if (found !== undefined && metadata !== undefined) {
    return { index: metadata.index, term: metadata.term, v2: found.snapshot.data };
  }
  const newest = validSnapshots.at(-1);
  return { index: newest?.index ?? 0, term: newest?.term ?? 0, v2: undefined };
}

function checkOrder(
  directory: DataDirectory,
  snapshotIndex: LogIndex,
  consistentIndex: LogIndex,
  lastIndex: LogIndex,
): void {
  if (consistentIndex < snapshotIndex) {
    throw new TetcdError(
      'CORRUPT',
      `${directory.database} covers the log up to ${consistentIndex} only, but the log begins ` +
        `after the snapshot at ${snapshotIndex}`,
    );
  }
  if (consistentIndex > lastIndex) {
    throw new TetcdError(
      'CORRUPT',
      `${directory.database} is at index ${consistentIndex}, beyond the end of the log in ` +
        `${directory.wal} at ${lastIndex}`,
    );
  }
}

/** The membership as of the backend's index, and the rows to write where those there are stale. */
function recoverCluster(
  backend: Backend,
  base: Base,
  entries: readonly raftpb.Entry[],
  limits: ConstructorParameters<typeof Cluster>[1],
): { readonly cluster: Cluster; readonly rows: readonly RowChange[] } {
  const appliedIndex = backend.appliedIndex;
  const rows = readMembershipRows(backend);
  if (backend.get(BUCKET.META, META_KEY.STORAGE_VERSION) !== undefined) {
    return { cluster: new Cluster({ ...readRows(rows), appliedIndex }, limits), rows: [] };
  }
  if (base.v2 === undefined && base.index > 0) {
    throw new TetcdError(
      'CORRUPT',
      `the log begins after the snapshot at ${base.index}, whose file is missing; the membership ` +
        'of a directory of this release is in that file',
    );
  }
  const state =
    base.v2 === undefined ? emptyState(0) : { ...readV2Store(base.v2), appliedIndex: base.index };
  const cluster = new Cluster(state, limits);
  replayMembership(cluster, entries, appliedIndex);
  invariant(cluster.appliedIndex <= appliedIndex, 'the replay ends at the backend');
  return { cluster, rows: cluster.rewriteRows(rows) };
}

// --- Both ------------------------------------------------------------------------------------------

function walOptions({ config, walObserver, walSegmentSize }: BootOptions): WalOptions {
  return {
    unsafeNoFsync: config.unsafeNoFsync,
    observer: walObserver,
    ...(walSegmentSize === undefined ? {} : { segmentSize: walSegmentSize }),
  };
}

function newNode(
  { config, env, log }: BootOptions,
  id: bigint,
  storage: MemoryStorage,
  applied: LogIndex,
): RawNode {
  const seed = new DataView(env.entropy.bytes(8).buffer).getUint32(0);
  return new RawNode({
    id,
    electionTicks: Math.floor(config.electionMs / config.heartbeatMs),
    heartbeatTicks: 1,
    storage,
    random: seededRandom(seed),
    applied,
    asyncStorageWrites: true,
    messageBytesMax: RAFT_MESSAGE_BYTES_MAX,
    inflightMessagesMax: RAFT_INFLIGHT_MESSAGES_MAX,
    uncommittedBytesMax: RAFT_UNCOMMITTED_BYTES_MAX,
    checkQuorum: true,
    deferAppends: true,
    preVote: config.preVote,
    logger: raftLogger(log.child('raft')),
  });
}
