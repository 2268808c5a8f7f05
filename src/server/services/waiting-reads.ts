// Ranges and transactions that only read, which wait for their read index, or for the client to take
// earlier answers: one small object each.

import type { RoomWaiter } from '../../grpc/index.ts';
import { type EtcdErrorName, etcdserverpb } from '../../protocol/index.ts';
import { failWith, type UnaryCall } from '../../rpc/index.ts';
import type { Read } from '../consensus/read-index-queue.ts';
import type { RequestTimes } from '../telemetry/request-times.ts';
import type { SlowRequests } from '../telemetry/slow-requests.ts';

const { TxnRequestCodec } = etcdserverpb;

/** What evaluates them, with the times of their arrival and of the agreement; monotonic milliseconds. */
interface ReadService {
  readonly parts: {
    readonly slow: Pick<SlowRequests, 'nowMs'>;
    readonly requestTimes: Pick<RequestTimes, 'dropRange' | 'endTxn'>;
  };
  serveRange(
    call: UnaryCall,
    request: etcdserverpb.RangeRequest,
    sinceMs: number,
    agreedMs: number,
  ): void;
  serveReadonlyTxn(call: UnaryCall, request: etcdserverpb.TxnRequest, sinceMs: number): void;
}

/** Of its request it has a copy. */
export class WaitingRange implements Read, RoomWaiter {
  readonly #service: ReadService;
  readonly #call: UnaryCall;
  readonly #request: etcdserverpb.RangeRequest;
  readonly #sinceMs: number;

  constructor(service: ReadService, call: UnaryCall, request: etcdserverpb.RangeRequest) {
    this.#service = service;
    this.#sinceMs = service.parts.slow.nowMs;
    this.#call = call;
    this.#request = request;
    // Byte fields are views of the connection's buffer, which is reused after this turn.
    // The constructor copies at half the price of `Uint8Array.from`.
    request.key = new Uint8Array(request.key);
    if (request.rangeEnd.length > 0) request.rangeEnd = new Uint8Array(request.rangeEnd);
  }

  serve(): void {
    if (this.#call.isBehind) this.#call.whenRoom(this);
    else this.onRoom();
  }

  onRoom(): void {
    this.#service.serveRange(
      this.#call,
      this.#request,
      this.#sinceMs,
      this.#service.parts.slow.nowMs,
    );
  }

  fail(error: EtcdErrorName): void {
    this.#service.parts.requestTimes.dropRange(this.#sinceMs);
    failWith(this.#call, error);
  }
}

export class ReadonlyTxn implements Read, RoomWaiter {
  readonly #service: ReadService;
  readonly #call: UnaryCall;
  readonly #request: etcdserverpb.TxnRequest;
  readonly #sinceMs: number;

  /** `bytes` are the request's: valid in this turn only, so that they are copied. */
  constructor(service: ReadService, call: UnaryCall, bytes: Uint8Array) {
    this.#service = service;
    this.#call = call;
    this.#sinceMs = service.parts.slow.nowMs;
    this.#request = TxnRequestCodec.decode(new Uint8Array(bytes));
  }

  serve(): void {
    if (this.#call.isBehind) this.#call.whenRoom(this);
    else this.onRoom();
  }

  onRoom(): void {
    this.#service.serveReadonlyTxn(this.#call, this.#request, this.#sinceMs);
  }

  fail(error: EtcdErrorName): void {
    this.#service.parts.requestTimes.endTxn(false, this.#sinceMs);
    failWith(this.#call, error);
  }
}
