// The state machine of one HTTP/2 connection, either side (RFC 9113): frames in, stream events out.
// Over a ByteStream; knows no socket and no gRPC. `ServerConnection` and `ClientConnection` give the
// streams their meaning.
//
// Three kinds of failure. A ConnectionError is thrown where the violation is found and ends
// here with GOAWAY. A violation of one stream resets that stream (`abortStream`). An error of the
// embedding program passes through untouched: it is not the peer's fault.

import { EMPTY_BYTES, ERROR_CODES, latin1FromBytes, TetcdError } from '../../base/index.ts';
import type { ByteStream, ByteStreamHandler } from '../../env/index.ts';
import type { HeaderField } from '../hpack/index.ts';
import type { ConnectionLimits } from '../limits.ts';
import {
  type ConnectionContext,
  ConnectionOutput,
  type ConnectionRole,
} from './connection-output.ts';
import {
  DEBUG_BYTES_MAX,
  writePing,
  writeSettingsAck,
  writeWindowUpdate,
} from './control-frames.ts';
import { FrameReader, type FrameSink } from './frame-reader.ts';
import { checkFrame, frameSizeError, protocolError } from './frame-rules.ts';
import { HeaderBlocks } from './header-blocks.ts';
import type { Continuable } from './input-turns.ts';
import { readUint32 } from './output.ts';
import { PeerSettings } from './peer-settings.ts';
import {
  ConnectionError,
  DEFAULT_WINDOW,
  FLAG,
  FRAME,
  HTTP2_ERROR,
  type Http2ErrorCode,
  http2ErrorName,
} from './protocol.ts';
import type { Http2Stream } from './stream.ts';
import { Watchdog } from './watchdog.ts';

/** A closed connection whose peer does not close too is cut off after this. */
const LINGER_MS = 2_000;

export abstract class Connection<Head = unknown>
  extends ConnectionOutput
  implements ByteStreamHandler, FrameSink, Continuable
{
  /** The peer's SETTINGS. */
  readonly peerSettings: PeerSettings;
  #heldBytes = 0;
  /** Highest stream id that the peer has opened. */
  lastRemoteId = 0;
  /** Whether the peer's first SETTINGS have arrived. */
  settled = false;
  /** Frames received so far: keepalive compares it to see whether the peer is alive. */
  framesReceived = 0;
  /** Work that the input may still cause in this turn; see `inputWorkPerTurn`. */
  inputWork: number;

  readonly #reader = new FrameReader();
  readonly #blocks: HeaderBlocks<Head>;
  /** Bytes of DATA that the peer may still send on all streams. */
  #receiveWindow: number;
  /** Bytes received for which no WINDOW_UPDATE has been sent. */
  #uncredited = 0;
  readonly #watchdog: Watchdog;
  #tickMs: number;
  /** The turn to which `inputWork` belongs. */
  #inputTurn: number;
  #closeError: Error | undefined = undefined;
  #closedAtMs = Number.POSITIVE_INFINITY;

  constructor(
    transport: ByteStream,
    limits: ConnectionLimits,
    context: ConnectionContext,
    role: ConnectionRole,
  ) {
    super(transport, limits, context, role);
    this.peerSettings = new PeerSettings(this.encoder, role.peerIsClient);
    this.#blocks = new HeaderBlocks<Head>(limits, {
      parse: (fields, last) => this.parseHead(fields, last),
    });
    this.#receiveWindow = Math.max(limits.connectionWindowBytes, DEFAULT_WINDOW);
    this.#tickMs = context.clock.monotonicMs();
    this.inputWork = limits.inputWorkPerTurn;
    this.#inputTurn = context.turns.turn;
    this.#watchdog = new Watchdog(limits, this.#tickMs);
    transport.handler = this;
  }

  /** Bytes of received messages in memory, over all streams. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Counts received bytes in memory; a negative number releases them. */
  hold(bytes: number): void {
    this.#heldBytes += bytes;
    this.context.held.bytes += bytes;
  }

  /**
   * Whether the bound of received bytes in memory is exceeded, here or over all connections; then the
   * stream that holds the newest of them is reset.
   */
  get holdsTooMuch(): boolean {
    if (this.#heldBytes > this.limits.heldBytesMax) return true;
    return this.context.held.isOver && !this.makeHeldRoom();
  }

  /** Resets the streams that hold received bytes. */
  dropHeld(): void {
    for (const stream of [...this.streams.values()]) {
      if (stream.heldBytes > 0) this.abortStream(stream, HTTP2_ERROR.ENHANCE_YOUR_CALM);
    }
  }

  // What differs between server and client.

  /** The bound over all connections is exceeded: frees bytes of other connections. Whether it could. */
  protected abstract makeHeldRoom(): boolean;

  /** Interprets a header list; the result may be shared by many streams. See {@link HeaderBlocks}. */
  protected abstract parseHead(fields: readonly HeaderField[], last: Head | undefined): Head;
  /** HEADERS on a stream that does not exist yet. `head` undefined: its list was too large. */
  protected abstract openStream(id: number, head: Head | undefined, endStream: boolean): void;
  /** HEADERS on an open stream. */
  protected abstract onHeaders(
    stream: Http2Stream,
    head: Head | undefined,
    endStream: boolean,
  ): void;
  /** Whether a stream of this id has never been opened. */
  protected abstract isIdle(id: number): boolean;
  /** Where in `bytes` the first frame begins; -1 while the peer's preface is incomplete. */
  protected abstract takePreface(bytes: Uint8Array): number;
  /** The input at hand has been read; the output that it caused is not flushed yet. */
  protected abstract onInputRead(): void;
  protected abstract onPing(): void;
  protected abstract onPingAck(bytes: Uint8Array, start: number): void;
  protected abstract onGoAway(lastStreamId: number, code: number, debug: string): void;
  /**
   * The peer reset an open stream (`byPeer`), or violated the protocol so that we do. Called before the
   * stream's `onAborted`; may `fail` the connection.
   */
  protected abstract onStreamReset(stream: Http2Stream, byPeer: boolean): void;
  protected abstract onSettingsChanged(): void;
  /** Pings and their timeouts; `moved` if frames have arrived since the last time. */
  protected abstract keepAlive(nowMs: number, moved: boolean): void;
  /** The last callback; open streams have had their `onAborted`. */
  protected abstract onGone(error: Error | undefined): void;

  // Input

  onData(bytes: Uint8Array): void {
    if (this.closed) return;
    if (this.#inputTurn !== this.context.turns.turn) this.#beginShare();
    this.inputWork -= bytes.length >> 10;
    this.#readInput(bytes);
  }

  /** Called by `InputTurns` when it is this connection's turn. */
  continueInput(): void {
    this.inputWaits = false;
    if (this.gone) return;
    if (!this.closed) {
      this.#beginShare();
      this.#readInput(EMPTY_BYTES);
    }
    if (!this.inputWaits && !this.readingPaused) this.transport.resume();
  }

  get hasEnough(): boolean {
    return this.inputWork <= 0;
  }

  #beginShare(): void {
    this.inputWork = this.limits.inputWorkPerTurn;
    this.#inputTurn = this.context.turns.turn;
  }

  #readInput(bytes: Uint8Array): void {
    try {
      this.#push(bytes);
      this.onInputRead();
      if (this.inputWork <= 0 && !this.closed) this.#waitForTurn();
    } catch (error) {
      if (error instanceof ConnectionError) {
        this.fail(error);
        return;
      }
      // The position in the input is lost, so is the rest of it.
      this.cutOff('a handler threw');
      throw error;
    }
  }

  #push(bytes: Uint8Array): void {
    if (this.#reader.hasRest) {
      // A stream may deliver what it had read before it was paused.
      this.#reader.resume(this, bytes);
      return;
    }
    const from = this.settled ? 0 : this.takePreface(bytes);
    if (from >= 0) this.#reader.push(bytes, from, this);
  }

  #waitForTurn(): void {
    if (this.inputWaits) return;
    this.inputWaits = true;
    if (!this.readingPaused) this.transport.pause();
    this.context.turns.add(this);
  }

  onFrame(
    type: number,
    flags: number,
    id: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    this.framesReceived++;
    this.inputWork--;
    if (this.#blocks.streamId !== 0 && type !== FRAME.CONTINUATION) {
      throw protocolError('a header block is not complete');
    }
    if (!this.settled && (type !== FRAME.SETTINGS || (flags & FLAG.ACK) !== 0)) {
      throw protocolError('the first frame is not SETTINGS');
    }
    checkFrame(type, flags, id, end - start);
    if (type === FRAME.DATA) this.#onDataFrame(flags, id, bytes, start, end);
    else if (type === FRAME.HEADERS) this.#onHeadersFrame(flags, id, bytes, start, end);
    else if (type === FRAME.CONTINUATION) this.#onContinuation(flags, id, bytes, start, end);
    else this.#onControlFrame(type, flags, id, bytes, start, end);
  }

  /** A control frame takes a token of `controlFrames`. */
  #onControlFrame(
    type: number,
    flags: number,
    id: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    this.#chargeControlFrame(1);
    switch (type) {
      case FRAME.WINDOW_UPDATE:
        this.#onWindowUpdate(id, readUint32(bytes, start) & 0x7fffffff);
        break;
      case FRAME.SETTINGS:
        if ((flags & FLAG.ACK) === 0) this.#onSettings(bytes, start, end);
        break;
      case FRAME.PING:
        this.#onPingFrame(flags, bytes, start);
        break;
      case FRAME.RST_STREAM:
        this.#onRstStream(id, readUint32(bytes, start));
        break;
      case FRAME.GOAWAY:
        this.#onGoAwayFrame(bytes, start, end);
        break;
      case FRAME.PRIORITY:
        if (end - start !== 5) this.#onBadPriority(id);
        break;
      default:
        break;
    }
  }

  #chargeControlFrame(count: number): void {
    if (!this.controlFrames.take(count)) {
      throw new ConnectionError(HTTP2_ERROR.ENHANCE_YOUR_CALM, 'too many control frames');
    }
  }

  #onDataFrame(flags: number, id: number, bytes: Uint8Array, start: number, end: number): void {
    const flowBytes = end - start;
    this.#receiveWindow -= flowBytes;
    if (this.#receiveWindow < 0) {
      throw new ConnectionError(HTTP2_ERROR.FLOW_CONTROL_ERROR, 'connection window exceeded');
    }
    this.#creditConnection(flowBytes);
    let from = start;
    let to = end;
    if (flags & FLAG.PADDED) {
      if (flowBytes === 0) throw frameSizeError('padded DATA');
      from = start + 1;
      to = end - bytes[start]!;
      if (to < from) throw protocolError('padding exceeds the frame');
    }
    const stream = this.streams.get(id);
    if (stream === undefined) {
      this.#onAbsentData(id);
      return;
    }
    stream.receiveWindow -= flowBytes;
    const endStream = (flags & FLAG.END_STREAM) !== 0;
    const wrong = this.#wrongData(stream, to - from, endStream);
    if (wrong !== HTTP2_ERROR.NO_ERROR) {
      this.abortStream(stream, wrong);
      return;
    }
    if (to > from) this.controlFrames.give(this.limits.controlFramesPerUsefulFrame);
    else if (!endStream) this.#chargeControlFrame(1);
    if (flowBytes > to - from) this.credit(stream, flowBytes - (to - from));
    if (endStream) stream.remoteEnded = true;
    if (to > from) stream.onData(bytes, from, to);
    if (endStream && !stream.closed) this.#remoteEnded(stream);
  }

  /** What DATA of `count` bytes on an open stream violates, if anything. */
  #wrongData(stream: Http2Stream, count: number, endStream: boolean): Http2ErrorCode {
    if (stream.remoteEnded) return HTTP2_ERROR.STREAM_CLOSED;
    if (stream.receiveWindow < 0) return HTTP2_ERROR.FLOW_CONTROL_ERROR;
    if (stream.contentLeft >= 0) {
      stream.contentLeft -= count;
      // The body must have the length that content-length says (section 8.1.1).
      const agrees = endStream ? stream.contentLeft === 0 : stream.contentLeft >= 0;
      if (!agrees) return HTTP2_ERROR.PROTOCOL_ERROR;
    }
    return HTTP2_ERROR.NO_ERROR;
  }

  #remoteEnded(stream: Http2Stream): void {
    stream.onRemoteEnd();
    if (stream.localEnded && !stream.closed) this.closeStream(stream);
  }

  /** DATA on a stream that is not open (section 5.1). */
  #onAbsentData(id: number): void {
    if (this.isIdle(id)) throw protocolError('DATA on an idle stream');
    this.#chargeControlFrame(1);
    if (!this.resets.has(id)) this.writeReset(id, HTTP2_ERROR.STREAM_CLOSED);
  }

  #onHeadersFrame(flags: number, id: number, bytes: Uint8Array, start: number, end: number): void {
    let from = start;
    let to = end;
    if (flags & FLAG.PADDED) {
      if (from === to) throw frameSizeError('padded HEADERS');
      to -= bytes[from]!;
      from++;
    }
    if (flags & FLAG.PRIORITY) from += 5;
    if (from > end) throw frameSizeError('HEADERS with priority');
    if (from > to) throw protocolError('padding exceeds the frame');
    const endStream = (flags & FLAG.END_STREAM) !== 0;
    if (flags & FLAG.END_HEADERS) {
      this.#onBlock(id, this.#blocks.decode(bytes, from, to), endStream);
    } else {
      this.#blocks.begin(id, endStream, bytes, from, to);
    }
  }

  #onContinuation(flags: number, id: number, bytes: Uint8Array, start: number, end: number): void {
    this.#chargeControlFrame(1);
    const blocks = this.#blocks;
    if (blocks.streamId !== id) throw protocolError('CONTINUATION without its HEADERS');
    blocks.add(bytes, start, end);
    if (flags & FLAG.END_HEADERS) {
      const endStream = blocks.endStream;
      this.#onBlock(id, blocks.finish(), endStream);
    }
  }

  #onBlock(id: number, head: Head | undefined, endStream: boolean): void {
    const stream = this.streams.get(id);
    if (stream !== undefined) {
      this.#onLaterBlock(stream, head, endStream);
      return;
    }
    if (this.isIdle(id)) {
      this.controlFrames.give(this.limits.controlFramesPerUsefulFrame);
      this.openStream(id, head, endStream);
      return;
    }
    this.#chargeControlFrame(1);
    if (this.resets.has(id)) return;
    if (!this.resetsForgotten) {
      throw new ConnectionError(HTTP2_ERROR.STREAM_CLOSED, 'HEADERS on a closed stream');
    }
    // We may have reset it ourselves, so this does not end the connection.
    this.writeReset(id, HTTP2_ERROR.STREAM_CLOSED);
  }

  /** HEADERS after the first of their stream. */
  #onLaterBlock(stream: Http2Stream, head: Head | undefined, endStream: boolean): void {
    if (stream.remoteEnded) {
      this.abortStream(stream, HTTP2_ERROR.STREAM_CLOSED);
      return;
    }
    if (endStream && stream.contentLeft > 0) {
      this.abortStream(stream, HTTP2_ERROR.PROTOCOL_ERROR);
      return;
    }
    if (!endStream) this.#chargeControlFrame(1);
    if (endStream) stream.remoteEnded = true;
    this.onHeaders(stream, head, endStream);
    if (endStream && !stream.closed) this.#remoteEnded(stream);
  }

  #onWindowUpdate(id: number, increment: number): void {
    if (id === 0) {
      if (increment === 0) throw protocolError('WINDOW_UPDATE of 0');
      this.sender.widen(increment);
      this.pumpSoon();
      return;
    }
    const stream = this.streams.get(id);
    if (stream === undefined) {
      if (this.isIdle(id)) throw protocolError('WINDOW_UPDATE on an idle stream');
    } else if (increment === 0) {
      this.abortStream(stream, HTTP2_ERROR.PROTOCOL_ERROR);
    } else if (!this.sender.widenStream(stream, increment)) {
      this.abortStream(stream, HTTP2_ERROR.FLOW_CONTROL_ERROR);
    } else {
      this.pumpSoon();
    }
  }

  #onSettings(bytes: Uint8Array, start: number, end: number): void {
    const { peerSettings, sender } = this;
    peerSettings.apply(bytes, start, end);
    // Once per frame, however often the setting is repeated in it: it costs a pass over all streams.
    if (peerSettings.initialWindow !== sender.initialWindow) {
      this.#chargeControlFrame(this.streams.size / 100);
      sender.setInitialWindow(peerSettings.initialWindow, this.streams.values());
      this.pumpSoon();
    }
    this.settled = true;
    writeSettingsAck(this.output);
    this.flushSoon();
    this.onSettingsChanged();
  }

  #onPingFrame(flags: number, bytes: Uint8Array, start: number): void {
    if (flags & FLAG.ACK) {
      this.onPingAck(bytes, start);
      return;
    }
    writePing(this.output, true, bytes, start);
    this.flushSoon();
    this.onPing();
  }

  #onRstStream(id: number, code: number): void {
    const stream = this.streams.get(id);
    if (stream === undefined) {
      if (this.isIdle(id)) throw protocolError('RST_STREAM on an idle stream');
      return;
    }
    this.onStreamReset(stream, true);
    if (stream.closed) return;
    this.closeStream(stream);
    stream.onAborted(code, true);
  }

  #onGoAwayFrame(bytes: Uint8Array, start: number, end: number): void {
    const lastStreamId = readUint32(bytes, start) & 0x7fffffff;
    const debugEnd = Math.min(end, start + 8 + DEBUG_BYTES_MAX);
    const debug = latin1FromBytes(bytes, start + 8, debugEnd);
    this.onGoAway(lastStreamId, readUint32(bytes, start + 4), debug);
  }

  /** A PRIORITY frame of a wrong size (section 6.3); one of the right size is ignored. */
  #onBadPriority(id: number): void {
    const stream = this.streams.get(id);
    if (stream !== undefined) this.abortStream(stream, HTTP2_ERROR.FRAME_SIZE_ERROR);
    // RST_STREAM may not be sent for an idle stream.
    else if (this.isIdle(id)) throw frameSizeError('PRIORITY');
  }

  #creditConnection(count: number): void {
    this.#uncredited += count;
    if (this.#uncredited < this.limits.connectionWindowBytes / 2) return;
    this.#receiveWindow += this.#uncredited;
    writeWindowUpdate(this.output, 0, this.#uncredited);
    this.#uncredited = 0;
    this.flushSoon();
  }

  /** Resets a stream for the peer's violation, and calls its `onAborted`. */
  abortStream(stream: Http2Stream, code: Http2ErrorCode): void {
    if (stream.closed) return;
    this.onStreamReset(stream, false);
    if (stream.closed) return;
    this.resetStream(stream, code);
    stream.onAborted(code, false);
  }

  // The end

  /** Ends the connection for a violation: GOAWAY, `onAborted` of open streams, then close. */
  fail(error: ConnectionError): void {
    if (this.closed) return;
    this.goAway(this.lastRemoteId, error.code, error.message);
    const text = `http2: ${error.message} (${http2ErrorName(error.code)})`;
    this.shut(new TetcdError(ERROR_CODES.MALFORMED, text, { cause: error }));
  }

  /** Stops reading, loses every open stream, sends what is pending and closes. */
  protected shut(error: Error | undefined): void {
    if (this.closed) return;
    this.closed = true;
    this.#closeError = error;
    this.#closedAtMs = this.context.clock.monotonicMs();
    this.flushSoon();
    this.#loseStreams();
    // What still arrives is read and dropped: closing with unread input would make the operating
    // system discard our last frames.
    if (this.readingPaused || this.inputWaits) this.transport.resume();
  }

  #loseStreams(): void {
    for (const stream of [...this.streams.values()]) {
      this.closeStream(stream);
      stream.onAborted(undefined, false);
    }
  }

  onEnd(): void {
    this.shut(undefined);
  }

  onClose(error: Error | undefined): void {
    if (this.gone) return;
    this.gone = true;
    this.closed = true;
    this.#closeError ??= error;
    this.#loseStreams();
    this.onGone(this.#closeError);
  }

  /** Closes without GOAWAY: the peer would not read it. */
  protected cutOff(reason: string): void {
    this.closed = true;
    this.#closeError = new TetcdError(ERROR_CODES.TIMEOUT, `http2: ${reason}`);
    this.#loseStreams();
    this.transport.destroy();
  }

  /** Keepalive and watchdog checks. Called about once a second. */
  tick(nowMs: number): void {
    if (this.closed) {
      if (nowMs - this.#closedAtMs > LINGER_MS) this.transport.destroy();
      return;
    }
    const elapsedMs = nowMs - this.#tickMs;
    this.#tickMs = nowMs;
    this.controlFrames.give((elapsedMs * this.limits.controlFramesPerSecond) / 1000);
    const reason = this.#watchdog.look({
      nowMs,
      settled: this.settled,
      framesReceived: this.framesReceived,
      framePartial: this.#reader.partial,
      blockPartial: this.#blocks.streamId !== 0,
      handedBytes: this.output.handedBytes,
      bufferedBytes: this.transport.bufferedBytes,
    });
    if (reason !== undefined) this.cutOff(reason);
    else this.keepAlive(nowMs, this.#watchdog.moved);
  }
}
