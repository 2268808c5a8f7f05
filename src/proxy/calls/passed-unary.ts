// A unary call, passed on. Hot: this object, the metadata and the channel's own record are all that is
// made per call.

import {
  BYTES_ENCODER,
  type CallOptions,
  type CallStatus,
  type ClientCall,
  type RoomWaiter,
  STATUS,
  type UnarySink,
} from '../../grpc/index.ts';
import { etcdErrorOfMessage } from '../../protocol/index.ts';
import type { UnaryCall } from '../../rpc/index.ts';
import { PASSED_ATTEMPTS_MAX, STALE_PAUSE_MS, STALE_ROUNDS_MAX } from '../limits.ts';
import type { Upstream } from './upstream.ts';

/** What a service of the proxy does with the answer, beside passing it on. */
export interface UnaryHooks {
  /**
   * Sees the answer before the client does, valid during the call; the answer to send instead, or
   * undefined for the same one.
   */
  onReply?(reply: Uint8Array): Uint8Array | undefined;
  /** Whether the answer is too old: another member is asked. Only of a call that is repeatable. */
  isStale?(reply: Uint8Array): boolean;
  onFailure?(): void;
}

/** etcd's text, for when no member has a revision that was seen already. */
const NO_GREATER_REVISION =
  'etcdclient: no cluster members have a revision higher than the previously received revision';

/** An attempt may be repeated though a member may have executed it. */
export const REPEATABLE = true;

/** Answers `call` with what the cluster answers to `bytes`, the encoded request. */
export function passUnary(
  upstream: Upstream,
  call: UnaryCall,
  bytes: Uint8Array,
  hooks: UnaryHooks | undefined,
  repeatable = false,
): void {
  const refusal = upstream.sizeRefusal(bytes);
  if (refusal === undefined) {
    new PassedUnary(upstream, call, hooks).start(bytes, repeatable);
    return;
  }
  hooks?.onFailure?.();
  call.fail(refusal.status, refusal.message);
}

class PassedUnary implements UnarySink, RoomWaiter {
  readonly #upstream: Upstream;
  readonly #call: UnaryCall;
  readonly #hooks: UnaryHooks | undefined;
  readonly #options: CallOptions;
  #passed: ClientCall | undefined;
  /** For another attempt; undefined if there is none. */
  #kept: Uint8Array | undefined;
  #attempts = 0;
  /** Answers that were too old. */
  #staleCount = 0;
  /** An answer for which the client has no room yet. */
  #reply: Uint8Array | undefined;

  constructor(upstream: Upstream, call: UnaryCall, hooks: UnaryHooks | undefined) {
    this.#upstream = upstream;
    this.#call = call;
    this.#hooks = hooks;
    this.#options = upstream.optionsOf(call);
  }

  start(bytes: Uint8Array, repeatable: boolean): void {
    if (repeatable) this.#kept = Uint8Array.from(bytes);
    this.#call.onCancel = () => this.#passed?.cancel();
    this.#attempt(bytes);
  }

  #attempt(bytes: Uint8Array): void {
    this.#attempts++;
    const { channel } = this.#upstream;
    this.#passed = channel.unary(this.#call.path, BYTES_ENCODER, bytes, this, this.#options);
  }

  onReply(reply: Uint8Array): void {
    const call = this.#call;
    if (this.#hooks?.isStale?.(reply) === true) {
      this.#askAnother();
      return;
    }
    const answer = this.#hooks?.onReply?.(reply) ?? reply;
    if (call.ended) return;
    if (!call.isBehind) {
      call.reply(BYTES_ENCODER, answer);
      return;
    }
    this.#reply = Uint8Array.from(answer);
    call.holdMemory(answer.length);
    call.whenRoom(this);
  }

  onRoom(): void {
    this.#call.reply(BYTES_ENCODER, this.#reply!);
  }

  onFailure(status: CallStatus): void {
    const call = this.#call;
    if (this.#mayRepeat(status) && call.isWanted()) {
      this.#attempt(this.#kept!);
      return;
    }
    this.#hooks?.onFailure?.();
    call.fail(status.code, status.message);
  }

  /** The next member at once; when all have been asked, after a pause, in which one may catch up. */
  #askAnother(): void {
    const { channel, timers } = this.#upstream;
    const members = channel.states().length;
    const round = Math.floor(++this.#staleCount / members);
    const again = (): void => {
      if (this.#call.isWanted()) this.#attempt(this.#kept!);
    };
    if (this.#staleCount % members > 0) again();
    else if (round < STALE_ROUNDS_MAX) timers.after(STALE_PAUSE_MS * 2 ** round, again);
    else {
      this.#hooks?.onFailure?.();
      this.#call.fail(STATUS.UNKNOWN, NO_GREATER_REVISION);
    }
  }

  /** A lost connection, or a member that is between two leaders; not one that says it has none. */
  #mayRepeat({ code, message }: CallStatus): boolean {
    if (this.#kept === undefined || this.#attempts >= PASSED_ATTEMPTS_MAX) return false;
    return code === STATUS.UNAVAILABLE && etcdErrorOfMessage(message) !== 'NO_LEADER';
  }
}
