// One connection of a channel to an endpoint: opens streams for calls and reports how they end.

import type { ByteStream } from '../../env/index.ts';
import { GZIP, IDENTITY } from '../gzip.ts';
import {
  encodedFieldMax,
  type HeaderField,
  INDEXING,
  type Indexing,
  RepeatedBlock,
} from '../hpack/index.ts';
import { Connection } from '../http2/connection.ts';
import type { ConnectionRole } from '../http2/connection-output.ts';
import { writeHeaders } from '../http2/control-frames.ts';
import { writeFrameHeader } from '../http2/output.ts';
import {
  ConnectionError,
  FLAG,
  FRAME,
  FRAME_HEADER_BYTES,
  FRAME_PAYLOAD_MAX,
  HTTP2_ERROR,
  http2ErrorName,
  PREFACE,
  SETTING,
  STREAM_ID_MAX,
} from '../http2/protocol.ts';
import type { Http2Stream } from '../http2/stream.ts';
import { STATUS, type StatusCode } from '../status.ts';
import { formatTimeout } from '../timeout.ts';
import type { ChannelCore } from './channel.ts';
import { ClientAttempt } from './client-attempt.ts';
import type { ClientCallRecord } from './client-call.ts';
import type { Endpoint } from './client-types.ts';
import { parseResponseHead, type ResponseHead } from './response-head.ts';

const ROLE: ConnectionRole = { peerIsClient: false, pausesReading: false };
const KEEPALIVE_PING = new Uint8Array(8);
/** Blocks remembered, one per path; more paths than any service has. */
const PATH_BLOCKS_MAX = 1024;
/** A new connection is made before ids run out. */
const LAST_ID = Math.floor(STREAM_ID_MAX * 0.75);

/** Events of a connection, for its channel. */
export interface ConnectionWatcher {
  /** The server's SETTINGS have arrived: calls may be opened. */
  onReady(connection: ClientConnection): void;
  /** A stream has ended or a limit has risen: there may be room for another call. */
  onRoom(connection: ClientConnection): void;
  /** No more calls may be opened; those that run go on. */
  onDraining(connection: ClientConnection): void;
  onGone(connection: ClientConnection, error: Error | undefined): void;
}

export class ClientConnection extends Connection<ResponseHead> {
  readonly endpoint: Endpoint;
  /** No new calls: the server said GOAWAY, we are closing, or ids run out. */
  draining = false;
  /** Why calls were lost with the connection. */
  lossText = 'error reading from server: EOF';
  lossCode: StatusCode = STATUS.UNAVAILABLE;
  readonly #channel: ChannelCore;
  readonly #watcher: ConnectionWatcher;
  readonly #authority: string;
  readonly #blocks = new Map<string, RepeatedBlock>();
  /** Last value sent of each metadata name: what repeats is worth indexing. */
  readonly #lastValues = new Map<string, string>();
  #nextId = 1;
  #ready = false;
  #movedMs: number;
  #pingSentMs = Number.POSITIVE_INFINITY;

  constructor(
    transport: ByteStream,
    endpoint: Endpoint,
    channel: ChannelCore,
    watcher: ConnectionWatcher,
  ) {
    super(transport, channel.limits, channel.context, ROLE);
    this.endpoint = endpoint;
    this.#channel = channel;
    this.#watcher = watcher;
    this.#authority = endpoint.authority ?? authorityOf(endpoint);
    this.#movedMs = channel.nowMs();
    this.output.reserve(PREFACE.length);
    for (let i = 0; i < PREFACE.length; i++) {
      this.output.bytes[this.output.at++] = PREFACE.charCodeAt(i);
    }
    this.sendSettings([
      [SETTING.ENABLE_PUSH, 0],
      [SETTING.INITIAL_WINDOW_SIZE, channel.limits.streamWindowBytes],
      [SETTING.MAX_HEADER_LIST_SIZE, channel.limits.headerListBytesMax],
    ]);
  }

  protected override makeHeldRoom(): boolean {
    // A client receives what it requested: there is no bound over all connections.
    return true;
  }

  /** Whether a call may be opened now. */
  get hasRoom(): boolean {
    return (
      this.settled &&
      !this.closed &&
      !this.draining &&
      this.streams.size < this.peerSettings.streamsMax
    );
  }

  /** Opens a stream for the call and sends what the call has to send. */
  open(call: ClientCallRecord): void {
    const attempt = new ClientAttempt(this, call);
    attempt.id = this.#nextId;
    attempt.sendWindow = this.sender.initialWindow;
    attempt.receiveWindow = this.limits.streamWindowBytes;
    this.#nextId += 2;
    this.streams.add(attempt.id, attempt);
    this.#writeHead(attempt.id, call);
    const message = call.onlyMessage;
    if (message !== undefined && this.sender.mayWrite(attempt, message.length)) {
      const { output } = this;
      const { length } = message;
      output.reserve(FRAME_HEADER_BYTES + length);
      const { bytes } = output;
      const at = writeFrameHeader(
        bytes,
        output.at,
        length,
        FRAME.DATA,
        FLAG.END_STREAM,
        attempt.id,
      );
      bytes.set(message, at);
      output.at = at + length;
      this.sender.wrote(attempt, length);
      attempt.localEnded = true;
      call.beginWritten(attempt, this.endpoint);
    } else {
      call.begin(attempt, this.endpoint);
    }
    this.flushSoon();
    if (this.#nextId > LAST_ID) this.#beginDraining();
  }

  #writeHead(id: number, call: ClientCallRecord): void {
    const repeated = this.#blockOf(call.path);
    const timed = call.deadlineMs !== Number.POSITIVE_INFINITY;
    if (!timed && call.metadata.length === 0 && repeated.sizeMax <= FRAME_PAYLOAD_MAX) {
      const { output } = this;
      output.reserve(FRAME_HEADER_BYTES + repeated.sizeMax);
      const start = output.at;
      output.at = repeated.write(this.encoder, output.bytes, start + FRAME_HEADER_BYTES);
      const length = output.at - start - FRAME_HEADER_BYTES;
      writeFrameHeader(output.bytes, start, length, FRAME.HEADERS, FLAG.END_HEADERS, id);
      return;
    }
    let room = repeated.sizeMax + encodedFieldMax('grpc-timeout', '99999999n');
    for (const [name, value] of call.metadata) room += encodedFieldMax(name, value);
    const block = Buffer.allocUnsafe(room);
    let at = repeated.write(this.encoder, block, 0);
    if (timed) {
      const value = formatTimeout(call.deadlineMs - this.#channel.nowMs());
      at = this.encoder.field('grpc-timeout', value, INDEXING.NO, block, at);
    }
    for (const [name, value] of call.metadata) {
      at = this.encoder.field(name, value, this.#indexingOf(name, value), block, at);
    }
    writeHeaders(this.output, id, block, at, false);
  }

  #indexingOf(name: string, value: string): Indexing {
    if (this.#lastValues.get(name) === value) return INDEXING.YES;
    if (this.#lastValues.size > PATH_BLOCKS_MAX) this.#lastValues.clear();
    this.#lastValues.set(name, value);
    return INDEXING.NO;
  }

  #blockOf(path: string): RepeatedBlock {
    const known = this.#blocks.get(path);
    if (known !== undefined) return known;
    const block = new RepeatedBlock([
      [':method', 'POST'],
      [':scheme', this.endpoint.scheme ?? this.#channel.scheme],
      [':path', path],
      [':authority', this.#authority],
      ['te', 'trailers'],
      ['content-type', 'application/grpc'],
      ['user-agent', this.#channel.userAgent],
      ['grpc-accept-encoding', `${IDENTITY},${GZIP}`],
    ]);
    if (this.#blocks.size >= PATH_BLOCKS_MAX) this.#blocks.clear();
    this.#blocks.set(path, block);
    return block;
  }

  // Input

  protected override takePreface(): number {
    return 0;
  }

  protected override isIdle(id: number): boolean {
    return id % 2 === 0 || id >= this.#nextId;
  }

  protected override parseHead(fields: readonly HeaderField[]): ResponseHead {
    return parseResponseHead(fields);
  }

  protected override openStream(): void {
    throw new ConnectionError(HTTP2_ERROR.PROTOCOL_ERROR, 'a server opened a stream');
  }

  protected override onHeaders(
    stream: Http2Stream,
    head: ResponseHead | undefined,
    endStream: boolean,
  ): void {
    (stream as ClientAttempt).onHeaders(head, endStream);
  }

  protected override onSettingsChanged(): void {
    if (!this.#ready) {
      this.#ready = true;
      this.#watcher.onReady(this);
    } else {
      this.#watcher.onRoom(this);
    }
  }

  protected override onStreamReset(): void {
    // Resets by a server are not limited.
  }

  protected override onStreamClosed(): void {
    if (this.closed) return;
    if (this.draining && this.streams.size === 0) this.shut(undefined);
    else this.#watcher.onRoom(this);
  }

  protected override onGoAway(lastStreamId: number, code: number, debug: string): void {
    const detail = debug === '' ? '' : `, debug data: ${JSON.stringify(debug)}`;
    this.lossText = `closing transport due to: received prior goaway: code: ${http2ErrorName(code)}${detail}`;
    this.#beginDraining();
    // Streams above the last id are not processed (RFC 9113 section 6.8).
    for (const stream of [...this.streams.values()]) {
      if (stream.id <= lastStreamId) continue;
      const attempt = stream as ClientAttempt;
      this.dropStream(attempt);
      attempt.call.onUnprocessed(this.lossText);
    }
    if (this.streams.size === 0) this.shut(undefined);
  }

  #beginDraining(): void {
    if (this.draining) return;
    this.draining = true;
    this.#watcher.onDraining(this);
  }

  /** Lets running calls end, then closes. */
  drain(): void {
    this.#beginDraining();
    if (this.streams.size === 0) this.close();
  }

  close(): void {
    if (this.closed) return;
    this.draining = true;
    this.lossText = 'the client connection is closing';
    this.lossCode = STATUS.CANCELED;
    this.goAway(0, HTTP2_ERROR.NO_ERROR, '');
    this.shut(undefined);
  }

  // Keepalive

  protected override onInputRead(): void {
    // Each message was delivered when it came.
  }

  protected override onPing(): void {
    // Answered already; bounded like all control frames.
  }

  protected override onPingAck(): void {
    // Any frame shows that the server is alive.
  }

  protected override keepAlive(nowMs: number, moved: boolean): void {
    const { keepalive } = this.#channel;
    if (moved) {
      this.#movedMs = nowMs;
      this.#pingSentMs = Number.POSITIVE_INFINITY;
      return;
    }
    if (this.#pingSentMs !== Number.POSITIVE_INFINITY) {
      if (nowMs - this.#pingSentMs >= keepalive.timeoutMs) {
        this.lossText = 'keepalive ping failed to receive ACK within timeout';
        this.cutOff(this.lossText);
      }
      return;
    }
    if (this.streams.size === 0 && !keepalive.permitWithoutStream) return;
    if (nowMs - this.#movedMs >= keepalive.intervalMs) {
      this.#pingSentMs = nowMs;
      this.ping(KEEPALIVE_PING);
    }
  }

  override onClose(error: Error | undefined): void {
    if (error !== undefined) this.lossText = `error reading from server: ${error.message}`;
    super.onClose(error);
  }

  protected override onGone(error: Error | undefined): void {
    this.#watcher.onGone(this, error);
  }
}

function authorityOf(endpoint: Endpoint): string {
  if (endpoint.path !== undefined) return 'localhost';
  const host = endpoint.host.includes(':') ? `[${endpoint.host}]` : endpoint.host;
  return `${host}:${endpoint.port}`;
}
