// A watch through the TypeScript client, which hides breaks: what it delivers must keep etcd's promises
// as if nothing had broken.

import { bytesFromLatin1 } from '../../src/base/index.ts';
import {
  type Client,
  type WatchEvent as ClientEvent,
  WatchCompactedError,
} from '../../src/client/index.ts';
import type { Timers } from '../../src/env/index.ts';
import { storedKeyOf } from './client-target.ts';
import type { WatchEvent, WatchRequest } from './history.ts';
import type { Recorder, WatchRecording } from './recorder.ts';

export interface ClientWatchOptions {
  readonly recorder: Recorder;
  readonly client: Client;
  readonly timers: Timers;
  readonly name: string;
  /** Without fragments; with a start, since the client does not tell where "now" was. */
  readonly request: WatchRequest;
}

const RETRY_MS = 100;

export class ClientWatch {
  readonly #options: ClientWatchOptions;
  readonly #abort = new AbortController();
  #next: number;
  #recording: WatchRecording | undefined = undefined;

  constructor(options: ClientWatchOptions) {
    this.#options = options;
    this.#next = options.request.startRevision;
    void this.#run();
  }

  /** Every event before this revision has been delivered. */
  get nextRevision(): number {
    return this.#next;
  }

  /** `expected`: the revision up to which everything should have arrived by now. */
  close(expected: number): void {
    this.#recording?.onEnd({ kind: 'closed', expected });
    this.#recording = undefined;
    this.#abort.abort();
  }

  async #run(): Promise<void> {
    const { timers } = this.#options;
    while (!this.#abort.signal.aborted) {
      await this.#watch();
      await new Promise<void>((resolve) => timers.after(RETRY_MS, resolve));
    }
  }

  /** Until the watch ends: when it is closed, or its revision compacted. */
  async #watch(): Promise<void> {
    const { recorder, client, name, request } = this.#options;
    const startRevision = this.#next;
    const recording = recorder.beginWatch(name, { ...request, startRevision });
    this.#recording = recording;
    const { key, end, prevKv = false, noPut, noDelete } = request;
    const watcher = client.watch(bytesFromLatin1(key), {
      ...(end === undefined ? {} : { rangeEnd: bytesFromLatin1(end) }),
      ...{ startRevision, prevKv, signal: this.#abort.signal },
      filters: [
        ...(noPut === true ? (['noPut'] as const) : []),
        ...(noDelete === true ? (['noDelete'] as const) : []),
      ],
    });
    watcher.created.then(
      // It does not tell at which revision; with a start, that is not needed.
      () => recording.onCreated(startRevision - 1),
      () => {},
    );
    try {
      for await (const { header, events } of watcher.responses()) {
        if (this.#recording !== recording) return;
        const { revision } = header;
        recording.onResponse({ revision, events: events.map(eventOf), fragment: false });
        this.#next = (events.at(-1)?.kv.modRevision ?? revision) + 1;
      }
    } catch (error) {
      if (this.#recording !== recording) return;
      if (error instanceof WatchCompactedError) {
        const { compactRevision } = error;
        recording.onEnd({ kind: 'compacted', compactRevision });
        this.#next = Math.max(this.#next, compactRevision);
      } else recording.onEnd({ kind: 'broken', error: String(error) });
    }
  }
}

function eventOf({ type, kv, prevKv }: ClientEvent): WatchEvent {
  const event: WatchEvent = { type, kv: storedKeyOf(kv) };
  return prevKv === undefined ? event : { ...event, prevKv: storedKeyOf(prevKv) };
}
