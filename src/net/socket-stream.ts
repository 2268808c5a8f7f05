// A ByteStream over a Node socket, plain or TLS.
//
// Plain sockets read into one shared buffer: a connection copies what it needs later, so that nothing
// is allocated per read. (By default each read allocates 64 KiB and returns the unused part: measured
// with one serial client, a quarter of the server's CPU, most of it garbage collection.) Node offers
// this to connecting sockets (`onread`), but not to accepted ones: those are replaced by a socket over
// the same handle. The handle is not a documented property: if it looks different from what is expected,
// the socket is used unchanged, which is only slower.
//
// Writes are not copied: the socket gets the caller's array. With `gather`, the writes of one callback
// are one `writev`: the first corks the socket, and a `process.nextTick` (which runs after the callback
// returns, before any other input) uncorks it.

import { Socket } from 'node:net';
import { invariant, verify } from '../base/index.ts';
import type { ByteStream, ByteStreamHandler } from '../env/index.ts';
import { identityOf, isTls, type PeerIdentity } from './identity.ts';
import { HIGH_WATER_BYTES, READ_BUFFER_BYTES } from './limits.ts';
import { socketError } from './socket-error.ts';

/** Filled by a read and empty again before the next one. */
const sharedBuffer: Uint8Array = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES);

const POISON = 0xdb;

/** Handler until the owner sets one. Input before that would be lost, which is our own mistake. */
const HANDLER_MISSING: ByteStreamHandler = {
  onData: () => invariant(false, 'ByteStream: input arrived before its handler was set'),
  onDrain: () => {},
  onEnd: () => {},
  onClose: () => {},
};

/** How a stream treats its socket. */
export interface SocketStreamOptions {
  /** Sends the writes of one callback together, for an owner that writes in pieces. Default false. */
  readonly gather?: boolean;
  /** Address of the peer, where the socket does not know it. */
  readonly address?: string;
}

/** A byte stream over a socket of Node.js, which it owns. */
export class SocketStream implements ByteStream {
  handler: ByteStreamHandler = HANDLER_MISSING;
  readonly remoteAddress: string;
  readonly identity: PeerIdentity;
  readonly #socket: Socket;
  readonly #gathers: boolean;
  readonly #isOfSystem: boolean;
  #isCorked = false;
  #needsDrain = false;
  #error: Error | undefined = undefined;

  /** Owns the socket: no other code may listen to it or write to it. Input comes from elsewhere. */
  constructor(socket: Socket, options: SocketStreamOptions = {}) {
    this.#socket = socket;
    this.#gathers = options.gather ?? false;
    this.#isOfSystem = socket instanceof Socket;
    this.identity = identityOf(socket, options.address);
    this.remoteAddress = this.identity.address;
    socket.on('drain', () => this.#onDrain());
    socket.on('end', () => this.handler.onEnd());
    socket.on('error', (error) => {
      this.#error ??= socketError(error, 'connection with', this.remoteAddress);
    });
    socket.on('close', () => this.handler.onClose(this.#error));
  }

  /** Over a connected socket, plain or TLS, that is not being read. */
  static over(socket: Socket, options: SocketStreamOptions = {}): SocketStream {
    // Bytes that were put back into a socket are delivered by events only.
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
    // Detached from the old object: its finalization would close the connection of the new one.
    inside._handle = null;
    (fresh as unknown as SocketInside)._server = inside._server;
    inside._server = null;
    const stream = new SocketStream(fresh, options);
    reads.stream = stream;
    return stream;
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  /** The system has copied what it took; a stream that is no socket may hand the arrays themselves on. */
  get hasReleased(): boolean {
    return this.#isOfSystem && this.#socket.writableLength === 0;
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
    return this.#hasRoom();
  }

  writeAll(pieces: readonly Uint8Array[]): boolean {
    const socket = this.#socket;
    if (socket.destroyed || socket.writableEnded) return true;
    socket.cork();
    for (const piece of pieces) socket.write(piece);
    socket.uncork();
    return this.#hasRoom();
  }

  #hasRoom(): boolean {
    // Bytes that the system took synchronously are not in `writableLength`, though `write` counts them.
    if (this.#socket.writableLength < HIGH_WATER_BYTES) return true;
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
      // Code that reads these bytes too late fails in tests, not under load.
      if (verify.all) buffer.fill(POISON, 0, count);
      return true;
    },
  };
}
