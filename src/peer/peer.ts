// One peer: all links with another member.
//
//   MsgSnap without a database ──────────────────────────> pipeline
//   MsgApp ──> append stream, else message stream if small, else pipeline
//   all others ──────────> message stream, else ─────────> pipeline

import { raftpb } from '../protocol/index.ts';
import type { ConnectionPool } from './connection-pool.ts';
import type { PeerContext } from './context.ts';
import { APPEND_ON_MESSAGE_STREAM_BYTES_MAX, REFUSAL_BYTES_MAX } from './limits.ts';
import { exchange } from './peer-request.ts';
import { PeerStatus } from './peer-status.ts';
import { Pipeline } from './pipeline.ts';
import { PROBING_PATH, Prober } from './prober.ts';
import { SnapshotSender } from './snapshot-sender.ts';
import { APPEND_STREAM, MESSAGE_STREAM, type StreamKind } from './stream-kind.ts';
import { StreamReader } from './stream-reader.ts';
import { StreamWriter } from './stream-writer.ts';
import type { OutgoingSnapshot } from './types.ts';
import { UrlPicker } from './url-picker.ts';

const { MessageType } = raftpb;

export class Peer {
  readonly #context: PeerContext;
  readonly #id: bigint;
  readonly #picker: UrlPicker;
  readonly #pool: ConnectionPool;
  readonly #pipeline: Pipeline;
  readonly #snapshots: SnapshotSender;
  readonly #appendWriter: StreamWriter;
  readonly #messageWriter: StreamWriter;
  readonly #readers: readonly StreamReader[];
  #probers: readonly Prober[] = [];
  readonly status: PeerStatus;

  constructor(context: PeerContext, pool: ConnectionPool, id: bigint, urls: readonly string[]) {
    this.#context = context;
    this.#pool = pool;
    this.#id = id;
    this.#picker = new UrlPicker(urls);
    this.status = new PeerStatus(context, id.toString(16));
    const shared = { context, peer: id, status: this.status, picker: this.#picker };
    this.#pipeline = new Pipeline({ ...shared, pool });
    this.#snapshots = new SnapshotSender(shared);
    this.#appendWriter = new StreamWriter(context, APPEND_STREAM, id, this.status);
    this.#messageWriter = new StreamWriter(context, MESSAGE_STREAM, id, this.status);
    this.#readers = [APPEND_STREAM, MESSAGE_STREAM].map(
      (kind) => new StreamReader({ ...shared, kind }),
    );
    for (const reader of this.#readers) reader.start();
    this.#startProbers();
  }

  writerOf(kind: StreamKind): StreamWriter {
    return kind === APPEND_STREAM ? this.#appendWriter : this.#messageWriter;
  }

  update(urls: readonly string[]): void {
    this.#picker.update(urls);
    this.#startProbers();
  }

  send(message: raftpb.Message): void {
    if (this.#sendBy(message)) return;
    const { host, local, log, metrics } = this.#context;
    metrics.sentFailures(this.status.id).value++;
    // While the peer is inactive, every message would be a log line.
    if (this.status.active || log.debugEnabled) {
      const text = 'dropped internal Raft message since sending buffer is full';
      const fields = {
        'message-type': message.type,
        'local-member-id': local,
        'remote-peer-id': this.status.id,
        'remote-peer-active': this.status.active,
      };
      if (this.status.active) log.warn(text, fields);
      else log.debug(text, fields);
    }
    host.reportUnreachable(this.#id);
  }

  #sendBy(message: raftpb.Message): boolean {
    if (message.type === MessageType.MsgSnap) return this.#pipeline.send(message);
    if (message.type !== MessageType.MsgApp) {
      if (this.#messageWriter.working) return this.#messageWriter.send(message);
      return this.#pipeline.send(message);
    }
    if (this.#appendWriter.working) return this.#appendWriter.send(message);
    const fits = (): boolean =>
      raftpb.MessageCodec.size(message) <= APPEND_ON_MESSAGE_STREAM_BYTES_MAX;
    if (this.#messageWriter.working && fits()) return this.#messageWriter.send(message);
    return this.#pipeline.send(message);
  }

  sendSnapshot(message: raftpb.Message, snapshot: OutgoingSnapshot): Promise<boolean> {
    return this.#snapshots.send(message, snapshot);
  }

  stop(): void {
    for (const prober of this.#probers) prober.stop();
    for (const reader of this.#readers) reader.stop();
    this.#appendWriter.stop();
    this.#messageWriter.stop();
    this.#pipeline.stop();
    this.#snapshots.stop();
    this.status.forget();
  }

  #startProbers(): void {
    for (const prober of this.#probers) prober.stop();
    const context = this.#context;
    const shared = { context, peer: this.status.id, urls: this.#picker.urls };
    const request = { method: 'GET', path: PROBING_PATH, headers: {} } as const;
    this.#probers = [
      new Prober({
        ...shared,
        name: 'ROUND_TRIPPER_SNAPSHOT',
        ask: (url, timeoutMs) => this.#pool.request(url, { ...request, timeoutMs }),
      }),
      new Prober({
        ...shared,
        name: 'ROUND_TRIPPER_RAFT_MESSAGE',
        ask: async (url, timeoutMs) => {
          const connection = await context.dial(url);
          const limits = { timeoutMs, bodyBytesMax: REFUSAL_BYTES_MAX, close: true };
          return await exchange(context.env, connection, { ...request, url, ...limits });
        },
      }),
    ];
  }
}

/** A member of which only the address is known. */
export class Remote {
  readonly #context: PeerContext;
  readonly #pipeline: Pipeline;
  readonly #status: PeerStatus;

  constructor(context: PeerContext, pool: ConnectionPool, id: bigint, urls: readonly string[]) {
    this.#context = context;
    this.#status = new PeerStatus(context, id.toString(16));
    const picker = new UrlPicker(urls);
    this.#pipeline = new Pipeline({ context, peer: id, status: this.#status, picker, pool });
  }

  send(message: raftpb.Message): void {
    if (this.#pipeline.send(message)) return;
    const { host, local, log, metrics } = this.#context;
    metrics.sentFailures(this.#status.id).value++;
    log.warn('dropped Raft message since sending buffer is full (overloaded network)', {
      'message-type': message.type,
      'local-member-id': local,
      'remote-peer-id': this.#status.id,
      'remote-peer-active': this.#status.active,
    });
    host.reportUnreachable(message.to);
  }

  stop(): void {
    this.#pipeline.stop();
    this.#status.forget();
  }
}
