// A call of the client, from its creation to its status: waiting for a connection, attempted on one, or
// attempted again (transparent retry) if no server has processed it.
//
//     waiting -> attempted -> ended        ended also directly: cancelled, deadline, no endpoint
//        ^-----------'                     refused or beyond GOAWAY: not processed by the server

import { EMPTY_BYTES, invariant } from '../../base/index.ts';
import type { HasDeadline } from '../deadlines.ts';
import { FieldMetadata } from '../field-metadata.ts';
import type { HeaderField } from '../hpack/index.ts';
import { BYTES_ENCODER, type Encoder } from '../message-encoder.ts';
import { EMPTY_METADATA, type Metadata, pairsFromInit } from '../metadata.ts';
import { MESSAGE_PREFIX_BYTES, writeMessage } from '../server/grpc-stream.ts';
import { STATUS, type StatusCode } from '../status.ts';
import type { ChannelCore } from './channel.ts';
import type { ClientAttempt } from './client-attempt.ts';
import type {
  CallOptions,
  CallStatus,
  ClientCall,
  ClientStream,
  ClientStreamHandler,
  Endpoint,
  UnarySink,
} from './client-types.ts';

/** Messages kept for another attempt; a call that has sent more is not attempted again. */
const KEPT_BYTES_MAX = 256 * 1024;

const NO_PAIRS: ReadonlyArray<readonly [string, string]> = [];

export abstract class ClientCallRecord implements ClientCall, HasDeadline {
  readonly path: string;
  readonly waitForReady: boolean;
  readonly receiveBytesMax: number;
  readonly metadata: ReadonlyArray<readonly [string, string]>;
  headers: Metadata = EMPTY_METADATA;
  endpoint: Endpoint | undefined = undefined;
  ended = false;
  /** Attempts so far that no server has processed. */
  retries = 0;
  deadlineMs: number = Number.POSITIVE_INFINITY;
  deadlineNext: HasDeadline | undefined = undefined;
  deadlinePrevious: HasDeadline | undefined = undefined;
  deadlineSlot = -1;
  protected readonly channel: ChannelCore;
  protected attempt: ClientAttempt | undefined = undefined;
  /** No more messages from this side. */
  protected localEnd = false;
  /** Messages with their prefixes, for the first or another attempt, oldest first. */
  #kept: Uint8Array[] = [];
  #keptBytes = 0;
  /** Whether everything sent so far is kept. */
  #complete = true;

  constructor(channel: ChannelCore, path: string, options: CallOptions) {
    this.channel = channel;
    this.path = path;
    this.waitForReady = options.waitForReady === true;
    this.receiveBytesMax = options.receiveBytesMax ?? channel.limits.receiveBytesMax;
    this.metadata = options.metadata === undefined ? NO_PAIRS : pairsFromInit(options.metadata);
    if (options.timeoutMs !== undefined) {
      this.deadlineMs = channel.nowMs() + options.timeoutMs;
      channel.deadlines.add(this);
    }
  }

  /** One message from the server; valid during the call. */
  abstract onMessage(message: Uint8Array): void;
  abstract onDrain(): void;
  protected abstract tellHead(): void;
  protected abstract tellStatus(status: CallStatus): void;
  /** Whether a status OK may stand; else the status to report instead. */
  protected abstract checkOk(): string | undefined;

  /** Begins on a connection; HEADERS have been written. */
  begin(attempt: ClientAttempt, endpoint: Endpoint): void {
    invariant(this.attempt === undefined && !this.ended, 'one attempt at a time');
    this.attempt = attempt;
    this.endpoint = endpoint;
    for (const bytes of this.#kept) attempt.connection.sendData(attempt, bytes);
    if (this.localEnd) attempt.connection.sendEnd(attempt);
  }

  /** Whether the whole request is one message that can leave with the HEADERS. */
  get onlyMessage(): Uint8Array | undefined {
    return this.localEnd && this.#kept.length === 1 ? this.#kept[0] : undefined;
  }

  /** As `begin`, where HEADERS and the only message have been written together. */
  beginWritten(attempt: ClientAttempt, endpoint: Endpoint): void {
    invariant(this.attempt === undefined && !this.ended, 'one attempt at a time');
    this.attempt = attempt;
    this.endpoint = endpoint;
  }

  protected sendMessage<T>(encoder: Encoder<T>, message: T): void {
    if (this.ended || this.localEnd) return;
    const { attempt } = this;
    if (attempt !== undefined && !this.#complete) {
      attempt.send(encoder, message);
      return;
    }
    const size = encoder.size(message);
    const bytes = Buffer.allocUnsafe(MESSAGE_PREFIX_BYTES + size);
    writeMessage(encoder, message, size, bytes, 0);
    this.#keep(bytes);
    if (attempt !== undefined) attempt.connection.sendData(attempt, bytes);
  }

  #keep(bytes: Uint8Array): void {
    this.#kept.push(bytes);
    this.#keptBytes += bytes.length;
    if (this.attempt !== undefined && this.#keptBytes > KEPT_BYTES_MAX) this.#dropKept();
  }

  /** Drops the copies of sent messages: there will be no other attempt. */
  #dropKept(): void {
    this.#kept = [];
    this.#keptBytes = 0;
    this.#complete = false;
  }

  /** Bytes that wait here because there is no attempt yet. */
  protected get waitingBytes(): number {
    return this.attempt === undefined ? this.#keptBytes : 0;
  }

  protected sendEnd(): void {
    if (this.ended || this.localEnd) return;
    this.localEnd = true;
    const { attempt } = this;
    if (attempt !== undefined) attempt.connection.sendEnd(attempt);
  }

  onHead(headers: Metadata): void {
    this.headers = headers;
    // The server has begun to process the call.
    this.#dropKept();
    this.tellHead();
  }

  /** The server has not processed the attempt: the call may be attempted again. */
  onUnprocessed(reason: string): void {
    this.attempt = undefined;
    if (this.ended) return;
    this.retries++;
    if (!this.#complete || this.retries > this.channel.limits.transparentRetriesMax) {
      this.#end(STATUS.UNAVAILABLE, reason, undefined, true);
      return;
    }
    this.channel.place(this);
  }

  finish(code: StatusCode, message: string, fields: readonly HeaderField[] | undefined): void {
    if (this.ended) return;
    const wrong = code === STATUS.OK ? this.checkOk() : undefined;
    if (wrong !== undefined) this.#end(STATUS.INTERNAL, wrong, fields, false);
    else this.#end(code, message, fields, false);
  }

  /** No connection could be made. */
  failUnplaced(code: StatusCode, message: string): void {
    if (!this.ended) this.#end(code, message, undefined, true);
  }

  #end(
    code: StatusCode,
    message: string,
    fields: readonly HeaderField[] | undefined,
    unprocessed: boolean,
  ): void {
    this.ended = true;
    this.attempt = undefined;
    this.#dropKept();
    this.channel.deadlines.remove(this);
    const trailers = fields === undefined ? EMPTY_METADATA : new FieldMetadata(fields);
    this.tellStatus({ code, message, trailers, unprocessed });
  }

  cancel(): void {
    this.#giveUp(STATUS.CANCELED, 'context canceled');
  }

  onDeadline(): void {
    const reason = this.attempt === undefined ? this.channel.connectFailure : undefined;
    const text =
      reason === undefined ? 'context deadline exceeded' : `latest balancer error: ${reason}`;
    this.#giveUp(STATUS.DEADLINE_EXCEEDED, text);
  }

  #giveUp(code: StatusCode, message: string): void {
    if (this.ended) return;
    const unprocessed = this.attempt === undefined;
    this.attempt?.cancel();
    this.#end(code, message, undefined, unprocessed);
  }
}

export class UnaryClientCall extends ClientCallRecord {
  readonly #sink: UnarySink;
  #reply: Uint8Array | undefined = undefined;
  #replies = 0;

  constructor(channel: ChannelCore, path: string, sink: UnarySink, options: CallOptions) {
    super(channel, path, options);
    this.#sink = sink;
  }

  /** Once, before the call is placed. */
  request<T>(encoder: Encoder<T>, message: T): void {
    this.sendMessage(encoder, message);
    this.sendEnd();
  }

  onMessage(message: Uint8Array): void {
    this.#replies++;
    // A copy: the bytes are valid only now, but only the trailers tell whether the reply counts.
    this.#reply = message.length === 0 ? EMPTY_BYTES : Uint8Array.from(message);
  }

  protected checkOk(): string | undefined {
    if (this.#replies === 1) return undefined;
    if (this.#replies === 0) {
      return 'cardinality violation: received no response message from non-server-streaming RPC';
    }
    return 'cardinality violation: expected <EOF> for non server-streaming RPCs, but received another message';
  }

  protected tellHead(): void {
    // A unary call reports its headers with the outcome.
  }

  protected tellStatus(status: CallStatus): void {
    if (status.code === STATUS.OK) this.#sink.onReply(this.#reply!, this);
    else this.#sink.onFailure(status, this);
  }

  onDrain(): void {
    // One message: there is no producer.
  }
}

export class StreamClientCall extends ClientCallRecord implements ClientStream {
  readonly #handler: ClientStreamHandler;
  #paused = false;
  #waitsToDrain = false;

  constructor(
    channel: ChannelCore,
    path: string,
    handler: ClientStreamHandler,
    options: CallOptions,
  ) {
    super(channel, path, options);
    this.#handler = handler;
  }

  override begin(attempt: ClientAttempt, endpoint: Endpoint): void {
    if (this.#paused) attempt.pause();
    super.begin(attempt, endpoint);
    if (!this.#waitsToDrain) return;
    this.#waitsToDrain = false;
    if (!attempt.connection.sender.full(attempt)) this.onDrain();
  }

  onMessage(message: Uint8Array): void {
    if (!this.ended) this.#handler.onMessage(message);
  }

  onDrain(): void {
    if (!this.ended) this.#handler.onDrain();
  }

  protected checkOk(): string | undefined {
    return undefined;
  }

  protected tellHead(): void {
    this.#handler.onHeaders?.(this.headers);
  }

  protected tellStatus(status: CallStatus): void {
    this.#handler.onStatus(status);
  }

  write<T>(encoder: Encoder<T>, message: T): boolean {
    this.sendMessage(encoder, message);
    const { attempt } = this;
    if (attempt !== undefined) return !attempt.connection.sender.full(attempt);
    if (this.waitingBytes <= this.channel.limits.streamHighWaterBytes) return true;
    this.#waitsToDrain = true;
    return false;
  }

  writeBytes(message: Uint8Array): boolean {
    return this.write(BYTES_ENCODER, message);
  }

  end(): void {
    this.sendEnd();
  }

  pause(): void {
    this.#paused = true;
    this.attempt?.pause();
  }

  resume(): void {
    this.#paused = false;
    this.attempt?.resume();
  }
}
