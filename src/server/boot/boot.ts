// Boot: from a data directory to a member ready to run (backend, log, membership, raft).
//
// What is durable, oldest truth first:
//
//     .snap S ≤ backend C ≤ end of the log
//
// The backend covers every entry up to its consistent index C, so raft begins with `applied` = C and
// only later entries reach the state machine. The membership is taken as of C: from the backend's
// rows if they are reliable (releases from 3.6 on write `storageVersion`), else from the `.snap` at S and
// the log's entries between S and C, then the rows are rewritten.
//
// The backend may be ahead of the log: etcd applies entries of a quorum before its own disk has them. Raft
// then begins at the end of the log, and the entries that it delivers up to C are skipped.
//
// If a crash interrupted the installation of a leader's snapshot, its database is still `<S>.snap.db`:
// boot continues the installation.

import { dirname } from 'node:path';
import { ERROR_CODES, type LogIndex, seededRandom, TetcdError } from '../../base/index.ts';
import {
  Cluster,
  confChangeContext,
  emptyState,
  formatId,
  type Member,
} from '../../membership/index.ts';
import { type DataDirectory, dataDirectoryOf, FirstFiles } from '../../offline/index.ts';
import { etcdserverpb, type raftpb, type walpb } from '../../protocol/index.ts';
import { MemoryStorage, type Peer, RawNode } from '../../raft/index.ts';
import {
  type Backend,
  confStateOfMembers,
  prepareDefragmentation,
  writeMembershipRows,
} from '../../store/index.ts';
import {
  cleanSnapDirectory,
  createWal,
  type FoundLog,
  type LogScan,
  listSnapFiles,
  newestSnapFile,
  type OpenedWal,
  openWal,
  scanWal,
  summarizeWal,
  type Wal,
  type WalObserver,
  type WalOptions,
  type WalPosition,
  walExists,
} from '../../wal/index.ts';
import { electionTicks, type ServerConfig } from '../config/index.ts';
import {
  RAFT_INFLIGHT_BYTES_MAX,
  RAFT_INFLIGHT_MESSAGES_MAX,
  RAFT_MESSAGE_BYTES_MAX,
  RAFT_UNCOMMITTED_BYTES_MAX,
} from '../limits.ts';
import type { Logger } from '../telemetry/log.ts';
import { raftLogger } from '../telemetry/raft-logger.ts';
import { logBooted, logStart } from '../telemetry/start-log.ts';
import { type DefragmentParts, defragmentAtStart } from './defragment-backend.ts';
import { warnOfOpenDirectories } from './directory-permissions.ts';
import { discovered, type FirstStart, firstStart, founders } from './first-start.ts';
import { forceNewCluster } from './force-new-cluster.ts';
import { withSrvCluster } from './srv-discovery.ts';
import {
  type Base,
  checkMembership,
  openStore,
  recoverCluster,
  type Store,
  type StoreOptions,
  takeReceivedDatabase,
} from './store-opening.ts';

const { MetadataCodec } = etcdserverpb;

interface BootOptions extends StoreOptions {
  readonly log: Logger;
  readonly metrics: DefragmentParts['metrics'];
  readonly walObserver: WalObserver;
  /** Aborted when the start is cancelled: then boot rejects at its next step. */
  readonly signal?: AbortSignal | undefined;
  /** Bytes of a segment of the log; default etcd's. */
  readonly walSegmentSize?: number | undefined;
}

/** A member read from disk, not running yet. */
export interface Booted {
  readonly memberId: bigint;
  readonly clusterId: bigint;
  readonly directory: DataDirectory;
  /** Whether the directory held a log before this start. */
  readonly wasInitialized: boolean;
  readonly store: Store;
  readonly cluster: Cluster;
  readonly confState: raftpb.ConfState;
  readonly wal: Wal;
  readonly storage: MemoryStorage;
  readonly node: RawNode;
  /** Index of the newest snapshot that the log records. */
  readonly snapshotIndex: LogIndex;
  /** Members to connect to before the log names them. */
  readonly firstMembers: readonly Member[];
}

/**
 * Reads or makes the member of `config`'s directory. Rejects with INVALID_ARGUMENT for conflicting
 * settings, LOCKED if another process has the directory, CORRUPT or UNSUPPORTED, naming the cause, for a
 * directory that cannot be served. A refused directory is unchanged, except for the copy that the repair
 * of a torn tail makes; so is one in which a first start fails.
 */
export async function boot(given: BootOptions): Promise<Booted> {
  const { env, log } = given;
  const directory = dataDirectoryOf(given.config);
  const isInitialized = await walExists(env, directory.wal);
  const config = isInitialized
    ? given.config
    : await unlessAborted(given.signal, withSrvCluster(given));
  const options = { ...given, config };
  logStart(log, config, isInitialized);
  const own = [config.dataDir, dirname(directory.snap), directory.snap];
  await warnOfOpenDirectories(env.disk, own, log);
  if (isInitialized) {
    const found = await prepareRestart(options, directory);
    const booted = await bootStore(options, directory, (backend) =>
      restart(options, directory, backend, found),
    );
    return { ...booted, wasInitialized: true };
  }
  const files = new FirstFiles(env.disk);
  try {
    await makeSnapDirectory(config, directory, files);
    await files.expectDatabase(directory.database);
    return await bootStore(options, directory, async (backend) => {
      try {
        return await begin(options, directory, backend, files);
      } catch (error) {
        await files.takeBackDatabase();
        throw error;
      }
    });
  } catch (error) {
    await files.takeBackDirectories();
    throw error;
  }
}

async function bootStore(
  options: BootOptions,
  directory: DataDirectory,
  withBackend: (backend: Backend) => Promise<Parts>,
): Promise<Booted> {
  const { env, log, signal } = options;
  signal?.throwIfAborted();
  const store = await openStore(options, directory.database);
  const { backend, kv } = store;
  try {
    const { lockGap } = env.disk;
    if (lockGap !== undefined) {
      log.warn('the lock of the data directory does not exclude every other process', {
        reason: lockGap,
      });
    }
    log.info('recovered v3 backend', {
      'backend-size-bytes': backend.sizeBytes,
      'backend-size-in-use-bytes': backend.sizeInUseBytes,
      'current-revision': kv.currentRev,
      'consistent-index': backend.appliedIndex,
    });
    signal?.throwIfAborted();
    const parts = await withBackend(backend);
    // Only under the lock: before, these may be files of another process.
    await cleanSnapDirectory(env.disk, directory.snap, {
      removed: (path) => log.info('removed a file that was not finished', { path }),
    });
    void prepareDefragmentation(backend);
    await defragmentAtStart(options, backend);
    logBooted(log, parts.memberId, parts.cluster);
    return { ...parts, clusterId: parts.cluster.id, directory, wasInitialized: false, store };
  } catch (error) {
    await backend.close().catch(() => undefined);
    throw error;
  }
}

/**
 * The snapshot to read the log from. Adopts the database received with it, if a crash came before that. A
 * log that begins at its first entry can be replayed into a new database; one that begins after a
 * snapshot cannot, and then no new database is created.
 */
async function prepareRestart(options: BootOptions, directory: DataDirectory): Promise<FoundBase> {
  const { disk } = options.env;
  await disk.makeDirectory(directory.snap);
  const found = await findBase(options, directory);
  const { base } = found;
  if (base.index > 0 && (await takeReceivedDatabase(options, directory, base))) {
    options.log.info('Recovering from snapshot backend', { 'snapshot-index': base.index });
  }
  if (base.index > 0 && (await disk.stat(directory.database)) === undefined) {
    throw new TetcdError(
      ERROR_CODES.CORRUPT,
      `database file (${directory.database}) of the backend is missing, and the log begins after ` +
        `the snapshot at ${base.index}`,
    );
  }
  return found;
}

type Parts = Omit<Booted, 'clusterId' | 'directory' | 'store' | 'wasInitialized'>;

// --- The first start -------------------------------------------------------------------------------

/** `member` and its content are created by this start; the data directory may exist already. */
async function makeSnapDirectory(
  { dataDir }: ServerConfig,
  directory: DataDirectory,
  files: FirstFiles,
): Promise<void> {
  try {
    await files.makeDirectory(directory.snap, 2);
  } catch (error) {
    if (!(error instanceof TetcdError)) throw error;
    const text = `cannot access data directory ${dataDir}: ${error.message}`;
    throw new TetcdError(error.code, text, { cause: error });
  }
}

async function begin(
  options: BootOptions,
  directory: DataDirectory,
  backend: Backend,
  files: FirstFiles,
): Promise<Parts> {
  const { env, signal } = options;
  checkDatabaseIsNew(directory, backend);
  const start = await unlessAborted(signal, firstStart(options));
  const metadata = MetadataCodec.encode({ nodeID: start.memberId, clusterID: start.clusterId });
  await files.makeDirectory(dirname(directory.wal), 0);
  // From here on the member exists: a failed start removes nothing any more.
  const wal = await createWal(env, directory.wal, metadata, walOptions(options));
  return startLocalMember(options, start, wal);
}

/** Settles as `work` does, but rejects as soon as `signal` is aborted. */
async function unlessAborted<T>(signal: AbortSignal | undefined, work: Promise<T>): Promise<T> {
  if (signal === undefined) return work;
  let abort: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort);
  });
  try {
    signal.throwIfAborted();
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', abort!);
  }
}

function checkDatabaseIsNew(directory: DataDirectory, backend: Backend): void {
  if (backend.appliedIndex === 0) return;
  throw new TetcdError(
    ERROR_CODES.CORRUPT,
    `${directory.database} is a database at index ${backend.appliedIndex}, but there is no log ` +
      `in ${directory.wal}`,
  );
}

/** With an empty log: a founder bootstraps it, a joiner receives it from the leader. */
function startLocalMember(options: BootOptions, start: FirstStart, wal: Wal): Parts {
  const { config, log } = options;
  const { memberId, clusterId, members } = start;
  const storage = new MemoryStorage();
  const node = newNode(options, memberId, storage, 0);
  if (start.founds) node.bootstrap(members.map(peerOf));
  log.info('starting local member', {
    'local-member-id': formatId(memberId),
    'cluster-id': formatId(clusterId),
  });
  const cluster = new Cluster(emptyState(0), { clusterId, maxLearners: config.maxLearners });
  const confState = confStateOfMembers([]);
  return {
    memberId,
    cluster,
    confState,
    wal,
    storage,
    node,
    snapshotIndex: 0,
    firstMembers: members,
  };
}

function peerOf(member: Member): Peer {
  // As in etcd's first entries: with the name, without client URLs.
  return { id: member.id, context: confChangeContext(member) };
}

// --- Later starts ----------------------------------------------------------------------------------

async function restart(
  options: BootOptions,
  directory: DataDirectory,
  backend: Backend,
  { base, log: start }: FoundBase,
): Promise<Parts> {
  const { config, env } = options;
  // Checked before a torn tail is cut off: a log that lacks more than that stays unchanged.
  let recover = (): Recovered | undefined => undefined;
  const approve = (found: FoundLog): void => {
    const recovered = recoverMember(options, directory, { backend, base, found });
    recover = () => recovered;
  };
  const opened = await openWal(env, directory.wal, start, walOptions(options), approve);
  try {
    options.signal?.throwIfAborted();
    reportRepair(options, opened);
    const recovered = recover();
    if (recovered === undefined) {
      const again = firstStartAgain(options, directory, opened);
      const start = await unlessAborted(options.signal, again);
      return startLocalMember(options, start, opened.wal);
    }
    if (config.serviceDiscovery !== undefined) {
      const text =
        'discovery token is ignored since cluster already initialized; valid logs are found';
      options.log.warn(text, { 'wal-dir': directory.wal });
    }
    const { memberId, cluster, rows } = recovered;
    const applied = backend.appliedIndex;
    const { maxLearners } = config;
    const log = config.forceNewCluster
      ? await forceNewCluster({
          opened,
          base,
          applied,
          memberId,
          cluster,
          maxLearners,
          log: options.log,
        })
      : opened;
    const parts = restartRaft(options, { log, base, applied, memberId, cluster });
    // The file has no term, or no current one, at cluster versions before 3.5.
    const term = parts.storage.term(applied);
    if (typeof term === 'number') backend.adoptTerm(term);
    // Last, so that a refused directory is unchanged.
    writeMembershipRows(backend, rows);
    return { ...parts, wal: opened.wal };
  } catch (error) {
    await opened.wal.close().catch(() => undefined);
    throw error;
  }
}

/** Identity of this member, and the membership as of the backend's index. */
interface Recovered {
  readonly memberId: bigint;
  readonly cluster: Cluster;
  readonly rows: ReturnType<typeof recoverCluster>['rows'];
}

/**
 * Recovers the member from log and database; undefined if the first start was interrupted. Throws, naming
 * the cause, if they contradict each other or this member cannot serve them.
 */
function recoverMember(
  { config }: BootOptions,
  directory: DataDirectory,
  parts: { readonly backend: Backend; readonly base: Base; readonly found: FoundLog },
): Recovered | undefined {
  const { backend, base, found } = parts;
  const { nodeID: memberId, clusterID: clusterId } = MetadataCodec.decode(found.metadata);
  if (base.index === 0 && backend.appliedIndex === 0 && isUnfounded(found)) return undefined;
  checkOrder(directory, base.index, backend.appliedIndex);
  const limits = { clusterId, maxLearners: config.maxLearners };
  const { cluster, rows } = recoverCluster(backend, base, found.entries, limits);
  checkMembership(config, cluster, memberId);
  const voters = cluster.votingMembers();
  const isAlone = voters.every(({ id }) => id === memberId);
  if (config.forceNewCluster || isAlone) checkLogEnd(directory, backend.appliedIndex, found);
  if (isAlone && voters.length > 0) checkBehindEnd(found);
  return { memberId, cluster, rows };
}

function reportRepair({ log }: BootOptions, { repair }: OpenedWal): void {
  if (repair === undefined) return;
  log.warn('repaired a torn log', {
    path: repair.path,
    offset: repair.offset,
    'kept-as': repair.brokenPath,
  });
}

interface RestartState {
  readonly log: Pick<OpenedWal, 'entries' | 'hardState'>;
  readonly base: Base;
  readonly applied: LogIndex;
  readonly memberId: bigint;
  readonly cluster: Cluster;
}

function restartRaft(options: BootOptions, state: RestartState): Omit<Parts, 'wal'> {
  const { log, base, applied, memberId, cluster } = state;
  const confState = confStateOfMembers(cluster.members());
  const lastIndex = base.index + log.entries.length;
  const storage = new MemoryStorage();
  storage.applySnapshot({
    data: new Uint8Array(0),
    metadata: { confState, index: base.index, term: base.term },
  });
  // Applied entries were committed, even if the hard state in the log is older.
  const commit = Math.min(Math.max(log.hardState.commit, applied), lastIndex);
  storage.setHardState({ ...log.hardState, commit });
  storage.append(log.entries);
  const node = newNode(options, memberId, storage, Math.min(applied, lastIndex));
  options.log.info('restarting local member', {
    'local-member-id': formatId(memberId),
    'cluster-id': formatId(cluster.id),
    'snapshot-index': base.index,
    'applied-index': applied,
    'commit-index': commit,
    'last-index': lastIndex,
  });
  const firstMembers = cluster.members();
  return { memberId, cluster, confState, storage, node, snapshotIndex: base.index, firstMembers };
}

/**
 * Whether the first start was interrupted before its first entries were committed: nothing was
 * acknowledged. A founder then bootstraps the log again: its first entries equal those of the other
 * founders, regardless of their progress.
 */
function isUnfounded({ entries, hardState }: FoundLog): boolean {
  const { term, vote, commit } = hardState;
  return commit === 0 && vote === 0n && term <= 1 && entries.every((entry) => entry.term === 1);
}

/** Repeats the first start, with the identity in the log. */
async function firstStartAgain(
  options: BootOptions,
  directory: DataDirectory,
  { metadata }: OpenedWal,
): Promise<FirstStart> {
  const config = await withSrvCluster(options);
  const { nodeID: memberId, clusterID: clusterId } = MetadataCodec.decode(metadata);
  if (config.initialClusterState === 'existing') {
    return { memberId, clusterId, members: [], founds: false };
  }
  const start = await discovered(options, founders(config));
  if (start.memberId === memberId && start.clusterId === clusterId) return start;
  const name = (member: bigint, cluster: bigint) =>
    `member ${formatId(member)} of cluster ${formatId(cluster)}`;
  throw new TetcdError(
    ERROR_CODES.INVALID_ARGUMENT,
    `${directory.wal} was made for ${name(memberId, clusterId)}, whose first start was cut off; the ` +
      `settings ask for ${name(start.memberId, start.clusterId)}`,
  );
}

/** Where a member starts, and its log from there on: mostly read already. */
interface FoundBase {
  readonly base: Base;
  readonly log: WalPosition | LogScan;
}

/**
 * The newest snapshot whose file and record are both there. Nearly always it is that of the newest file,
 * or there is none: then what the log holds before it, which nothing needs any more, is not read, and the
 * rest once.
 */
async function findBase(options: BootOptions, directory: DataDirectory): Promise<FoundBase> {
  const { env } = options;
  const [newestFile] = await listSnapFiles(env.disk, directory.snap);
  const { index, term } = newestFile ?? { index: 0, term: 0 };
  const log = await scanWal(env, directory.wal, { index, term });
  const own = log.validSnapshots.filter((record) => record.index === index && record.term === term);
  if (newestFile === undefined) {
    if (own.length === log.validSnapshots.length)
      return { base: { index, term, v2: undefined }, log };
  } else if (own.length > 0) {
    const base = await findBaseAmong(options, directory, own);
    if (base !== undefined) return { base, log };
  }
  const { validSnapshots } = await summarizeWal(env, directory.wal);
  const found = await findBaseAmong(options, directory, validSnapshots);
  const newest = validSnapshots.at(-1);
  const base = found ?? { index: newest?.index ?? 0, term: newest?.term ?? 0, v2: undefined };
  return { base, log: base };
}

/** The newest of these snapshots whose file can be read. */
async function findBaseAmong(
  { env, log }: BootOptions,
  directory: DataDirectory,
  among: readonly walpb.Snapshot[],
): Promise<Base | undefined> {
  const found = await newestSnapFile(env.disk, directory.snap, {
    among,
    observer: {
      setAside: (path, error) => log.warn('set a broken snapshot file aside', { path, error }),
    },
  });
  const metadata = found?.snapshot.metadata;
  if (found === undefined || metadata === undefined) return undefined;
  return { index: metadata.index, term: metadata.term, v2: found.snapshot.data };
}

function checkOrder(
  directory: DataDirectory,
  snapshotIndex: LogIndex,
  consistentIndex: LogIndex,
): void {
  if (consistentIndex >= snapshotIndex) return;
  throw new TetcdError(
    ERROR_CODES.CORRUPT,
    // etcd's text first: tools search for it.
    "failed to find database snapshot file (snap: snapshot file doesn't exist): " +
      `${directory.database} covers the log up to ${consistentIndex} only, but the log begins ` +
      `after the snapshot at ${snapshotIndex}`,
  );
}

/** Entries that only the backend has seen can be fetched from other members, but not without any. */
function checkLogEnd(
  directory: DataDirectory,
  consistentIndex: LogIndex,
  { lastIndex, end }: FoundLog,
): void {
  if (consistentIndex <= lastIndex) return;
  throw new TetcdError(
    ERROR_CODES.CORRUPT,
    `${directory.database} is at index ${consistentIndex}, beyond the end of the log in ` +
      `${directory.wal} at ${lastIndex}: it breaks off in ${end}`,
  );
}

/** The only voter commits what is synced on its own disk: missing entries were not torn by a crash. */
function checkBehindEnd({ lastIndex, end, commitBehindEnd }: FoundLog): void {
  if (commitBehindEnd <= lastIndex) return;
  throw new TetcdError(
    ERROR_CODES.CORRUPT,
    `the log breaks off after index ${lastIndex} in ${end}, but was committed up to ` +
      `${commitBehindEnd}: what is missing is damaged`,
  );
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
    electionTicks: electionTicks(config),
    heartbeatTicks: 1,
    storage,
    random: seededRandom(seed),
    applied,
    asyncStorageWrites: true,
    messageBytesMax: RAFT_MESSAGE_BYTES_MAX,
    inflightMessagesMax: RAFT_INFLIGHT_MESSAGES_MAX,
    inflightBytesMax: RAFT_INFLIGHT_BYTES_MAX,
    uncommittedBytesMax: RAFT_UNCOMMITTED_BYTES_MAX,
    checkQuorum: true,
    deferAppends: true,
    preVote: config.preVote,
    logger: raftLogger(log.child('raft')),
  });
}
