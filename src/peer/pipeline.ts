// Messages as single POST requests while there is no stream: a few at a time, the rest in a short queue.

import { raftpb } from '../protocol/index.ts';
import type { ConnectionPool } from './connection-pool.ts';
import { failureText, type PeerContext } from './context.ts';
import {
  PIPELINE_BYTES_MAX,
  PIPELINE_MESSAGES_MAX,
  PIPELINE_WORKERS,
  POST_TIMEOUTS,
} from './limits.ts';
import type { PeerStatus } from './peer-status.ts';
import { refusalOfPost } from './post-answer.ts';
import type { UrlPicker } from './url-picker.ts';

interface PipelineOptions {
  readonly context: PeerContext;
  readonly peer: bigint;
  readonly status: PeerStatus;
  readonly picker: UrlPicker;
  readonly pool: ConnectionPool;
}

export class Pipeline {
  readonly #options: PipelineOptions;
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #working = 0;
  #stopped = false;

  constructor(options: PipelineOptions) {
    this.#options = options;
  }

  /** Encodes and queues the message. False if it was dropped. */
  send(message: raftpb.Message): boolean {
    if (this.#stopped || this.#queue.length >= PIPELINE_MESSAGES_MAX) return false;
    const size = raftpb.MessageCodec.size(message);
    if (this.#queuedBytes > 0 && this.#queuedBytes + size > PIPELINE_BYTES_MAX) return false;
    this.#queue.push(raftpb.MessageCodec.encode(message));
    this.#queuedBytes += size;
    if (this.#working < PIPELINE_WORKERS) void this.#work();
    return true;
  }

  stop(): void {
    this.#stopped = true;
    this.#queue = [];
    this.#queuedBytes = 0;
  }

  async #work(): Promise<void> {
    this.#working++;
    this.#options.context.begin();
    for (;;) {
      const body = this.#queue.shift();
      if (body === undefined) break;
      this.#queuedBytes -= body.length;
      await this.#post(body);
    }
    this.#working--;
    this.#options.context.end();
  }

  async #post(body: Uint8Array): Promise<void> {
    const { context, peer, picker, pool, status } = this.#options;
    const url = picker.pick();
    let error: string | undefined;
    try {
      const answer = await pool.request(url, {
        method: 'POST',
        path: '/raft',
        headers: { ...context.headers(), 'Content-Type': 'application/protobuf' },
        body,
        timeoutMs: POST_TIMEOUTS * context.ioTimeoutMs,
      });
      if (this.#stopped) return;
      error = refusalOfPost(context, status.id, answer);
    } catch (failure) {
      error = failureText(failure);
    }
    if (this.#stopped) return;
    if (error === undefined) {
      status.activate();
      context.metrics.sentBytes(status.id).value += body.length;
      return;
    }
    picker.unreachable(url);
    status.deactivate({ source: 'pipeline', action: 'write' }, error);
    context.host.reportUnreachable(peer);
    context.metrics.sentFailures(status.id).value++;
  }
}
