// The body of a request: JSON values that come one after the other, and what is done when they do not.

import type { Readable } from 'node:stream';
import { ERROR_CODES, hasCode } from '../base/index.ts';
import { STATUS } from '../grpc/index.ts';
import {
  ETCD_ERRORS,
  JsonSplitter,
  type MessageInfo,
  wireFromJsonValue,
} from '../protocol/index.ts';
import type { RpcStatus } from '../rpc/index.ts';
import type { HeldBytes } from './held-bytes.ts';
import { JSON_BYTES_PER_BYTE } from './limits.ts';

/** Takes the messages of a body. */
export interface BodySink {
  /** An encoded message, which belongs to the sink. */
  onMessage(message: Uint8Array): void;
  /** The body has ended. */
  onEnd(): void;
  /** The body is not what it should be; nothing follows. */
  onRefused(status: RpcStatus): void;
}

interface BodyOptions {
  readonly body: Readable;
  /** What the values mean. */
  readonly message: MessageInfo;
  /** Largest encoded message. */
  readonly messageBytesMax: number;
  /** Whether values after the first are ignored. */
  readonly takesOne: boolean;
  /** Whether the first value counts as the end, if there is to be one only. */
  readonly endsWithFirst: boolean;
  readonly held: HeldBytes;
  readonly sink: BodySink;
}

const TOO_MANY: RpcStatus = {
  status: STATUS.RESOURCE_EXHAUSTED,
  message: ETCD_ERRORS.REQUEST_TOO_MANY_REQUESTS.message,
};

export class RequestBody {
  readonly #options: BodyOptions;
  readonly #splitter = new JsonSplitter();
  #heldBytes = 0;
  /** `skipping`: the one value has come, and only the end is waited for. */
  #state: 'reading' | 'skipping' | 'closed' = 'reading';

  constructor(options: BodyOptions) {
    this.#options = options;
    const { body } = options;
    body.on('data', (chunk: Buffer) => this.#guarded(() => this.#take(chunk)));
    body.on('end', () => this.#guarded(() => this.#end()));
    body.on('close', () => this.close());
    body.on('error', () => this.close());
  }

  /** Lets go of what is kept; nothing more is told. */
  close(): void {
    this.#state = 'closed';
    this.#hold(0);
  }

  #guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!hasCode(error, ERROR_CODES.MALFORMED)) throw error;
      this.#refuse({ status: STATUS.INVALID_ARGUMENT, message: error.message });
    }
  }

  #take(chunk: Buffer): void {
    if (this.#state !== 'reading') return;
    for (const value of this.#splitter.push(chunk)) {
      this.#pass(value);
      if (this.#state !== 'reading') return;
    }
    const { heldBytes } = this.#splitter;
    const bytesMax = this.#options.messageBytesMax * JSON_BYTES_PER_BYTE;
    if (heldBytes > bytesMax) {
      const message = `a JSON value of more than ${bytesMax} bytes`;
      this.#refuse({ status: STATUS.RESOURCE_EXHAUSTED, message });
    } else if (!this.#hold(heldBytes)) this.#refuse(TOO_MANY);
  }

  #end(): void {
    const last = this.#state === 'reading' ? this.#splitter.end() : undefined;
    if (last !== undefined) this.#pass(last);
    if (this.#state !== 'closed') this.#options.sink.onEnd();
    this.close();
  }

  #pass(value: Uint8Array): void {
    const { message, messageBytesMax, takesOne, endsWithFirst, sink } = this.#options;
    const bytes = wireFromJsonValue(message, value);
    if (bytes.length > messageBytesMax) {
      const sizes = `${bytes.length} vs. ${messageBytesMax}`;
      const text = `grpc: received message larger than max (${sizes})`;
      this.#refuse({ status: STATUS.RESOURCE_EXHAUSTED, message: text });
      return;
    }
    if (takesOne) {
      this.#state = 'skipping';
      this.#hold(0);
    }
    sink.onMessage(bytes);
    if (takesOne && endsWithFirst) this.#end();
  }

  #refuse(status: RpcStatus): void {
    this.close();
    this.#options.sink.onRefused(status);
  }

  /** False if so much may not be held. */
  #hold(bytes: number): boolean {
    const more = bytes - this.#heldBytes;
    if (more > 0 && !this.#options.held.may(more)) return false;
    this.#options.held.add(more);
    this.#heldBytes = bytes;
    return true;
  }
}
