// A streaming call by HTTP: JSON values of the body go in as they come, and each message that comes out is a
// line `{"result":…}`, the status that ends them `{"error":…}`.

import type { StatusCode } from '../grpc/index.ts';
import { jsonFromWire } from '../protocol/index.ts';
import type {
  LocalContext,
  LocalStream,
  LocalStreamListener,
  RpcStatus,
  StreamEntry,
} from '../rpc/index.ts';
import type { Exchange } from './exchange.ts';
import type { GatewayParts } from './gateway.ts';
import { escapedForHtml } from './http-status.ts';
import { BODY_TIMEOUT_MS } from './limits.ts';
import { type BodySink, RequestBody } from './request-body.ts';

/** Opens a stream: at once, or, if it takes one message, when the body has ended. */
export function serveStream(
  parts: GatewayParts,
  entry: StreamEntry,
  exchange: Exchange,
  context: LocalContext,
): void {
  const takesOne = entry.kind === 'server_stream';
  const open = () => new HttpStream(parts, entry, exchange, context);
  const sink = takesOne ? oneMessage(parts, exchange, open) : open().input;
  const { held, receiveBytesMax } = parts;
  new RequestBody({
    ...{
      body: exchange.body,
      endsWithFirst: exchange.isServedByFirst,
      message: entry.descriptor.request.descriptor,
    },
    ...{ messageBytesMax: receiveBytesMax, takesOne, held, sink },
  });
}

/** For a call that takes one message: nothing is opened for a body that is refused. */
function oneMessage(parts: GatewayParts, exchange: Exchange, open: () => HttpStream): BodySink {
  const tooLate = parts.env.timers.after(BODY_TIMEOUT_MS, () => exchange.abort());
  exchange.onGone(() => tooLate.cancel());
  let message: Uint8Array = new Uint8Array(0);
  return {
    onMessage: (bytes) => {
      message = bytes;
    },
    onEnd: () => {
      tooLate.cancel();
      const { input } = open();
      input.onMessage(message);
      input.onEnd();
    },
    onRefused: ({ status, message: text }) => {
      tooLate.cancel();
      exchange.refuse(status, text);
    },
  };
}

class HttpStream implements LocalStreamListener {
  /** Where the messages of the body go. */
  readonly input: BodySink;
  readonly #entry: StreamEntry;
  readonly #exchange: Exchange;
  readonly #stream: LocalStream;
  #ended = false;

  constructor(parts: GatewayParts, entry: StreamEntry, exchange: Exchange, context: LocalContext) {
    this.#entry = entry;
    this.#exchange = exchange;
    const stream = parts.calls.stream(entry.descriptor.path, this, context);
    this.#stream = stream;
    exchange.onGone(() => stream.cancel());
    exchange.onDrain(() => stream.resume());
    this.input = {
      onMessage: (message) => {
        if (!stream.send(message)) exchange.body.pause();
      },
      onEnd: () => stream.end(),
      onRefused: (status) => this.#refuse(status),
    };
  }

  onMessage(message: Uint8Array): void {
    const json = jsonFromWire(this.#entry.descriptor.response.descriptor, message);
    if (!this.#exchange.headSent) this.#exchange.begin({ isStream: true });
    if (!this.#exchange.write(`{"result":${escapedForHtml(json)}}\n`)) this.#stream.pause();
  }

  onDrain(): void {
    this.#exchange.body.resume();
  }

  onEnd(status: StatusCode, message: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#exchange.endStream(status, message);
  }

  #refuse({ status, message }: RpcStatus): void {
    this.onEnd(status, message);
    this.#stream.cancel();
  }
}
