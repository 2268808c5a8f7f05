// Opens a database file as the store of a member: at boot, and for a leader's snapshot.

import { ERROR_CODES, invariant, type LogIndex, Slices, TetcdError } from '../../base/index.ts';
import type { Env } from '../../env/index.ts';
import {
  Cluster,
  type ClusterOptions,
  checkMaxClusterVersion,
  emptyState,
  formatId,
  type RowChange,
  readRows,
  readV2Store,
} from '../../membership/index.ts';
import type { DataDirectory } from '../../offline/index.ts';
import type { raftpb } from '../../protocol/index.ts';
import {
  Backend,
  type BackendSnapshot,
  type CommitTook,
  checkReceivedBuckets,
  checkStorageVersion,
  KvStore,
  Restore,
  readMembershipRows,
  readStorageVersion,
  replayMembership,
  type SnapshotPosition,
} from '../../store/index.ts';
import { snapDatabasePath } from '../../wal/index.ts';
import { electionTicks, type ServerConfig } from '../config/index.ts';

export interface StoreOptions {
  readonly config: ServerConfig;
  readonly env: Env;
  readonly onBackendFailure: (error: unknown) => void;
  readonly onBackendDiskFull: (error: unknown) => void;
  readonly onBackendCommit: (took: CommitTook) => void;
  /** A copy of the database, for a client or a member, was open for so long. */
  readonly onBackendCopyClosed?: (openMs: number) => void;
}

/** A database file with its state in memory. */
export interface Store {
  readonly backend: Backend;
  readonly kv: KvStore;
  readonly restore: Restore;
}

/** A snapshot: the start of the log, and the position of a received database. */
export interface Base {
  readonly index: LogIndex;
  readonly term: number;
  /** The v2 store of the `.snap`; undefined at the beginning, or if there is no `.snap`. */
  readonly v2: Uint8Array | undefined;
}

/** Shortest lease: one and a half election timeouts, in whole seconds. */
function minLeaseTtlSec(config: ServerConfig): number {
  return Math.ceil((Math.floor((3 * electionTicks(config)) / 2) * config.heartbeatMs) / 1000);
}

/**
 * Opens (or creates) the file at `path`, locks and reads it. `received` is the snapshot of a file from
 * another member: from the next commit on it has that index. `inspect` gets the buckets before the first
 * row.
 */
export async function openStore(
  options: StoreOptions,
  path: string,
  received?: SnapshotPosition,
  inspect?: (snapshot: BackendSnapshot) => void,
): Promise<Store> {
  const { config, env } = options;
  const restore = new Restore(minLeaseTtlSec(config), config.featureGates.enabled.LeaseCheckpoint);
  const backend = await Backend.open(
    env,
    path,
    {
      batchIntervalMs: config.backendBatchIntervalMs,
      batchChanges: config.backendBatchLimit,
      noSync: config.unsafeNoFsync,
      onFailure: options.onBackendFailure,
      onDiskFull: options.onBackendDiskFull,
      onCommit: (_durable, took) => options.onBackendCommit(took),
      onCopyClosed: (openMs) => options.onBackendCopyClosed?.(openMs),
      ...(received === undefined ? {} : { received }),
    },
    restore.rows,
    (snapshot) => {
      restore.inspect(snapshot);
      inspect?.(snapshot);
    },
  );
  try {
    await restore.rows.finish(new Slices(env));
    return { backend, kv: new KvStore(env, backend, restore.rows, restore.marks), restore };
  } catch (error) {
    await backend.close().catch(() => undefined);
    throw error;
  }
}

/** The membership as of the backend's index, and the rows to rewrite if they are stale. */
export function recoverCluster(
  backend: Pick<Backend, 'get' | 'entries' | 'placeOf' | 'appliedIndex'>,
  base: Base,
  entries: readonly raftpb.Entry[],
  limits: ClusterOptions,
): { readonly cluster: Cluster; readonly rows: readonly RowChange[] } {
  const appliedIndex = backend.appliedIndex;
  checkStorageVersion(backend);
  const rows = readMembershipRows(backend);
  if (readStorageVersion(backend) !== undefined) {
    return { cluster: new Cluster({ ...readRows(rows), appliedIndex }, limits), rows: [] };
  }
  if (base.v2 === undefined && base.index > 0) {
    throw new TetcdError(
      ERROR_CODES.CORRUPT,
      `the log begins after the snapshot at ${base.index}, whose file is missing; the membership ` +
        'of a directory of this release is in that file',
    );
  }
  // The v2 store knows no downgrade; every release since 3.5 keeps it in the backend alone.
  const { downgrade } = readRows(rows.filter(({ bucket }) => bucket === 'cluster'));
  const state =
    base.v2 === undefined
      ? emptyState(0)
      : { ...readV2Store(base.v2), downgrade, appliedIndex: base.index };
  const cluster = new Cluster(state, limits);
  replayMembership(cluster, entries, appliedIndex);
  invariant(cluster.appliedIndex <= appliedIndex, 'the replay ends at the backend');
  return { cluster, rows: cluster.rewriteRows(rows) };
}

/**
 * Opens a snapshot of another member, and so reads it whole, before raft gets it: the database at `path`,
 * which is not changed, its membership, and the v2 store of `.snap` files. CORRUPT, MALFORMED or
 * UNSUPPORTED, naming the cause, if this member could not serve them.
 */
export function openReceived(
  options: StoreOptions,
  path: string,
  snapshot: raftpb.Snapshot,
  member: { readonly memberId: bigint; readonly clusterId: bigint },
): Promise<Store> {
  const { index = 0, term = 0 } = snapshot.metadata ?? {};
  const base: Base = { index, term, v2: snapshot.data };
  readV2Store(snapshot.data);
  const { config } = options;
  const limits = { clusterId: member.clusterId, maxLearners: config.maxLearners };
  return openStore(options, path, base, (rows) => {
    checkReceivedBuckets(rows, path, base);
    const backend = {
      get: rows.get.bind(rows),
      entries: rows.entries.bind(rows),
      placeOf: rows.placeOf.bind(rows),
      appliedIndex: index,
    };
    const { cluster } = recoverCluster(backend, base, [], limits);
    checkMembership(config, cluster, member.memberId);
  });
}

/** Refuses a membership that this member cannot serve. */
export function checkMembership(config: ServerConfig, cluster: Cluster, memberId: bigint): void {
  if (cluster.isRemoved(memberId)) {
    throw new TetcdError(
      ERROR_CODES.INVALID_ARGUMENT,
      `the member ${formatId(memberId)} has been permanently removed from the cluster; ` +
        `${config.dataDir} must be removed before a new member can start there`,
    );
  }
  checkMaxClusterVersion(cluster.version, config.maxClusterVersion);
}

/**
 * Gives the received database its final name: from then on the member boots from it, and what exchanges
 * its file later does so under that name. Only once it is durable with the index of its snapshot.
 */
export async function adoptReceived(backend: Backend, directory: DataDirectory): Promise<void> {
  await backend.commit();
  await backend.rename(directory.database);
}

/**
 * At boot: adopts a database received with the snapshot at `base` that was not adopted before a crash.
 * Resolves to whether there was one.
 */
export async function takeReceivedDatabase(
  options: StoreOptions,
  directory: DataDirectory,
  base: Base,
): Promise<boolean> {
  const { disk } = options.env;
  const received = snapDatabasePath(directory.snap, base.index);
  if ((await disk.stat(received)) === undefined) return false;
  if ((await disk.stat(directory.database)) !== undefined) {
    const present = await openStore(options, directory.database);
    const { appliedIndex } = present.backend;
    await present.backend.close();
    if (appliedIndex >= base.index) return false;
  }
  const { backend } = await openStore(options, received, base);
  try {
    await adoptReceived(backend, directory);
  } finally {
    await backend.close();
  }
  return true;
}
