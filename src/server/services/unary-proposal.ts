// Proposals of unary calls off the hot paths; `kv.ts` has separate ones.

import type { EtcdErrorName } from '../../protocol/index.ts';
import { failWith, type UnaryCall } from '../../rpc/index.ts';
import type { ApplyResult } from '../../store/index.ts';
import type { Proposal } from '../consensus/proposals.ts';

/** Answers its call when the entry has been applied. */
export class UnaryProposal implements Proposal {
  readonly #call: UnaryCall;
  readonly #reply: (result: ApplyResult) => void;

  constructor(call: UnaryCall, reply: (result: ApplyResult) => void) {
    this.#call = call;
    this.#reply = reply;
  }

  complete(result: ApplyResult): void {
    if (result.kind === 'error') failWith(this.#call, result.error);
    else this.#reply(result);
  }

  fail(error: EtcdErrorName): void {
    failWith(this.#call, error);
  }

  isWanted(): boolean {
    return this.#call.isWanted();
  }
}
