// One connection to another member's peer port: one request at a time, its answer in pieces.

import { ERROR_CODES, TetcdError } from '../../base/index.ts';
import type { ByteStream, ByteStreamHandler } from '../../env/index.ts';
import { HttpFault } from './fault.ts';
import {
  type AnswerHead,
  type BodyLength,
  bodyLengthOfAnswer,
  type Headers,
  keepsAlive,
  readAnswerHead,
} from './head.ts';
import { MessageParser } from './parser.ts';

/** Events of a request. `onEnd` or `onFail` is the last one. */
interface AnswerEvents {
  onHead(head: AnswerHead): void;
  /** A view, valid during the call. */
  onBody(bytes: Uint8Array): void;
  onEnd(): void;
  /** UNAVAILABLE or MALFORMED, naming the URL. */
  onFail(error: TetcdError): void;
  /** The request's body may go on. */
  onDrain?(): void;
}

export class ClientConnection implements ByteStreamHandler {
  readonly stream: ByteStream;
  /** For error texts. */
  readonly url: string;
  /** Called once, last of all. */
  onClosed: () => void = () => {};
  readonly #parser: MessageParser;
  #events: AnswerEvents | undefined;
  #answerHead: AnswerHead | undefined;
  #closed = false;
  #answering = false;

  constructor(stream: ByteStream, url: string) {
    this.stream = stream;
    this.url = url;
    this.#parser = new MessageParser({
      onHead: (line, headers) => this.#onHead(line, headers),
      onBody: (bytes) => this.#events?.onBody(bytes),
      onComplete: () => {},
    });
    stream.handler = this;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Whether any byte of the current response has arrived. */
  get answering(): boolean {
    return this.#answering;
  }

  /** Sends a request, or its beginning: the caller writes its body to `stream`. */
  start(request: Uint8Array, events: AnswerEvents): void {
    this.#events = events;
    this.#answering = false;
    this.stream.write(request);
  }

  /** Closes immediately; a request in progress fails. */
  abort(): void {
    this.#fail(ERROR_CODES.UNAVAILABLE, 'the link was given up');
    this.destroy();
  }

  /** Closes immediately; no further event of a request in progress. */
  destroy(): void {
    this.#events = undefined;
    this.#closed = true;
    this.stream.destroy();
  }

  onData(bytes: Uint8Array): void {
    if (this.#closed) return;
    if (this.#events === undefined) {
      // Unexpected input: the rest of a failed exchange.
      this.destroy();
      return;
    }
    this.#answering = true;
    try {
      const end = this.#parser.feed(bytes, 0);
      if (this.#parser.complete) this.#complete(end < bytes.length);
    } catch (error) {
      if (!(error instanceof HttpFault)) throw error;
      this.#fail(ERROR_CODES.MALFORMED, error.message);
    }
  }

  onDrain(): void {
    this.#events?.onDrain?.();
  }

  onEnd(): void {
    if (this.#closed) return;
    if (this.#events !== undefined && this.#parser.end() && this.#parser.complete) {
      this.#complete(true);
    } else this.#fail(ERROR_CODES.UNAVAILABLE, 'unexpected EOF');
    this.#closed = true;
    this.stream.destroy();
  }

  onClose(error: Error | undefined): void {
    this.#fail(ERROR_CODES.UNAVAILABLE, error?.message ?? 'the connection was closed');
    this.onClosed();
  }

  #onHead(line: string, headers: Headers): BodyLength | undefined {
    const head = readAnswerHead(line, headers);
    if (head.status === 101) throw new HttpFault(502, 'unexpected change of protocol');
    if (head.status < 200) return undefined;
    this.#answerHead = head;
    this.#events?.onHead(head);
    return bodyLengthOfAnswer(head);
  }

  /** The answer has ended; `surplus`: the connection cannot be used again. */
  #complete(surplus: boolean): void {
    const events = this.#events;
    const alive = !surplus && this.#answerHead !== undefined && keepsAlive(this.#answerHead);
    this.#events = undefined;
    this.#answerHead = undefined;
    this.#parser.reset();
    if (!alive) {
      this.#closed = true;
      this.stream.destroy();
    }
    events?.onEnd();
  }

  #fail(code: 'UNAVAILABLE' | 'MALFORMED', text: string): void {
    const events = this.#events;
    this.#events = undefined;
    if (!this.#closed) {
      this.#closed = true;
      this.stream.destroy();
    }
    events?.onFail(new TetcdError(code, `${this.url}: ${text}`));
  }
}
