// A call on the server: the common part of unary and streaming ones. A call is its stream: one object.

import { invariant } from '../../base/index.ts';
import type { HasDeadline } from '../deadlines.ts';
import { GZIP } from '../gzip.ts';
import { RESET_AGE_MS_FREE, RESET_DEADLINE_MS_NEAR, RESET_NEAR_DEADLINE_COST } from '../limits.ts';
import type { Encoder } from '../message-encoder.ts';
import { type Metadata, type MetadataInit, pairsFromInit } from '../metadata.ts';
import { STATUS, type StatusCode } from '../status.ts';
import { GrpcStream } from './grpc-stream.ts';
import type { RequestHead } from './request-head.ts';
import type { Route } from './routes.ts';
import type { ServerConnection } from './server-connection.ts';
import type { Call, MethodStats, Peer } from './server-types.ts';

/** The status of a call past its deadline, as of Go's context. */
export const DEADLINE_TEXT = 'context deadline exceeded';

/** The status of a call that its client gave up, as of Go's context. */
const CANCELED_TEXT = 'context canceled';

export abstract class ServerCall extends GrpcStream implements Call, HasDeadline {
  declare readonly connection: ServerConnection;
  readonly head: RequestHead;
  readonly method: MethodStats;
  deadlineMs: number = Number.POSITIVE_INFINITY;
  deadlineNext: HasDeadline | undefined = undefined;
  deadlinePrevious: HasDeadline | undefined = undefined;
  deadlineSlot = -1;
  ended = false;
  cancelled = false;
  caller: unknown = undefined;
  responseMetadata: MetadataInit | undefined = undefined;
  trailers: MetadataInit | undefined = undefined;
  startedMs = 0;
  /** Response HEADERS have been written. */
  protected headSent = false;
  /** Status of the trailers, which are sent once the queue is empty. */
  #endStatus: StatusCode = STATUS.OK;
  #endMessage = '';

  constructor(connection: ServerConnection, id: number, head: RequestHead, route: Route) {
    super(connection, id);
    this.head = head;
    this.method = route.stats;
    this.receiveBytesMax = connection.server.limits.receiveBytesMax;
    this.receiveEncoding = head.encoding;
  }

  protected readonly unknownEncodingStatus = STATUS.UNIMPLEMENTED;

  get path(): string {
    return this.method.path;
  }

  get peer(): Peer {
    return this.connection.peer;
  }

  get metadata(): Metadata {
    return this.head.metadata;
  }

  /** The connection's output has room again; see `ServerConnection.holdCall`. */
  abstract release(): void;

  /** The call has ended, for any reason. */
  protected onEnded(): void {
    // Only calls that answer in pieces override it.
  }

  /** Calls the handler's cancellation callback. */
  protected abstract tellCancelled(): void;

  // Sending

  protected get compresses(): boolean {
    return this.head.encoding === GZIP && this.connection.server.mirrorsCompression;
  }

  protected sendHead(): void {
    if (this.headSent) return;
    this.headSent = true;
    this.connection.writeHead(this, this.compresses, this.#initialPairs());
  }

  #initialPairs(): ReadonlyArray<readonly [string, string]> | undefined {
    return this.responseMetadata === undefined ? undefined : pairsFromInit(this.responseMetadata);
  }

  /** Size is that of each message, counted before compression. */
  protected countSent(size: number, messages = 1): void {
    this.method.messagesSent += messages;
    this.method.bytesSent += size * messages;
  }

  protected send<T>(encoder: Encoder<T>, message: T): void {
    this.sendHead();
    const size = encoder.size(message);
    this.countSent(size);
    // An empty message is not worth compressing, and grpc-go does not either.
    if (this.compresses && size > 0) this.sendCompressed(encoder, message, size);
    else this.sendMessage(encoder, message, size);
  }

  /** Ends the call: trailers after what is queued, and no more input. */
  protected finish(status: StatusCode, message: string): void {
    invariant(!this.ended, 'a call ends once');
    this.#leave(status, message);
    if (this.queueHead !== undefined) {
      this.#endStatus = status;
      this.#endMessage = message;
      this.notifyEmpty = true;
      this.connection.flushSoon();
      return;
    }
    this.#writeEnd(status, message);
  }

  onQueueEmpty(): void {
    this.#writeEnd(this.#endStatus, this.#endMessage);
  }

  #writeEnd(status: StatusCode, message: string): void {
    const trailers = this.trailers === undefined ? undefined : pairsFromInit(this.trailers);
    if (this.headSent) {
      this.connection.writeTrailers(this, status, message, trailers);
    } else {
      const initial = this.#initialPairs();
      const pairs = initial === undefined ? trailers : initial.concat(trailers ?? []);
      this.headSent = true;
      this.connection.writeTrailersOnly(this, status, message, pairs);
    }
    this.connection.endAnswered(this);
  }

  /** The bookkeeping at the end of a call, for any reason. */
  #leave(status: StatusCode, message: string): void {
    this.ended = true;
    this.endReceiving();
    this.connection.hold(-this.head.heldBytes);
    this.onEnded();
    if (this.deadlineSlot >= 0) this.connection.server.deadlines.remove(this);
    this.method.ended[status]!++;
    this.connection.callEnded(this, status, message);
  }

  /** As `finish(OK, '')` when head, message and trailers have already been written together. */
  protected finishWritten(): void {
    invariant(!this.ended, 'a call ends once');
    this.#leave(STATUS.OK, '');
    this.connection.endAnswered(this);
  }

  /** The handler threw. */
  failInternally(): void {
    this.cancelled = true;
    this.finish(STATUS.INTERNAL, 'internal error');
  }

  // Ends that do not come from the handler

  #tell(): void {
    try {
      this.tellCancelled();
    } catch (error) {
      this.connection.handlerFailed(this, error);
    }
  }

  isWanted(): boolean {
    if (this.ended) return false;
    if (this.deadlineMs === Number.POSITIVE_INFINITY) return true;
    if (this.deadlineMs > this.connection.server.context.clock.monotonicMs()) return true;
    this.onDeadline();
    return false;
  }

  /**
   * Tokens that a reset of this call by the client takes: none after RESET_AGE_MS_FREE, once the deadline
   * has passed, or while this process is late.
   */
  costOfReset(): number {
    const { context, lateness } = this.connection.server;
    const nowMs = context.clock.monotonicMs();
    if (nowMs - this.startedMs >= RESET_AGE_MS_FREE || nowMs >= this.deadlineMs) return 0;
    if (lateness.isLate(nowMs)) return 0;
    return this.deadlineMs - nowMs < RESET_DEADLINE_MS_NEAR ? RESET_NEAR_DEADLINE_COST : 1;
  }

  onDeadline(): void {
    if (this.ended) return;
    this.cancelled = true;
    // Queued DATA would only delay the trailers.
    this.connection.sender.forget(this);
    this.finish(STATUS.DEADLINE_EXCEEDED, DEADLINE_TEXT);
    this.#tell();
  }

  onReceiveError(status: StatusCode, text: string): void {
    if (this.ended) return;
    this.method.receiveFailures++;
    this.cancelled = true;
    this.finish(status, text);
    this.#tell();
  }

  onAborted(): void {
    if (this.ended) return;
    this.cancelled = true;
    this.#leave(STATUS.CANCELED, CANCELED_TEXT);
    this.#tell();
  }
}
