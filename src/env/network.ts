// Byte streams between processes. `grpc/` and `peer/` speak their protocols over a ByteStream and
// know no socket.

/** Address to listen at or connect to: TCP (`host`, `port`) or a Unix socket (`path`). */
export interface StreamAddress {
  /** Host name or IP address; for a Unix socket, what the other side's certificate is for, or empty. */
  readonly host: string;
  /** 0 to 65535; 0 lets the system choose when listening. */
  readonly port: number;
  /** Path of a Unix socket; then host and port are not used. */
  readonly path?: string;
  /** Whether a {@link Network} encrypts streams there (TLS); one that cannot refuses. Default false. */
  readonly secure?: boolean;
}

/** One connection, either side. Bytes arrive in order or the stream closes. */
export interface ByteStream {
  /** Set by the owner in the turn in which it receives the stream. */
  handler: ByteStreamHandler;
  /** `host:port` or the socket path of the other side, for logs. */
  readonly remoteAddress: string;
  /**
   * Queues `bytes`, which the caller may not change afterwards. False when the stream holds more than its
   * high-water mark: the caller should wait for `onDrain`, though nothing is refused.
   */
  write(bytes: Uint8Array): boolean;
  /** As {@link write} of all `pieces`, in order, which go out together where the platform can do that. */
  writeAll(pieces: readonly Uint8Array[]): boolean;
  /** Bytes queued by `write` that the operating system has not yet taken. */
  readonly bufferedBytes: number;
  /**
   * Whether nothing that was written is referred to any more, so that its memory may be used again.
   * Undefined where it is not known.
   */
  readonly hasReleased?: boolean;
  /** Stops and restarts `onData`; how a slow consumer is felt by the other side. */
  pause(): void;
  resume(): void;
  /** Sends what is queued, then closes the sending half. */
  end(): void;
  /** Closes at once; queued bytes are lost. `onClose` follows. */
  destroy(error?: Error): void;
}

/** What a stream's owner implements. A method is never called from within one of its own calls. */
export interface ByteStreamHandler {
  /** `bytes` belong to the handler during the call only; copy what must outlive the turn. */
  onData(bytes: Uint8Array): void;
  /** After a `write` returned false: the queue is short again. */
  onDrain(): void;
  /** End of the input: the other side has half-closed. */
  onEnd(): void;
  /** Exactly once, last of all; `error` unless the close was orderly. */
  onClose(error: Error | undefined): void;
}

/** A listening socket; connections go to the `accept` of {@link Network.listen} until it is closed. */
export interface Listener {
  /** The address that it listens at, with the chosen port in place of 0. */
  readonly address: StreamAddress;
  /** Stops accepting. Streams already accepted stay open. */
  close(): Promise<void>;
}

/** A host that offers a service: one SRV record of the DNS (RFC 2782). */
export interface ServiceHost {
  /** As in the record, without the dot at its end. */
  readonly host: string;
  readonly port: number;
  /** 0 to 65535: the lowest number is to be used first; and the share within it. Default 0. */
  readonly priority?: number;
  readonly weight?: number;
}

/** Which address counts as the first of a host that has several; see {@link Network.resolve}. */
export type AddressOrder = 'verbatim' | 'ipv4first';

/** Stream connections between processes. All methods reject with a `TetcdError`. */
export interface Network {
  /** Calls `accept` with each new stream. ALREADY_EXISTS if the address is taken. */
  listen(address: StreamAddress, accept: (stream: ByteStream) => void): Promise<Listener>;
  /** A connected stream; UNAVAILABLE without one within `timeoutMs`. */
  connect(address: StreamAddress, timeoutMs: number): Promise<ByteStream>;
  /**
   * The IP address of a host name, the preferred one if it has several; that of an IP address is
   * itself. UNAVAILABLE if there is none within `timeoutMs`. The order is the system's by default.
   */
  resolve(host: string, timeoutMs: number, order?: AddressOrder): Promise<string>;
  /**
   * Who offers a service, in the order of priority: SRV records of a name, its service and protocol
   * included. Never empty: UNAVAILABLE if there is none, or no answer within `timeoutMs`.
   */
  resolveService(name: string, timeoutMs: number): Promise<readonly ServiceHost[]>;
}
