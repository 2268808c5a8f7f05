// Keys of the cluster as leasing asks for them: requests and answers as messages, below the namespace.

import { etcdserverpb } from '../../protocol/index.ts';
import type { AskingCall } from '../calls/asking-call.ts';
import type { Namespace } from '../kv/namespace.ts';
import type { ReadOrder } from '../kv/read-order.ts';

const { range, txn } = etcdserverpb.KVService.methods;

interface ClusterKvParts {
  readonly namespace: Namespace | undefined;
  readonly order: ReadOrder | undefined;
}

export class ClusterKv {
  readonly #namespace: Namespace | undefined;
  readonly #order: ReadOrder | undefined;

  constructor({ namespace, order }: ClusterKvParts) {
    this.#namespace = namespace;
    this.#order = order;
  }

  /** A linearizable read; rejects as `ask` does. */
  async range(
    asking: AskingCall,
    request: etcdserverpb.RangeRequest,
  ): Promise<etcdserverpb.RangeResponse> {
    const asked = this.#namespace?.within(request) ?? request;
    const response = range.response.decode(
      await asking.ask(range.path, range.request.encode(asked)),
    );
    this.#order?.noteRevision(response.header?.revision ?? 0);
    return this.#namespace?.rangeResponse(response) ?? response;
  }

  async txn(
    asking: AskingCall,
    init: etcdserverpb.TxnRequestInit,
  ): Promise<etcdserverpb.TxnResponse> {
    const request = txn.request.create(init);
    const asked = this.#namespace?.txn(request) ?? request;
    const response = txn.response.decode(await asking.ask(txn.path, txn.request.encode(asked)));
    this.#order?.noteRevision(response.header?.revision ?? 0);
    return this.#namespace?.txnResponse(response) ?? response;
  }
}
