// A request that is not gRPC, for the server of plain HTTP.

import { HTTP2_ERROR } from '../http2/protocol.ts';
import { Http2Stream } from '../http2/stream.ts';
import type { RequestHead } from './request-head.ts';
import type { ServerConnection } from './server-connection.ts';
import type { Peer, RawOpener, RawRequest, StreamHandler } from './server-types.ts';

export class ServerRawStream extends Http2Stream implements RawRequest {
  declare readonly connection: ServerConnection;
  readonly head: RequestHead;
  #handler: StreamHandler | undefined = undefined;
  #ended = false;
  #paused = false;
  #endArrived = false;
  /** Pieces that arrived while paused; bounded by the stream's window, since not credited. */
  #kept: Uint8Array[] = [];
  #keptBytes = 0;

  constructor(connection: ServerConnection, id: number, head: RequestHead) {
    super(connection, id);
    this.head = head;
  }

  open(opener: RawOpener): void {
    this.#handler = opener(this);
  }

  get method(): string {
    return this.head.method;
  }

  get path(): string {
    return this.head.path;
  }

  get authority(): string {
    return this.head.authority ?? '';
  }

  get scheme(): string {
    return this.head.scheme;
  }

  get peer(): Peer {
    return this.connection.peer;
  }

  get headers(): ReadonlyArray<readonly [string, string]> {
    return this.head.fields
      .filter((field) => !field.name.startsWith(':'))
      .map((field) => [field.name, field.value] as const);
  }

  // Request

  onData(bytes: Uint8Array, start: number, end: number): void {
    if (this.#paused) {
      this.#kept.push(Uint8Array.from(bytes.subarray(start, end)));
      this.#countKept(end - start);
      if (this.connection.holdsTooMuch) {
        this.connection.abortStream(this, HTTP2_ERROR.ENHANCE_YOUR_CALM);
      }
      return;
    }
    this.#handler?.onMessage(bytes.subarray(start, end));
    this.connection.credit(this, end - start);
  }

  get heldBytes(): number {
    return this.#keptBytes;
  }

  #countKept(bytes: number): void {
    this.#keptBytes += bytes;
    this.connection.hold(bytes);
  }

  onRemoteEnd(): void {
    this.#endArrived = true;
    if (!this.#paused) this.#handler?.onEnd();
  }

  onAborted(): void {
    this.#ended = true;
    this.#kept = [];
    this.#countKept(-this.#keptBytes);
    this.#handler?.onCancel();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    while (this.#kept.length > 0 && !this.#paused) {
      const piece = this.#kept.shift()!;
      this.#countKept(-piece.length);
      this.#handler?.onMessage(piece);
      if (!this.closed) this.connection.credit(this, piece.length);
    }
    if (this.#endArrived && !this.#paused && this.#kept.length === 0) this.#handler?.onEnd();
  }

  // Response

  respond(status: number, headers: ReadonlyArray<readonly [string, string]>): void {
    if (this.#ended || this.closed) return;
    this.connection.writeFields(this, [[':status', String(status)], ...headers], false);
  }

  write(bytes: Uint8Array): boolean {
    if (this.#ended || this.closed) return true;
    if (bytes.length > 0) this.connection.sendData(this, Uint8Array.from(bytes));
    return !this.connection.sender.full(this);
  }

  end(): void {
    if (this.#ended || this.closed) return;
    this.#ended = true;
    this.connection.sendEnd(this);
  }

  abort(): void {
    this.#ended = true;
    this.connection.resetStream(this, HTTP2_ERROR.INTERNAL_ERROR);
  }

  onQueueEmpty(): void {
    // Ends with its last DATA frame, never with trailers.
  }

  onDrain(): void {
    this.#handler?.onDrain();
  }
}
