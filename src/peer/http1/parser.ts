// Messages of one direction of a connection, out of pieces of any size: head, body, trailer.

import {
  CHUNK_LINE_BYTES_MAX,
  HEAD_BYTES_MAX,
  HEADERS_MAX,
  INTERIM_HEADS_MAX,
  LINE_BYTES_MAX,
} from '../limits.ts';
import { HttpFault } from './fault.ts';
import { addHeader, type BodyLength, type Headers, lineText } from './head.ts';

interface ParserEvents {
  /** A head has arrived. Returns the length of the body, or undefined for an interim head. */
  onHead(startLine: string, headers: Headers): BodyLength | undefined;
  /** Body bytes: a view, valid during the call. */
  onBody(bytes: Uint8Array): void;
  /** The message is complete. */
  onComplete(trailers: Headers): void;
}

const STATES = {
  START: 0,
  HEADERS: 1,
  BODY: 2,
  CHUNK_LINE: 3,
  CHUNK_BODY: 4,
  CHUNK_END: 5,
  TRAILER: 6,
  UNTIL_CLOSE: 7,
  COMPLETE: 8,
} as const;

const CR = 0x0d;
const LF = 0x0a;
/** Digits of a chunk's size that is read without a string: enough for 256 MiB, and no overflow. */
const PLAIN_DIGITS_MAX = 7;
const CHUNK_LINE = /^([\da-fA-F]{1,12})[ \t]*(?:;.*)?$/;

export class MessageParser {
  readonly #events: ParserEvents;
  #state: (typeof STATES)[keyof typeof STATES] = STATES.START;
  /** The beginning of a line that has not ended. */
  #line = '';
  #startLine = '';
  #headers = new Map<string, string>();
  #headBytes = 0;
  #headerLines = 0;
  #interimHeads = 0;
  /** Body or chunk bytes still to come. */
  #left = 0;

  constructor(events: ParserEvents) {
    this.#events = events;
  }

  /** Whether no byte of the next message has arrived. */
  get idle(): boolean {
    return this.#state === STATES.START && this.#headBytes === 0;
  }

  get inHead(): boolean {
    return this.#state <= STATES.HEADERS;
  }

  get complete(): boolean {
    return this.#state === STATES.COMPLETE;
  }

  /** Bytes of a body with a declared length that have not arrived; undefined for other bodies. */
  get bytesLeft(): number | undefined {
    if (this.complete) return 0;
    return this.#state === STATES.BODY ? this.#left : undefined;
  }

  /** Begins the next message. */
  reset(): void {
    this.#state = STATES.START;
    this.#line = '';
    this.#startLine = '';
    this.#headers = new Map();
    this.#headBytes = 0;
    this.#headerLines = 0;
    this.#interimHeads = 0;
    this.#left = 0;
  }

  /**
   * Reads `bytes` from `start` to their end or the end of the message, and returns the offset after what
   * it read. Throws HttpFault; the connection must then be closed.
   */
  feed(bytes: Uint8Array, start: number): number {
    let at = start;
    while (at < bytes.length && this.#state !== STATES.COMPLETE) {
      switch (this.#state) {
        case STATES.BODY:
        case STATES.CHUNK_BODY:
        case STATES.UNTIL_CLOSE:
          at = this.#feedBody(bytes, at);
          break;
        case STATES.CHUNK_LINE:
        case STATES.CHUNK_END:
          at = this.#feedChunkLine(bytes, at);
          break;
        default:
          at = this.#feedLine(bytes, at);
      }
    }
    return at;
  }

  /** End of the input. False if a message is incomplete. */
  end(): boolean {
    if (this.#state === STATES.UNTIL_CLOSE) this.#finish(NO_HEADERS);
    return this.idle || this.#state === STATES.COMPLETE;
  }

  #feedBody(bytes: Uint8Array, at: number): number {
    const rest = bytes.length - at;
    const size = this.#state === STATES.UNTIL_CLOSE ? rest : Math.min(rest, this.#left);
    this.#events.onBody(bytes.subarray(at, at + size));
    if (this.#state === STATES.UNTIL_CLOSE) return at + size;
    this.#left -= size;
    if (this.#left === 0) {
      if (this.#state === STATES.BODY) this.#finish(NO_HEADERS);
      else this.#state = STATES.CHUNK_END;
    }
    return at + size;
  }

  /** As `feedLine`, without a string for what every message of a stream has. */
  #feedChunkLine(bytes: Uint8Array, start: number): number {
    let size = 0;
    let at = start;
    if (this.#state === STATES.CHUNK_LINE) {
      for (; at < bytes.length && at - start < PLAIN_DIGITS_MAX; at++) {
        const digit = hexDigit(bytes[at]!);
        if (digit < 0) break;
        size = size * 16 + digit;
      }
      if (at === start) return this.#feedLine(bytes, start);
    }
    const isPlain = this.#line === '' && bytes[at] === CR && bytes[at + 1] === LF;
    if (!isPlain) return this.#feedLine(bytes, start);
    if (this.#state === STATES.CHUNK_LINE) this.#beginChunk(size);
    else this.#state = STATES.CHUNK_LINE;
    return at + 2;
  }

  #feedLine(bytes: Uint8Array, at: number): number {
    const found = bytes.indexOf(LF, at);
    const end = found < 0 ? bytes.length : found + 1;
    const inHead = this.#state <= STATES.HEADERS || this.#state === STATES.TRAILER;
    const max = inHead ? LINE_BYTES_MAX : CHUNK_LINE_BYTES_MAX;
    if (this.#line.length + end - at > max) {
      throw inHead ? tooLarge() : new HttpFault(400, 'malformed chunked encoding');
    }
    if (inHead) {
      this.#headBytes += end - at;
      if (this.#headBytes > HEAD_BYTES_MAX) throw tooLarge();
    }
    this.#line += lineText(bytes, at, end);
    if (found < 0) return end;
    const line = this.#line;
    this.#line = '';
    if (!line.endsWith('\r\n')) throw new HttpFault(400, 'a line ends without CR');
    this.#takeLine(line.slice(0, -2));
    return end;
  }

  #takeLine(line: string): void {
    switch (this.#state) {
      case STATES.START:
        this.#startLine = line;
        this.#state = STATES.HEADERS;
        return;
      case STATES.HEADERS:
        if (line === '') this.#takeHead();
        else this.#takeHeader(line);
        return;
      case STATES.CHUNK_LINE:
        this.#takeChunkLine(line);
        return;
      case STATES.CHUNK_END:
        if (line !== '') throw new HttpFault(400, 'malformed chunked encoding');
        this.#state = STATES.CHUNK_LINE;
        return;
      default:
        if (line === '') this.#finish(this.#headers);
        else this.#takeHeader(line);
    }
  }

  #takeHeader(line: string): void {
    if (++this.#headerLines > HEADERS_MAX) throw tooLarge();
    addHeader(this.#headers, line);
  }

  #takeHead(): void {
    const length = this.#events.onHead(this.#startLine, this.#headers);
    this.#headers = new Map();
    this.#headBytes = 0;
    this.#headerLines = 0;
    if (length === undefined) {
      if (++this.#interimHeads > INTERIM_HEADS_MAX) throw new HttpFault(502, 'too many 1xx heads');
      this.#state = STATES.START;
    } else if (length === 'chunked') this.#state = STATES.CHUNK_LINE;
    else if (length === 'untilClose') this.#state = STATES.UNTIL_CLOSE;
    else if (length === 0) this.#finish(NO_HEADERS);
    else {
      this.#left = length;
      this.#state = STATES.BODY;
    }
  }

  #takeChunkLine(line: string): void {
    const match = CHUNK_LINE.exec(line);
    if (match === null) throw new HttpFault(400, 'malformed chunked encoding');
    this.#beginChunk(Number.parseInt(match[1]!, 16));
  }

  #beginChunk(size: number): void {
    this.#left = size;
    this.#state = size === 0 ? STATES.TRAILER : STATES.CHUNK_BODY;
  }

  #finish(trailers: Headers): void {
    this.#state = STATES.COMPLETE;
    this.#events.onComplete(trailers);
  }
}

/** -1 if it is none. */
function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

const NO_HEADERS: Headers = new Map();

function tooLarge(): HttpFault {
  return new HttpFault(431, 'request header fields too large');
}
