// One HTTP/2 stream: its flow-control windows, its queue of DATA, and the state of each half.
// Subclasses are a call of the server, a call of the client, a plain HTTP request.

import type { Connection } from './connection.ts';

/** Bytes waiting for the flow-control window or for the socket; a link of a stream's queue. */
export class QueuedData {
  readonly bytes: Uint8Array;
  /** Offset of the first byte not sent. */
  at: number;
  next: QueuedData | undefined = undefined;

  constructor(bytes: Uint8Array, at: number) {
    this.bytes = bytes;
    this.at = at;
  }
}

export abstract class Http2Stream {
  readonly connection: Connection;
  /** 0 until the stream is opened (client only). */
  id: number;
  /** Bytes that the peer allows us to send on this stream; may be negative after SETTINGS. */
  sendWindow = 0;
  /** Bytes that the peer may still send on this stream. */
  receiveWindow = 0;
  /** Bytes received and consumed for which no WINDOW_UPDATE has been sent. */
  uncredited = 0;
  /** DATA still to come according to the peer's `content-length`; -1 without one. */
  contentLeft = -1;
  /** We have sent END_STREAM. */
  localEnded = false;
  /** The peer has sent END_STREAM. */
  remoteEnded = false;
  /** Neither half is open any more; the connection has forgotten the stream. */
  closed = false;

  /** DATA not yet sent, oldest first; `queuedBytes` is their sum. */
  queueHead: QueuedData | undefined = undefined;
  queueTail: QueuedData | undefined = undefined;
  queuedBytes = 0;
  /** The last queued byte is to carry END_STREAM. */
  endAfterQueue = false;
  /** Call {@link onQueueEmpty} when the last queued byte has been sent. */
  notifyEmpty = false;
  /** The producer waits for {@link onDrain}. */
  wantsDrain = false;

  /** Links of the connection's ring of streams that have DATA to send and a window for it. */
  ready = false;
  readyNext: Http2Stream | undefined = undefined;
  readyPrevious: Http2Stream | undefined = undefined;

  constructor(connection: Connection, id: number) {
    this.connection = connection;
    this.id = id;
  }

  /** Received bytes that the stream holds in memory. */
  abstract readonly heldBytes: number;
  /** DATA has arrived; `bytes[start, end)` is valid during the call only. */
  abstract onData(bytes: Uint8Array, start: number, end: number): void;
  /** The peer has ended its half; called after the last `onData`. */
  abstract onRemoteEnd(): void;
  /**
   * The stream was reset by the peer, reset by us for a violation (`byPeer` false), or lost with its
   * connection (`code` undefined). Called once; the stream is already closed.
   */
  abstract onAborted(code: number | undefined, byPeer: boolean): void;
  /** The queue has become empty after `notifyEmpty` was set. */
  abstract onQueueEmpty(): void;
  /** There is room again after `wantsDrain` was set. */
  abstract onDrain(): void;

  /** Appends to the queue; the connection does the accounting. */
  enqueue(data: QueuedData): void {
    if (this.queueTail === undefined) this.queueHead = data;
    else this.queueTail.next = data;
    this.queueTail = data;
    this.queuedBytes += data.bytes.length - data.at;
  }

  /** Drops the queue. Returns how many bytes it held. */
  dropQueue(): number {
    const dropped = this.queuedBytes;
    this.queueHead = undefined;
    this.queueTail = undefined;
    this.queuedBytes = 0;
    return dropped;
  }
}
