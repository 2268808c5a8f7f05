// Sends a database to another member: one POST with the message, then the file in chunks, then a trailer
// with the digest of the file (RFC 9530), which real etcd ignores.

import { createHash } from 'node:crypto';
import { EMPTY_BYTES, ERROR_CODES, TetcdError } from '../base/index.ts';
import type { Timer } from '../env/index.ts';
import type { raftpb } from '../protocol/index.ts';
import { hostOfUrl } from './address.ts';
import { MessageStreamEncoder } from './codec/message-stream.ts';
import { failureText, type PeerContext } from './context.ts';
import {
  CHUNK_HEAD_BYTES,
  CHUNK_OVERHEAD,
  type ClientConnection,
  frameChunk,
  lastChunkWith,
  requestHeadBytes,
} from './http1/index.ts';
import { REFUSAL_BYTES_MAX, SNAPSHOT_ANSWER_MS_MAX, SNAPSHOT_STALL_MS_MAX } from './limits.ts';
import type { PeerStatus } from './peer-status.ts';
import { refusalOfPost } from './post-answer.ts';
import type { OutgoingSnapshot, PeerResponse } from './types.ts';
import type { UrlPicker } from './url-picker.ts';

const DIGEST_HEADER = 'Content-Digest';

interface SnapshotSenderOptions {
  readonly context: PeerContext;
  readonly peer: bigint;
  readonly status: PeerStatus;
  readonly picker: UrlPicker;
}

export class SnapshotSender {
  readonly #options: SnapshotSenderOptions;
  #transfer: Transfer | undefined;
  #busy = false;
  #stopped = false;

  constructor(options: SnapshotSenderOptions) {
    this.#options = options;
  }

  /** Whether the receiver accepted it; false while another is being sent. Closes `snapshot`. */
  async send(message: raftpb.Message, snapshot: OutgoingSnapshot): Promise<boolean> {
    if (this.#busy || this.#stopped) {
      snapshot.close();
      return false;
    }
    this.#busy = true;
    const { context, picker, status } = this.#options;
    const { log, metrics } = context;
    const sinceMs = context.nowMs();
    const url = picker.pick();
    const fields = {
      'snapshot-index': message.snapshot?.metadata?.index ?? 0,
      'remote-peer-id': status.id,
      bytes: snapshot.size,
    };
    context.begin();
    log.info('sending database snapshot', fields);
    metrics.snapshotSendInflight(status.id).value++;
    let error: string | undefined;
    try {
      error = await this.#post(url, message, snapshot);
    } catch (failure) {
      error = failureText(failure);
    } finally {
      this.#transfer = undefined;
      snapshot.close();
      this.#busy = false;
      metrics.snapshotSendInflight(status.id).value--;
      context.end();
    }
    if (error !== undefined) {
      log.warn('failed to send database snapshot', { ...fields, error });
      this.#failed(url, error);
      return false;
    }
    status.activate();
    log.info('sent database snapshot', fields);
    metrics.sentBytes(status.id).value += snapshot.size;
    metrics.snapshotSendSuccess(status.id).value++;
    metrics.snapshotSendSeconds(status.id).observe((context.nowMs() - sinceMs) / 1000);
    return true;
  }

  stop(): void {
    this.#stopped = true;
    this.#transfer?.abort();
  }

  #failed(url: string, error: string): void {
    const { context, peer, picker, status } = this.#options;
    context.metrics.sentFailures(status.id).value++;
    context.metrics.snapshotSendFailures(status.id).value++;
    if (this.#stopped) return;
    picker.unreachable(url);
    status.deactivate({ source: 'sendMsgSnap', action: 'post' }, error);
    context.host.reportUnreachable(peer);
  }

  async #post(
    url: string,
    message: raftpb.Message,
    snapshot: OutgoingSnapshot,
  ): Promise<string | undefined> {
    const { context, status } = this.#options;
    const connection = await context.dial(url);
    const transfer = new Transfer(context, connection);
    this.#transfer = transfer;
    if (this.#stopped) transfer.abort();
    try {
      await transfer.send(message, snapshot);
      return refusalOfPost(context, status.id, await transfer.answer());
    } finally {
      connection.destroy();
    }
  }
}

/** One POST request. */
class Transfer {
  readonly #context: PeerContext;
  readonly #connection: ClientConnection;
  /** Holds the chunk that was written last. */
  #framed: Uint8Array = EMPTY_BYTES;
  #answer: PeerResponse | undefined;
  #error: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(context: PeerContext, connection: ClientConnection) {
    this.#context = context;
    this.#connection = connection;
  }

  abort(): void {
    this.#connection.destroy();
    this.#end(new TetcdError(ERROR_CODES.CLOSED, 'stopped'));
  }

  /** Sends message and file; stops early at a response or a failure. */
  async send(message: raftpb.Message, snapshot: OutgoingSnapshot): Promise<void> {
    this.#start();
    const encoder = new MessageStreamEncoder();
    const frame = new Uint8Array(encoder.size(message));
    encoder.write(message, frame, 0);
    const hash = createHash('sha256');
    let sent = 0;
    if (!(await this.#write(frame))) return;
    for await (const piece of snapshot.chunks()) {
      if (piece.length === 0) continue;
      hash.update(piece);
      sent += piece.length;
      if (!(await this.#write(piece))) return;
    }
    if (sent !== snapshot.size) {
      throw new TetcdError(
        ERROR_CODES.CORRUPT,
        `the database has ${sent} bytes instead of ${snapshot.size}`,
      );
    }
    const digest = `sha-256=:${hash.digest('base64')}:`;
    this.#connection.stream.write(lastChunkWith(DIGEST_HEADER, digest));
  }

  /** The answer. Rejects if none comes. */
  async answer(): Promise<PeerResponse> {
    await this.#wait(
      () => this.#answer !== undefined,
      SNAPSHOT_ANSWER_MS_MAX,
      'no answer to a snapshot',
    );
    return this.#answer!;
  }

  #start(): void {
    let status = 0;
    let headers: Record<string, string> = {};
    let body = new Uint8Array(0);
    const head = requestHeadBytes({
      method: 'POST',
      path: '/raft/snapshot',
      host: hostOfUrl(this.#connection.url),
      headers: {
        ...this.#context.headers(),
        'Content-Type': 'application/octet-stream',
        Trailer: DIGEST_HEADER,
      },
      bodyLength: 'chunked',
      close: true,
    });
    this.#connection.start(head, {
      onHead: (answer) => {
        status = answer.status;
        headers = Object.fromEntries(answer.headers);
      },
      onBody: (bytes) => {
        const size = Math.min(bytes.length, REFUSAL_BYTES_MAX - body.length);
        const larger = new Uint8Array(body.length + size);
        larger.set(body);
        larger.set(bytes.subarray(0, size), body.length);
        body = larger;
      },
      onEnd: () => {
        this.#answer = { status, headers, body };
        this.#end(undefined);
      },
      onFail: (error) => this.#end(error),
      onDrain: () => this.#end(undefined),
    });
  }

  /** False after a response: the receiver has stopped reading. Throws if the connection has failed. */
  async #write(data: Uint8Array): Promise<boolean> {
    if (this.#error !== undefined) throw this.#error;
    if (this.#answer !== undefined) return false;
    const { stream } = this.#connection;
    if (stream.write(this.#chunkOf(data))) return true;
    await this.#wait(
      () => this.#answer !== undefined || stream.bufferedBytes === 0,
      SNAPSHOT_STALL_MS_MAX,
      'the receiver of a snapshot takes nothing',
    );
    return this.#answer === undefined;
  }

  /** In the memory of the chunk before, where the stream has let go of that. */
  #chunkOf(data: Uint8Array): Uint8Array {
    const size = data.length + CHUNK_OVERHEAD;
    const isFree = this.#connection.stream.hasReleased === true && size <= this.#framed.length;
    if (!isFree) this.#framed = new Uint8Array(size);
    this.#framed.set(data, CHUNK_HEAD_BYTES);
    const from = frameChunk(this.#framed, 0, CHUNK_HEAD_BYTES + data.length);
    return this.#framed.subarray(from, size);
  }

  async #wait(holds: () => boolean, limitMs: number, text: string): Promise<void> {
    let timer: Timer | undefined;
    try {
      while (!holds()) {
        if (this.#error !== undefined) throw this.#error;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
          timer ??= this.#context.env.timers.after(limitMs, () => {
            this.#end(new TetcdError(ERROR_CODES.TIMEOUT, `${this.#connection.url}: ${text}`));
          });
        });
      }
    } finally {
      timer?.cancel();
    }
  }

  /** Ends the wait of the sender: a response, a drained socket, or a failure. */
  #end(error: Error | undefined): void {
    this.#error ??= error;
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
