// The client's interface: a channel over one or more endpoints, its calls and handlers.

import type { ByteStream, Clock, Entropy, StreamAddress, Timers } from '../../env/index.ts';
import type { ClientKeepalive, ClientLimits } from '../limits.ts';
import type { Encoder } from '../message-encoder.ts';
import type { Metadata, MetadataInit } from '../metadata.ts';
import type { StatusCode } from '../status.ts';

/** Address of a server, with the pseudo-headers that requests to it carry. */
export interface Endpoint extends StreamAddress {
  /** `:authority` of requests; default `host:port`. */
  readonly authority?: string;
  /** `:scheme` of requests: `https` where `connect` encrypts. Default the channel's. */
  readonly scheme?: 'http' | 'https';
}

/** Makes a connected byte stream; with TLS, after the handshake has agreed on h2. */
export type Connect = (endpoint: Endpoint, timeoutMs: number) => Promise<ByteStream>;

/** How a channel is made. Times are in milliseconds, sizes in bytes. */
export interface ChannelOptions {
  readonly endpoints: readonly Endpoint[];
  readonly connect: Connect;
  readonly timers: Timers;
  readonly clock: Clock;
  readonly entropy: Entropy;
  /** Of endpoints that do not say: `https` with a TLS connect. Default `http`. */
  readonly scheme?: 'http' | 'https';
  readonly userAgent?: string;
  /** `round-robin` spreads calls over all ready endpoints; `first` keeps one until it fails. */
  readonly balance?: 'round-robin' | 'first';
  readonly limits?: Partial<ClientLimits>;
  readonly keepalive?: Partial<ClientKeepalive>;
}

/** Options of one call. Times are in milliseconds, sizes in bytes. */
export interface CallOptions {
  /** Default: no deadline. */
  readonly timeoutMs?: number;
  readonly metadata?: MetadataInit;
  /**
   * Wait for a connection as long as the deadline allows, instead of failing UNAVAILABLE when every
   * endpoint has just refused. Default false.
   */
  readonly waitForReady?: boolean;
  /** Largest message accepted; default the channel's. */
  readonly receiveBytesMax?: number;
}

/** Outcome of a call: the server's status, or one of the client such as UNAVAILABLE. */
export interface CallStatus {
  readonly code: StatusCode;
  readonly message: string;
  readonly trailers: Metadata;
  /** True if no endpoint has begun to process the call: a retry cannot execute it twice. */
  readonly unprocessed: boolean;
}

/** Receives the outcome of a unary call: exactly one of the two is called, once. */
export interface UnarySink {
  /** `reply` is valid during the call only. */
  onReply(reply: Uint8Array, call: ClientCall): void;
  onFailure(status: CallStatus, call: ClientCall): void;
}

/** A call in progress: cancels it and gives access to its response headers. */
export interface ClientCall {
  readonly path: string;
  /** Initial metadata; empty until it has arrived. */
  readonly headers: Metadata;
  /** The endpoint that serves the call, once chosen. */
  readonly endpoint: Endpoint | undefined;
  /** Ends the call with CANCELED here and resets it there. No effect on one that has ended. */
  cancel(): void;
}

/** A call with any number of messages either way. */
export interface ClientStream extends ClientCall {
  /** Sends a message, encoded before return. False: wait for `onDrain` (it is sent nevertheless). */
  write<T>(encoder: Encoder<T>, message: T): boolean;
  /** Copied before return. */
  writeBytes(message: Uint8Array): boolean;
  /** No more messages from this side. */
  end(): void;
  pause(): void;
  resume(): void;
}

/**
 * Receives a stream's messages and its end; methods are never called from within a call of the
 * stream's own.
 */
export interface ClientStreamHandler {
  /** Valid during the call only. */
  onMessage(message: Uint8Array): void;
  /** Exactly once, last of all, however the call ended. */
  onStatus(status: CallStatus): void;
  onDrain(): void;
  /** Initial metadata has arrived: the server has taken the call. */
  onHeaders?(headers: Metadata): void;
}

/** State of the connection to an endpoint. */
export type EndpointState = 'idle' | 'connecting' | 'ready' | 'backoff' | 'closed';

/**
 * Calls to one or more endpoints over kept connections. Reconnects after losses, until `close`.
 */
export interface Channel {
  /** A unary call without a promise: `sink` gets the outcome. The message is encoded before return. */
  unary<T>(
    path: string,
    encoder: Encoder<T>,
    message: T,
    sink: UnarySink,
    options?: CallOptions,
  ): ClientCall;
  /** The reply's bytes, owned by the caller; rejects with a GrpcStatusError. */
  request<T>(
    path: string,
    encoder: Encoder<T>,
    message: T,
    options?: CallOptions,
  ): Promise<Uint8Array>;
  stream(path: string, handler: ClientStreamHandler, options?: CallOptions): ClientStream;
  /** Replaces the endpoints. Connections to those that stay are kept; the others are drained. */
  setEndpoints(endpoints: readonly Endpoint[]): void;
  /** State of each endpoint, in the order given. */
  states(): readonly EndpointState[];
  /** Why there is no connection to each endpoint that could not be connected to; undefined if all could. */
  readonly connectFailure: string | undefined;
  /** Closes all connections; running calls end with CANCELED, new ones too. */
  close(): void;
}
