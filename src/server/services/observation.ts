// Election.Observe: the leader of an election and all that it proclaims, then the next one.
//
//     look ──► a key leads ──► tell of it, watch it from the revision after the look
//      ▲ │                       ├─ put: tell of it
//      │ └─► none: watch for     └─ deleted ──┐
//      │     the first put ──► tell of it     │
//      └──────────────────────────────────────┘

import { latin1FromBytes } from '../../base/index.ts';
import { GrpcStatusError, STATUS, type StreamHandler } from '../../grpc/index.ts';
import { type etcdserverpb, mvccpb, v3electionpb } from '../../protocol/index.ts';
import {
  endMalformed,
  type LocalCalls,
  type LocalStream,
  type StreamCall,
  statusOfError,
} from '../../rpc/index.ts';
import { CallerClient } from './caller-client.ts';
import { KeyQueue } from './key-queue.ts';

const { LeaderRequestCodec, LeaderResponseCodec } = v3electionpb;

const NO_LEADER = statusOfError('NO_LEADER');

/** What a watch has seen so far: whether it goes on. */
type Seen = 'go on' | 'done';

export class Observation implements StreamHandler {
  readonly #call: StreamCall;
  readonly #client: CallerClient;
  readonly #abort = new AbortController();
  /** Under way, while there is one. */
  #watch: LocalStream | undefined;
  #ended = false;

  constructor(calls: LocalCalls, call: StreamCall) {
    this.#call = call;
    this.#client = new CallerClient({ calls, call, signal: this.#abort.signal });
  }

  onMessage(message: Uint8Array): void {
    if (this.#ended) return;
    try {
      const { name } = LeaderRequestCodec.decodeRequest(message);
      void this.#observe(new KeyQueue(this.#client, latin1FromBytes(name)));
    } catch (error) {
      this.#ended = true;
      endMalformed(this.#call, error);
    }
  }

  onEnd(): void {
    // The one request has come already.
  }

  onCancel(): void {
    this.#ended = true;
    this.#abort.abort();
  }

  onDrain(): void {
    this.#watch?.resume();
  }

  /** Until the client has gone, or a look or a watch is refused: then the stream ends, as etcd's does. */
  async #observe(queue: KeyQueue): Promise<void> {
    try {
      while (!this.#ended) await this.#followLeader(queue);
    } catch (error) {
      if (!(error instanceof GrpcStatusError)) throw error;
      if (this.#ended) return;
      this.#ended = true;
      if (error.details === NO_LEADER.message) this.#call.end(error.code, error.details);
      else this.#call.end();
    }
  }

  /** One leader, from the look that finds it to the deletion of its key. */
  async #followLeader(queue: KeyQueue): Promise<void> {
    const { header, kvs } = await queue.first();
    const revision = header?.revision ?? 0;
    if (kvs[0] !== undefined) {
      this.#tell(header, kvs[0]);
      await this.#followKey(kvs[0].key, revision);
      return;
    }
    let first: mvccpb.KeyValue | undefined;
    await this.#watchUntil(queue.watchFrom(revision), (response) => {
      first = response.events[0]?.kv;
      if (first === undefined) return 'go on';
      this.#tell(response.header && { ...response.header, revision: first.modRevision }, first);
      return 'done';
    });
    if (first !== undefined) await this.#followKey(first.key, first.modRevision);
  }

  async #followKey(key: Uint8Array, revision: number): Promise<void> {
    await this.#watchUntil({ key, startRevision: revision + 1 }, ({ header, events }) => {
      for (const { type, kv } of events) {
        if (type === mvccpb.EventType.DELETE) return 'done';
        this.#tell(header, kv);
      }
      return 'go on';
    });
  }

  /** Also ends when what it should see has been compacted: the key is looked for again. */
  #watchUntil(
    request: etcdserverpb.WatchCreateRequestInit,
    see: (response: etcdserverpb.WatchResponse) => Seen,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const watch = this.#client.watch(
        [request],
        {
          onResponse: (response) => {
            const { canceled, cancelReason, compactRevision } = response;
            if (see(response) === 'done' || compactRevision > 0) resolve();
            else if (canceled)
              reject(new GrpcStatusError(STATUS.FAILED_PRECONDITION, cancelReason));
            else return;
            this.#watch = undefined;
            watch.cancel();
          },
          onEnd: (status, message) => reject(new GrpcStatusError(status, message)),
        },
        { demandsLeader: true },
      );
      this.#watch = watch;
      if (!this.#call.hasRoom) watch.pause();
    });
  }

  #tell(header: etcdserverpb.ResponseHeader | undefined, kv: mvccpb.KeyValue | undefined): void {
    const response = LeaderResponseCodec.create({ header, kv });
    if (!this.#call.write(LeaderResponseCodec, response)) this.#watch?.pause();
  }
}
