// The common part of the appliers: one request at a time, in slices, complete or refused.

import { fail, invariant } from '../../base/index.ts';
import { EtcdError } from '../../protocol/index.ts';
import { APPLIED, type ApplyResult } from './apply-result.ts';
import type { Operation } from './operation.ts';
import type { RequestApplier } from './request-applier.ts';
import type { RequestUser } from './request-envelope.ts';
import type { StoreWriter } from './store-writer.ts';

/** A request that takes more than one slice; answers with its result when it is complete. */
type Continuation = () => ApplyResult | undefined;

/** Applies the operations of one concern. */
export abstract class OperationApplier<Own extends Operation>
  implements Pick<RequestApplier, 'step' | 'result'>
{
  protected readonly writer: StoreWriter;
  #result: ApplyResult = APPLIED;
  #continuation: Continuation | undefined;

  constructor(writer: StoreWriter) {
    this.writer = writer;
  }

  /** Begins one of its operations; true if it is complete. A refusal is thrown as an EtcdError. */
  protected abstract start(operation: Own, awaited: boolean): boolean;

  get result(): ApplyResult {
    return this.#result;
  }

  begin(operation: Own, _user: RequestUser, awaited: boolean): boolean {
    invariant(this.#continuation === undefined, 'a request begins when the one before is complete');
    try {
      return this.start(operation, awaited);
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

  protected complete(result: ApplyResult): true {
    this.#result = result;
    return true;
  }

  protected continueWith(continuation: Continuation): boolean {
    this.#continuation = continuation;
    return this.step();
  }

  /** Makes the result of a refused request, which has had no effect; other errors are thrown on. */
  #refuse(error: unknown): true {
    if (!(error instanceof EtcdError)) throw error;
    this.#continuation = undefined;
    this.writer.end();
    this.#result = { kind: 'error', error: error.code };
    return true;
  }
}
