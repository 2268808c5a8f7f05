// The sending half of an HTTP/2 connection, either side: flushing, back-pressure against a peer that
// does not read, and the frames that continue, end and reset streams.

import { SequenceMap } from '../../base/index.ts';
import type { ByteStream, Clock } from '../../env/index.ts';
import { HpackEncoder } from '../hpack/index.ts';
import type { ConnectionLimits } from '../limits.ts';
import type { ByteCount } from './byte-count.ts';
import {
  writeGoAway,
  writePing,
  writeReset,
  writeSettings,
  writeWindowUpdate,
} from './control-frames.ts';
import type { Flushable, FlushScheduler } from './flush-scheduler.ts';
import type { InputTurns } from './input-turns.ts';
import { Output, type SlabPool } from './output.ts';
import {
  DEFAULT_WINDOW,
  FLAG,
  FRAME,
  FRAME_HEADER_BYTES,
  type Http2ErrorCode,
} from './protocol.ts';
import { Sender } from './sender.ts';
import type { Http2Stream } from './stream.ts';
import { TokenBucket } from './token-bucket.ts';

/** Shared by all connections of a server or channel. */
export interface ConnectionContext {
  /** May stand still within a turn. */
  readonly clock: Clock;
  readonly exactClock: Clock;
  readonly pool: SlabPool;
  readonly scheduler: FlushScheduler;
  /** Bytes not sent yet: queued DATA, and answers that are being made. */
  readonly pending: ByteCount;
  /** Bytes of received messages in memory. */
  readonly held: ByteCount;
  readonly turns: InputTurns;
}

export interface ConnectionRole {
  readonly peerIsClient: boolean;
  /**
   * Whether a full socket stops reading. Only servers do it: if both sides did, two full sockets
   * would wait for each other.
   */
  readonly pausesReading: boolean;
}

/** Streams reset by us that are remembered, so that their late frames are ignored. */
const RESETS_REMEMBERED_MAX = 1024;

export abstract class ConnectionOutput implements Flushable {
  readonly transport: ByteStream;
  readonly limits: ConnectionLimits;
  readonly output: Output;
  readonly sender: Sender;
  readonly encoder = new HpackEncoder();
  /** Streams of which at least one half is open. */
  readonly streams = new SequenceMap<Http2Stream>();
  /** Nothing more is read: a violation was found, or the transport or its owner closed. */
  closed = false;

  protected readonly context: ConnectionContext;
  /** Tokens for frames that cost work and carry nothing; see `controlFramesBurst`. */
  protected readonly controlFrames: TokenBucket;
  protected readingPaused = false;
  /** Input waits for a later turn: nothing more is read until then. */
  protected inputWaits = false;
  /** Ids of streams that we reset; at most RESETS_REMEMBERED_MAX. */
  protected readonly resets = new Set<number>();
  protected resetsForgotten = false;
  /** The transport is gone. */
  protected gone = false;
  readonly #role: ConnectionRole;
  /** The scheduler will call `flushTurn` at the end of the turn. */
  #flushWaiting = false;
  /** It will do so early, since there are news. */
  #newsWaiting = false;
  #flushedTurn = 0;
  /** The sending half of the transport has been closed. */
  #transportEnded = false;
  #framesSentSeen = 0;

  constructor(
    transport: ByteStream,
    limits: ConnectionLimits,
    context: ConnectionContext,
    role: ConnectionRole,
  ) {
    this.transport = transport;
    this.limits = limits;
    this.context = context;
    this.#role = role;
    this.output = new Output(transport, context.pool);
    this.sender = new Sender(this.output, limits, context.pending, context.exactClock);
    this.controlFrames = new TokenBucket(limits.controlFramesBurst);
  }

  protected abstract onStreamClosed(stream: Http2Stream): void;

  /**
   * Schedules a flush at the end of this turn. What is answered within the input waits for it too:
   * writes that follow each other wake a client's thread once, those between inputs each time.
   */
  flushSoon(): void {
    if (this.#flushWaiting) return;
    this.#flushWaiting = true;
    this.context.scheduler.add(this);
  }

  /** As {@link flushSoon}, before the connections that have only answers. */
  flushNews(): void {
    if (this.#newsWaiting) return;
    this.#newsWaiting = true;
    this.#flushWaiting = true;
    this.context.scheduler.addWithNews(this);
  }

  /** For the scheduler. */
  flushTurn(turn: number, isEnd: boolean): void {
    if (this.#flushedTurn === turn) return;
    this.#flushedTurn = turn;
    this.#flushWaiting = false;
    this.#newsWaiting = false;
    this.flush(isEnd);
  }

  /** With `produces`, once in a turn, answers that are made while they are sent go on. */
  flush(produces = false): void {
    if (this.gone) return;
    this.sender.pump(produces);
    const sent = this.sender.framesSent - this.#framesSentSeen;
    if (sent > 0) {
      this.controlFrames.give(sent * this.limits.controlFramesPerUsefulFrame);
      this.#framesSentSeen += sent;
    }
    this.output.flush();
    if (this.closed) this.#endTransport();
    else if (!this.output.writable) this.#pauseReading();
    else this.pumpSoon();
  }

  #endTransport(): void {
    if (this.#transportEnded) return;
    this.#transportEnded = true;
    this.transport.end();
  }

  /**
   * A peer that does not read what it asked for is not read from either. DATA alone never gets this
   * far: it waits in the sender once the socket is full, so that PING and WINDOW_UPDATE are still
   * read and answered.
   */
  #pauseReading(): void {
    if (!this.#role.pausesReading || this.readingPaused) return;
    if (this.transport.bufferedBytes <= this.limits.socketHighWaterBytes) return;
    this.readingPaused = true;
    this.transport.pause();
  }

  onDrain(): void {
    if (this.gone) return;
    this.output.writable = true;
    this.output.reclaim();
    if (this.readingPaused) {
      this.readingPaused = false;
      if (!this.inputWaits) this.transport.resume();
    }
    this.pumpSoon();
  }

  protected pumpSoon(): void {
    if (this.sender.pumpable || this.sender.mayProduce) this.flushSoon();
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
    if (stream.remoteEnded) this.closeStream(stream);
  }

  /** Resets a stream on our own decision; its `onAborted` is not called. */
  resetStream(stream: Http2Stream, code: Http2ErrorCode): void {
    if (stream.closed) return;
    // With both halves ended the peer has closed it already.
    if (!stream.localEnded || !stream.remoteEnded) this.writeReset(stream.id, code);
    this.closeStream(stream);
  }

  /** RST_STREAM for a stream that is not in `streams`, or is removed right after. */
  writeReset(id: number, code: Http2ErrorCode): void {
    if (this.resets.size >= RESETS_REMEMBERED_MAX) {
      this.resets.clear();
      this.resetsForgotten = true;
    }
    this.resets.add(id);
    writeReset(this.output, id, code);
    this.flushSoon();
  }

  /** Removes the stream without a frame to the peer and without a callback. */
  dropStream(stream: Http2Stream): void {
    if (!stream.closed) this.closeStream(stream);
  }

  protected closeStream(stream: Http2Stream): void {
    stream.closed = true;
    this.streams.delete(stream.id);
    this.sender.forget(stream);
    this.onStreamClosed(stream);
  }

  protected ping(payload: Uint8Array): void {
    writePing(this.output, false, payload, 0);
    this.flushSoon();
  }

  protected goAway(lastStreamId: number, code: Http2ErrorCode, debug: string): void {
    writeGoAway(this.output, lastStreamId, code, debug);
    this.flushSoon();
  }

  /** Our SETTINGS, and the connection window beyond the default. */
  protected sendSettings(settings: ReadonlyArray<readonly [id: number, value: number]>): void {
    writeSettings(this.output, settings);
    const more = this.limits.connectionWindowBytes - DEFAULT_WINDOW;
    if (more > 0) writeWindowUpdate(this.output, 0, more);
    this.flushSoon();
  }

  /** Flow control: `count` received bytes are consumed, so that the peer may send as many more. */
  credit(stream: Http2Stream, count: number): void {
    if (stream.remoteEnded || stream.closed) return;
    stream.uncredited += count;
    if (stream.uncredited < this.limits.streamWindowBytes / 2) return;
    stream.receiveWindow += stream.uncredited;
    writeWindowUpdate(this.output, stream.id, stream.uncredited);
    stream.uncredited = 0;
    this.flushSoon();
  }
}
