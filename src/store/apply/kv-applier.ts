// Applies the requests about keys: put, delete, transaction, range, compaction.

import { latin1FromBytes } from '../../base/index.ts';
import {
  DeleteResult,
  DeleteRun,
  evaluatePut,
  PutResult,
  RANGE_TOMBSTONE_LEASED_MAX,
  RangeResult,
  RangeRun,
  TxnRun,
  WATCH_NOTIFY_CHANGES_MAX,
} from '../../mvcc/index.ts';
import { EtcdError, type etcdserverpb, type PutInPlace } from '../../protocol/index.ts';
import type { Compactor } from '../kv/compactor.ts';
import type { KvStore } from '../kv/kv-store.ts';
import { APPLY_STEP_KEYS } from '../limits.ts';
import type { StoreMetrics } from '../metrics.ts';
import type { ApplyResult } from './apply-result.ts';
import type { KvOperation } from './operation.ts';
import { OperationApplier } from './operation-applier.ts';
import { REQUEST_KIND } from './request-envelope.ts';
import type { StoreWriter } from './store-writer.ts';

interface KvApplierOptions {
  readonly kv: KvStore;
  readonly compactor: Compactor;
  readonly metrics: StoreMetrics;
  /**
   * Whether a deletion may be worked off later. It may not while watchers are behind, which would have to
   * wait for one deletion after the other.
   */
  readonly mayDefer: () => boolean;
  /** A deletion cannot be worked off: the member must stop. */
  readonly onFailure: (error: unknown) => void;
}

export class KvApplier extends OperationApplier<KvOperation> {
  readonly #options: KvApplierOptions;
  readonly #put = new PutResult();
  readonly #putApplied: ApplyResult = { kind: 'put', put: this.#put };
  readonly #deleteRun = new DeleteRun();
  readonly #txnRun = new TxnRun();

  constructor(writer: StoreWriter, options: KvApplierOptions) {
    super(writer);
    this.#options = options;
  }

  protected start(operation: KvOperation, awaited: boolean): boolean {
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
        return this.complete(this.#compact(operation.request));
    }
  }

  #applyPut(request: PutInPlace): true {
    const { metrics } = this.#options;
    evaluatePut(this.writer.begin(), request, this.#put);
    metrics.mvcc.puts.value++;
    metrics.mvcc.totalPutBytes.value += request.keyLength + request.valueLength;
    this.writer.end();
    return this.complete(this.#putApplied);
  }

  #beginDelete(request: etcdserverpb.DeleteRangeRequest): boolean {
    if (request.rangeEnd.length > 0 && !request.prevKv) {
      const key = latin1FromBytes(request.key);
      const rangeEnd = latin1FromBytes(request.rangeEnd);
      const { index, currentRev } = this.#options.kv;
      const count = index.count(key, rangeEnd, currentRev);
      if (count > WATCH_NOTIFY_CHANGES_MAX && this.#mayDefer(key, rangeEnd)) {
        return this.#beginDeferred(key, rangeEnd, count);
      }
    }
    const result = new DeleteResult();
    this.#deleteRun.start(this.writer.begin(), request, result);
    return this.continueWith(() => {
      if (!this.#deleteRun.step(APPLY_STEP_KEYS)) return undefined;
      return this.#deleted(result);
    });
  }

  /** Keys of leases are detached at once, since leases name them: no more than in one turn. */
  #mayDefer(key: string, rangeEnd: string): boolean {
    const { kv, mayDefer } = this.#options;
    return mayDefer() && kv.index.leasedCount(key, rangeEnd) <= RANGE_TOMBSTONE_LEASED_MAX;
  }

  /** Deletes many keys at once, when an earlier such deletion is worked off. */
  #beginDeferred(key: string, rangeEnd: string, count: number): boolean {
    const { deletion } = this.#options.kv;
    return this.continueWith(() => {
      if (!deletion.step(APPLY_STEP_KEYS)) return undefined;
      const txn = this.writer.begin();
      deletion.begin(txn, key, rangeEnd, count).catch(this.#options.onFailure);
      const result = new DeleteResult();
      result.deleted = count;
      result.revision = txn.currentRev;
      result.previous.revision = txn.currentRev;
      return this.#deleted(result);
    });
  }

  #deleted(result: DeleteResult): ApplyResult {
    this.#options.metrics.mvcc.deletes.value++;
    this.writer.end();
    return { kind: 'deleteRange', delete: result };
  }

  #beginTxn(request: etcdserverpb.TxnRequest, awaited: boolean): boolean {
    this.#txnRun.start(this.writer.begin(), request, !awaited);
    return this.continueWith(() => {
      if (!this.#txnRun.step(APPLY_STEP_KEYS)) return undefined;
      this.#options.metrics.mvcc.txns.value++;
      this.writer.end();
      return { kind: 'txn', txn: this.#txnRun.result };
    });
  }

  #beginRange(request: etcdserverpb.RangeRequest): boolean {
    const run = new RangeRun();
    const range = new RangeResult();
    run.start(this.#options.kv, request, range);
    return this.continueWith(() =>
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
}
