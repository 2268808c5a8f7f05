// Transactions as a chain of calls.

import { etcdserverpb } from '../protocol/index.ts';
import { invalidArgument } from './errors.ts';
import type { CallOptions } from './options.ts';
import { type TxnResult, txnResultOf } from './results.ts';
import type { Calls } from './transport/calls.ts';
import {
  type Comparison,
  checkComparisons,
  checkOps,
  type Op,
  txnRequest,
} from './transport/requests.ts';

/**
 * `client.kv.txn().if(…).then(…).else(…).commit()`. Each part may be called several times and appends;
 * nothing is sent before `commit`.
 */
export class Txn {
  readonly #calls: Calls;
  readonly #if: Comparison[] = [];
  readonly #then: Op[] = [];
  readonly #else: Op[] = [];

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  /** Adds comparisons, which must all hold for `then`; without any, `then` is executed. */
  if(...comparisons: readonly Comparison[]): this {
    checkComparisons(comparisons);
    this.#if.push(...comparisons);
    return this;
  }

  /**
   * Operations if all comparisons hold. An `await` of the chain without `commit` would call this
   * with functions: it rejects.
   */
  // biome-ignore lint/suspicious/noThenProperty: etcd's word for it; `await` is met above
  then(...ops: readonly Op[]): this {
    const [, reject] = ops as readonly unknown[];
    if (typeof reject === 'function') {
      reject(invalidArgument('a transaction is sent by commit(); await that'));
      return this;
    }
    checkOps(ops);
    this.#then.push(...ops);
    return this;
  }

  /** Adds operations to be executed if a comparison does not hold. */
  else(...ops: readonly Op[]): this {
    checkOps(ops);
    this.#else.push(...ops);
    return this;
  }

  /** Executes the transaction atomically; resolves with the results of the executed branch. */
  async commit(options: CallOptions = {}): Promise<TxnResult> {
    const request = txnRequest(this.#if, this.#then, this.#else);
    const repeat = isReadOnly(request) ? 'always' : 'unbegun';
    const method = etcdserverpb.KVService.methods.txn;
    return txnResultOf(await this.#calls.unary(method, request, options, repeat));
  }
}

function isReadOnly(request: etcdserverpb.TxnRequest): boolean {
  return [...request.success, ...request.failure].every(
    ({ request: each }) =>
      each?.case === 'requestRange' || (each?.case === 'requestTxn' && isReadOnly(each.value)),
  );
}
