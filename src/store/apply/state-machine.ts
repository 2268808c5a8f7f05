// The replicated state machine: one committed entry in, one result out.
//
// Deterministic: equal entries make equal content on every member. An entry is atomic: the backend's
// batch is not cut before it ends. Entries that the backend covers already are not applied again (boot
// replays their membership changes, see `legacy-membership.ts`). Unknown entries are refused by name, and
// the member stops: other members may apply them.

import type { AuthState } from '../../auth/index.ts';
import {
  ERROR_CODES,
  hasCode,
  invariant,
  type LogIndex,
  type Revision,
  TetcdError,
} from '../../base/index.ts';
import type { Env } from '../../env/index.ts';
import type { Lessor } from '../../lease/index.ts';
import {
  type Cluster,
  type ClusterVersion,
  type MembershipRefusal,
  meaningOfV2Request,
  parseStoredVersion,
  type RowChange,
  v2RequestIn,
  versionAtLeast,
} from '../../membership/index.ts';
import { WriteTxn } from '../../mvcc/index.ts';
import { EtcdError, etcdserverpb, membershippb, type raftpb } from '../../protocol/index.ts';
import { type AnyConfChange, type ConfChange, decodeConfChange, isV2 } from '../../raft/index.ts';
import type { Backend } from '../backend/backend.ts';
import { Compactor, type CompactorOptions, type KvHash } from '../kv/compactor.ts';
import { hashBackend, hashKv } from '../kv/hash.ts';
import type { KvStore } from '../kv/kv-store.ts';
import { SendTimes } from '../kv/send-times.ts';
import { WatchFeed } from '../kv/watch-feed.ts';
import type { StoreMetrics } from '../metrics.ts';
import { AlarmStore } from '../schema/alarm-store.ts';
import { AuthStore } from '../schema/auth-store.ts';
import { LeaseStore } from '../schema/lease-store.ts';
import { writeMembershipRows } from '../schema/membership-rows.ts';
import { AlarmRequestApplier } from './alarm-applier.ts';
import { APPLIED, type ApplyResult } from './apply-result.ts';
import { AuthApplier } from './auth-applier.ts';
import type { AuthHost } from './auth-host.ts';
import { KindApplier } from './kind-applier.ts';
import { KvApplier } from './kv-applier.ts';
import { LeaseApplier } from './lease-applier.ts';
import { decodeOperation } from './operation.ts';
import { OperationTimes } from './operation-times.ts';
import { PermissionApplier } from './permission-applier.ts';
import { AlarmApplier, QuotaApplier, type RequestApplier } from './request-applier.ts';
import {
  REQUEST_KIND,
  RequestEnvelope,
  type RequestKind,
  readEnvelope,
} from './request-envelope.ts';
import { StoreWriter } from './store-writer.ts';

const { AlarmType } = etcdserverpb;

/** What the state machine needs of its member. */
export interface StateMachineHost {
  /** Whether a client of this member waits for the result of this request. */
  isAwaited(idHigh: number, idLow: number): boolean;
  /** A request has been applied. Called when its effects are visible. */
  onResult(idHigh: number, idLow: number, result: ApplyResult): void;
  /** Applies the membership change at `index` in raft; with node 0 for one that was refused. */
  applyConfChange(change: AnyConfChange, index: LogIndex): raftpb.ConfState;
  /** A membership change has been applied or refused. */
  onConfChange(id: bigint, refusal: MembershipRefusal | undefined): void;
  /**
   * The cluster version was set, within an entry that is still open; `before` is undefined for the first
   * one.
   */
  onClusterVersion(before: ClusterVersion | undefined, version: ClusterVersion): void;
  /** The leader's first entry of a term has been applied. */
  onEmptyEntry(): void;
  /** Whether the backend has room for a request of this cost. */
  hasRoomFor(costBytes: number): boolean;
}

interface StateMachineOptions {
  readonly env: Env;
  readonly backend: Backend;
  readonly kv: KvStore;
  readonly lessor: Lessor;
  readonly auth: AuthState;
  readonly cluster: Cluster;
  readonly confState: raftpb.ConfState;
  readonly host: StateMachineHost;
  readonly authHost: AuthHost;
  readonly metrics: StoreMetrics;
  /**
   * Whether lease checkpoints are written into the lease's row before the cluster's version is 3.6,
   * from which on they always are; etcd's feature gate LeaseCheckpointPersist. Default false.
   */
  readonly persistLeaseCheckpoints?: boolean;
  /**
   * The watchers of the machine that this one replaces, which must {@link StateMachine.retire} in the
   * same turn. CORRUPT from the constructor if they have been sent later revisions than `kv` has.
   */
  readonly watch?: WatchFeed;
  readonly compaction: Pick<
    CompactorOptions,
    'batchRows' | 'sleepMs' | 'onFinished' | 'onHash' | 'onFailure'
  >;
}

/** Kinds that only read: evaluated only on the member where a client waits for the result. */
const READ_ONLY_KINDS: ReadonlySet<RequestKind> = new Set([
  REQUEST_KIND.RANGE,
  REQUEST_KIND.AUTH_STATUS,
  REQUEST_KIND.AUTH_USER_GET,
  REQUEST_KIND.AUTH_ROLE_GET,
  REQUEST_KIND.AUTH_USER_LIST,
  REQUEST_KIND.AUTH_ROLE_LIST,
]);

export class StateMachine {
  readonly backend: Backend;
  readonly kv: KvStore;
  readonly cluster: Cluster;
  readonly leases: LeaseStore;
  readonly alarms: AlarmStore;
  readonly auth: AuthStore;
  readonly compactor: Compactor;
  readonly watch: WatchFeed;
  /** Raft's configuration as of the last applied entry. */
  confState: raftpb.ConfState;

  readonly #env: Env;
  readonly #metrics: StoreMetrics;
  readonly #host: StateMachineHost;
  readonly #applier: RequestApplier;
  readonly #envelope = new RequestEnvelope();
  readonly #times: OperationTimes;
  /** Operation of the entry that has ended, and whether it was refused; NONE for one without. */
  #endedKind: RequestKind = REQUEST_KIND.NONE;
  #endedWell = true;
  /** The entry that is open. */
  #entry: raftpb.Entry | undefined;
  /** What has replaced this machine, and what it has replaced as long as that is read. */
  #successor: StateMachine | undefined;
  #predecessor: StateMachine | undefined;

  constructor(options: StateMachineOptions) {
    const { env, backend, kv, cluster, host, metrics } = options;
    this.#env = env;
    this.#metrics = metrics;
    this.#times = new OperationTimes((operation, success) =>
      metrics.server.applySeconds.with('v3', applyLabel(operation), String(success)),
    );
    this.#host = host;
    this.backend = backend;
    this.kv = kv;
    this.cluster = cluster;
    this.confState = options.confState;
    this.leases = new LeaseStore(options.lessor, backend, () => {
      if (options.persistLeaseCheckpoints === true) return true;
      return cluster.version !== undefined && versionAtLeast(cluster.version, 3, 6);
    });
    this.alarms = new AlarmStore(backend);
    if (options.watch === undefined) {
      const sends = new SendTimes(env.clock, metrics.watch);
      this.watch = new WatchFeed(env, backend, kv, sends, options.compaction.onFailure);
    } else {
      this.watch = options.watch;
      this.watch.rehome(backend, kv);
    }
    this.compactor = new Compactor({ env, backend, kv, metrics, ...options.compaction });
    const txn = new WriteTxn(kv.index, kv.rows, options.lessor);
    const writer = new StoreWriter(kv, txn, (revision, { changes }) =>
      this.watch.notify(revision, changes),
    );
    this.auth = new AuthStore(options.auth, backend);
    if (this.auth.state.enabled) options.authHost.onEnabled();
    const { leases, alarms, auth, compactor } = this;
    const entryIndex = () => this.appliedIndex + 1;
    const base = new KindApplier({
      kv: new KvApplier(writer, {
        ...{ kv, compactor, metrics, onFailure: options.compaction.onFailure },
        mayDefer: () => !this.watch.isBehind,
      }),
      leases: new LeaseApplier(writer, { leases, clock: env.clock, metrics }),
      alarms: new AlarmRequestApplier(writer, alarms),
      auth: new AuthApplier(writer, { auth, host: options.authHost, entryIndex }),
    });
    const quota = new QuotaApplier(base, (cost) => host.hasRoomFor(cost));
    const permissions = new PermissionApplier(quota, auth.state, options.lessor);
    const noSpace = AlarmApplier.forNoSpace(permissions, () => this.alarms.has(AlarmType.NOSPACE));
    this.#applier = AlarmApplier.forCorrupt(noSpace, () => this.alarms.has(AlarmType.CORRUPT));
  }

  get appliedIndex(): LogIndex {
    return this.backend.appliedIndex;
  }

  /**
   * Replaced by another machine, made with this one's watchers. It applies no more; compaction stops;
   * what is not in the file is dropped. Reads in progress continue as {@link Backend.retire} says; one
   * that cannot (a checksum that waits for a commit) moves to the successor. Resolves when the file is
   * closed; never rejects. The machine before this one, if it is still read, is closed now: there is one
   * retired store at a time.
   */
  retire(successor: StateMachine): Promise<void> {
    invariant(this.#entry === undefined, 'a machine retires between entries');
    invariant(this.#successor === undefined && successor !== this, 'a machine retires once');
    invariant(successor.watch === this.watch, 'watchers are taken along');
    this.#successor = successor;
    successor.#predecessor = this;
    this.compactor.handOver(successor.compactor);
    this.kv.deletion.stop();
    this.leases.lessor.demote();
    void this.#predecessor?.backend.close();
    return this.backend.retire().then(() => {
      successor.#predecessor = undefined;
    });
  }

  /** Commits what is applied and closes the file, and the file that it has replaced. */
  async close(): Promise<void> {
    this.compactor.stop();
    // What has failed is no longer committed.
    await this.kv.deletion.whenDone().catch(() => undefined);
    await Promise.all([this.backend.close(), this.#predecessor?.backend.close()]);
  }

  /** Drops cached rows and pages, which are read from the file again when they are needed. */
  dropCaches(): void {
    this.kv.rows.dropCache();
    this.kv.index.blocks.clear();
    this.backend.database.dropCache();
  }

  // --- Applying ----------------------------------------------------------------------------------

  /** Resolves when the backend takes more; undefined if it does now. */
  whenReady(): Promise<void> | undefined {
    return this.backend.isFull ? this.backend.whenRoom() : undefined;
  }

  /** No entry follows in this turn: sends the events of the turn to watchers. */
  endTurn(): void {
    this.watch.flush();
  }

  /** Begins the next committed entry; true if it is complete. */
  begin(entry: raftpb.Entry): boolean {
    invariant(this.#entry === undefined, 'an entry begins when the one before has ended');
    invariant(entry.index === this.appliedIndex + 1, 'entries are applied without a gap');
    this.#entry = entry;
    this.backend.beginEntry();
    try {
      return this.#begin(entry);
    } catch (error) {
      throw describeFailure(error, entry);
    }
  }

  /** Continues the entry that `begin` left open; true if it is complete. */
  step(): boolean {
    invariant(this.#entry !== undefined, 'an entry that is continued has begun');
    return this.#applier.step() && this.#endRequest();
  }

  /** The entry that has ended took so long. */
  observe(tookMs: number): void {
    if (this.#endedKind === REQUEST_KIND.NONE) return;
    this.#times.observe(this.#endedKind, this.#endedWell, tookMs);
    this.#endedKind = REQUEST_KIND.NONE;
  }

  #begin(entry: raftpb.Entry): boolean {
    if (entry.type !== ENTRY_NORMAL) {
      const settle = this.#applyConfChange(entry);
      this.#end();
      settle();
      return true;
    }
    if (entry.data.length === 0) {
      this.#end();
      this.#host.onEmptyEntry();
      return true;
    }
    const v2 = v2RequestIn(entry.data);
    if (v2 !== undefined) {
      this.#applyV2(entry.index, v2);
      this.#end();
      return true;
    }
    return this.#beginRequest(entry);
  }

  #beginRequest(entry: raftpb.Entry): boolean {
    const envelope = this.#envelope;
    readEnvelope(entry.data, envelope);
    const { kind, body, bodyStart, bodyEnd, idHigh, idLow } = envelope;
    const awaited = this.#host.isAwaited(idHigh, idLow);
    const isForNobody = !awaited && READ_ONLY_KINDS.has(kind);
    if (isForNobody || kind === REQUEST_KIND.DOWNGRADE_VERSION_TEST) {
      this.#end();
      return true;
    }
    const operation = decodeOperation(kind, body, bodyStart, bodyEnd);
    if (operation === undefined) {
      this.#applyMembership(entry.index, kind, body.subarray(bodyStart, bodyEnd));
      this.#end();
      this.#noteEnd(kind, APPLIED);
      this.#host.onResult(idHigh, idLow, APPLIED);
      return true;
    }
    return this.#applier.begin(operation, envelope, awaited) && this.#endRequest();
  }

  #endRequest(): true {
    this.#end();
    const { idHigh, idLow, kind } = this.#envelope;
    const { result } = this.#applier;
    this.#noteEnd(kind, result);
    this.#host.onResult(idHigh, idLow, result);
    return true;
  }

  /** As in etcd, a compaction of what is compacted is no failure. */
  #noteEnd(kind: RequestKind, result: ApplyResult): void {
    this.#endedKind = kind;
    this.#endedWell = result.kind !== 'error' || result.error === 'COMPACTED';
  }

  /** The entry's effects are complete. */
  #end(): void {
    const entry = this.#entry;
    invariant(entry !== undefined, 'an entry that ends has begun');
    this.#entry = undefined;
    this.backend.endEntry(entry.index, entry.term);
  }

  // --- Membership --------------------------------------------------------------------------------

  /** Returns what to do once the entry has ended. */
  #applyConfChange(entry: raftpb.Entry): () => void {
    const change = confChangeIn(entry);
    const outcome = this.cluster.applyConfChange(entry.index, change);
    invariant(outcome.kind !== 'replayed', 'an entry beyond the backend is new to the membership');
    if (outcome.kind === 'refused') {
      this.confState = this.#host.applyConfChange({ ...change, nodeId: 0n }, entry.index);
      return () => this.#host.onConfChange(change.id, outcome.refusal);
    }
    this.confState = this.#host.applyConfChange(change, entry.index);
    writeMembershipRows(this.backend, outcome.rows);
    return () => this.#host.onConfChange(change.id, undefined);
  }

  #applyV2(index: LogIndex, request: etcdserverpb.Request): void {
    this.#changeCluster(() => applyV2Request(this.cluster, index, request));
    this.#host.onResult(...splitId(request.id), APPLIED);
  }

  #applyMembership(index: LogIndex, kind: RequestKind, body: Uint8Array): void {
    this.#changeCluster(() => applyMembershipRequest(this.cluster, index, kind, body));
  }

  #changeCluster(change: () => readonly RowChange[]): void {
    const before = this.cluster.version;
    writeMembershipRows(this.backend, change());
    const { version } = this.cluster;
    if (version !== undefined && version !== before) this.#host.onClusterVersion(before, version);
  }

  // --- Reading it all ----------------------------------------------------------------------------

  /**
   * HashKV at a revision (0: the current one). EtcdError COMPACTED or FUTURE_REV. As in etcd, the
   * checksum of a compaction is available even below the compacted revision, and a negative revision
   * has the checksum of no rows.
   */
  async hashKv(revision: Revision): Promise<KvHash> {
    try {
      return await this.#hashKv(revision);
    } catch (error) {
      if (this.#successor === undefined) throw error;
      return await this.#successor.hashKv(revision);
    }
  }

  async #hashKv(revision: Revision): Promise<KvHash> {
    const { kv, compactor } = this;
    for (;;) {
      if (this.#successor !== undefined) return await this.#successor.hashKv(revision);
      const stored = revision > 0 ? await compactor.hashAt(revision) : undefined;
      if (stored !== undefined) return stored;
      if (revision > 0 && revision < kv.compactedRev) throw new EtcdError('COMPACTED');
      if (revision > kv.currentRev) throw new EtcdError('FUTURE_REV');
      const hash = await this.#hashKvNow(revision === 0 ? kv.currentRev : revision);
      if (hash !== undefined) return hash;
      // With nothing to keep, all rows in the file count: compactions must have removed theirs.
      await compactor.whenIdle();
    }
  }

  /** Undefined if it must be tried again when compactions are done. */
  async #hashKvNow(hashRevision: Revision): Promise<KvHash | undefined> {
    const { kv, backend } = this;
    const compactRevision = kv.compactedRev;
    const keepsNothing = hashRevision >= 0 && kv.index.keepsNothing(hashRevision);
    if (keepsNothing && this.compactor.isBusy) return undefined;
    const pin = kv.pin(Math.max(hashRevision, compactRevision, kv.index.compactedRev));
    const began = this.#env.clock.monotonicMs();
    try {
      await backend.commit();
      // A compaction accepted since may have removed rows that are being read.
      if (kv.compactedRev !== compactRevision) return undefined;
      const tree = backend.beginTreeRead();
      try {
        const hash = await hashKv({
          tree,
          index: kv.index,
          revision: hashRevision,
          compactedRev: compactRevision,
          keepsNothing,
        });
        const tookMs = this.#env.clock.monotonicMs() - began;
        this.#metrics.mvcc.hashRevSeconds.observe(tookMs / 1000);
        return { hash, compactRevision, hashRevision };
      } finally {
        tree.close();
      }
    } finally {
      pin.release();
    }
  }

  /** Maintenance.Hash: over the whole file as of now. */
  async hash(): Promise<number> {
    try {
      return await this.#hash();
    } catch (error) {
      if (this.#successor === undefined) throw error;
      return await this.#successor.hash();
    }
  }

  async #hash(): Promise<number> {
    await this.backend.commit();
    const tree = this.backend.beginTreeRead();
    try {
      return await hashBackend(tree);
    } finally {
      tree.close();
    }
  }
}

/** etcd leaves this one operation unnamed. */
function applyLabel(operation: string): string {
  return operation === 'AuthStatus' ? 'unknown' : operation;
}

/** raftpb.EntryType: anything but a membership change. */
export const ENTRY_NORMAL = 0;

/** The change in an entry of one of the two kinds. UNSUPPORTED for the second, which etcd never makes. */
export function confChangeIn(entry: raftpb.Entry): ConfChange {
  const change = decodeConfChange(entry.type, entry.data);
  if (!isV2(change)) return change;
  throw new TetcdError(
    ERROR_CODES.UNSUPPORTED,
    'the log holds a configuration change of the second kind',
  );
}

/** What a logged v2 request does to the membership. */
export function applyV2Request(
  cluster: Cluster,
  index: LogIndex,
  request: etcdserverpb.Request,
): readonly RowChange[] {
  const meaning = meaningOfV2Request(request);
  switch (meaning.kind) {
    case 'nothing':
      return [];
    case 'attributes':
      return cluster.setAttributes(index, meaning.id, meaning.attributes);
    case 'version':
      return cluster.setVersion(index, meaning.version);
  }
}

/** What a request of kind 1300 and above does. UNSUPPORTED, by number, for kinds we do not know. */
export function applyMembershipRequest(
  cluster: Cluster,
  index: LogIndex,
  kind: RequestKind,
  body: Uint8Array,
): readonly RowChange[] {
  switch (kind) {
    case REQUEST_KIND.CLUSTER_VERSION_SET: {
      const { ver } = membershippb.ClusterVersionSetRequestCodec.decode(body);
      const version = parseStoredVersion(ver);
      if (version === undefined) {
        throw new TetcdError(ERROR_CODES.MALFORMED, `the log sets the cluster version to "${ver}"`);
      }
      return cluster.setVersion(index, version);
    }
    case REQUEST_KIND.CLUSTER_MEMBER_ATTR_SET: {
      const request = membershippb.ClusterMemberAttrSetRequestCodec.decode(body);
      const { name = '', clientUrls = [] } = request.memberAttributes ?? {};
      return cluster.setAttributes(index, request.memberID, { name, clientURLs: clientUrls });
    }
    case REQUEST_KIND.DOWNGRADE_INFO_SET: {
      const { enabled, ver } = membershippb.DowngradeInfoSetRequestCodec.decode(body);
      return cluster.setDowngrade(index, { enabled, targetVersion: enabled ? ver : '' });
    }
    default:
      throw new TetcdError(
        ERROR_CODES.UNSUPPORTED,
        `the log holds a request of kind ${kind}, which this release cannot apply`,
      );
  }
}

function splitId(id: bigint): [number, number] {
  return [Number(id >> 48n), Number(id & 0xffff_ffff_ffffn)];
}

/** Names the entry in an error that stops the member. */
function describeFailure(error: unknown, entry: raftpb.Entry): unknown {
  for (const code of ['UNSUPPORTED', 'MALFORMED', 'NUMBER_TOO_LARGE'] as const) {
    if (!hasCode(error, code)) continue;
    return new TetcdError(code, `log entry ${entry.index}: ${error.message}`, { cause: error });
  }
  return error;
}
