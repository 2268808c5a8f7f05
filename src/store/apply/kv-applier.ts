// Applies requests to the store itself: keys, compaction, leases, alarms.

import { fail, type Revision } from '../../base/index.ts';
import type { Clock } from '../../env/index.ts';
import {
  DeleteResult,
  DeleteRun,
  evaluatePut,
  PutResult,
  RangeResult,
  RangeRun,
  TxnRun,
  type WriteTxn,
} from '../../mvcc/index.ts';
import { EtcdError, etcdserverpb } from '../../protocol/index.ts';
import type { Compactor } from '../kv/compactor.ts';
import type { KvStore } from '../kv/kv-store.ts';
import { APPLY_STEP_KEYS } from '../limits.ts';
import type { StoreMetrics } from '../metrics.ts';
import type { AlarmStore } from '../schema/alarm-store.ts';
import type { LeaseStore } from '../schema/lease-store.ts';
import { APPLIED, type ApplyResult } from './apply-result.ts';
import { LeaseRevocation } from './lease-revocation.ts';
import type { Operation } from './operation.ts';
import type { RequestApplier } from './request-applier.ts';
import { REQUEST_KIND, type RequestUser } from './request-envelope.ts';

const { AlarmAction, AlarmType } = etcdserverpb;

export interface KvApplierOptions {
  readonly kv: KvStore;
  readonly txn: WriteTxn;
  readonly leases: LeaseStore;
  readonly alarms: AlarmStore;
  readonly compactor: Compactor;
  readonly clock: Clock;
  readonly metrics: StoreMetrics;
  /** A write transaction has ended: its changes are visible at this revision. */
  readonly onChanges: (revision: Revision, txn: WriteTxn) => void;
}

/** A request that takes more than one slice; answers with its result when it is complete. */
type Continuation = () => ApplyResult | undefined;

export class KvApplier implements RequestApplier {
  readonly #options: KvApplierOptions;
  readonly #put = new PutResult();
  readonly #putApplied: ApplyResult = { kind: 'put', put: this.#put };
  readonly #deleteRun = new DeleteRun();
  readonly #txnRun = new TxnRun();
  #result: ApplyResult = APPLIED;
  #continuation: Continuation | undefined;

  constructor(options: KvApplierOptions) {
    this.#options = options;
  }

  get result(): ApplyResult {
    return this.#result;
  }

  begin(operation: Operation, _user: RequestUser, awaited: boolean): boolean {
    try {
      return this.#begin(operation, awaited);
    } catch (error) {
      return this.#refuse(error);
    }
  }

  step(): boolean {
    try {
      const result = (this.#continuation ?? fail('a request that is continued has begun'))();
      if (result === undefined) return false;
      this.#continuation = undefined;
      this.#result = result;
      return true;
    } catch (error) {
      return this.#refuse(error);
    }
  }

  /** A refused request has had no effect; any other error is not the client's. */
  #refuse(error: unknown): true {
    if (!(error instanceof EtcdError)) throw error;
    this.#continuation = undefined;
    this.#endTxn();
    this.#result = { kind: 'error', error: error.code };
    return true;
  }

  #begin(operation: Operation, awaited: boolean): boolean {
    switch (operation.kind) {
      case REQUEST_KIND.PUT:
        return this.#applyPut(operation.request);
      case REQUEST_KIND.DELETE_RANGE:
        return this.#beginDelete(operation.request);
      case REQUEST_KIND.TXN:
        return this.#beginTxn(operation.request, awaited);
      case REQUEST_KIND.RANGE:
        return this.#beginRange(operation.request);
      case REQUEST_KIND.COMPACTION:
        return this.#complete(this.#compact(operation.request));
      case REQUEST_KIND.LEASE_GRANT:
        return this.#complete(this.#grant(operation.request));
      case REQUEST_KIND.LEASE_REVOKE:
        return this.#beginRevoke(operation.request);
      case REQUEST_KIND.LEASE_CHECKPOINT:
        return this.#complete(this.#checkpoint(operation.request));
      case REQUEST_KIND.ALARM:
        return this.#complete({ kind: 'alarm', alarms: this.#alarm(operation.request) });
    }
  }

  #complete(result: ApplyResult): true {
    this.#result = result;
    return true;
  }

  #continueWith(continuation: Continuation): boolean {
    this.#continuation = continuation;
    return this.step();
  }

  // --- Keys --------------------------------------------------------------------------------------

  #applyPut(request: etcdserverpb.PutRequest): true {
    const { metrics } = this.#options;
    evaluatePut(this.#beginWrite(), request, this.#put);
    metrics.mvcc.puts.value++;
    metrics.mvcc.totalPutBytes.value += request.key.length + request.value.length;
    this.#endTxn();
    return this.#complete(this.#putApplied);
  }

  #beginDelete(request: etcdserverpb.DeleteRangeRequest): boolean {
    const result = new DeleteResult();
    this.#deleteRun.start(this.#beginWrite(), request, result);
    return this.#continueWith(() => {
      if (!this.#deleteRun.step(APPLY_STEP_KEYS)) return undefined;
      this.#options.metrics.mvcc.deletes.value++;
      this.#endTxn();
      return { kind: 'deleteRange', delete: result };
    });
  }

  #beginTxn(request: etcdserverpb.TxnRequest, awaited: boolean): boolean {
    this.#txnRun.start(this.#beginWrite(), request, !awaited);
    return this.#continueWith(() => {
      if (!this.#txnRun.step(APPLY_STEP_KEYS)) return undefined;
      this.#options.metrics.mvcc.txns.value++;
      this.#endTxn();
      return { kind: 'txn', txn: this.#txnRun.result };
    });
  }

  #beginRange(request: etcdserverpb.RangeRequest): boolean {
    const run = new RangeRun();
    const range = new RangeResult();
    run.start(this.#options.kv, request, range);
    return this.#continueWith(() =>
      run.step(APPLY_STEP_KEYS) ? { kind: 'range', range } : undefined,
    );
  }

  #compact(request: etcdserverpb.CompactionRequest): ApplyResult {
    const { kv, compactor } = this.#options;
    if (request.revision <= kv.compactedRev) throw new EtcdError('COMPACTED');
    if (request.revision > kv.currentRev) throw new EtcdError('FUTURE_REV');
    const physical = compactor.accept(request.revision);
    return { kind: 'compaction', revision: kv.currentRev, physical };
  }

  // --- Leases ------------------------------------------------------------------------------------

  #grant(request: etcdserverpb.LeaseGrantRequest): ApplyResult {
    const { leases, clock, metrics } = this.#options;
    const lease = leases.grant(request.id, request.ttl, clock.monotonicMs());
    if (typeof lease === 'string') return { kind: 'error', error: lease };
    metrics.lease.granted.value++;
    metrics.lease.ttlSeconds.observe(lease.ttlSec);
    return { kind: 'leaseGrant', id: lease.id, ttlSec: lease.ttlSec };
  }

  /** Of leases that are gone nothing is noted. */
  #checkpoint({ checkpoints }: etcdserverpb.LeaseCheckpointRequest): ApplyResult {
    const { leases, clock } = this.#options;
    const nowMs = clock.monotonicMs();
    for (const { id, remainingTTL } of checkpoints) leases.checkpoint(id, remainingTTL, nowMs);
    return { kind: 'leaseCheckpoint' };
  }

  #beginRevoke(request: etcdserverpb.LeaseRevokeRequest): boolean {
    const { leases, metrics } = this.#options;
    const lease = leases.lessor.lookup(request.id);
    if (lease === undefined) throw new EtcdError('LEASE_NOT_FOUND');
    const revocation = new LeaseRevocation(lease, this.#beginWrite());
    return this.#continueWith(() => {
      if (!revocation.step(APPLY_STEP_KEYS)) return undefined;
      leases.remove(lease);
      metrics.lease.revoked.value++;
      this.#endTxn();
      return { kind: 'leaseRevoke' };
    });
  }

  // --- Alarms ------------------------------------------------------------------------------------

  #alarm(request: etcdserverpb.AlarmRequest): etcdserverpb.AlarmMember[] {
    const { alarms } = this.#options;
    const type = request.alarm as etcdserverpb.AlarmType;
    if (request.action === AlarmAction.GET) return alarms.list(type);
    if (request.action === AlarmAction.ACTIVATE) {
      return type === AlarmType.NONE ? [] : [alarms.activate(request.memberID, type)];
    }
    const lowered = alarms.deactivate(request.memberID, type);
    return lowered === undefined ? [] : [lowered];
  }

  // --- The write transaction ---------------------------------------------------------------------

  #writing = false;

  #beginWrite(): WriteTxn {
    const { kv, txn } = this.#options;
    txn.begin(kv.currentRev, kv.compactedRev);
    this.#writing = true;
    return txn;
  }

  #endTxn(): void {
    if (!this.#writing) return;
    this.#writing = false;
    const { kv, txn, onChanges } = this.#options;
    const revision = txn.end();
    if (revision === kv.currentRev) return;
    kv.currentRev = revision;
    onChanges(revision, txn);
  }
}
