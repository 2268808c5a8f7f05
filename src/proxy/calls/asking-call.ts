// A client's call that is answered after several questions to the cluster, one after the other or at the
// same time: each has the call's metadata and deadline, and ends with it.

import {
  BYTES_ENCODER,
  type CallOptions,
  GrpcStatusError,
  type RoomWaiter,
  STATUS,
} from '../../grpc/index.ts';
import type { UnaryCall } from '../../rpc/index.ts';
import type { Upstream } from './upstream.ts';

/** Owns the call: nothing else may answer it, or take its `onCancel`, before {@link AskingCall.leave}. */
export class AskingCall {
  readonly call: UnaryCall;
  readonly #upstream: Upstream;
  readonly #options: CallOptions;
  /** What ends when the call does. */
  readonly #open = new Set<() => void>();

  constructor(upstream: Upstream, call: UnaryCall) {
    this.call = call;
    this.#upstream = upstream;
    this.#options = upstream.optionsOf(call);
    call.onCancel = () => {
      for (const end of [...this.#open]) end();
    };
  }

  /** GrpcStatusError CANCELED if nobody waits for an answer any more. */
  mustBeWanted(): void {
    if (this.call.ended || !this.call.isWanted()) throw notWanted();
  }

  /** The answer's bytes, owned by the caller. Rejects with a GrpcStatusError. */
  ask(path: string, bytes: Uint8Array): Promise<Uint8Array> {
    const refusal = this.#upstream.sizeRefusal(bytes);
    return new Promise((resolve, reject) => {
      if (refusal !== undefined) throw new GrpcStatusError(refusal.status, refusal.message);
      this.mustBeWanted();
      const { channel } = this.#upstream;
      const cancel = (): void => asked.cancel();
      const asked = channel.unary(
        path,
        BYTES_ENCODER,
        bytes,
        {
          onReply: (reply) => {
            this.#open.delete(cancel);
            resolve(Uint8Array.from(reply));
          },
          onFailure: ({ code, message }) => {
            this.#open.delete(cancel);
            reject(new GrpcStatusError(code, message));
          },
        },
        this.#options,
      );
      this.#open.add(cancel);
    });
  }

  /** What `work` resolves with; rejects with CANCELED when the call ends before. */
  wait<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.mustBeWanted();
      const cancel = (): void => reject(notWanted());
      this.#open.add(cancel);
      work.then(resolve, reject).finally(() => this.#open.delete(cancel));
    });
  }

  /** Another handler takes the call. */
  leave(): void {
    this.call.onCancel = undefined;
  }

  /** Answers with encoded bytes, at once or when the client has room. */
  reply(bytes: Uint8Array): void {
    const { call } = this;
    if (call.ended) return;
    if (!call.isBehind) call.reply(BYTES_ENCODER, bytes);
    else {
      call.holdMemory(bytes.length);
      const waiter: RoomWaiter = { onRoom: () => call.reply(BYTES_ENCODER, bytes) };
      call.whenRoom(waiter);
    }
  }
}

function notWanted(): GrpcStatusError {
  return new GrpcStatusError(STATUS.CANCELED, 'context canceled');
}
