// A stream inside this process: both ends, the handler's call and the client's stream.

import {
  BYTES_ENCODER,
  type Encoder,
  STATUS,
  type StatusCode,
  type StreamHandler,
} from '../grpc/index.ts';
import type { Call, StreamCall } from './call.ts';
import {
  type CallMeter,
  encodedBy,
  LocalCall,
  type LocalContext,
  type LocalEnv,
} from './local-call.ts';
import { LocalPipe } from './local-pipe.ts';
import type { StreamEntry } from './service-table.ts';

/** Receives what the handler of a stream sends. */
export interface LocalStreamListener {
  /** One message, which belongs to the listener. */
  onMessage(message: Uint8Array): void;
  /** The call has ended: called once, and nothing after it. */
  onEnd(status: StatusCode, message: string): void;
  /** After a `send` returned false: there is room again. */
  onDrain?(): void;
}

/** The client's end of a stream. */
export interface LocalStream {
  /** Sends a message, which belongs to the stream from now on. False: wait for `onDrain`. */
  send(message: Uint8Array): boolean;
  /** No more messages follow. */
  end(): void;
  /** Calls the handler's `onCancel`, then the listener's `onEnd` with CANCELED. */
  cancel(): void;
  /** No `onMessage` until `resume`. */
  pause(): void;
  resume(): void;
}

export class LocalStreamCall extends LocalCall implements StreamCall {
  /** Without effect: each stream delivers its messages by itself. */
  sendsNews = false;
  readonly #listener: LocalStreamListener;
  readonly #onHandlerError: (call: Call, error: unknown) => void;
  /** Whether the client sends one request, delivered once the client has ended its side. */
  readonly #takesOne: boolean;
  readonly #toHandler: LocalPipe;
  readonly #toClient: LocalPipe;
  #handler: StreamHandler | undefined;
  #sent = 0;
  #gaveUp = false;
  /** Status for the client, after its last message. */
  #status: StatusCode = STATUS.OK;
  #text = '';
  #told = false;

  constructor(
    entry: StreamEntry,
    listener: LocalStreamListener,
    context: LocalContext,
    env: LocalEnv,
    onHandlerError: (call: Call, error: unknown) => void,
  ) {
    super(entry.descriptor.path, context, env);
    this.#listener = listener;
    this.#onHandlerError = onHandlerError;
    this.#takesOne = entry.kind === 'server_stream';
    this.#toHandler = new LocalPipe(env.timers, {
      deliver: (message) => {
        this.countReceived(message.length);
        this.#call((handler) => handler.onMessage(message));
      },
      deliverEnd: () => this.#call((handler) => handler.onEnd()),
      drained: () => listener.onDrain?.(),
    });
    if (this.#takesOne) this.#toHandler.pause();
    this.#toClient = new LocalPipe(env.timers, {
      deliver: (message) => listener.onMessage(message),
      deliverEnd: () => this.#tell(this.#status, this.#text),
      drained: () => this.#call((handler) => handler.onDrain()),
    });
  }

  open(entry: StreamEntry, meter: CallMeter | undefined): LocalStream {
    if (this.begin(meter)) {
      try {
        this.#handler = entry.open(this);
        if (this.#gaveUp) this.#handler.onCancel();
      } catch (error) {
        this.#failInternally(error);
      }
    }
    return {
      send: (message) => this.#send(message),
      end: () => this.#endSending(),
      cancel: () => this.giveUp(STATUS.CANCELED, 'context canceled'),
      pause: () => this.#toClient.pause(),
      resume: () => this.#toClient.resume(),
    };
  }

  // --- The handler's end -------------------------------------------------------------------------

  get hasRoom(): boolean {
    return this.#toClient.hasRoom;
  }

  write<T>(encoder: Encoder<T>, message: T): boolean {
    if (this.ended) return true;
    if (!this.#toClient.isOverfull) {
      const bytes = encodedBy(encoder, message);
      this.countSent(bytes.length);
      return this.#toClient.push(bytes);
    }
    this.giveUp(STATUS.RESOURCE_EXHAUSTED, 'the client of a stream takes too little of it');
    return true;
  }

  writeParts(head: Uint8Array, body: Uint8Array): boolean {
    return this.write(BYTES_ENCODER, Buffer.concat([head, body]));
  }

  /** None: each message belongs to the listener. */
  writeRun(): number {
    return 0;
  }

  end(status: StatusCode = STATUS.OK, message = ''): void {
    if (this.ended) return;
    this.leave(status, message);
    this.#status = status;
    this.#text = message;
    this.#toHandler.close();
    this.#toClient.end();
  }

  endUnreadable(message: string): void {
    if (this.ended) return;
    this.countReceiveFailure();
    this.end(STATUS.INTERNAL, message);
  }

  pause(): void {
    this.#toHandler.pause();
  }

  resume(): void {
    this.#toHandler.resume();
  }

  // --- The client's end --------------------------------------------------------------------------

  #send(message: Uint8Array): boolean {
    if (this.ended) return true;
    this.#sent++;
    if (!this.#toHandler.isOverfull) return this.#toHandler.push(message);
    this.giveUp(STATUS.RESOURCE_EXHAUSTED, 'the server of a stream takes too little of it');
    return true;
  }

  #endSending(): void {
    if (this.ended) return;
    this.#toHandler.end();
    if (!this.#takesOne) return;
    if (this.#sent === 1) this.#toHandler.resume();
    else {
      const text = `received ${this.#sent} request messages for non-client-streaming RPC`;
      this.giveUp(STATUS.INTERNAL, `cardinality violation: ${text}`);
    }
  }

  // --- Ends --------------------------------------------------------------------------------------

  giveUp(status: StatusCode, message: string): void {
    if (!this.ended) {
      this.leave(status, message);
      this.#gaveUp = true;
      try {
        this.#handler?.onCancel();
      } catch (error) {
        this.#onHandlerError(this, error);
      }
    }
    this.#tell(status, message);
  }

  #call(action: (handler: StreamHandler) => void): void {
    if (this.ended || this.#handler === undefined) return;
    try {
      action(this.#handler);
    } catch (error) {
      this.#failInternally(error);
    }
  }

  #failInternally(error: unknown): void {
    this.#onHandlerError(this, error);
    if (this.ended) return;
    this.leave(STATUS.INTERNAL, 'internal error');
    this.#tell(STATUS.INTERNAL, 'internal error');
  }

  #tell(status: StatusCode, message: string): void {
    if (this.#told) return;
    this.#told = true;
    this.#toHandler.close();
    this.#toClient.close();
    this.#listener.onEnd(status, message);
  }
}
