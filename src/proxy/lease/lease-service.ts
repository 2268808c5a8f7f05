// etcdserverpb.Lease of a proxy. Renewals of all clients that look alike to the cluster go over one stream;
// those of one lease that come while one is under way share its answer.

import type { ClientStream, MetadataInit } from '../../grpc/index.ts';
import { type CallStatus, STATUS, type StatusCode, type StreamHandler } from '../../grpc/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import { endMalformed, type ServiceTable, type StreamCall } from '../../rpc/index.ts';
import { callerKey, callerMetadata } from '../calls/passed-metadata.ts';
import { passUnary, REPEATABLE } from '../calls/passed-unary.ts';
import type { Upstream } from '../calls/upstream.ts';
import type { Namespace } from '../kv/namespace.ts';
import { RENEWALS_MAX } from '../limits.ts';

const { leaseKeepAlive, leaseTimeToLive } = etcdserverpb.LeaseService.methods;
const { request: requestCodec, response: responseCodec } = leaseKeepAlive;

interface LeaseServiceParts {
  readonly upstream: Upstream;
  readonly namespace: Namespace | undefined;
}

/** Methods that are not registered here are passed on as they are. */
export function registerLeaseService(table: ServiceTable, parts: LeaseServiceParts): void {
  const { upstream, namespace } = parts;
  const groups = new Map<string, RenewalGroup>();
  table.stream(leaseKeepAlive, (call) => {
    const key = callerKey(call.metadata);
    let group = groups.get(key);
    if (group === undefined) {
      group = new RenewalGroup(upstream, callerMetadata(call.metadata), () => groups.delete(key));
      groups.set(key, group);
    }
    return group.join(call);
  });
  if (namespace === undefined) return;
  const { response } = leaseTimeToLive;
  table.unary(leaseTimeToLive, (call, _, bytes) => {
    const hooks = {
      onReply: (reply: Uint8Array) => {
        const answer = response.decode(reply);
        const keys = answer.keys.filter((one) => namespace.has(one));
        return response.encode({ ...answer, keys: keys.map((one) => namespace.stripped(one)) });
      },
    };
    passUnary(upstream, call, bytes, hooks, REPEATABLE);
  });
}

class RenewalGroup {
  readonly #upstream: Upstream;
  readonly #metadata: MetadataInit;
  readonly #onEmpty: () => void;
  readonly #clients = new Set<RenewalClient>();
  /** Who waits for the answer to a renewal under way, by lease; a client as often as it has asked. */
  readonly #waiting = new Map<bigint, RenewalClient[]>();
  #stream: ClientStream | undefined;
  /** Whether the stream has answered: then its loss is worth another one. */
  #hasAnswered = false;

  constructor(upstream: Upstream, metadata: MetadataInit, onEmpty: () => void) {
    this.#upstream = upstream;
    this.#metadata = metadata;
    this.#onEmpty = onEmpty;
  }

  join(call: StreamCall): StreamHandler {
    const client = new RenewalClient(call, this);
    this.#clients.add(client);
    return client;
  }

  leave(client: RenewalClient): void {
    this.#clients.delete(client);
    if (this.#clients.size > 0) return;
    this.#onEmpty();
    const stream = this.#stream;
    this.#stream = undefined;
    stream?.cancel();
  }

  renew(client: RenewalClient, id: bigint): void {
    const others = this.#waiting.get(id);
    if (others !== undefined) {
      others.push(client);
      return;
    }
    this.#waiting.set(id, [client]);
    this.#stream ??= this.#open();
    this.#stream.write(requestCodec, requestCodec.create({ id }));
  }

  #open(): ClientStream {
    this.#hasAnswered = false;
    const stream: ClientStream = this.#upstream.channel.stream(
      leaseKeepAlive.path,
      {
        onMessage: (message) => this.#onMessage(message),
        onStatus: (status) => {
          if (this.#stream === stream) this.#onStatus(status);
        },
        onDrain: () => {},
      },
      { metadata: this.#metadata },
    );
    return stream;
  }

  #onMessage(message: Uint8Array): void {
    this.#hasAnswered = true;
    const answer = responseCodec.decode(message);
    const clients = this.#waiting.get(answer.id) ?? [];
    this.#waiting.delete(answer.id);
    for (const client of clients) client.answer(answer);
  }

  /** A renewal may be repeated: those under way are sent again, if the stream has been of use. */
  #onStatus({ code, message }: CallStatus): void {
    this.#stream = undefined;
    const isLost = code === STATUS.UNAVAILABLE || code === STATUS.INTERNAL;
    if (isLost && this.#hasAnswered) {
      if (this.#waiting.size === 0) return;
      this.#stream = this.#open();
      for (const id of this.#waiting.keys())
        this.#stream.write(requestCodec, requestCodec.create({ id }));
      return;
    }
    this.#waiting.clear();
    const status = code === STATUS.OK ? STATUS.UNAVAILABLE : code;
    for (const client of [...this.#clients]) client.end(status, message);
  }
}

/** A client's stream of renewals. */
class RenewalClient implements StreamHandler {
  readonly #call: StreamCall;
  readonly #group: RenewalGroup;
  #open = 0;
  #isPaused = false;
  #hasEnded = false;

  constructor(call: StreamCall, group: RenewalGroup) {
    this.#call = call;
    this.#group = group;
  }

  onMessage(message: Uint8Array): void {
    let id: bigint;
    try {
      ({ id } = requestCodec.decodeRequest(message));
    } catch (error) {
      this.#group.leave(this);
      endMalformed(this.#call, error);
      return;
    }
    this.#open++;
    this.#group.renew(this, id);
    this.#pace(true);
  }

  /** As a member: what has been asked is answered, then the stream ends. */
  onEnd(): void {
    this.#hasEnded = true;
    this.#endIfDone();
  }

  onCancel(): void {
    this.#group.leave(this);
  }

  onDrain(): void {
    this.#pace(true);
  }

  answer(answer: etcdserverpb.LeaseKeepAliveResponse): void {
    if (this.#call.ended) return;
    this.#open--;
    this.#pace(this.#call.write(responseCodec, answer));
    this.#endIfDone();
  }

  end(status: StatusCode, message: string): void {
    this.#group.leave(this);
    this.#call.end(status, message);
  }

  #endIfDone(): void {
    if (!this.#hasEnded || this.#open > 0 || this.#call.ended) return;
    this.#group.leave(this);
    this.#call.end();
  }

  /** Reads requests while there is room for their answers. */
  #pace(hasRoom: boolean): void {
    const mustPause = !hasRoom || this.#open >= RENEWALS_MAX;
    if (mustPause === this.#isPaused) return;
    this.#isPaused = mustPause;
    if (mustPause) this.#call.pause();
    else this.#call.resume();
  }
}
