// A stream, passed on: messages both ways, at the pace of the slower side.

import {
  BYTES_ENCODER,
  type CallStatus,
  type ClientStream,
  type ClientStreamHandler,
  STATUS,
  type StreamHandler,
} from '../../grpc/index.ts';
import { endMalformed, type StreamCall } from '../../rpc/index.ts';
import type { Upstream } from './upstream.ts';

/** Changes messages on their way; each gets one and returns what to pass on. Default: the same. */
interface StreamChanges {
  request?(message: Uint8Array): Uint8Array;
  response?(message: Uint8Array): Uint8Array;
}

/** The handler of `call`, which is passed on from now on. */
export function passStream(
  upstream: Upstream,
  call: StreamCall,
  changes: StreamChanges = {},
): StreamHandler {
  return new PassedStream(upstream, call, changes);
}

class PassedStream implements StreamHandler {
  readonly #upstream: Upstream;
  readonly #call: StreamCall;
  readonly #changes: StreamChanges;
  readonly #passed: ClientStream;

  constructor(upstream: Upstream, call: StreamCall, changes: StreamChanges) {
    this.#upstream = upstream;
    this.#call = call;
    this.#changes = changes;
    const { channel } = upstream;
    const answers = new Answers(call, changes, () => this.#passed);
    this.#passed = channel.stream(call.path, answers, upstream.optionsOf(call));
  }

  onMessage(message: Uint8Array): void {
    let changed: Uint8Array;
    try {
      changed = this.#changes.request?.(message) ?? message;
    } catch (error) {
      this.#passed.cancel();
      endMalformed(this.#call, error);
      return;
    }
    const refusal = this.#upstream.sizeRefusal(changed);
    if (refusal !== undefined) {
      this.#passed.cancel();
      this.#call.end(refusal.status, refusal.message);
    } else if (!this.#passed.writeBytes(changed)) this.#call.pause();
  }

  onEnd(): void {
    this.#passed.end();
  }

  onCancel(): void {
    this.#passed.cancel();
  }

  onDrain(): void {
    this.#passed.resume();
  }
}

class Answers implements ClientStreamHandler {
  readonly #call: StreamCall;
  readonly #changes: StreamChanges;
  readonly #passed: () => ClientStream;

  constructor(call: StreamCall, changes: StreamChanges, passed: () => ClientStream) {
    this.#call = call;
    this.#changes = changes;
    this.#passed = passed;
  }

  onMessage(message: Uint8Array): void {
    const changed = this.#changes.response?.(message) ?? message;
    if (!this.#call.write(BYTES_ENCODER, changed)) this.#passed().pause();
  }

  onDrain(): void {
    this.#call.resume();
  }

  onStatus({ code, message }: CallStatus): void {
    if (code === STATUS.OK) this.#call.end();
    else this.#call.end(code, message);
  }
}
