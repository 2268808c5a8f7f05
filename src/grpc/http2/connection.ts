// The state machine of one HTTP/2 connection, either side (RFC 9113): frames in, stream events out.
// Over a ByteStream; knows no socket and no gRPC. `ServerConnection` and `ClientConnection` give the
// streams their meaning.
//
// Three ways for things to end. A ConnectionError is thrown by whatever finds the violation and ends
// here with GOAWAY. A violation of one stream resets that stream (`abortStream`). An error of the
// embedding program passes through untouched: it is not the peer's fault.

import { ERROR_CODES, latin1FromBytes, TetcdError } from '../../base/index.ts';
import type { ByteStream, ByteStreamHandler, Clock } from '../../env/index.ts';
import { type HeaderField, HpackEncoder } from '../hpack/index.ts';
import type { ConnectionLimits } from '../limits.ts';
import type { Flushable, FlushScheduler } from './flush-scheduler.ts';
import { FrameReader, type FrameSink } from './frame-reader.ts';
import { HeaderBlocks } from './header-blocks.ts';
import { Output, readUint32, type SlabPool } from './output.ts';
import {
  ConnectionError,
  DEFAULT_WINDOW,
  FLAG,
  FRAME,
  FRAME_HEADER_BYTES,
  FRAME_PAYLOAD_MAX,
  HTTP2_ERROR,
  type Http2ErrorCode,
  http2ErrorName,
  SETTING,
  WINDOW_MAX,
} from './protocol.ts';
import { Sender } from './sender.ts';
import type { Http2Stream } from './stream.ts';
import { TokenBucket } from './token-bucket.ts';

/** What all connections of a server or channel share. */
export interface ConnectionContext {
  readonly clock: Clock;
  readonly pool: SlabPool;
  readonly scheduler: FlushScheduler;
}

/** Streams that we reset and whose late frames we forgive. */
const RESETS_REMEMBERED_MAX = 1024;
/** A closed connection whose peer does not close too is cut off after this. */
const LINGER_MS = 2_000;
/** Debug data of GOAWAY that we keep. */
const DEBUG_BYTES_MAX = 256;

export abstract class Connection<Head = unknown>
  implements ByteStreamHandler, FrameSink, Flushable
{
  readonly transport: ByteStream;
  readonly limits: ConnectionLimits;
  readonly output: Output;
  readonly sender: Sender;
  readonly encoder = new HpackEncoder();
  /** Streams of which at least one half is open. */
  readonly streams = new Map<number, Http2Stream>();
  /** Nothing more is read: a violation was found, or the transport or its owner closed. */
  closed = false;
  /** Received message bytes kept on all streams; see `heldBytesMax`. */
  heldBytes = 0;
  /** Highest stream id that the peer has opened. */
  lastRemoteId = 0;
  /** The peer's SETTINGS_MAX_CONCURRENT_STREAMS. */
  peerStreamsMax = Number.POSITIVE_INFINITY;
  /** The peer's SETTINGS_MAX_HEADER_LIST_SIZE. */
  peerHeaderListMax = Number.POSITIVE_INFINITY;
  /** Whether the peer's first SETTINGS have arrived. */
  settled = false;
  /** Frames received; says at a glance whether the peer is alive. */
  framesReceived = 0;

  protected readonly context: ConnectionContext;
  readonly #reader = new FrameReader();
  readonly #blocks: HeaderBlocks<Head>;
  readonly #controlFrames: TokenBucket;
  #receiveWindow: number;
  #uncredited = 0;
  #flushWaiting = false;
  #readingPaused = false;
  readonly #resets = new Set<number>();
  #resetsForgotten = false;
  #ended = false;
  #gone = false;
  #closeError: Error | undefined = undefined;

  // What `tick` saw last, to notice what has not moved.
  readonly #openedMs: number;
  #framesSeen = 0;
  #partialSinceMs = Number.POSITIVE_INFINITY;
  #stalledSinceMs = Number.POSITIVE_INFINITY;
  #bufferedSeen = 0;
  #closedAtMs = Number.POSITIVE_INFINITY;
  #sentSeen = 0;
  #tickMs: number;

  constructor(transport: ByteStream, limits: ConnectionLimits, context: ConnectionContext) {
    this.transport = transport;
    this.limits = limits;
    this.context = context;
    this.output = new Output(transport, context.pool);
    this.sender = new Sender(this.output, limits);
    this.#controlFrames = new TokenBucket(limits.controlFramesBurst);
    this.#blocks = new HeaderBlocks<Head>(limits, (fields) => this.parseHead(fields));
    this.#receiveWindow = limits.connectionWindowBytes;
    this.#openedMs = context.clock.monotonicMs();
    this.#tickMs = this.#openedMs;
    transport.handler = this;
  }

  // What the two sides do differently.

  /** Makes sense of a header list; the result may be shared by many streams. */
  protected abstract parseHead(fields: readonly HeaderField[]): Head;
  /** HEADERS on a stream that does not exist yet. `head` undefined: its list was too large. */
  protected abstract openStream(id: number, head: Head | undefined, endStream: boolean): void;
  /** HEADERS on an open stream. */
  protected abstract onHeaders(
    stream: Http2Stream,
    head: Head | undefined,
    endStream: boolean,
  ): void;
  /** Whether the peer can not have opened or known a stream of this id yet. */
  protected abstract isIdle(id: number): boolean;
  /** The peer's byte that the reader should begin with; -1 while its preface is incomplete. */
  protected abstract takePreface(bytes: Uint8Array): number;
  protected abstract onPing(): void;
  protected abstract onPingAck(bytes: Uint8Array, start: number): void;
  protected abstract onGoAway(lastStreamId: number, code: number, debug: string): void;
  /**
   * The peer reset an open stream, or is to blame that we do; before the stream is told. May `fail`
   * the connection.
   */
  protected abstract onStreamReset(stream: Http2Stream): void;
  protected abstract onStreamClosed(stream: Http2Stream): void;
  /** The peer's SETTINGS changed something. */
  protected abstract onSettingsChanged(): void;
  /** Last of all; streams that were open have been told. */
  protected abstract onGone(error: Error | undefined): void;

  // Input

  onData(bytes: Uint8Array): void {
    if (this.closed) return;
    try {
      const from = this.settled ? 0 : this.takePreface(bytes);
      if (from >= 0) this.#reader.push(bytes, from, this);
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      this.fail(error);
    }
  }

  onFrame(
    type: number,
    flags: number,
    streamId: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    this.framesReceived++;
    if (this.#blocks.streamId !== 0 && type !== FRAME.CONTINUATION) {
      throw protocolError('a header block is not complete');
    }
    if (!this.settled && (type !== FRAME.SETTINGS || (flags & FLAG.ACK) !== 0)) {
      throw protocolError('the first frame is not SETTINGS');
    }
    switch (type) {
      case FRAME.DATA:
        return this.#onDataFrame(flags, streamId, bytes, start, end);
      case FRAME.HEADERS:
        return this.#onHeadersFrame(flags, streamId, bytes, start, end);
      case FRAME.CONTINUATION:
        return this.#onContinuation(flags, streamId, bytes, start, end);
      case FRAME.WINDOW_UPDATE:
        return this.#onWindowUpdate(streamId, bytes, start, end);
      case FRAME.SETTINGS:
        return this.#onSettings(flags, streamId, bytes, start, end);
      case FRAME.PING:
        return this.#onPingFrame(flags, streamId, bytes, start, end);
      case FRAME.RST_STREAM:
        return this.#onRstStream(streamId, bytes, start, end);
      case FRAME.GOAWAY:
        return this.#onGoAwayFrame(streamId, bytes, start, end);
      case FRAME.PRIORITY:
        return this.#onPriority(streamId, start, end);
      case FRAME.PUSH_PROMISE:
        throw protocolError('PUSH_PROMISE');
      default:
        // Unknown frames are ignored (section 5.5).
        this.#chargeControlFrame(1);
    }
  }

  #onDataFrame(
    flags: number,
    streamId: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    if (streamId === 0) throw protocolError('DATA on stream 0');
    const flowBytes = end - start;
    this.#receiveWindow -= flowBytes;
    if (this.#receiveWindow < 0) {
      throw new ConnectionError(HTTP2_ERROR.FLOW_CONTROL_ERROR, 'connection window exceeded');
    }
    this.#creditConnection(flowBytes);
    let from = start;
    let to = end;
    if (flags & FLAG.PADDED) {
      if (flowBytes === 0) throw frameSizeError('padded DATA without its length');
      from = start + 1;
      to = end - bytes[start]!;
      if (to < from) throw protocolError('padding exceeds the frame');
    }
    const stream = this.streams.get(streamId);
    if (stream === undefined) return this.#frameOnAbsentStream(streamId, 'DATA');
    if (stream.remoteEnded) {
      return this.abortStream(stream, HTTP2_ERROR.STREAM_CLOSED);
    }
    stream.receiveWindow -= flowBytes;
    if (stream.receiveWindow < 0) {
      return this.abortStream(stream, HTTP2_ERROR.FLOW_CONTROL_ERROR);
    }
    const endStream = (flags & FLAG.END_STREAM) !== 0;
    if (to > from) this.#controlFrames.give(this.limits.controlFramesPerUsefulFrame);
    else if (!endStream) this.#chargeControlFrame(1);
    if (flowBytes > to - from) this.credit(stream, flowBytes - (to - from));
    if (stream.contentLeft >= 0 && !contentAgrees(stream, to - from, endStream)) {
      return this.abortStream(stream, HTTP2_ERROR.PROTOCOL_ERROR);
    }
    if (endStream) stream.remoteEnded = true;
    if (to > from) stream.onData(bytes, from, to);
    if (endStream && !stream.closed) this.#remoteEnded(stream);
  }

  #remoteEnded(stream: Http2Stream): void {
    stream.onRemoteEnd();
    if (stream.localEnded && !stream.closed) this.#closeStream(stream);
  }

  #onHeadersFrame(
    flags: number,
    streamId: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    if (streamId === 0) throw protocolError('HEADERS on stream 0');
    let from = start;
    let to = end;
    if (flags & FLAG.PADDED) {
      if (from === to) throw frameSizeError('padded HEADERS without its length');
      to -= bytes[from]!;
      from++;
    }
    if (flags & FLAG.PRIORITY) from += 5;
    if (from > to) {
      if (from > end) throw frameSizeError('HEADERS without its priority');
      throw protocolError('padding exceeds the frame');
    }
    const endStream = (flags & FLAG.END_STREAM) !== 0;
    if (flags & FLAG.END_HEADERS) {
      this.#onBlock(streamId, this.#blocks.decode(bytes, from, to), endStream);
    } else {
      this.#blocks.begin(streamId, endStream, bytes, from, to);
    }
  }

  #onContinuation(
    flags: number,
    streamId: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    const blocks = this.#blocks;
    if (streamId === 0 || blocks.streamId !== streamId) {
      throw protocolError('CONTINUATION without its HEADERS');
    }
    blocks.add(bytes, start, end);
    if (flags & FLAG.END_HEADERS) {
      const endStream = blocks.endStream;
      this.#onBlock(streamId, blocks.finish(), endStream);
    }
  }

  #onBlock(streamId: number, head: Head | undefined, endStream: boolean): void {
    const stream = this.streams.get(streamId);
    if (stream !== undefined) {
      if (stream.remoteEnded) return this.abortStream(stream, HTTP2_ERROR.STREAM_CLOSED);
      if (stream.contentLeft > 0 && endStream) {
        return this.abortStream(stream, HTTP2_ERROR.PROTOCOL_ERROR);
      }
      if (endStream) stream.remoteEnded = true;
      this.onHeaders(stream, head, endStream);
      if (endStream && !stream.closed) this.#remoteEnded(stream);
      return;
    }
    if (this.isIdle(streamId)) {
      this.#controlFrames.give(this.limits.controlFramesPerUsefulFrame);
      this.openStream(streamId, head, endStream);
      return;
    }
    if (this.#resets.has(streamId)) return this.#chargeControlFrame(1);
    if (this.#resetsForgotten) {
      this.#chargeControlFrame(1);
      return this.writeReset(streamId, HTTP2_ERROR.STREAM_CLOSED);
    }
    throw new ConnectionError(HTTP2_ERROR.STREAM_CLOSED, 'HEADERS on a closed stream');
  }

  /** DATA on a stream that is not open (section 5.1). */
  #frameOnAbsentStream(streamId: number, name: string): void {
    if (this.isIdle(streamId)) throw protocolError(`${name} on an idle stream`);
    this.#chargeControlFrame(1);
    if (!this.#resets.has(streamId)) this.writeReset(streamId, HTTP2_ERROR.STREAM_CLOSED);
  }

  #onWindowUpdate(streamId: number, bytes: Uint8Array, start: number, end: number): void {
    if (end - start !== 4) throw frameSizeError('WINDOW_UPDATE');
    this.#chargeControlFrame(1);
    const increment = readUint32(bytes, start) & 0x7fffffff;
    if (streamId === 0) {
      if (increment === 0) throw protocolError('WINDOW_UPDATE of 0');
      this.sender.widen(increment);
      this.#pumpSoon();
      return;
    }
    const stream = this.streams.get(streamId);
    if (stream === undefined) {
      if (this.isIdle(streamId)) throw protocolError('WINDOW_UPDATE on an idle stream');
      return;
    }
    if (increment === 0) return this.abortStream(stream, HTTP2_ERROR.PROTOCOL_ERROR);
    if (!this.sender.widenStream(stream, increment)) {
      return this.abortStream(stream, HTTP2_ERROR.FLOW_CONTROL_ERROR);
    }
    this.#pumpSoon();
  }

  #onSettings(
    flags: number,
    streamId: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    if (streamId !== 0) throw protocolError('SETTINGS on a stream');
    if (flags & FLAG.ACK) {
      if (end !== start) throw frameSizeError('SETTINGS acknowledgement with content');
      this.#chargeControlFrame(1);
      return;
    }
    if ((end - start) % 6 !== 0) throw frameSizeError('SETTINGS');
    let initialWindow = this.sender.initialWindow;
    for (let at = start; at < end; at += 6) {
      const id = (bytes[at]! << 8) | bytes[at + 1]!;
      const value = readUint32(bytes, at + 2);
      if (id === SETTING.INITIAL_WINDOW_SIZE) initialWindow = checkedWindow(value);
      else this.#applySetting(id, value);
    }
    // Once per frame, however often it is named: it costs a pass over all streams.
    if (initialWindow !== this.sender.initialWindow) {
      this.#chargeControlFrame(1 + this.streams.size / 100);
      this.sender.setInitialWindow(initialWindow, this.streams.values());
    }
    this.#chargeControlFrame(1);
    this.settled = true;
    const output = this.output;
    output.reserve(FRAME_HEADER_BYTES);
    output.frameHeader(0, FRAME.SETTINGS, FLAG.ACK, 0);
    this.flushSoon();
    this.onSettingsChanged();
  }

  #applySetting(id: number, value: number): void {
    switch (id) {
      case SETTING.HEADER_TABLE_SIZE:
        this.encoder.setTableSize(value);
        break;
      case SETTING.ENABLE_PUSH:
        if (value > (this.pushAllowed ? 1 : 0)) throw protocolError('SETTINGS_ENABLE_PUSH');
        break;
      case SETTING.MAX_CONCURRENT_STREAMS:
        this.peerStreamsMax = value;
        break;
      case SETTING.MAX_FRAME_SIZE:
        // Larger frames are never sent, so that the value itself does not matter.
        if (value < FRAME_PAYLOAD_MAX || value > 0xffffff) {
          throw protocolError('SETTINGS_MAX_FRAME_SIZE');
        }
        break;
      case SETTING.MAX_HEADER_LIST_SIZE:
        this.peerHeaderListMax = value;
        break;
      default:
        break;
    }
  }

  /** Whether the peer may set SETTINGS_ENABLE_PUSH to 1: a client may, a server may not. */
  protected abstract readonly pushAllowed: boolean;

  #onPingFrame(
    flags: number,
    streamId: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    if (streamId !== 0) throw protocolError('PING on a stream');
    if (end - start !== 8) throw frameSizeError('PING');
    this.#chargeControlFrame(1);
    if (flags & FLAG.ACK) return this.onPingAck(bytes, start);
    this.#writePing(FLAG.ACK, bytes, start);
    this.onPing();
  }

  #onRstStream(streamId: number, bytes: Uint8Array, start: number, end: number): void {
    if (streamId === 0) throw protocolError('RST_STREAM on stream 0');
    if (end - start !== 4) throw frameSizeError('RST_STREAM');
    this.#chargeControlFrame(1);
    const stream = this.streams.get(streamId);
    if (stream === undefined) {
      if (this.isIdle(streamId)) throw protocolError('RST_STREAM on an idle stream');
      return;
    }
    this.onStreamReset(stream);
    if (stream.closed) return;
    this.#closeStream(stream);
    stream.onAborted(readUint32(bytes, start), true);
  }

  #onGoAwayFrame(streamId: number, bytes: Uint8Array, start: number, end: number): void {
    if (streamId !== 0) throw protocolError('GOAWAY on a stream');
    if (end - start < 8) throw frameSizeError('GOAWAY');
    this.#chargeControlFrame(1);
    const lastStreamId = readUint32(bytes, start) & 0x7fffffff;
    const debugEnd = Math.min(end, start + 8 + DEBUG_BYTES_MAX);
    const debug = latin1FromBytes(bytes, start + 8, debugEnd);
    this.onGoAway(lastStreamId, readUint32(bytes, start + 4), debug);
  }

  #onPriority(streamId: number, start: number, end: number): void {
    if (streamId === 0) throw protocolError('PRIORITY on stream 0');
    this.#chargeControlFrame(1);
    if (end - start === 5) return;
    const stream = this.streams.get(streamId);
    if (stream !== undefined) return this.abortStream(stream, HTTP2_ERROR.FRAME_SIZE_ERROR);
    // RST_STREAM may not be sent for an idle stream.
    if (this.isIdle(streamId)) throw frameSizeError('PRIORITY');
  }

  #chargeControlFrame(count: number): void {
    if (!this.#controlFrames.take(count)) {
      throw new ConnectionError(HTTP2_ERROR.ENHANCE_YOUR_CALM, 'too many control frames');
    }
  }

  // Receive windows

  #creditConnection(count: number): void {
    this.#uncredited += count;
    if (this.#uncredited < this.limits.connectionWindowBytes / 2) return;
    this.#receiveWindow += this.#uncredited;
    this.#writeWindowUpdate(0, this.#uncredited);
    this.#uncredited = 0;
  }

  /** `count` bytes received on the stream are no longer in the way: the peer may send as many more. */
  credit(stream: Http2Stream, count: number): void {
    if (stream.remoteEnded) return;
    stream.uncredited += count;
    if (stream.uncredited < this.limits.streamWindowBytes / 2) return;
    stream.receiveWindow += stream.uncredited;
    this.#writeWindowUpdate(stream.id, stream.uncredited);
    stream.uncredited = 0;
  }

  // Output

  /** Asks for what is pending to be sent at the end of this turn. */
  flushSoon(): void {
    if (this.#flushWaiting) return;
    this.#flushWaiting = true;
    this.context.scheduler.add(this);
  }

  flush(): void {
    this.#flushWaiting = false;
    if (this.#gone) return;
    this.sender.pump();
    const sent = this.sender.framesSent;
    if (sent !== this.#sentSeen) {
      this.#controlFrames.give((sent - this.#sentSeen) * this.limits.controlFramesPerUsefulFrame);
      this.#sentSeen = sent;
    }
    this.output.flush();
    if (this.closed) return this.#endTransport();
    if (!this.output.writable) this.#pauseReading();
    else if (this.sender.pumpable) this.flushSoon();
  }

  #endTransport(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.transport.end();
  }

  /** A peer that does not read what it asked for is not read from either. */
  #pauseReading(): void {
    if (!this.pausesReading || this.#readingPaused) return;
    if (this.transport.bufferedBytes <= this.limits.socketHighWaterBytes) return;
    this.#readingPaused = true;
    this.transport.pause();
  }

  /**
   * Whether a full socket stops reading. Only servers do it: if both sides did, two full sockets
   * would wait for each other.
   */
  protected abstract readonly pausesReading: boolean;

  onDrain(): void {
    if (this.#gone) return;
    this.output.writable = true;
    if (this.#readingPaused) {
      this.#readingPaused = false;
      this.transport.resume();
    }
    this.#pumpSoon();
  }

  #pumpSoon(): void {
    if (this.sender.pumpable) this.flushSoon();
  }

  /** Queues bytes that nobody changes any more as DATA of the stream. */
  sendData(stream: Http2Stream, bytes: Uint8Array): void {
    if (stream.closed || stream.localEnded) return;
    this.sender.enqueue(stream, bytes, 0);
    this.flushSoon();
  }

  /** END_STREAM after what is queued. */
  sendEnd(stream: Http2Stream): void {
    if (stream.closed || stream.localEnded || stream.endAfterQueue) return;
    if (stream.queueHead !== undefined) {
      stream.endAfterQueue = true;
      return;
    }
    this.output.reserve(FRAME_HEADER_BYTES);
    this.output.frameHeader(0, FRAME.DATA, FLAG.END_STREAM, stream.id);
    this.flushSoon();
    this.localEndSent(stream);
  }

  /** END_STREAM of this side has been written. */
  localEndSent(stream: Http2Stream): void {
    stream.localEnded = true;
    if (stream.remoteEnded) this.#closeStream(stream);
  }

  /** Resets a stream for our own reasons; it is not told. */
  resetStream(stream: Http2Stream, code: Http2ErrorCode): void {
    if (stream.closed) return;
    this.writeReset(stream.id, code);
    this.#closeStream(stream);
  }

  /** Resets a stream for the peer's violation, and tells it. */
  abortStream(stream: Http2Stream, code: Http2ErrorCode): void {
    if (stream.closed) return;
    this.onStreamReset(stream);
    if (stream.closed) return;
    this.resetStream(stream, code);
    stream.onAborted(code, false);
  }

  /** RST_STREAM for a stream that is not, or will at once no longer be, in `streams`. */
  writeReset(streamId: number, code: Http2ErrorCode): void {
    if (this.#resets.size >= RESETS_REMEMBERED_MAX) {
      this.#resets.clear();
      this.#resetsForgotten = true;
    }
    this.#resets.add(streamId);
    this.output.reserve(FRAME_HEADER_BYTES + 4);
    this.output.frameHeader(4, FRAME.RST_STREAM, 0, streamId);
    this.output.uint32(code);
    this.flushSoon();
  }

  #closeStream(stream: Http2Stream): void {
    stream.closed = true;
    this.streams.delete(stream.id);
    this.sender.forget(stream);
    this.onStreamClosed(stream);
  }

  /** A whole header block as HEADERS and, if it is long, CONTINUATION frames. */
  writeHeaderFrames(id: number, block: Uint8Array, length: number, endStream: boolean): void {
    const output = this.output;
    let at = 0;
    do {
      const next = Math.min(length, at + FRAME_PAYLOAD_MAX);
      const type = at === 0 ? FRAME.HEADERS : FRAME.CONTINUATION;
      let flags = next === length ? FLAG.END_HEADERS : 0;
      if (endStream && type === FRAME.HEADERS) flags |= FLAG.END_STREAM;
      output.reserve(FRAME_HEADER_BYTES + next - at);
      output.frameHeader(next - at, type, flags, id);
      output.copy(block, at, next);
      at = next;
    } while (at < length);
    this.flushSoon();
  }

  #writeWindowUpdate(streamId: number, increment: number): void {
    this.output.reserve(FRAME_HEADER_BYTES + 4);
    this.output.frameHeader(4, FRAME.WINDOW_UPDATE, 0, streamId);
    this.output.uint32(increment);
    this.flushSoon();
  }

  #writePing(flags: number, bytes: Uint8Array, start: number): void {
    this.output.reserve(FRAME_HEADER_BYTES + 8);
    this.output.frameHeader(8, FRAME.PING, flags, 0);
    this.output.copy(bytes, start, start + 8);
    this.flushSoon();
  }

  protected ping(payload: Uint8Array): void {
    this.#writePing(0, payload, 0);
  }

  protected goAway(lastStreamId: number, code: Http2ErrorCode, debug: string): void {
    const text = debug.slice(0, DEBUG_BYTES_MAX);
    this.output.reserve(FRAME_HEADER_BYTES + 8 + text.length);
    this.output.frameHeader(8 + text.length, FRAME.GOAWAY, 0, 0);
    this.output.uint32(lastStreamId);
    this.output.uint32(code);
    for (let i = 0; i < text.length; i++) this.output.bytes[this.output.at++] = text.charCodeAt(i);
    this.flushSoon();
  }

  /** Our SETTINGS, and the connection window beyond the default. */
  protected sendSettings(settings: ReadonlyArray<readonly [id: number, value: number]>): void {
    this.output.reserve(FRAME_HEADER_BYTES + settings.length * 6);
    this.output.frameHeader(settings.length * 6, FRAME.SETTINGS, 0, 0);
    for (const [id, value] of settings) {
      this.output.bytes[this.output.at++] = id >>> 8;
      this.output.bytes[this.output.at++] = id;
      this.output.uint32(value);
    }
    const more = this.limits.connectionWindowBytes - DEFAULT_WINDOW;
    if (more > 0) this.#writeWindowUpdate(0, more);
    this.flushSoon();
  }

  // The end

  /** Ends the connection for a violation: GOAWAY, then close. Streams that are open are told. */
  fail(error: ConnectionError): void {
    if (this.closed) return;
    this.goAway(this.lastRemoteId, error.code, error.message);
    this.shut(
      new TetcdError(
        ERROR_CODES.MALFORMED,
        `http2: ${error.message} (${http2ErrorName(error.code)})`,
        { cause: error },
      ),
    );
  }

  /** Stops reading, loses every open stream, sends what is pending and closes. */
  protected shut(error: Error | undefined): void {
    if (this.closed) return;
    this.closed = true;
    this.#closeError = error;
    this.#closedAtMs = this.context.clock.monotonicMs();
    this.flushSoon();
    this.#loseStreams();
    // Whatever still arrives is read and dropped: closing over unread input would make the
    // operating system discard our last words.
    if (this.#readingPaused) this.transport.resume();
  }

  #loseStreams(): void {
    for (const stream of [...this.streams.values()]) {
      this.#closeStream(stream);
      stream.onAborted(undefined, false);
    }
  }

  onEnd(): void {
    this.shut(undefined);
  }

  onClose(error: Error | undefined): void {
    if (this.#gone) return;
    this.#gone = true;
    this.closed = true;
    this.#closeError ??= error;
    this.#loseStreams();
    this.onGone(this.#closeError);
  }

  /** Looks at what should have moved since the last time. Called about once a second. */
  tick(nowMs: number): void {
    if (this.closed) {
      if (nowMs - this.#closedAtMs > LINGER_MS) this.transport.destroy();
      return;
    }
    this.#controlFrames.give(
      Math.ceil(((nowMs - this.#tickMs) * this.limits.controlFramesPerSecond) / 1000),
    );
    this.#tickMs = nowMs;
    const moved = this.framesReceived !== this.#framesSeen;
    this.#framesSeen = this.framesReceived;
    const partial = this.#reader.partial || this.#blocks.streamId !== 0;
    if (!partial || (moved && this.#blocks.streamId === 0)) {
      this.#partialSinceMs = Number.POSITIVE_INFINITY;
    }
    if (partial) this.#partialSinceMs = Math.min(this.#partialSinceMs, nowMs);
    if (!this.settled && nowMs - this.#openedMs > this.limits.prefaceTimeoutMs) {
      return this.cutOff('no HTTP/2 preface in time');
    }
    if (nowMs - this.#partialSinceMs > this.limits.frameTimeoutMs) {
      return this.cutOff('a frame did not arrive whole in time');
    }
    if (this.#outputStalled(nowMs)) return this.cutOff('output is not read');
    this.keepAlive(nowMs, moved);
  }

  #outputStalled(nowMs: number): boolean {
    const buffered = this.transport.bufferedBytes;
    const stalled = buffered > 0 && buffered >= this.#bufferedSeen;
    this.#bufferedSeen = buffered;
    if (!stalled) this.#stalledSinceMs = Number.POSITIVE_INFINITY;
    else this.#stalledSinceMs = Math.min(this.#stalledSinceMs, nowMs);
    return nowMs - this.#stalledSinceMs > this.limits.writeStallTimeoutMs;
  }

  /** Pings and their timeouts; `moved` if frames have arrived since the last time. */
  protected abstract keepAlive(nowMs: number, moved: boolean): void;

  /** Closes without ceremony: the peer would not listen. */
  protected cutOff(reason: string): void {
    this.closed = true;
    this.#closeError = new TetcdError(ERROR_CODES.TIMEOUT, `http2: ${reason}`);
    this.#loseStreams();
    this.transport.destroy();
  }
}

/** Whether DATA of `count` bytes agrees with the `content-length` sent (section 8.1.1). */
function contentAgrees(stream: Http2Stream, count: number, endStream: boolean): boolean {
  stream.contentLeft -= count;
  return stream.contentLeft === 0 || (stream.contentLeft > 0 && !endStream);
}

function checkedWindow(value: number): number {
  if (value > WINDOW_MAX) {
    throw new ConnectionError(HTTP2_ERROR.FLOW_CONTROL_ERROR, 'SETTINGS_INITIAL_WINDOW_SIZE');
  }
  return value;
}

function protocolError(text: string): ConnectionError {
  return new ConnectionError(HTTP2_ERROR.PROTOCOL_ERROR, text);
}

function frameSizeError(text: string): ConnectionError {
  return new ConnectionError(HTTP2_ERROR.FRAME_SIZE_ERROR, `wrong size of ${text}`);
}
