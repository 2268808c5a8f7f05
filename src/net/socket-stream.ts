// A ByteStream over a Node socket, plain or TLS.
//
// Plain sockets read into one buffer that all of them share: what a connection wants to keep it copies,
// so that nothing is allocated per read. (By default each read allocates 64 KiB and gives back what it
// did not fill: measured with one serial client, a quarter of the server's CPU, most of it garbage
// collection.) Node offers this to sockets that connect (`onread`), but not to accepted ones: those are
// replaced by a socket over the same handle. The handle is not a documented property, so where it looks
// different from what we know the socket is used as it is, and only slower.
//
// Writes are not copied: the socket gets the caller's array. A stream that gathers sends the writes of
// one callback as one `writev`: the first corks the socket, and a `process.nextTick` (which runs when
// the callback that wrote has returned, before any other input) uncorks it.

import { Socket } from 'node:net';
import { invariant, verify } from '../base/index.ts';
import type { ByteStream, ByteStreamHandler } from '../env/index.ts';
import { addressOf, identityOf, isTls, type PeerIdentity } from './identity.ts';
import { HIGH_WATER_BYTES, READ_BUFFER_BYTES } from './limits.ts';
import { socketError } from './socket-error.ts';

/** Filled by a read and empty again before the next one. */
const sharedBuffer: Uint8Array = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES);

const POISON = 0xdb;

/** Until the owner sets its handler. Input before that would be lost, so it is our mistake. */
const HANDLER_MISSING: ByteStreamHandler = {
  onData: () => invariant(false, 'ByteStream: input arrived before its handler was set'),
  onDrain: () => {},
  onEnd: () => {},
  onClose: () => {},
};

/** How a stream treats its socket. */
export interface SocketStreamOptions {
  /** For an owner that writes several pieces per turn: they leave as one. Default false. */
  readonly gather?: boolean;
  /** Of the other side, where the socket does not know it. */
  readonly address?: string;
}

/** A byte stream over a socket of Node.js, which it owns. */
export class SocketStream implements ByteStream {
  handler: ByteStreamHandler = HANDLER_MISSING;
  readonly remoteAddress: string;
  readonly #socket: Socket;
  readonly #gathers: boolean;
  #identity: PeerIdentity | undefined = undefined;
  #isCorked = false;
  #needsDrain = false;
  #error: Error | undefined = undefined;

  /** Takes the socket over: nobody else may listen to it or write to it. Input comes from elsewhere. */
  constructor(socket: Socket, options: SocketStreamOptions = {}) {
    this.#socket = socket;
    this.#gathers = options.gather ?? false;
    this.remoteAddress = options.address ?? addressOf(socket);
    socket.on('drain', () => this.#onDrain());
    socket.on('end', () => this.handler.onEnd());
    socket.on('error', (error) => {
      this.#error ??= socketError(error, 'connection with', this.remoteAddress);
    });
    socket.on('close', () => this.handler.onClose(this.#error));
  }

  /** Over a connected socket, plain or TLS, that nobody reads from at the moment. */
  static over(socket: Socket, options: SocketStreamOptions = {}): SocketStream {
    // What was put back into a socket comes out of it as an event only.
    if (isTls(socket) || socket.readableLength > 0)
      return SocketStream.#overEvents(socket, options);
    return SocketStream.#overHandle(socket, options);
  }

  /** Over a socket that delivers its input as events; any socket does. */
  static #overEvents(socket: Socket, options: SocketStreamOptions): SocketStream {
    const stream = new SocketStream(socket, options);
    socket.on('data', (chunk: Uint8Array) => stream.handler.onData(chunk));
    return stream;
  }

  /** Over a plain socket that a server has accepted. */
  static #overHandle(socket: Socket, options: SocketStreamOptions): SocketStream {
    const inside = socket as unknown as SocketInside;
    const handle = inside._handle;
    if (typeof handle?.useUserBuffer !== 'function' || typeof handle.readStart !== 'function') {
      return SocketStream.#overEvents(socket, options);
    }
    const reads = new SharedReads();
    const socketOptions = { handle, allowHalfOpen: true, onread: reads.onread };
    const fresh = new Socket(socketOptions as ConstructorParameters<typeof Socket>[0]);
    // The old object lets go, or the collector would one day close the connection under the new one.
    inside._handle = null;
    (fresh as unknown as SocketInside)._server = inside._server;
    inside._server = null;
    const stream = new SocketStream(fresh, options);
    reads.stream = stream;
    return stream;
  }

  get identity(): PeerIdentity {
    this.#identity ??= identityOf(this.#socket);
    return this.#identity;
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  write(bytes: Uint8Array): boolean {
    const socket = this.#socket;
    if (socket.destroyed || socket.writableEnded) return true;
    if (this.#gathers && !this.#isCorked) {
      this.#isCorked = true;
      socket.cork();
      process.nextTick(this.#uncork);
    }
    socket.write(bytes);
    // What the system took at once is no longer in `writableLength`, though `write` counts it.
    if (socket.writableLength < HIGH_WATER_BYTES) return true;
    this.#needsDrain = true;
    return false;
  }

  readonly #uncork = (): void => {
    this.#isCorked = false;
    this.#socket.uncork();
  };

  #onDrain(): void {
    if (!this.#needsDrain) return;
    this.#needsDrain = false;
    this.handler.onDrain();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    this.#socket.end();
  }

  destroy(error?: Error): void {
    this.#socket.destroy(error);
  }
}

/** The undocumented properties that move to the socket which replaces an accepted one. */
interface SocketInside {
  _handle: { useUserBuffer?: unknown; readStart?: unknown } | null;
  _server: unknown;
}

/** Node's `onread` option for a socket whose stream is made after it. */
export class SharedReads {
  stream: SocketStream | undefined = undefined;
  readonly onread: {
    readonly buffer: Uint8Array;
    readonly callback: (count: number, buffer: Uint8Array) => boolean;
  } = {
    buffer: sharedBuffer,
    callback: (count, buffer) => {
      this.stream?.handler.onData(buffer.subarray(0, count));
      // Code that still looks at these bytes fails in tests, not under load.
      if (verify.all) buffer.fill(POISON, 0, count);
      return true;
    },
  };
}
