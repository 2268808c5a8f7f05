// One client's connection to the server: opens calls, and writes their heads and trailers.

import { ERROR_CODES, equalBytes, TetcdError } from '../../base/index.ts';
import type { ByteStream } from '../../env/index.ts';
import { GZIP } from '../gzip.ts';
import {
  encodedFieldMax,
  FIELD_OVERHEAD,
  type HeaderField,
  INDEXING,
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
  HTTP2_ERROR,
  PREFACE,
  SETTING,
  STREAM_ID_MAX,
} from '../http2/protocol.ts';
import type { Http2Stream } from '../http2/stream.ts';
import { TokenBucket } from '../http2/token-bucket.ts';
import { PING_IDLE_MIN_MS, PING_STRIKES_MAX, TIMEOUT_MS_OVER } from '../limits.ts';
import type { Encoder } from '../message-encoder.ts';
import { percentEncode } from '../percent-encoding.ts';
import { STATUS, type StatusCode } from '../status.ts';
import { MESSAGE_PREFIX_BYTES, unknownEncodingText, writeMessage } from './grpc-stream.ts';
import { HEAD_KINDS, parseRequestHead, type RequestHead } from './request-head.ts';
import type { Route } from './routes.ts';
import type { ServerCore } from './server.ts';
import { DEADLINE_TEXT, ServerCall } from './server-call.ts';
import { ServerRawStream } from './server-raw-stream.ts';
import { ServerStreamCall } from './server-stream-call.ts';
import type { AcceptOptions, Peer, RawOpener } from './server-types.ts';
import { ServerUnaryCall } from './server-unary-call.ts';

type Pairs = ReadonlyArray<readonly [name: string, value: string]>;

const HEAD_FIELDS: Pairs = [
  [':status', '200'],
  ['content-type', 'application/grpc'],
];
const OK_TRAILERS: Pairs = [['grpc-status', '0']];

/** Payload of the PING whose ACK shows that the client has seen the first GOAWAY. */
const DRAIN_PING = Uint8Array.from([0x74, 0x65, 0x74, 0x63, 0x64, 0x2d, 0x67, 0x6f]);
const ROLE: ConnectionRole = { peerIsClient: true, pausesReading: true };

const KEEPALIVE_PING = new Uint8Array(8);
/** The second step of a drain waits no longer than this for that ACK. */
const DRAIN_PING_MS_MAX = 5_000;

export class ServerConnection extends Connection<RequestHead> {
  readonly server: ServerCore;
  readonly peer: Peer;
  readonly #rawOpener: RawOpener | undefined;
  readonly #headBlock = new RepeatedBlock(HEAD_FIELDS);
  readonly #trailersBlock = new RepeatedBlock(OK_TRAILERS);
  readonly #resetTokens: TokenBucket;
  #prefaceMatched = 0;
  /** Calls that wait until the client reads its responses, oldest first. */
  #heldCalls: ServerCall[] = [];
  /** Bytes that the client had taken, and when it last took enough; see `pendingStallMs`. */
  #takenBytes = 0;
  #takenMs: number;
  /** Unary calls with a complete request, dispatched once the input at hand has been read. */
  #readyCalls: ServerUnaryCall[] = [];

  #lastPingMs = Number.NEGATIVE_INFINITY;
  #pingStrikes = 0;
  #dataFramesAtPing = 0;
  #headsSent = 0;
  #headsAtPing = 0;

  #movedMs: number;
  #pingSentMs = Number.POSITIVE_INFINITY;
  #tickedMs: number;
  /** Streams above this id are not served: the last stream id of our GOAWAY. */
  #lastServedId: number = STREAM_ID_MAX;
  /** When the first GOAWAY of a drain was sent. */
  #drainingMs = Number.POSITIVE_INFINITY;

  constructor(transport: ByteStream, server: ServerCore, options: AcceptOptions) {
    super(transport, server.limits, server.context, ROLE);
    this.server = server;
    this.peer = options.peer ?? {
      address: transport.remoteAddress,
      encrypted: false,
      certificate: undefined,
    };
    this.#rawOpener = options.onRawRequest;
    this.#resetTokens = new TokenBucket(server.limits.resetsBurst);
    this.#movedMs = server.context.clock.monotonicMs();
    this.#tickedMs = this.#movedMs;
    this.#takenMs = this.#movedMs;
    this.sendSettings([
      [SETTING.MAX_CONCURRENT_STREAMS, server.limits.maxConcurrentStreams],
      [SETTING.INITIAL_WINDOW_SIZE, server.limits.streamWindowBytes],
      [SETTING.MAX_HEADER_LIST_SIZE, server.limits.headerListBytesMax],
    ]);
  }

  // Requests

  protected override takePreface(bytes: Uint8Array): number {
    let at = 0;
    while (this.#prefaceMatched < PREFACE.length && at < bytes.length) {
      if (bytes[at] !== PREFACE.charCodeAt(this.#prefaceMatched)) {
        throw new ConnectionError(HTTP2_ERROR.PROTOCOL_ERROR, 'no HTTP/2 preface');
      }
      this.#prefaceMatched++;
      at++;
    }
    return this.#prefaceMatched === PREFACE.length ? at : -1;
  }

  protected override isIdle(id: number): boolean {
    return id > this.lastRemoteId || id % 2 === 0;
  }

  protected override parseHead(
    fields: readonly HeaderField[],
    last: RequestHead | undefined,
  ): RequestHead {
    if (last?.takeTimeout(fields) === true) return last;
    const head = parseRequestHead(fields);
    if (head.kind === HEAD_KINDS.GRPC) head.route = this.server.routes.find(head.path);
    return head;
  }

  protected override openStream(
    id: number,
    head: RequestHead | undefined,
    endStream: boolean,
  ): void {
    if (id % 2 === 0) {
      throw new ConnectionError(HTTP2_ERROR.PROTOCOL_ERROR, 'a client opened an even stream');
    }
    this.lastRemoteId = id;
    if (id > this.#lastServedId) return;
    if (this.streams.size >= this.server.limits.maxConcurrentStreams) {
      this.#chargeReset();
      this.writeReset(id, HTTP2_ERROR.REFUSED_STREAM);
      return;
    }
    if (head === undefined) {
      const text = `received header list larger than max (${this.limits.headerListBytesMax})`;
      this.#refuse(id, 431, STATUS.RESOURCE_EXHAUSTED, text, endStream);
      return;
    }
    if (head.kind !== HEAD_KINDS.GRPC) {
      this.#openOther(id, head, endStream);
      return;
    }
    if (head.timeoutMs <= TIMEOUT_MS_OVER) {
      this.#refuse(id, 200, STATUS.DEADLINE_EXCEEDED, DEADLINE_TEXT, endStream);
      return;
    }
    const route = head.route as Route | undefined;
    if (route === undefined) {
      const text = this.server.routes.unknownText(head.path);
      this.#refuse(id, 200, STATUS.UNIMPLEMENTED, text, endStream);
      return;
    }
    if (head.encoding !== '' && head.encoding !== GZIP) {
      const text = unknownEncodingText(head.encoding);
      this.#refuse(id, 200, STATUS.UNIMPLEMENTED, text, endStream);
      return;
    }
    this.#openCall(id, head, route, endStream);
  }

  #openCall(id: number, head: RequestHead, route: Route, endStream: boolean): void {
    if (head.heldBytes > 0 && !this.#holdHead(head)) {
      this.#chargeReset();
      this.writeReset(id, HTTP2_ERROR.ENHANCE_YOUR_CALM);
      return;
    }
    route.stats.started++;
    this.server.callsBegun++;
    let call: ServerCall;
    if (route.unary !== undefined) call = new ServerUnaryCall(this, id, head, route);
    else call = new ServerStreamCall(this, id, head, route);
    this.#register(call);
    call.startedMs = this.context.clock.monotonicMs();
    if (head.timeoutMs !== Number.POSITIVE_INFINITY) {
      call.deadlineMs = call.startedMs + head.timeoutMs;
      this.server.deadlines.add(call);
    }
    if (call instanceof ServerStreamCall && !call.ended) call.open();
    if (endStream && !call.closed) {
      call.remoteEnded = true;
      call.onRemoteEnd();
    }
  }

  /** Counts a large header list as held; released at the end of the call that is being opened. */
  #holdHead(head: RequestHead): boolean {
    if (this.heldBytes + head.heldBytes > this.limits.heldBytesMax) return false;
    this.hold(head.heldBytes);
    return true;
  }

  #register(stream: Http2Stream): void {
    stream.sendWindow = this.sender.initialWindow;
    stream.receiveWindow = this.limits.streamWindowBytes;
    this.streams.add(stream.id, stream);
  }

  #openOther(id: number, head: RequestHead, endStream: boolean): void {
    switch (head.kind) {
      case HEAD_KINDS.REFUSED:
        this.#refuse(id, head.httpStatus, head.status, head.message, endStream);
        return;
      case HEAD_KINDS.RAW:
        this.#openRaw(id, head, endStream);
        return;
      default:
        this.#resetMalformed(id);
        return;
    }
  }

  #openRaw(id: number, head: RequestHead, endStream: boolean): void {
    if (this.#rawOpener === undefined) {
      const text = `invalid gRPC request content-type ${JSON.stringify(head.contentType)}`;
      this.#refuse(id, 415, STATUS.INVALID_ARGUMENT, text, endStream);
      return;
    }
    if (!head.strict || (endStream && head.contentLength > 0)) {
      this.#resetMalformed(id);
      return;
    }
    const stream = new ServerRawStream(this, id, head);
    this.#register(stream);
    stream.contentLeft = head.contentLength;
    stream.open(this.#rawOpener);
    if (endStream && !stream.closed) {
      stream.remoteEnded = true;
      stream.onRemoteEnd();
    }
  }

  #resetMalformed(id: number): void {
    this.#chargeReset();
    this.writeReset(id, HTTP2_ERROR.PROTOCOL_ERROR);
  }

  /** Answers a request for which no stream is opened. */
  #refuse(
    id: number,
    httpStatus: number,
    status: StatusCode,
    text: string,
    remoteEnded: boolean,
  ): void {
    this.#writeBlock(id, trailersOnly(httpStatus, status, text, undefined), true);
    if (!remoteEnded) this.writeReset(id, HTTP2_ERROR.NO_ERROR);
  }

  protected override onHeaders(
    stream: Http2Stream,
    head: RequestHead | undefined,
    endStream: boolean,
  ): void {
    const trailers = head === undefined || (!head.hasPseudo && head.kind !== HEAD_KINDS.MALFORMED);
    if (!trailers || !endStream) this.abortStream(stream, HTTP2_ERROR.PROTOCOL_ERROR);
  }

  // Responses

  /** HEADERS, DATA and trailers of an OK answer with one message, which `mayWrite` allows. */
  writeUnary<T>(call: ServerUnaryCall, encoder: Encoder<T>, message: T, size: number): void {
    const head = this.#headBlock;
    const trailers = this.#trailersBlock;
    if (!head.settled(this.encoder) || !trailers.settled(this.encoder)) {
      this.#writeUnaryInSteps(call, encoder, message, size);
      return;
    }
    const output = this.output;
    const total = MESSAGE_PREFIX_BYTES + size;
    output.reserve(3 * FRAME_HEADER_BYTES + head.sizeMax + total + trailers.sizeMax);
    const bytes = output.bytes;
    const headAt = output.at;
    let at = head.write(this.encoder, bytes, headAt + FRAME_HEADER_BYTES);
    const headLength = at - headAt - FRAME_HEADER_BYTES;
    writeFrameHeader(bytes, headAt, headLength, FRAME.HEADERS, FLAG.END_HEADERS, call.id);
    at = writeFrameHeader(bytes, at, total, FRAME.DATA, 0, call.id);
    const trailersAt = writeMessage(encoder, message, size, bytes, at);
    at = trailers.write(this.encoder, bytes, trailersAt + FRAME_HEADER_BYTES);
    const trailersLength = at - trailersAt - FRAME_HEADER_BYTES;
    const flags = FLAG.END_HEADERS | FLAG.END_STREAM;
    writeFrameHeader(bytes, trailersAt, trailersLength, FRAME.HEADERS, flags, call.id);
    // After the encoder, so that one that throws has written nothing.
    output.at = at;
    this.#headsSent += 2;
    this.sender.wrote(call, total);
    this.flushSoon();
  }

  /** As {@link writeUnary}, while the blocks still change the encoder's table: frame by frame. */
  #writeUnaryInSteps<T>(
    call: ServerUnaryCall,
    encoder: Encoder<T>,
    message: T,
    size: number,
  ): void {
    this.writeHead(call, false, undefined);
    const output = this.output;
    const total = MESSAGE_PREFIX_BYTES + size;
    output.reserve(FRAME_HEADER_BYTES + total);
    const at = writeFrameHeader(output.bytes, output.at, total, FRAME.DATA, 0, call.id);
    output.at = writeMessage(encoder, message, size, output.bytes, at);
    this.sender.wrote(call, total);
    this.writeTrailers(call, STATUS.OK, '', undefined);
  }

  writeHead(call: ServerCall, compressed: boolean, pairs: Pairs | undefined): void {
    if (!compressed && pairs === undefined) {
      this.#writeRepeated(call.id, this.#headBlock, FLAG.END_HEADERS);
      return;
    }
    const encoding: Pairs = compressed ? [['grpc-encoding', GZIP]] : [];
    this.writeFields(call, [...HEAD_FIELDS, ...encoding, ...(pairs ?? [])], false);
  }

  writeTrailers(
    call: ServerCall,
    status: StatusCode,
    message: string,
    pairs: Pairs | undefined,
  ): void {
    if (status === STATUS.OK && message === '' && pairs === undefined) {
      const flags = FLAG.END_HEADERS | FLAG.END_STREAM;
      this.#writeRepeated(call.id, this.#trailersBlock, flags);
      return;
    }
    this.writeFields(call, statusFields(status, message, pairs), true);
  }

  writeTrailersOnly(
    call: ServerCall,
    status: StatusCode,
    message: string,
    pairs: Pairs | undefined,
  ): void {
    this.writeFields(call, trailersOnly(200, status, message, pairs), true);
  }

  #writeRepeated(id: number, block: RepeatedBlock, flags: number): void {
    const output = this.output;
    output.reserve(FRAME_HEADER_BYTES + block.sizeMax);
    const start = output.at;
    output.at = block.write(this.encoder, output.bytes, start + FRAME_HEADER_BYTES);
    const length = output.at - start - FRAME_HEADER_BYTES;
    writeFrameHeader(output.bytes, start, length, FRAME.HEADERS, flags, id);
    this.#headsSent++;
    this.flushSoon();
  }

  /** HEADERS of any fields. A list larger than the client accepts resets the stream instead. */
  writeFields(stream: Http2Stream, fields: Pairs, endStream: boolean): void {
    let listBytes = 0;
    for (const [name, value] of fields) listBytes += name.length + value.length + FIELD_OVERHEAD;
    if (listBytes > this.peerSettings.headerListMax) {
      this.resetStream(stream, HTTP2_ERROR.INTERNAL_ERROR);
      return;
    }
    this.#writeBlock(stream.id, fields, endStream);
  }

  #writeBlock(id: number, fields: Pairs, endStream: boolean): void {
    let room = 16;
    for (const [name, value] of fields) room += encodedFieldMax(name, value);
    const block = Buffer.allocUnsafe(room);
    let length = this.encoder.begin(block, 0);
    for (const [name, value] of fields) {
      const indexing = REPEATING.has(name) ? INDEXING.YES : INDEXING.NO;
      length = this.encoder.field(name, value, indexing, block, length);
    }
    writeHeaders(this.output, id, block, length, endStream);
    this.flushSoon();
    this.#headsSent++;
  }

  /** END_STREAM of an answer has been written. A client that still sends gets RST_STREAM(NO_ERROR). */
  endAnswered(call: ServerCall): void {
    this.#resetTokens.give(this.server.limits.resetsPerAnswer);
    if (call.closed) return;
    this.localEndSent(call);
    this.resetStream(call, HTTP2_ERROR.NO_ERROR);
  }

  callEnded(call: ServerCall, status: StatusCode, message: string): void {
    if (this.server.measuresCalls) this.server.callEnded(call, status, message);
  }

  handlerFailed(call: ServerCall, error: unknown): void {
    if (!call.ended) call.failInternally();
    this.server.handlerFailed(call, error);
  }

  // Calls held back because the client does not read

  /** Holds the call until the client has taken more of its answers; then `release` is called. */
  holdCall(call: ServerCall): void {
    if (this.#heldCalls.length >= this.server.limits.heldCallsMax) {
      this.abortStream(call, HTTP2_ERROR.REFUSED_STREAM);
      return;
    }
    this.#heldCalls.push(call);
  }

  dispatchAfterInput(call: ServerUnaryCall): void {
    this.#readyCalls.push(call);
  }

  protected override onInputRead(): void {
    if (this.#readyCalls.length === 0) return;
    const calls = this.#readyCalls;
    this.#readyCalls = [];
    for (const call of calls) call.dispatchOrHold();
  }

  override flush(produces = false): void {
    super.flush(produces);
    if (this.#heldCalls.length > 0 && !this.sender.isBehind) this.#releaseCalls();
  }

  #releaseCalls(): void {
    const calls = this.#heldCalls;
    this.#heldCalls = [];
    for (let i = 0; i < calls.length; i++) {
      if (this.sender.isBehind) {
        this.#heldCalls = calls.slice(i).concat(this.#heldCalls);
        return;
      }
      calls[i]!.release();
    }
  }

  /** Beyond `pendingBytesMax`, closes the connection if its client takes too little; see `pendingStallMs`. */
  #checkTaken(nowMs: number): void {
    const { pendingBytesFloor, pendingStallMs } = this.server.limits;
    const { bytesSent, pendingBytes } = this.sender;
    if (pendingBytes <= pendingBytesFloor || bytesSent - this.#takenBytes > pendingBytesFloor) {
      this.#takenBytes = bytesSent;
      this.#takenMs = nowMs;
    } else if (this.context.pending.isOver && nowMs - this.#takenMs >= pendingStallMs) {
      this.cutOff('answers are not read while too many are pending');
    }
  }

  protected override makeHeldRoom(): boolean {
    const heaviest = this.server.heaviestHolder;
    if (heaviest === undefined || heaviest === this) return false;
    heaviest.dropHeld();
    return true;
  }

  // Abuse

  /** A reset by us for the client's violation is always charged in full. */
  protected override onStreamReset(stream: Http2Stream, byPeer: boolean): void {
    this.#chargeReset(byPeer && stream instanceof ServerCall ? stream.costOfReset() : 1);
  }

  #chargeReset(cost = 1): void {
    if (this.#resetTokens.take(cost)) return;
    this.fail(new ConnectionError(HTTP2_ERROR.ENHANCE_YOUR_CALM, 'too many streams were reset'));
  }

  protected override onPing(): void {
    const nowMs = this.context.clock.monotonicMs();
    const { keepalive } = this.server;
    const sent =
      this.sender.framesSent !== this.#dataFramesAtPing || this.#headsSent !== this.#headsAtPing;
    this.#dataFramesAtPing = this.sender.framesSent;
    this.#headsAtPing = this.#headsSent;
    const idle = this.streams.size === 0 && !keepalive.permitWithoutStream;
    const minMs = idle ? PING_IDLE_MIN_MS : keepalive.minTimeMs;
    // As in grpc-go: after DATA or HEADERS a client may send a ping to measure bandwidth.
    if (sent) this.#pingStrikes = 0;
    else if (nowMs - this.#lastPingMs < minMs) this.#pingStrikes++;
    this.#lastPingMs = nowMs;
    if (this.#pingStrikes > PING_STRIKES_MAX) {
      throw new ConnectionError(HTTP2_ERROR.ENHANCE_YOUR_CALM, 'too_many_pings');
    }
  }

  // Keepalive and the end

  protected override onPingAck(bytes: Uint8Array, start: number): void {
    if (this.#drainingMs === Number.POSITIVE_INFINITY) return;
    if (equalBytes(bytes.subarray(start, start + 8), DRAIN_PING)) this.#drainLast();
  }

  protected override keepAlive(nowMs: number, moved: boolean): void {
    const { keepalive, limits } = this.server;
    this.#resetTokens.give(((nowMs - this.#tickedMs) * limits.resetsPerSecond) / 1000);
    this.#tickedMs = nowMs;
    if (nowMs - this.#drainingMs > DRAIN_PING_MS_MAX) this.#drainLast();
    this.#checkTaken(nowMs);
    if (this.closed) return;
    if (moved) {
      this.#movedMs = nowMs;
      this.#pingSentMs = Number.POSITIVE_INFINITY;
    } else if (this.#pingSentMs !== Number.POSITIVE_INFINITY) {
      if (nowMs - this.#pingSentMs >= keepalive.timeoutMs) {
        this.cutOff('keepalive ping not answered in time');
      }
    } else if (nowMs - this.#movedMs >= keepalive.intervalMs) {
      this.#pingSentMs = nowMs;
      this.ping(KEEPALIVE_PING);
    }
  }

  /** First step of a graceful drain: GOAWAY without excluding ids, since requests may be in flight. */
  drain(): void {
    if (this.closed || this.#drainingMs !== Number.POSITIVE_INFINITY) return;
    if (!this.settled) {
      this.shut(undefined);
      return;
    }
    this.#drainingMs = this.context.clock.monotonicMs();
    this.goAway(STREAM_ID_MAX, HTTP2_ERROR.NO_ERROR, 'graceful_stop');
    this.ping(DRAIN_PING);
  }

  /** Second step: the client has seen the first GOAWAY; streams opened before are served, none after. */
  #drainLast(): void {
    if (this.#lastServedId !== STREAM_ID_MAX) return;
    this.#lastServedId = this.lastRemoteId;
    this.goAway(this.lastRemoteId, HTTP2_ERROR.NO_ERROR, 'graceful_stop');
    this.#closeIfDrained();
  }

  #closeIfDrained(): void {
    if (this.#lastServedId !== STREAM_ID_MAX && this.streams.size === 0) this.shut(undefined);
  }

  close(): void {
    this.shut(new TetcdError(ERROR_CODES.CLOSED, 'grpc: the server is closed'));
  }

  protected override onStreamClosed(): void {
    if (this.#lastServedId !== STREAM_ID_MAX) this.#closeIfDrained();
  }

  protected override onGoAway(): void {
    // No effect: there are no pushed streams.
  }

  protected override onSettingsChanged(): void {
    // No effect: output reads the settings when it is sent.
  }

  protected override onGone(error: Error | undefined): void {
    this.#heldCalls = [];
    this.server.connectionGone(this, error);
  }
}

/** Fields whose value is the same in most responses. */
const REPEATING: ReadonlySet<string> = new Set([':status', 'content-type', 'grpc-encoding']);

function statusFields(status: StatusCode, message: string, pairs: Pairs | undefined): Pairs {
  const fields: Array<readonly [string, string]> = [['grpc-status', String(status)]];
  if (message !== '') fields.push(['grpc-message', percentEncode(message)]);
  return pairs === undefined ? fields : fields.concat(pairs);
}

function trailersOnly(
  httpStatus: number,
  status: StatusCode,
  message: string,
  pairs: Pairs | undefined,
): Pairs {
  return [
    [':status', String(httpStatus)],
    ['content-type', 'application/grpc'],
    ...statusFields(status, message, pairs),
  ];
}
