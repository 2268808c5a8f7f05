// The server's interface: calls, handlers, options. No promise, closure or array is made per unary
// request; a call is one object of one shape and lives until it is answered or cancelled.

import type { ByteStream, Clock, Timers } from '../../env/index.ts';
import type { PeerIdentity } from '../../net/index.ts';
import type { ServerKeepalive, ServerLimits } from '../limits.ts';
import type { Encoder } from '../message-encoder.ts';
import type { Metadata, MetadataInit } from '../metadata.ts';
import type { StatusCode } from '../status.ts';

/** The client: its address, and with TLS its certificate. */
export type Peer = PeerIdentity;

/**
 * Counters of one method, written by the transport and read by metrics. Sizes are of messages without
 * the five-byte prefix, after decompression when received and before compression when sent.
 */
export interface MethodStats {
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly unary: boolean;
  started: number;
  messagesReceived: number;
  messagesSent: number;
  bytesReceived: number;
  bytesSent: number;
  /** Calls that ended because what the client sent cannot be read. */
  receiveFailures: number;
  /** Calls that ended, by status code. */
  readonly ended: Float64Array;
}

/** Common part of unary and streaming calls. */
export interface Call {
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly method: MethodStats;
  readonly peer: Peer;
  /** The request's metadata; decoded when first asked for. */
  readonly metadata: Metadata;
  /** When the call must be answered, on the clock's monotonic scale; Infinity without a timeout. */
  readonly deadlineMs: number;
  /** True once the call was cancelled or answered: further output is dropped. */
  readonly ended: boolean;
  /** True once the client reset the call, the deadline passed or the connection was lost. */
  readonly cancelled: boolean;
  /**
   * Whether the client still waits for an answer; ask before work that was queued. Ends the call if its
   * deadline has passed, which would otherwise be noticed a few milliseconds later.
   */
  isWanted(): boolean;
  /** The authenticated caller, set by the embedding program; not used by the transport. */
  caller: unknown;
  /** Initial metadata to send, set before the first answer. */
  responseMetadata: MetadataInit | undefined;
  /** Trailing metadata to send, set before the end. */
  trailers: MetadataInit | undefined;
}

/** A message that is made while it is sent; `return` is called if the call ends before. */
export type Pieces = Iterator<Uint8Array, void, undefined>;

/** Waits for room in a connection's output. */
export interface RoomWaiter {
  /** Called once, unless the call is cancelled before. */
  onRoom(): void;
}

/** A call of one message each way, answered once by `reply` or `fail`. */
export interface UnaryCall extends Call {
  /**
   * Whether the client leaves so much unread that no answer should be made for it now; then use
   * {@link whenRoom}.
   */
  readonly isBehind: boolean;
  /** Calls `waiter.onRoom` when the client has caught up; the call may be refused instead. */
  whenRoom(waiter: RoomWaiter): void;
  /** Whether `bytes` more may be held for answers, within the bound over all connections. */
  mayHold(bytes: number): boolean;
  /** Counts memory that this answer holds until the call ends; a negative number releases some. */
  holdMemory(bytes: number): void;
  /**
   * Called once if the call is cancelled before it is answered. The deadline was then answered by
   * the transport with DEADLINE_EXCEEDED already.
   */
  onCancel: ((call: UnaryCall) => void) | undefined;
  /**
   * Answers OK with one message, in this turn or any later one. Encoded before return. No effect on
   * a call that has ended.
   */
  reply<T>(encoder: Encoder<T>, message: T): void;
  /**
   * Answers OK with one message of `size` bytes that is made while it is sent: the next piece (owned
   * by the transport, not empty) is taken whenever the client has read most of what is queued, until
   * `size` bytes are there. A GrpcStatusError thrown by the iterator is the answer; any other error
   * counts as thrown by the handler.
   */
  replyInPieces(size: number, pieces: Pieces): void;
  /** Answers with a status other than OK and no message. No effect on a call that has ended. */
  fail(status: StatusCode, message: string): void;
}

/**
 * `request` (one message, decompressed) is valid during the call of the handler only; what must live
 * longer is copied by the handler. A throw answers INTERNAL and reaches `onHandlerError`.
 */
export type UnaryHandler = (call: UnaryCall, request: Uint8Array) => void;

/** A call with any number of messages either way. Belongs to its handler until it has ended. */
export interface StreamCall extends Call {
  /**
   * Set by a handler whose messages tell what requests of other connections have done: its connection is
   * written before those with only answers in the turn, up to a number of connections. Default false.
   */
  sendsNews: boolean;
  /** Sends the response headers now, for a client that waits for them; else the first message does. */
  sendHeaders(): void;
  /**
   * Sends one message; encoded before return. False when this stream or its connection now buffers
   * more than its high-water mark: the producer should wait for `onDrain` (the message is sent).
   */
  write<T>(encoder: Encoder<T>, message: T): boolean;
  /**
   * As `write`, of messages that are equal but for one field: `message` has `fields[0]` at `fieldAt`,
   * each further one the next of the fields, all of the same length. Returns how many were sent: less
   * than all, or none, where windows or the socket leave no room, or what is sent is compressed; the
   * rest is for `write`.
   */
  writeRun<T>(
    encoder: Encoder<T>,
    message: T,
    fieldAt: number,
    fields: readonly Uint8Array[],
  ): number;
  /** As `write`, of a message that is bytes already; copied before return. */
  writeBytes(message: Uint8Array): boolean;
  /**
   * As `write`, of the message `head` followed by `body`, whose bytes never change any more and may be
   * referred to: many streams share a body that was encoded once. Neither is empty.
   */
  writeParts(head: Uint8Array, body: Uint8Array): boolean;
  /**
   * Whether there is room for another message to this client. If not, `onDrain` follows when there is, as
   * after a `write` that returned false.
   */
  readonly hasRoom: boolean;
  /** Messages (with prefixes) accepted by `write` that have not left the connection, in bytes. */
  readonly bufferedBytes: number;
  /** Ends the call, by default with OK. Messages written before are sent first. */
  end(status?: StatusCode, message?: string): void;
  /** Ends the call with INTERNAL: a message of the client is malformed. */
  endUnreadable(message: string): void;
  /** No `onMessage` until `resume`: the client's flow-control window then closes. */
  pause(): void;
  resume(): void;
}

/** Receives the events of one stream. After `end` or `onCancel` nothing is called any more. */
export interface StreamHandler {
  /** One message, decompressed; valid during the call only. */
  onMessage(message: Uint8Array): void;
  /** The client has sent its last message. */
  onEnd(): void;
  /** The client reset the call, the deadline passed or the connection was lost. */
  onCancel(): void;
  /** After a `write` returned false: there is room again. */
  onDrain(): void;
}

/** Opens a stream; called before the first message. May already `write` or `end`. */
export type StreamOpener = (call: StreamCall) => StreamHandler;

/** An HTTP/2 request that is not gRPC, on a connection whose acceptor wants those. */
export interface RawRequest {
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  readonly scheme: string;
  /** Ordinary header fields in order; names in lower case; values one char per byte. */
  readonly headers: ReadonlyArray<readonly [name: string, value: string]>;
  readonly peer: Peer;
  /** Sends the response head; once. Status 200 to 599. */
  respond(status: number, headers: ReadonlyArray<readonly [name: string, value: string]>): void;
  /** Body bytes, copied before return. False: wait for `onDrain`. */
  write(bytes: Uint8Array): boolean;
  end(): void;
  /** Resets the stream. */
  abort(): void;
  pause(): void;
  resume(): void;
}

/** `onMessage` is called with pieces of the body. */
export type RawOpener = (request: RawRequest) => StreamHandler;

/** How {@link Server.accept} treats one connection. */
export interface AcceptOptions {
  readonly peer?: Peer;
  /** Takes requests that are not gRPC; without it they are answered 415. */
  readonly onRawRequest?: RawOpener;
}

/** How a server is made. Times are in milliseconds, sizes in bytes. */
export interface ServerOptions {
  readonly timers: Timers;
  /** Advances within a turn: it bounds what one turn does. */
  readonly clock: Clock;
  /** May stand still within a turn: for durations and deadlines of calls. Default: `clock`. */
  readonly turnClock?: Clock;
  readonly limits?: Partial<ServerLimits>;
  readonly keepalive?: Partial<ServerKeepalive>;
  /** `mirror`: a response to a gzip request is gzip too, as etcd does. Default `mirror`. */
  readonly compression?: 'mirror' | 'none';
  /** Called when a call has ended, with its status and text. Durations are measured only then. */
  readonly onCallEnd?: (
    call: Call,
    status: StatusCode,
    durationMs: number,
    message: string,
  ) => void;
  /** A handler threw. The call has been answered INTERNAL. Default: the error is thrown on. */
  readonly onHandlerError?: (call: Call, error: unknown) => void;
  /** A connection was closed for breaking the protocol or a limit; for debug logs. */
  readonly onConnectionError?: (peer: Peer, error: Error) => void;
  /** Takes the place of each accepted stream, to see the bytes that pass. */
  readonly traceStream?: ((stream: ByteStream) => ByteStream) | undefined;
}

/** A gRPC server without sockets of its own: `listen` or `accept` pass connections to it. */
export interface Server {
  /** Registers a method; INVALID_ARGUMENT if the path is malformed or taken. */
  unary(path: string, handler: UnaryHandler): void;
  stream(path: string, opener: StreamOpener): void;
  /**
   * Registers a method whose client sends one request: `onMessage` comes once, when the client has
   * ended its half, and `onEnd` after it. Another number of requests is answered by the transport.
   */
  serverStream(path: string, opener: StreamOpener): void;
  /** Counters of every registered method, in order of registration. */
  readonly methods: readonly MethodStats[];
  readonly connectionCount: number;
  /** Calls of all methods since the start. */
  readonly callsBegun: number;
  /** Bytes of answers that clients have not taken, over all connections; see `pendingBytesMax`. */
  readonly pendingBytes: number;
  /** Bytes of incomplete or paused requests, over all connections; see `heldBytesTotalMax`. */
  readonly heldBytes: number;
  /** Serves one connection, whose first byte (of the preface) has not been delivered yet. */
  accept(stream: ByteStream, options?: AcceptOptions): void;
  /**
   * From now on until {@link uncork}, in this turn, answers wait. The pairs nest. The last `uncork` writes
   * them, all of a connection at once: with `now` within the call, else at the end of the turn.
   */
  cork(): void;
  uncork(now: boolean): void;
  /**
   * Graceful shutdown: GOAWAY in two steps to every client, running calls go on to their end, then the
   * connections close. Resolves when none is left.
   */
  drain(): Promise<void>;
  /** Closes every connection at once; running calls are cancelled. */
  close(): void;
}
