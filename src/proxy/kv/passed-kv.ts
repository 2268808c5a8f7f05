// Requests about keys, passed on: perhaps below a prefix, and perhaps in the order of revisions.

import { etcdserverpb } from '../../protocol/index.ts';
import { failWith, type UnaryCall } from '../../rpc/index.ts';
import { passUnary, REPEATABLE, type UnaryHooks } from '../calls/passed-unary.ts';
import type { Upstream } from '../calls/upstream.ts';
import type { KvCalls } from './kv-calls.ts';
import type { Namespace } from './namespace.ts';
import type { ReadOrder } from './read-order.ts';
import { hasWrites } from './txn-ops.ts';

const { methods } = etcdserverpb.KVService;

interface PassedKvParts {
  readonly upstream: Upstream;
  /** Undefined without a prefix: requests and answers are passed on as they are. */
  readonly namespace: Namespace | undefined;
  readonly order: ReadOrder | undefined;
}

type Change = ((reply: Uint8Array) => Uint8Array) | undefined;

export class PassedKv implements KvCalls {
  readonly #upstream: Upstream;
  readonly #namespace: Namespace | undefined;
  readonly #order: ReadOrder | undefined;
  /** What clients get for an answer of the cluster; undefined for the same. */
  readonly #ofRange: Change;
  readonly #ofPut: Change;
  readonly #ofDelete: Change;
  readonly #ofTxn: Change;

  constructor({ upstream, namespace, order }: PassedKvParts) {
    this.#upstream = upstream;
    this.#namespace = namespace;
    this.#order = order;
    if (namespace === undefined) return;
    const { range, put, deleteRange, txn } = methods;
    this.#ofRange = changing(range.response, (answer) => namespace.rangeResponse(answer));
    this.#ofPut = changing(put.response, (answer) => namespace.putResponse(answer));
    this.#ofDelete = changing(deleteRange.response, (answer) => namespace.deleteResponse(answer));
    this.#ofTxn = changing(txn.response, (answer) => namespace.txnResponse(answer));
  }

  range(
    call: UnaryCall,
    request: etcdserverpb.RangeRequest,
    bytes: Uint8Array,
    hooks: UnaryHooks | undefined,
  ): void {
    const namespace = this.#namespace;
    if (this.#refusesEmptyKey(call, request.key, hooks)) return;
    const passed =
      namespace === undefined ? bytes : methods.range.request.encode(namespace.within(request));
    passUnary(this.#upstream, call, passed, this.#readHooks(hooks, this.#ofRange), REPEATABLE);
  }

  put(
    call: UnaryCall,
    request: etcdserverpb.PutRequest,
    bytes: Uint8Array,
    hooks: UnaryHooks | undefined,
  ): void {
    const namespace = this.#namespace;
    if (this.#refusesEmptyKey(call, request.key, hooks)) return;
    const passed =
      namespace === undefined ? bytes : methods.put.request.encode(namespace.put(request));
    passUnary(this.#upstream, call, passed, this.#writeHooks(hooks, this.#ofPut));
  }

  deleteRange(
    call: UnaryCall,
    request: etcdserverpb.DeleteRangeRequest,
    bytes: Uint8Array,
    hooks: UnaryHooks | undefined,
  ): void {
    const namespace = this.#namespace;
    if (this.#refusesEmptyKey(call, request.key, hooks)) return;
    const { deleteRange } = methods;
    const passed =
      namespace === undefined ? bytes : deleteRange.request.encode(namespace.within(request));
    passUnary(this.#upstream, call, passed, this.#writeHooks(hooks, this.#ofDelete));
  }

  txn(
    call: UnaryCall,
    request: etcdserverpb.TxnRequest,
    bytes: Uint8Array,
    hooks: UnaryHooks | undefined,
  ): void {
    const namespace = this.#namespace;
    const passed =
      namespace === undefined ? bytes : methods.txn.request.encode(namespace.txn(request));
    // One that writes goes through the log, and is answered after what was seen before it.
    const mayBeOld = this.#order !== undefined && !hasWrites(request);
    const changed = mayBeOld
      ? this.#readHooks(hooks, this.#ofTxn)
      : this.#writeHooks(hooks, this.#ofTxn);
    passUnary(this.#upstream, call, passed, changed, mayBeOld);
  }

  #readHooks(hooks: UnaryHooks | undefined, change: Change): UnaryHooks | undefined {
    const order = this.#order;
    if (order !== undefined) return new OrderedHooks(hooks, change, order, order.revision);
    return change === undefined ? hooks : new ChangedHooks(hooks, change, undefined);
  }

  #writeHooks(hooks: UnaryHooks | undefined, change: Change): UnaryHooks | undefined {
    if (change === undefined && this.#order === undefined) return hooks;
    return new ChangedHooks(hooks, change, this.#order);
  }

  /** Below a prefix an empty key would be the prefix itself. */
  #refusesEmptyKey(call: UnaryCall, key: Uint8Array, hooks: UnaryHooks | undefined): boolean {
    if (this.#namespace === undefined || key.length > 0) return false;
    hooks?.onFailure?.();
    failWith(call, 'EMPTY_KEY');
    return true;
  }
}

function changing<T>(
  codec: { decode(bytes: Uint8Array): T; encode(message: T): Uint8Array },
  change: (answer: T) => T,
): Change {
  return (reply) => codec.encode(change(codec.decode(reply)));
}

/** Answers as clients get them, before hooks that want to see those. */
class ChangedHooks implements UnaryHooks {
  readonly #hooks: UnaryHooks | undefined;
  readonly #change: Change;
  /** Told of the answer; undefined if nobody asks, or it was already. */
  readonly #order: ReadOrder | undefined;

  constructor(hooks: UnaryHooks | undefined, change: Change, order: ReadOrder | undefined) {
    this.#hooks = hooks;
    this.#change = change;
    this.#order = order;
  }

  onReply(reply: Uint8Array): Uint8Array {
    this.#order?.note(reply);
    const changed = this.#change?.(reply) ?? reply;
    return this.#hooks?.onReply?.(changed) ?? changed;
  }

  onFailure(): void {
    this.#hooks?.onFailure?.();
  }
}

/** Of a read, which may come from a member that is behind. */
class OrderedHooks extends ChangedHooks {
  readonly #readOrder: ReadOrder;
  readonly #since: number;

  constructor(hooks: UnaryHooks | undefined, change: Change, order: ReadOrder, since: number) {
    super(hooks, change, undefined);
    this.#readOrder = order;
    this.#since = since;
  }

  isStale(reply: Uint8Array): boolean {
    return !this.#readOrder.admits(reply, this.#since);
  }
}
