// Evaluation of a transaction request, in slices.
//
// As etcd does it (server/etcdserver/txn/txn.go, v3.7.1), in three passes:
//   1. COMPARE: all comparisons, those of nested transactions in chosen branches too, by what the
//      store says before the transaction; this fixes every branch;
//   2. CHECK: the operations of the chosen branches that can fail (a range at a revision that is
//      compacted or in the future, a put with an unknown lease or without the key it needs), again
//      by what the store says before; an error here leaves no trace;
//   3. EXECUTE: the operations in order; each sees what those before it wrote.

import { invariant, type Revision } from '../../base/index.ts';
import { EtcdError, type etcdserverpb, PutInPlace } from '../../protocol/index.ts';
import type { LeaseHooks } from '../types.ts';
import { CompareRun } from './compare.ts';
import { DeleteResult, DeleteRun } from './delete-range.ts';
import { checkPut, executePut, PutResult } from './put.ts';
import { RangeRun, type ReadView } from './range.ts';
import { RangeResult } from './range-result.ts';
import type { WriteTxn } from './write-txn.ts';

/** Answer of one operation; an operation without content has none. */
export type OpResult =
  | { readonly kind: 'range'; readonly range: RangeResult }
  | { readonly kind: 'put'; readonly put: PutResult }
  | { readonly kind: 'delete'; readonly delete: DeleteResult }
  | { readonly kind: 'txn'; readonly txn: TxnResult }
  | { readonly kind: 'none' };

/** Answer to a transaction. */
export class TxnResult {
  /** Revision for the response's header; a nested transaction's header is empty (0). */
  revision: Revision = 0;
  /** Whether all comparisons held. */
  readonly succeeded: boolean;
  /** One per operation of the chosen branch. */
  readonly responses: OpResult[] = [];

  constructor(succeeded: boolean) {
    this.succeeded = succeeded;
  }
}

/** Whether a transaction only reads: all its operations are ranges, and none is nested. */
export function isTxnReadonly(request: etcdserverpb.TxnRequest): boolean {
  const reads = ({ request: op }: etcdserverpb.RequestOp) => op?.case === 'requestRange';
  return request.success.every(reads) && request.failure.every(reads);
}

/** Whether a transaction only reads, and may do so from what this member has. */
export function isTxnSerializable(request: etcdserverpb.TxnRequest): boolean {
  const reads = ({ request: op }: etcdserverpb.RequestOp) =>
    op?.case === 'requestRange' && op.value.serializable;
  return request.success.every(reads) && request.failure.every(reads);
}

/** A transaction, nested or not, whose branch is chosen once its comparisons are evaluated. */
class Branch {
  readonly request: etcdserverpb.TxnRequest;
  succeeded = false;
  /** The operations of the chosen branch. */
  ops: readonly etcdserverpb.RequestOp[] = [];
  /** Of each nested transaction among them, in order. */
  readonly nested: Branch[] = [];

  constructor(request: etcdserverpb.TxnRequest) {
    this.request = request;
  }

  choose(succeeded: boolean): void {
    this.succeeded = succeeded;
    this.ops = succeeded ? this.request.success : this.request.failure;
    for (const { request } of this.ops) {
      if (request?.case === 'requestTxn') this.nested.push(new Branch(request.value));
    }
  }
}

/** How far the execution of a branch got. */
interface Frame {
  readonly branch: Branch;
  readonly result: TxnResult;
  nextOp: number;
  nextNested: number;
}

const COMPARE = 0;
const EXECUTE = 1;
const DONE = 2;

/** What an operation that takes several slices is. */
const NO_OP = 0;
const RANGE_OP = 1;
const DELETE_OP = 2;

/** One transaction at a time: `start`, then `step` until it says true, then `result`. */
export class TxnRun {
  #phase = DONE;
  #view!: ReadView;
  #txn: WriteTxn | undefined;
  #leases!: LeaseHooks;
  #skipRanges = false;
  /** The root first; those before `#compared` have their branch chosen. */
  #branches: Branch[] = [];
  #compared = 0;
  #comparing = false;
  /** The branches under execution, outermost first. */
  #frames: Frame[] = [];
  #pending: typeof NO_OP | typeof RANGE_OP | typeof DELETE_OP = NO_OP;
  #result: TxnResult | undefined;

  readonly #compareRun = new CompareRun();
  readonly #put = new PutInPlace();
  readonly #rangeRun = new RangeRun();
  readonly #deleteRun = new DeleteRun();

  /**
   * Begins a transaction on a write transaction that is open. `skipRanges` leaves the ranges' results
   * empty: a member without a waiting caller need not read.
   */
  start(txn: WriteTxn, request: etcdserverpb.TxnRequest, skipRanges: boolean): void {
    this.#begin(txn, txn, txn.leases, request);
    this.#skipRanges = skipRanges;
  }

  /** Begins a transaction that {@link isTxnReadonly}. */
  startReadonly(view: ReadView, request: etcdserverpb.TxnRequest, skipRanges = false): void {
    invariant(isTxnReadonly(request), 'the transaction only reads');
    this.#begin(view, undefined, NO_LEASES, request);
    this.#skipRanges = skipRanges;
  }

  #begin(
    view: ReadView,
    txn: WriteTxn | undefined,
    leases: LeaseHooks,
    request: etcdserverpb.TxnRequest,
  ): void {
    this.#view = view;
    this.#txn = txn;
    this.#leases = leases;
    this.#branches = [new Branch(request)];
    this.#compared = 0;
    this.#comparing = false;
    this.#frames = [];
    this.#pending = NO_OP;
    this.#result = undefined;
    this.#phase = COMPARE;
  }

  /**
   * Does about `budget` keys' worth of work; true when the result is there. Throws what a chosen
   * operation fails with, FUTURE_REV, COMPACTED, LEASE_NOT_FOUND or KEY_NOT_FOUND, before any effect.
   */
  step(budget: number): boolean {
    invariant(this.#phase !== DONE, 'a transaction was started');
    if (this.#phase === COMPARE) {
      if (!this.#compare(budget)) return false;
      const root = this.#branches[0]!;
      this.#check(root);
      this.#result = new TxnResult(root.succeeded);
      this.#frames.push({ branch: root, result: this.#result, nextOp: 0, nextNested: 0 });
      this.#phase = EXECUTE;
    }
    if (!this.#execute(budget)) return false;
    this.#phase = DONE;
    this.result.revision = this.#view.currentRev;
    this.#branches = [];
    return true;
  }

  /** The answer, once `step` said true. */
  get result(): TxnResult {
    invariant(this.#result !== undefined, 'the transaction was evaluated');
    return this.#result;
  }

  #compare(budget: number): boolean {
    while (this.#compared < this.#branches.length) {
      const branch = this.#branches[this.#compared]!;
      if (!this.#comparing) {
        this.#compareRun.start(this.#view, branch.request.compare);
        this.#comparing = true;
      }
      if (!this.#compareRun.step(budget)) return false;
      branch.choose(this.#compareRun.holds);
      for (const nested of branch.nested) this.#branches.push(nested);
      this.#comparing = false;
      this.#compared++;
    }
    return true;
  }

  /**
   * In the order of operations, so that the first error is etcd's. Without the stack: a log entry nests
   * deeper than that holds.
   */
  #check(root: Branch): void {
    const open = [{ branch: root, nextOp: 0, nextNested: 0 }];
    for (let frame = open.at(-1); frame !== undefined; frame = open.at(-1)) {
      const op = frame.branch.ops[frame.nextOp++];
      switch (op?.request?.case) {
        case 'requestRange':
          this.#checkRange(op.request.value);
          break;
        case 'requestPut':
          checkPut(this.#view, this.#leases, this.#put.accept(op.request.value));
          break;
        case 'requestTxn': {
          const branch = frame.branch.nested[frame.nextNested++]!;
          open.push({ branch, nextOp: 0, nextNested: 0 });
          break;
        }
        case 'requestDeleteRange':
          break;
        case undefined:
          if (op === undefined) open.pop();
          break;
      }
    }
  }

  /** Unlike a range on its own, one in a transaction refuses a negative revision as compacted. */
  #checkRange({ revision }: etcdserverpb.RangeRequest): void {
    if (revision === 0) return;
    if (revision > this.#view.currentRev) throw new EtcdError('FUTURE_REV');
    if (revision < this.#view.compactedRev) throw new EtcdError('COMPACTED');
  }

  #execute(budget: number): boolean {
    let left = budget;
    for (;;) {
      if (this.#pending !== NO_OP) {
        const run = this.#pending === RANGE_OP ? this.#rangeRun : this.#deleteRun;
        if (!run.step(left)) return false;
        // Ranges of large rows share the budget; what a deletion reads is small.
        if (this.#pending === RANGE_OP) left = this.#rangeRun.left;
        this.#pending = NO_OP;
      }
      const frame = this.#frames.at(-1);
      if (frame === undefined) return true;
      if (frame.nextOp === frame.branch.ops.length) {
        this.#frames.pop();
        continue;
      }
      if (left <= 0) return false;
      left--;
      const { request } = frame.branch.ops[frame.nextOp++]!;
      frame.result.responses.push(this.#begunOp(request, frame));
    }
  }

  /** Does a small operation, or begins one that may take several slices; returns its result. */
  #begunOp(request: etcdserverpb.RequestOp['request'], frame: Frame): OpResult {
    switch (request?.case) {
      case 'requestRange':
        return { kind: 'range', range: this.#beginRange(request.value) };
      case 'requestPut': {
        const put = new PutResult();
        executePut(this.#writer(), this.#put.accept(request.value), put);
        return { kind: 'put', put };
      }
      case 'requestDeleteRange': {
        const result = new DeleteResult();
        this.#deleteRun.start(this.#writer(), request.value, result);
        this.#pending = DELETE_OP;
        return { kind: 'delete', delete: result };
      }
      case 'requestTxn': {
        const branch = frame.branch.nested[frame.nextNested++]!;
        const txn = new TxnResult(branch.succeeded);
        this.#frames.push({ branch, result: txn, nextOp: 0, nextNested: 0 });
        return { kind: 'txn', txn };
      }
      case undefined:
        return { kind: 'none' };
    }
  }

  #beginRange(request: etcdserverpb.RangeRequest): RangeResult {
    const result = new RangeResult();
    if (this.#skipRanges) {
      result.revision = this.#view.currentRev;
      return result;
    }
    this.#rangeRun.start(this.#view, request, result);
    this.#pending = RANGE_OP;
    return result;
  }

  #writer(): WriteTxn {
    invariant(this.#txn !== undefined, 'a transaction that only reads has no write');
    return this.#txn;
  }
}

const NO_LEASES: LeaseHooks = {
  slotOf: () => 0,
  attach: () => {},
  detach: () => {},
};
