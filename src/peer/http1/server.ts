// One connection of the peer port: requests in, answers out, one after the other.
//
//   idle ─first byte─> head ─> body ─> complete ─┐
//    ^                  └──── answer ────────────┴─> idle, or: linger ─> closed
//
// Input after a complete request waits, with the byte stream paused, until the response is written. A
// response before the end of its request ends the connection, unless little is missing.

import { ERROR_CODES, Pace, TetcdError } from '../../base/index.ts';
import type { ByteStream, ByteStreamHandler, Env, Timer } from '../../env/index.ts';
import {
  BODY_RATE_MIN,
  DISCARDED_BYTES_MAX,
  LINGER_MS,
  REQUEST_READ_MS_MAX,
  TIMER_SLACK,
} from '../limits.ts';
import { IncomingBody } from './body.ts';
import { HttpFault } from './fault.ts';
import {
  type BodyLength,
  bodyLengthOfRequest,
  type Headers,
  keepsAlive,
  type RequestHead,
  readRequestHead,
} from './head.ts';
import { MessageParser } from './parser.ts';
import { StallWatch } from './stall.ts';
import { type Answer, answerBytes, CONTINUE, chunkedAnswerHead, refusalBytes } from './write.ts';

interface ServerConnectionOptions {
  readonly env: Pick<Env, 'clock' | 'timers'>;
  readonly ioTimeoutMs: number;
  /**
   * A head has arrived. Answers now or later, through the exchange; takes the body, if it wants it,
   * before it returns. Never throws.
   */
  onExchange(exchange: ServerExchange): void;
  onClosed(): void;
}

/** Events of a connection that carries one endless response. */
interface AnswerStreamEvents {
  onDrain(): void;
  onClose(error: Error | undefined): void;
}

export class ServerConnection implements ByteStreamHandler {
  readonly stream: ByteStream;
  readonly options: ServerConnectionOptions;
  readonly #parser: MessageParser;
  readonly #stall: StallWatch;
  #exchange: ServerExchange | undefined;
  /** Input that waits for the answer before it. */
  #held: Uint8Array | undefined;
  #pumping = false;
  #lingering = false;
  #closed = false;
  /** The other side has closed its sending half. */
  #ended = false;
  #lastReadMs: number;
  #requestSinceMs: number;
  readonly #pace = new Pace();
  #timer: Timer | undefined;

  constructor(stream: ByteStream, options: ServerConnectionOptions) {
    this.stream = stream;
    this.options = options;
    this.#stall = new StallWatch(options.ioTimeoutMs);
    this.#lastReadMs = this.#nowMs();
    this.#requestSinceMs = this.#lastReadMs;
    this.#parser = new MessageParser({
      onHead: (line, headers) => this.#onHead(line, headers),
      onBody: (bytes) => this.#exchange?.body?.push(bytes),
      onComplete: (trailers) => {
        this.#pace.end(this.#nowMs());
        this.#exchange?.body?.finish(trailers);
      },
    });
    stream.handler = this;
    this.#armTimer(options.ioTimeoutMs);
  }

  /** Closes at once. */
  destroy(error?: Error): void {
    this.stream.destroy(error);
  }

  // --- the byte stream -----------------------------------------------------------------------------

  onData(bytes: Uint8Array): void {
    if (this.#lingering || this.#closed) return;
    this.#lastReadMs = this.#nowMs();
    this.#pace.add(bytes.length, this.#lastReadMs);
    if (this.#held !== undefined) {
      // Input may still arrive after a pause.
      const both = new Uint8Array(this.#held.length + bytes.length);
      both.set(this.#held);
      both.set(bytes, this.#held.length);
      this.#held = both;
      return;
    }
    this.#pump(bytes, 0);
  }

  onDrain(): void {
    this.#stall.progress();
    this.#exchange?.events?.onDrain();
  }

  onEnd(): void {
    this.#ended = true;
    const exchange = this.#exchange;
    if (this.#lingering || exchange === undefined || exchange.events !== undefined) {
      this.stream.destroy();
    } else if (!this.#parser.complete) {
      this.#breakOff('the request was cut off');
    }
    // Else a complete request waits for its response, which the other side may still read.
  }

  onClose(error: Error | undefined): void {
    this.#closed = true;
    this.#timer?.cancel();
    const exchange = this.#exchange;
    this.#exchange = undefined;
    exchange?.body?.fail(unavailable(error?.message ?? 'the connection was closed'));
    exchange?.events?.onClose(error);
    this.options.onClosed();
  }

  // --- requests ------------------------------------------------------------------------------------

  /** Parses up to the next request that waits for a response; the rest is held. */
  #pump(piece: Uint8Array, from: number): void {
    this.#pumping = true;
    let at = from;
    try {
      while (!this.#closed && !this.#lingering) {
        const exchange = this.#exchange;
        if (exchange?.answered === true && exchange.last && exchange.events === undefined) {
          this.#linger();
          break;
        }
        if (exchange !== undefined && this.#parser.complete) {
          if (!exchange.answered || exchange.events !== undefined) break;
          if (!this.#next()) break;
        }
        if (at === piece.length) break;
        if (this.#parser.idle) this.#requestSinceMs = this.#nowMs();
        at = this.#parser.feed(piece, at);
      }
    } catch (error) {
      this.#refuse(error);
    } finally {
      this.#pumping = false;
    }
    if (at < piece.length && !this.#closed && !this.#lingering) {
      this.#held = new Uint8Array(piece.subarray(at));
      this.stream.pause();
    }
  }

  #onHead(line: string, headers: Headers): BodyLength {
    const head = readRequestHead(line, headers);
    const length = bodyLengthOfRequest(head);
    const expected = headers.get('expect');
    if (expected !== undefined && expected.toLowerCase() !== '100-continue') {
      throw new HttpFault(417, 'unknown expectation');
    }
    const waits = expected !== undefined && head.minor === 1 && length !== 0;
    const exchange = new ServerExchange(this, head, { waits, hasBody: length !== 0 });
    this.#exchange = exchange;
    this.#pace.begin(this.#nowMs());
    this.options.onExchange(exchange);
    return length;
  }

  /** The exchange is over. False if the connection is too. */
  #next(): boolean {
    if (this.#exchange!.last || this.#ended) {
      this.#linger();
      return false;
    }
    this.#exchange = undefined;
    this.#parser.reset();
    this.#lastReadMs = this.#nowMs();
    return true;
  }

  #refuse(error: unknown): void {
    const fault = error instanceof HttpFault ? error : new HttpFault(400, String(error));
    const exchange = this.#exchange;
    // Once a response has been written, no error response can follow.
    if (exchange?.answered !== true) this.stream.write(refusalBytes(fault.status, fault.message));
    this.#exchange = undefined;
    exchange?.body?.fail(new TetcdError(ERROR_CODES.MALFORMED, fault.message));
    exchange?.events?.onClose(fault);
    this.#linger();
  }

  /** Closes after a delay in which the other side can read the response. */
  #linger(): void {
    if (this.#lingering || this.#closed) return;
    this.#lingering = true;
    this.#held = undefined;
    this.stream.resume();
    this.stream.end();
    if (this.#ended) return;
    this.#armTimer(LINGER_MS);
  }

  #breakOff(reason: string): void {
    this.stream.destroy(unavailable(reason));
  }

  // --- answers -------------------------------------------------------------------------------------

  writeContinue(): void {
    if (!this.#closed && !this.#lingering) this.stream.write(CONTINUE);
  }

  /** Called by the exchange, once. */
  writeAnswer(exchange: ServerExchange, answer: Answer): void {
    if (this.#exchange !== exchange || this.#closed || this.#lingering) return;
    const left = this.#parser.complete ? 0 : this.#parser.bytesLeft;
    const inHead = this.#parser.inHead;
    // While the head is being taken, the body's length is not yet the parser's.
    const missing = inHead ? exchange.declaredBytes : left;
    const discards = missing !== undefined && missing <= DISCARDED_BYTES_MAX;
    // An HTTP/1.0 client would need `Connection: keep-alive`; no member is one.
    const keeps = exchange.head.minor > 0 && keepsAlive(exchange.head);
    if (!keeps || !discards || exchange.waitsForContinue) exchange.last = true;
    const bytes = answerBytes(answer, {
      wallMs: this.options.env.clock.wallMs(),
      close: exchange.last,
      minor: exchange.head.minor,
      withoutBody: exchange.head.method === 'HEAD',
    });
    this.stream.write(bytes);
    exchange.body?.abandon();
    if (exchange.last && !this.#pumping) this.#linger();
    else if (!this.#pumping) this.#goOn();
  }

  /** Called by the exchange, once. */
  beginStream(exchange: ServerExchange, headers: Readonly<Record<string, string>>): void {
    if (this.#exchange !== exchange || this.#closed || this.#lingering) return;
    this.stream.write(chunkedAnswerHead(200, headers, this.options.env.clock.wallMs()));
  }

  #goOn(): void {
    const held = this.#held;
    this.#held = undefined;
    this.#pump(held ?? NOTHING, 0);
    const paused = this.#held !== undefined || this.#exchange?.bodyPaused === true;
    if (!paused && !this.#closed) this.stream.resume();
  }

  // --- deadlines -----------------------------------------------------------------------------------

  #armTimer(delayMs: number): void {
    this.#timer?.cancel();
    const slackMs = TIMER_SLACK * delayMs;
    this.#timer = this.options.env.timers.after(delayMs, () => this.#onTimer(), slackMs);
  }

  #onTimer(): void {
    if (this.#closed) return;
    if (this.#lingering) {
      this.stream.destroy();
      return;
    }
    const nowMs = this.#nowMs();
    const { ioTimeoutMs } = this.options;
    const exchange = this.#exchange;
    let dueMs = nowMs + ioTimeoutMs;
    if (exchange?.events === undefined && this.#stall.isStalled(this.stream, nowMs)) {
      this.#breakOff('the answer was not taken');
      return;
    }
    if (exchange === undefined || !this.#parser.complete) {
      dueMs = this.#readDueMs(exchange);
      if (dueMs <= nowMs) {
        if (exchange === undefined && this.#parser.idle) this.stream.destroy();
        else this.#breakOff('i/o timeout');
        return;
      }
      if (exchange !== undefined && this.#pace.isBelow(BODY_RATE_MIN, ioTimeoutMs, nowMs)) {
        this.#breakOff('the request comes too slowly');
        return;
      }
    }
    this.#armTimer(Math.min(ioTimeoutMs, dueMs - nowMs));
  }

  #readDueMs(exchange: ServerExchange | undefined): number {
    const { ioTimeoutMs } = this.options;
    if (exchange === undefined) {
      const sinceMs = this.#parser.idle ? this.#lastReadMs : this.#requestSinceMs;
      return sinceMs + ioTimeoutMs;
    }
    const wholeMs = this.#requestSinceMs + REQUEST_READ_MS_MAX;
    // No read deadline while the reader of the body pauses it.
    return exchange.bodyPaused ? wholeMs : Math.min(wholeMs, this.#lastReadMs + ioTimeoutMs);
  }

  /** The reader of the body has paused it. */
  bodyPaused(): void {
    this.#pace.end(this.#nowMs());
  }

  bodyResumed(): void {
    this.#lastReadMs = this.#nowMs();
    if (!this.#parser.complete) this.#pace.begin(this.#lastReadMs);
  }

  /** Whether no request is in progress: none has begun, or not to the end of its head. */
  get isIdle(): boolean {
    return this.#exchange === undefined;
  }

  #nowMs(): number {
    return this.options.env.clock.monotonicMs();
  }
}

/** One request and its answer. */
export class ServerExchange {
  readonly head: RequestHead;
  readonly #connection: ServerConnection;
  readonly #hasBody: boolean;
  /** `Expect: 100-continue`: the sender waits for 100 before it sends the body. */
  waitsForContinue: boolean;
  bodyPaused = false;
  answered = false;
  /** The connection closes after the answer. */
  last = false;
  body: IncomingBody | undefined;
  /** Of an answer that is a stream. */
  events: AnswerStreamEvents | undefined;

  constructor(
    connection: ServerConnection,
    head: RequestHead,
    traits: { readonly waits: boolean; readonly hasBody: boolean },
  ) {
    this.#connection = connection;
    this.head = head;
    this.waitsForContinue = traits.waits;
    this.#hasBody = traits.hasBody;
  }

  get remoteAddress(): string {
    return this.#connection.stream.remoteAddress;
  }

  /** Undefined for a chunked body. */
  get declaredBytes(): number | undefined {
    if (!this.#hasBody) return 0;
    const length = this.head.headers.get('content-length');
    return length === undefined ? undefined : Number(length);
  }

  /** The body; asked for within `onExchange`. */
  takeBody(): IncomingBody {
    const { stream } = this.#connection;
    this.body = new IncomingBody({
      pause: () => {
        this.bodyPaused = true;
        this.#connection.bodyPaused();
        stream.pause();
      },
      resume: () => {
        this.bodyPaused = false;
        this.#connection.bodyResumed();
        stream.resume();
      },
    });
    if (this.waitsForContinue) {
      this.waitsForContinue = false;
      this.#connection.writeContinue();
    }
    return this.body;
  }

  /** Answers; no effect if the connection is closed or an answer was written. */
  answer(answer: Answer, options: { readonly close?: boolean } = {}): void {
    if (this.answered) return;
    this.answered = true;
    this.last = options.close === true;
    this.#connection.writeAnswer(this, answer);
  }

  /** Answers 200 with a head only; what follows is the caller's, in chunks, until it destroys it. */
  answerStream(headers: Readonly<Record<string, string>>, events: AnswerStreamEvents): ByteStream {
    this.answered = true;
    this.last = true;
    this.events = events;
    this.#connection.beginStream(this, headers);
    return this.#connection.stream;
  }
}

const NOTHING = new Uint8Array(0);

function unavailable(text: string): TetcdError {
  return new TetcdError(ERROR_CODES.UNAVAILABLE, text);
}
