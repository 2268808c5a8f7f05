// One side of a simulated connection.
//
//   write ─> queue ─(window has room)─> in flight ─(delay, bandwidth)─> arrived ─> onData
//            bufferedBytes              └────────── window ──────────┘
//
// The window is what two sockets' buffers hold: a reader that pauses fills it, and then the writer's
// queue grows. Pieces arrive in order, cut at random places, in a buffer that is overwritten after
// `onData`, so that a handler that keeps a view of it fails its test.

import {
  ERROR_CODES,
  equalBytes,
  invariant,
  type Random,
  TetcdError,
  verify,
} from '../../base/index.ts';
import type { ByteStream, ByteStreamHandler } from '../index.ts';
import { STREAM_HIGH_WATER_SIZE, STREAM_PIECE_SIZE_MAX, STREAM_WINDOW_SIZE } from './limits.ts';
import type { Scheduler } from './scheduler.ts';
import type { Callable } from './sim-process.ts';

/** How the two machines are connected, seen from one of them. */
export interface Route {
  readonly open: boolean;
  readonly delayMs: number;
  readonly jitterMs: number;
  readonly bytesPerMs: number;
  readonly lossProbability: number;
}

export interface StreamWorld {
  readonly scheduler: Scheduler;
  readonly random: Random;
  route(from: string, to: string): Route;
}

/** Where a stream ends, and what it is called from the other side. */
interface StreamEnd {
  readonly machine: string;
  readonly process: Callable;
  readonly address: string;
}

type Parcel =
  | { readonly kind: 'data'; readonly bytes: Uint8Array; readonly atMs: number }
  | { readonly kind: 'end' | 'reset'; readonly atMs: number };

interface Queued {
  readonly bytes: Uint8Array;
  /** What the bytes were when written; only kept while costly checks are on. */
  readonly copy: Uint8Array | undefined;
}

const POISON = 0xee;

export class SimStream implements ByteStream {
  handler: ByteStreamHandler = HANDLER_MISSING;
  readonly remoteAddress: string;
  readonly machine: string;
  readonly #process: Callable;
  readonly #world: StreamWorld;
  #peer: SimStream | undefined;

  // Sending.
  #queue: Queued[] = [];
  /** Bytes of the queue's head that have left. */
  #headSent = 0;
  #bufferedBytes = 0;
  #drainWanted = false;
  #endWanted = false;
  #endSent = false;
  #sendArmed = false;
  /** Bytes sent that the other side's handler has not seen. */
  #windowUsed = 0;
  /** What is on its way from here, in order. */
  #inFlight: Parcel[] = [];
  #deliveryArmed = false;
  #lastArrivalMs = 0;

  // Receiving.
  #arrived: Uint8Array[] = [];
  #endArrived = false;
  #endSeen = false;
  #paused = false;
  #flushArmed = false;

  #closed = false;
  /** The process is gone: no callback runs any more. */
  #abandoned = false;

  constructor(world: StreamWorld, end: StreamEnd, remoteAddress: string) {
    this.#world = world;
    this.machine = end.machine;
    this.#process = end.process;
    this.remoteAddress = remoteAddress;
  }

  static pair(
    world: StreamWorld,
    client: StreamEnd,
    server: StreamEnd,
  ): { client: SimStream; server: SimStream } {
    const made = {
      client: new SimStream(world, client, server.address),
      server: new SimStream(world, server, client.address),
    };
    made.client.#peer = made.server;
    made.server.#peer = made.client;
    return made;
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  get closed(): boolean {
    return this.#closed;
  }

  write(bytes: Uint8Array): boolean {
    if (this.#closed || this.#endWanted || bytes.length === 0) return true;
    this.#queue.push({ bytes, copy: verify.all ? bytes.slice() : undefined });
    this.#bufferedBytes += bytes.length;
    this.#armSend();
    if (this.#bufferedBytes < STREAM_HIGH_WATER_SIZE) return true;
    this.#drainWanted = true;
    return false;
  }

  writeAll(pieces: readonly Uint8Array[]): boolean {
    let hasRoom = true;
    for (const piece of pieces) hasRoom = this.write(piece);
    return hasRoom;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#armFlush();
  }

  end(): void {
    if (this.#closed || this.#endWanted) return;
    this.#endWanted = true;
    this.#armSend();
  }

  destroy(error?: Error): void {
    if (this.#closed) return;
    // As a kernel does: what was unread here makes the close a reset.
    const unread = this.#arrived.length > 0;
    this.#closeNow(error);
    if (unread) this.#send({ kind: 'reset' });
    else if (!this.#endSent) this.#send({ kind: 'end' });
  }

  /** Breaks the connection for this side, as a reset from the network does. */
  breakNow(reason: string): void {
    this.#closeNow(new TetcdError(ERROR_CODES.UNAVAILABLE, `${this.remoteAddress}: ${reason}`));
  }

  /** The process of this side is gone; its system resets the connection. */
  abandon(): void {
    if (this.#closed) return;
    this.#abandoned = true;
    this.#closeNow(undefined);
    this.#send({ kind: 'reset' });
  }

  /** The route has changed: parcels that were held may go on. */
  routeChanged(): void {
    this.#armDelivery();
  }

  get peer(): SimStream {
    invariant(this.#peer !== undefined, 'SimStream: not connected');
    return this.#peer;
  }

  #closeNow(error: Error | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#queue = [];
    this.#bufferedBytes = 0;
    this.#arrived = [];
    this.#world.scheduler.after(0, () => {
      this.#process.enter(() => {
        if (!this.#abandoned) this.handler.onClose(error);
      });
    });
  }

  // --- sending -----------------------------------------------------------------------------------

  #armSend(): void {
    if (this.#sendArmed) return;
    this.#sendArmed = true;
    this.#world.scheduler.after(0, () => {
      this.#sendArmed = false;
      this.#sendQueued();
    });
  }

  #sendQueued(): void {
    if (this.#closed) return;
    const { random } = this.#world;
    // Waiting for a good part of the window keeps small gaps from making ever smaller pieces.
    while (this.#queue.length > 0 && this.#windowUsed <= STREAM_WINDOW_SIZE / 2) {
      const head = this.#queue[0]!;
      if (head.copy !== undefined && this.#headSent === 0) {
        invariant(equalBytes(head.bytes, head.copy), 'SimStream: bytes changed after write()');
      }
      const left = head.bytes.length - this.#headSent;
      let size = Math.min(left, STREAM_PIECE_SIZE_MAX, STREAM_WINDOW_SIZE - this.#windowUsed);
      if (random.below(4) === 0) size = 1 + random.below(size);
      const bytes = head.bytes.slice(this.#headSent, this.#headSent + size);
      this.#headSent += size;
      this.#bufferedBytes -= size;
      this.#windowUsed += size;
      if (this.#headSent === head.bytes.length) {
        this.#queue.shift();
        this.#headSent = 0;
      }
      this.#send({ kind: 'data', bytes });
    }
    if (this.#queue.length > 0) return;
    if (this.#drainWanted) {
      this.#drainWanted = false;
      this.#world.scheduler.after(0, () => {
        this.#process.enter(() => {
          if (!this.#closed) this.handler.onDrain();
        });
      });
    }
    if (this.#endWanted && !this.#endSent) {
      this.#endSent = true;
      this.#send({ kind: 'end' });
      this.#maybeFinish();
    }
  }

  #send(parcel: { kind: 'data'; bytes: Uint8Array } | { kind: 'end' | 'reset' }): void {
    const { scheduler, random } = this.#world;
    const route = this.#world.route(this.machine, this.peer.machine);
    if (random.below(1_000_000) < route.lossProbability * 1_000_000) {
      this.breakNow('the connection broke (simulated loss)');
      this.peer.breakNow('the connection broke (simulated loss)');
      return;
    }
    const jitterMs = (route.jitterMs * random.below(1000)) / 1000;
    const size = parcel.kind === 'data' ? parcel.bytes.length : 0;
    const atMs =
      Math.max(this.#lastArrivalMs, scheduler.nowMs + route.delayMs + jitterMs) +
      size / route.bytesPerMs;
    this.#lastArrivalMs = atMs;
    this.#inFlight.push({ ...parcel, atMs });
    this.#armDelivery();
  }

  #armDelivery(): void {
    const head = this.#inFlight[0];
    if (this.#deliveryArmed || head === undefined) return;
    if (!this.#world.route(this.machine, this.peer.machine).open) return;
    this.#deliveryArmed = true;
    const { scheduler } = this.#world;
    scheduler.after(Math.max(0, head.atMs - scheduler.nowMs), () => {
      this.#deliveryArmed = false;
      if (this.#world.route(this.machine, this.peer.machine).open) {
        this.peer.#arrive(this.#inFlight.shift()!);
      }
      this.#armDelivery();
    });
  }

  // --- receiving ---------------------------------------------------------------------------------

  #arrive(parcel: Parcel): void {
    if (this.#closed) {
      // This end is closed: the sender gets a reset, unless it only half-closed.
      if (parcel.kind === 'data') this.#send({ kind: 'reset' });
      return;
    }
    if (parcel.kind === 'reset') {
      this.breakNow('the other side broke the connection');
      return;
    }
    if (parcel.kind === 'data') this.#arrived.push(parcel.bytes);
    else this.#endArrived = true;
    this.#flush();
  }

  #armFlush(): void {
    if (this.#flushArmed) return;
    this.#flushArmed = true;
    this.#world.scheduler.after(0, () => {
      this.#flushArmed = false;
      this.#flush();
    });
  }

  /** Gives the handler one piece, or the end; more follows in a later event. */
  #flush(): void {
    if (this.#process.running) this.#deliver();
    else if (!this.#flushArmed) {
      // The system keeps what arrives, as far as the window goes.
      this.#flushArmed = true;
      this.#process.enter(() => {
        this.#flushArmed = false;
        this.#deliver();
      });
    }
  }

  #deliver(): void {
    if (this.#closed || this.#paused || this.#endSeen) return;
    const bytes = this.#arrived.shift();
    if (bytes !== undefined) {
      this.handler.onData(bytes);
      const size = bytes.length;
      bytes.fill(POISON);
      this.peer.#windowFreed(size);
      if (this.#arrived.length > 0 || this.#endArrived) this.#armFlush();
    } else if (this.#endArrived) {
      this.#endSeen = true;
      this.handler.onEnd();
      this.#maybeFinish();
    }
  }

  #windowFreed(size: number): void {
    this.#windowUsed -= size;
    if (this.#queue.length > 0) this.#armSend();
  }

  /** Both directions have ended: an orderly close. */
  #maybeFinish(): void {
    if (this.#endSent && this.#endSeen) this.#closeNow(undefined);
  }
}

const HANDLER_MISSING: ByteStreamHandler = {
  onData: () => invariant(false, 'ByteStream: input arrived before its handler was set'),
  onDrain: () => {},
  onEnd: () => {},
  onClose: () => {},
};
