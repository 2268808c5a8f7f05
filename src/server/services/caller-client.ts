// Keys, leases and watches in the name of who makes a call, for services that are made of other services.
// What it calls meets the guards that every client meets.

import {
  type Encoder,
  GrpcStatusError,
  type Metadata,
  STATUS,
  type StatusCode,
} from '../../grpc/index.ts';
import { etcdErrorOfMessage, etcdserverpb, type MethodDescriptor } from '../../protocol/index.ts';
import type { Call, LocalCalls, LocalStream, UnaryCall } from '../../rpc/index.ts';

const { KVService, LeaseService, WatchService } = etcdserverpb;
const { WatchRequestCodec, WatchResponseCodec, WatchCreateRequestCodec } = etcdserverpb;

/** Time to live, in seconds, of a lease for a client that brings none; etcd's. */
const SESSION_TTL_SEC = 60;

/** Whose signal ends what is done for a call. */
interface CallerClientOptions {
  readonly calls: LocalCalls;
  readonly call: Call;
  readonly signal: AbortSignal;
}

/** Receives what a watch sees. */
interface CallerWatchListener {
  /** One response of the server, which may hold no event. */
  onResponse(response: etcdserverpb.WatchResponse): void;
  /** The watch has ended, also by `cancel` or the signal; nothing comes after it. */
  onEnd(status: StatusCode, message: string): void;
}

export class CallerClient {
  readonly signal: AbortSignal;
  readonly #calls: LocalCalls;
  readonly #call: Call;

  constructor({ calls, call, signal }: CallerClientOptions) {
    this.signal = signal;
    this.#calls = calls;
    this.#call = call;
  }

  range(request: etcdserverpb.RangeRequestInit): Promise<etcdserverpb.RangeResponse> {
    return this.#unary(KVService.methods.range, request, this.signal);
  }

  /** Goes on when the signal comes: what a transaction has done has to be known to be undone. */
  txn(request: etcdserverpb.TxnRequestInit): Promise<etcdserverpb.TxnResponse> {
    return this.#unary(KVService.methods.txn, request, undefined);
  }

  /** Goes on when the signal comes. */
  deleteRange(
    request: etcdserverpb.DeleteRangeRequestInit,
  ): Promise<etcdserverpb.DeleteRangeResponse> {
    return this.#unary(KVService.methods.deleteRange, request, undefined);
  }

  /** The lease that a client brings or, if it brings none (0), a new one. */
  async leaseOr(given: bigint): Promise<bigint> {
    if (given !== 0n) return given;
    const { leaseGrant } = LeaseService.methods;
    return (await this.#unary(leaseGrant, { ttl: SESSION_TTL_SEC }, this.signal)).id;
  }

  /** One watch stream with a watcher per request, whose ids are 0, 1, and so on. */
  watch(
    requests: readonly etcdserverpb.WatchCreateRequestInit[],
    listener: CallerWatchListener,
    { demandsLeader = false }: { readonly demandsLeader?: boolean } = {},
  ): LocalStream {
    const { path } = WatchService.methods.watch;
    const stream = this.#calls.stream(
      path,
      {
        onMessage: (bytes) => listener.onResponse(WatchResponseCodec.decode(bytes)),
        onEnd: (status, message) => listener.onEnd(status, message),
      },
      { ...this.#context(demandsLeader), signal: this.signal },
    );
    for (const request of requests) {
      const value = WatchCreateRequestCodec.create(request);
      stream.send(WatchRequestCodec.encode({ requestUnion: { case: 'createRequest', value } }));
    }
    return stream;
  }

  async #unary<Request, RequestInit, Response, ResponseInit>(
    method: MethodDescriptor<Request, RequestInit, Response, ResponseInit>,
    request: RequestInit,
    signal: AbortSignal | undefined,
  ): Promise<Response> {
    const bytes = method.request.encode(method.request.create(request));
    const context = this.#context(false);
    const answer = await this.#calls.unary(
      method.path,
      bytes,
      signal === undefined ? context : { ...context, signal },
    );
    return method.response.decode(answer);
  }

  /** The signal stands for the deadline of the call. */
  #context(demandsLeader: boolean) {
    const { peer, metadata, caller } = this.#call;
    return {
      ...{ peer, caller },
      metadata: demandsLeader ? metadata : withoutLeaderDemand(metadata),
      deadlineMs: Number.POSITIVE_INFINITY,
    };
  }
}

/** Whether there is a leader was asked of the call itself: one that waits for a key outlives elections. */
function withoutLeaderDemand(metadata: Metadata): Metadata {
  return {
    get: (name) => (name === 'hasleader' ? undefined : metadata.get(name)),
    getAll: (name) => (name === 'hasleader' ? [] : metadata.getAll(name)),
    getBytes: (name) => metadata.getBytes(name),
    entries: () => metadata.entries().filter(([name]) => name !== 'hasleader'),
  };
}

/**
 * Answers a unary call with what `work` resolves to. The client that it gets acts in the name of who
 * calls, and its signal says that the call has ended without an answer.
 */
export function answerWith<Response>(
  calls: LocalCalls,
  call: UnaryCall,
  encoder: Encoder<Response>,
  work: (client: CallerClient) => Promise<Response>,
): void {
  const abort = new AbortController();
  call.onCancel = () => abort.abort();
  void work(new CallerClient({ calls, call, signal: abort.signal })).then(
    (response) => call.reply(encoder, response),
    (error: unknown) => {
      const { code, details } = asStatus(error);
      call.fail(code, details);
    },
  );
}

/** etcd's client inside the server turns etcd's own errors into ones without a code. */
function asStatus(error: unknown): GrpcStatusError {
  if (!(error instanceof GrpcStatusError)) throw error;
  const isEtcds = etcdErrorOfMessage(error.details) !== undefined;
  return isEtcds ? plainError(error.details) : error;
}

/** An error of which etcd sends nothing but the text. */
export function plainError(text: string): GrpcStatusError {
  return new GrpcStatusError(STATUS.UNKNOWN, text);
}
