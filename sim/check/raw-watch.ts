// A watch as the server really serves it: the client of this package would hide repetitions and
// breaks. A watch that breaks is taken up again, as another record, from the revision after the last
// that was delivered or vouched for.

import { bytesFromLatin1 } from '../../src/base/index.ts';
import type { Clock, Entropy, Timers } from '../../src/env/index.ts';
import {
  type CallStatus,
  type Channel,
  type ClientStream,
  type Connect,
  createChannel,
  type Endpoint,
} from '../../src/grpc/index.ts';
import { etcdserverpb, mvccpb } from '../../src/protocol/index.ts';
import { storedKeyOf } from './client-target.ts';
import type { WatchEvent, WatchRequest } from './history.ts';
import type { Recorder, WatchRecording } from './recorder.ts';

const { WatchRequestCodec, WatchResponseCodec, WatchService } = etcdserverpb;

/** What a watch needs of the world. */
export interface WatchRuntime {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly entropy: Entropy;
  readonly connect: Connect;
}

export interface RawWatchOptions {
  readonly recorder: Recorder;
  readonly runtime: WatchRuntime;
  readonly endpoints: readonly Endpoint[];
  readonly client: string;
  readonly request: WatchRequest;
  /** Pause before a broken watch is taken up again. Default 100. */
  readonly retryMs?: number;
  /** Asked each time that it is opened, again when it rejects; undefined while no token is needed. */
  readonly token?: () => Promise<string | undefined>;
}

export class RawWatch {
  readonly #options: RawWatchOptions;
  readonly #channel: Channel;
  #stream: ClientStream | undefined = undefined;
  #recording: WatchRecording | undefined = undefined;
  /** First revision of which nothing has been delivered or vouched for; 0: from now on. */
  #next: number;
  #closed = false;

  constructor(options: RawWatchOptions) {
    this.#options = options;
    const { runtime, endpoints } = options;
    this.#channel = createChannel({ endpoints, ...runtime });
    this.#next = options.request.startRevision;
    this.#begin();
  }

  /** Everything before this revision has arrived. */
  get nextRevision(): number {
    return this.#next;
  }

  /** The server has taken it, and it has not ended since. */
  get isServed(): boolean {
    return this.#recording?.isCreated === true;
  }

  /** Asks the server how far the watch is; it answers when nothing is outstanding. */
  requestProgress(): void {
    this.#stream?.write(WatchRequestCodec, {
      requestUnion: { case: 'progressRequest', value: {} },
    });
  }

  /** Breaks the stream; the watch is taken up again, perhaps by another member. */
  break(): void {
    this.#stream?.cancel();
  }

  /** From now on the watch is served by these. */
  moveTo(endpoints: readonly Endpoint[]): void {
    this.#channel.setEndpoints(endpoints);
  }

  /** `expected`: the revision up to which everything should have arrived by now. */
  close(expected: number): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#recording?.onEnd({ kind: 'closed', expected });
    this.#recording = undefined;
    this.#stream?.cancel();
    this.#channel.close();
  }

  #begin(): void {
    const { recorder, client, request, token } = this.#options;
    const recording = recorder.beginWatch(client, { ...request, startRevision: this.#next });
    this.#recording = recording;
    if (token === undefined) {
      this.#open(recording, undefined);
      return;
    }
    token().then(
      (known) => {
        if (!this.#closed) this.#open(recording, known);
      },
      (error: unknown) => {
        if (this.#recording === recording) {
          recording.onEnd({ kind: 'broken', error: String(error) });
        }
        this.#retry();
      },
    );
  }

  #open(recording: WatchRecording, token: string | undefined): void {
    this.#stream = this.#channel.stream(
      WatchService.methods.watch.path,
      {
        onMessage: (bytes) => {
          if (this.#recording === recording) this.#onMessage(recording, Uint8Array.from(bytes));
        },
        onStatus: (status) => this.#onStatus(recording, status),
        onDrain: () => {},
      },
      { waitForReady: true, ...(token === undefined ? {} : { metadata: { token } }) },
    );
    this.#stream.write(WatchRequestCodec, {
      requestUnion: { case: 'createRequest', value: this.#createRequest() },
    });
  }

  #createRequest(): etcdserverpb.WatchCreateRequest {
    const { NOPUT, NODELETE } = etcdserverpb.FilterType;
    const { key, end, prevKv, noPut, noDelete, progressNotify, fragment } = this.#options.request;
    return etcdserverpb.WatchCreateRequestCodec.create({
      key: bytesFromLatin1(key),
      rangeEnd: bytesFromLatin1(end ?? ''),
      startRevision: this.#next,
      prevKv: prevKv ?? false,
      progressNotify: progressNotify ?? false,
      fragment: fragment ?? false,
      filters: [...(noPut === true ? [NOPUT] : []), ...(noDelete === true ? [NODELETE] : [])],
    });
  }

  #onMessage(recording: WatchRecording, bytes: Uint8Array): void {
    const response = WatchResponseCodec.decode(bytes);
    const revision = response.header?.revision ?? 0;
    const { created, canceled, compactRevision, cancelReason, events, fragment } = response;
    if (created && !canceled) {
      recording.onCreated(revision);
      if (this.#next === 0) this.#next = revision + 1;
      return;
    }
    if (canceled) {
      if (compactRevision > 0) {
        recording.onEnd({ kind: 'compacted', compactRevision });
        // That revision itself can still be had.
        this.#next = Math.max(this.#next, compactRevision);
      } else recording.onEnd({ kind: 'canceled', reason: cancelReason });
      this.#recording = undefined;
      this.#stream?.cancel();
      return;
    }
    recording.onResponse({ revision, events: events.map(eventOf), fragment });
    const last = events.at(-1)?.kv?.modRevision ?? revision;
    this.#next = Math.max(this.#next, fragment ? last : last + 1);
  }

  #onStatus(recording: WatchRecording, status: CallStatus): void {
    if (this.#recording === recording) {
      recording.onEnd({ kind: 'broken', error: `${status.code} ${status.message}` });
    }
    this.#stream = undefined;
    this.#retry();
  }

  #retry(): void {
    this.#recording = undefined;
    if (this.#closed) return;
    this.#options.runtime.timers.after(this.#options.retryMs ?? 100, () => {
      if (!this.#closed) this.#begin();
    });
  }
}

function eventOf({ type, kv, prevKv }: mvccpb.Event): WatchEvent {
  const event: WatchEvent = {
    type: type === mvccpb.EventType.DELETE ? 'delete' : 'put',
    kv: storedKeyOf(kv ?? mvccpb.KeyValueCodec.create()),
  };
  return prevKv === undefined ? event : { ...event, prevKv: storedKeyOf(prevKv) };
}
