// A state machine on a simulated machine, fed with log entries, for tests of this folder.

import {
  bytesFromLatin1,
  Counter,
  Gauge,
  Histogram,
  latin1FromBytes,
  MetricFamily,
  Slices,
} from '../../base/index.ts';
import type { SimEnv } from '../../env/sim/index.ts';
import { Cluster, emptyState } from '../../membership/index.ts';
import { RangeResult, RangeRun, type ReadView } from '../../mvcc/index.ts';
import { etcdserverpb, mvccpb, type raftpb } from '../../protocol/index.ts';
import type { ApplyResult } from '../apply/apply-result.ts';
import type { AuthHost } from '../apply/auth-host.ts';
import {
  encodeEnvelope,
  REQUEST_KIND,
  type RequestKind,
  type RequestUser,
} from '../apply/request-envelope.ts';
import { StateMachine, type StateMachineHost } from '../apply/state-machine.ts';
import { Backend, type BackendOptions } from '../backend/backend.ts';
import type { SnapshotPosition } from '../backend/file-pass.ts';
import { KvStore } from '../kv/kv-store.ts';
import type { StoreMetrics } from '../metrics.ts';
import { Restore } from '../schema/restore.ts';
import { RecordingAuthHost } from './auth-host.fixture.ts';

export const DATABASE = '/db';
const MIN_TTL_SEC = 2;

const { PutRequestCodec, DeleteRangeRequestCodec, TxnRequestCodec, RequestOpCodec } = etcdserverpb;

export function storeMetrics(): StoreMetrics {
  const histogram = () => new Histogram([1, 10, 100]);
  return {
    mvcc: {
      puts: new Counter(),
      deletes: new Counter(),
      ranges: new Counter(),
      txns: new Counter(),
      totalPutBytes: new Gauge(),
      indexCompactionPauseMs: histogram(),
      dbCompactionPauseMs: histogram(),
      dbCompactionTotalMs: histogram(),
      dbCompactionLast: new Gauge(),
      dbCompactionKeys: new Counter(),
      hashRevSeconds: histogram(),
    },
    lease: { granted: new Counter(), revoked: new Counter(), ttlSeconds: histogram() },
    server: { applySeconds: new MetricFamily(3, histogram) },
    watch: { responseSeconds: histogram(), eventSeconds: histogram() },
  };
}

/** Copied out of a result, which the next entry overwrites. */
export interface Applied {
  readonly kind: ApplyResult['kind'];
  readonly error: string | undefined;
  readonly revision: number;
  readonly deleted: number;
  readonly physical: Promise<void> | undefined;
  readonly alarms: readonly etcdserverpb.AlarmMember[];
  /** The result itself, which of an operation on keys the next entry overwrites. */
  readonly result: ApplyResult;
}

export interface RigOptions extends Partial<BackendOptions> {
  readonly batchRows?: number;
  readonly sleepMs?: number;
  readonly host?: Partial<StateMachineHost>;
  readonly authHost?: AuthHost;
  readonly leaseCheckpoints?: boolean;
  readonly persistLeaseCheckpoints?: boolean;
  /** Of the database; {@link DATABASE} by default. */
  readonly path?: string;
}

export const NOBODY: raftpb.ConfState = {
  voters: [],
  learners: [],
  votersOutgoing: [],
  learnersNext: [],
  autoLeave: false,
};

export class StoreRig {
  readonly env: SimEnv;
  readonly machine: StateMachine;
  readonly restore: Restore;
  /** What stopped the backend or the compactor. */
  readonly failures: unknown[];
  #last: Applied | undefined;
  #index: number;

  private constructor(
    env: SimEnv,
    restore: Restore,
    backend: Backend,
    failures: unknown[],
    options: RigOptions,
    replaced?: StoreRig,
  ) {
    this.env = env;
    this.restore = restore;
    this.failures = failures;
    this.#index = backend.appliedIndex;
    const host: StateMachineHost = {
      isAwaited: () => true,
      onResult: (_high, _low, result) => {
        this.#last = copyOf(result, this.machine.kv.currentRev);
      },
      applyConfChange: () => NOBODY,
      onConfChange: () => {},
      onClusterVersion: () => {},
      onEmptyEntry: () => {},
      hasRoomFor: () => true,
      ...options.host,
    };
    const kv = new KvStore(env, backend, restore.rows, restore.marks);
    this.machine = new StateMachine({
      env,
      backend,
      kv,
      lessor: restore.lessor,
      auth: restore.auth,
      authHost: options.authHost ?? new RecordingAuthHost(),
      cluster: new Cluster(emptyState(this.#index), { clusterId: 1n, maxLearners: 1 }),
      confState: NOBODY,
      host,
      metrics: storeMetrics(),
      persistLeaseCheckpoints: options.persistLeaseCheckpoints === true,
      ...(replaced === undefined ? {} : { watch: replaced.machine.watch }),
      compaction: {
        batchRows: options.batchRows ?? 3,
        sleepMs: options.sleepMs ?? 1,
        onFailure: (error) => failures.push(error),
      },
    });
    backend.captureMembership(() => ({
      confState: this.machine.confState,
      cluster: this.machine.cluster.state(),
    }));
  }

  /**
   * Another member's database takes the place of this one, as its leader's snapshot. What is on the
   * disk, and `prepare` beside it, comes before the change, which happens within one turn.
   */
  async install(
    path: string,
    received: SnapshotPosition,
    options: RigOptions = {},
    prepare: () => Promise<void> = async () => {},
  ): Promise<{ readonly rig: StoreRig; readonly retired: Promise<void> }> {
    const { env } = this;
    const opened = await StoreRig.#openBackend(env, { ...options, path, received });
    const { backend, restore, failures } = opened;
    await backend.commit();
    await env.disk.rename(path, this.backend.database.path);
    await env.disk.syncDirectory('/');
    await prepare();
    const rig = new StoreRig(env, restore, backend, failures, options, this);
    const { scheduledRev, finishedRev } = restore.marks;
    if (scheduledRev > finishedRev) void rig.machine.compactor.resume(scheduledRev);
    return { rig, retired: this.machine.retire(rig.machine) };
  }

  static async open(env: SimEnv, options: RigOptions = {}): Promise<StoreRig> {
    const { restore, backend, failures } = await StoreRig.#openBackend(env, options);
    return new StoreRig(env, restore, backend, failures, options);
  }

  static async #openBackend(env: SimEnv, options: RigOptions) {
    const failures: unknown[] = [];
    const restore = new Restore(MIN_TTL_SEC, options.leaseCheckpoints);
    const backend = await Backend.open(
      env,
      options.path ?? DATABASE,
      { onFailure: (error) => failures.push(error), ...options },
      restore.rows,
      (snapshot) => restore.inspect(snapshot),
    );
    await restore.rows.finish(new Slices(env));
    return { restore, backend, failures };
  }

  get backend(): Backend {
    return this.machine.backend;
  }

  get kv(): KvStore {
    return this.machine.kv;
  }

  /** An entry that is next in the log. */
  entry(data: Uint8Array, type = 0): raftpb.Entry {
    this.#index = this.machine.appliedIndex + 1;
    return { type, term: 1, index: this.#index, data };
  }

  /** Applies one entry to its end, and returns its result. */
  applyEntry(entry: raftpb.Entry): Applied | undefined {
    this.#last = undefined;
    let done = this.machine.begin(entry);
    while (!done) done = this.machine.step();
    return this.#last;
  }

  apply(kind: RequestKind, body: Uint8Array, user?: RequestUser): Applied {
    const data = encodeEnvelope(kind, 1, 7, body, 0, body.length, user);
    const applied = this.applyEntry(this.entry(data));
    if (applied === undefined) throw new Error('the entry has no result');
    return applied;
  }

  put(key: string, value: string, lease = 0n): Applied {
    return this.apply(REQUEST_KIND.PUT, PutRequestCodec.encode(putOf(key, value, lease)));
  }

  /** `end` undefined: one key. */
  delete(key: string, end = ''): Applied {
    return this.apply(REQUEST_KIND.DELETE_RANGE, deleteOf(key, end));
  }

  txn(puts: readonly (readonly [string, string])[]): Applied {
    const success = puts.map(([key, value]) =>
      RequestOpCodec.create({ request: { case: 'requestPut', value: putOf(key, value) } }),
    );
    return this.apply(
      REQUEST_KIND.TXN,
      TxnRequestCodec.encode(TxnRequestCodec.create({ success })),
    );
  }

  compact(revision: number): Applied {
    const codec = etcdserverpb.CompactionRequestCodec;
    return this.apply(REQUEST_KIND.COMPACTION, codec.encode(codec.create({ revision })));
  }

  grant(id: bigint, ttl: number): Applied {
    const codec = etcdserverpb.LeaseGrantRequestCodec;
    return this.apply(REQUEST_KIND.LEASE_GRANT, codec.encode(codec.create({ id, ttl })));
  }

  checkpoint(id: bigint, remainingTTL: number): Applied {
    const codec = etcdserverpb.LeaseCheckpointRequestCodec;
    const checkpoints = [etcdserverpb.LeaseCheckpointCodec.create({ id, remainingTTL })];
    return this.apply(REQUEST_KIND.LEASE_CHECKPOINT, codec.encode(codec.create({ checkpoints })));
  }

  revoke(id: bigint): Applied {
    const codec = etcdserverpb.LeaseRevokeRequestCodec;
    return this.apply(REQUEST_KIND.LEASE_REVOKE, codec.encode(codec.create({ id })));
  }

  alarm(action: number, memberID: bigint, alarm: number): Applied {
    const codec = etcdserverpb.AlarmRequestCodec;
    return this.apply(REQUEST_KIND.ALARM, codec.encode(codec.create({ action, memberID, alarm })));
  }

  /** All keys: `key=value@create.mod.version`, with `/lease` if there is one. */
  pairs(revision = 0, view: ReadView = this.kv): string[] {
    const request = etcdserverpb.RangeRequestCodec.create({
      key: bytesFromLatin1('\0'),
      rangeEnd: bytesFromLatin1('\0'),
      revision,
    });
    const run = new RangeRun();
    const result = new RangeResult();
    run.start(view, request, result);
    while (!run.step(1_000_000));
    return result.buffers.map((buffer, i) => {
      const start = result.offsets[i]!;
      const pair = mvccpb.KeyValueCodec.decode(buffer, start, start + result.lengths[i]!);
      const lease = pair.lease === 0n ? '' : `/${pair.lease}`;
      const revisions = `${pair.createRevision}.${pair.modRevision}.${pair.version}`;
      return `${latin1FromBytes(pair.key)}=${latin1FromBytes(pair.value)}@${revisions}${lease}`;
    });
  }

  /** Names of all rows, from the index's point of view or not. */
  rowNames(): string[] {
    const rows = this.backend.openRows(0, 0);
    const names: string[] = [];
    while (rows.next()) names.push(`${rows.main}.${rows.sub}${rows.tombstone ? 't' : ''}`);
    rows.close();
    return names;
  }

  async violations(): Promise<string[]> {
    const wrong = this.kv.index.check();
    for (const { page, text } of await this.backend.database.check())
      wrong.push(`${page}: ${text}`);
    return wrong;
  }

  close(): Promise<void> {
    return this.machine.close();
  }
}

export function putOf(key: string, value: string, lease = 0n): etcdserverpb.PutRequest {
  const bytes = { key: bytesFromLatin1(key), value: bytesFromLatin1(value) };
  return PutRequestCodec.create({ ...bytes, lease });
}

export function deleteOf(key: string, end = ''): Uint8Array {
  const range = { key: bytesFromLatin1(key), rangeEnd: bytesFromLatin1(end) };
  return DeleteRangeRequestCodec.encode(DeleteRangeRequestCodec.create(range));
}

function copyOf(result: ApplyResult, revision: number): Applied {
  return {
    kind: result.kind,
    error: result.kind === 'error' ? result.error : undefined,
    revision: result.kind === 'put' ? result.put.revision : revision,
    deleted: result.kind === 'deleteRange' ? result.delete.deleted : 0,
    physical: result.kind === 'compaction' ? result.physical : undefined,
    alarms: result.kind === 'alarm' ? [...result.alarms] : [],
    result,
  };
}
