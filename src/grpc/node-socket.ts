// A ByteStream over a Node socket, plain or TLS.
//
// Plain sockets read into one buffer that all of them share: what a connection wants to keep it copies,
// so that nothing is allocated per read. (By default each read allocates 64 KiB and gives back what it
// did not fill: measured with one serial client, a quarter of the server's CPU, most of it garbage
// collection.) Node offers this to sockets that connect (`onread`), but not to accepted ones: those are
// replaced by a socket over the same handle. The handle is not a documented property, so where it looks
// different from what we know the socket is used as it is, and only slower.

import { Socket } from 'node:net';
import { verify } from '../base/index.ts';
import type { ByteStream, ByteStreamHandler } from '../env/index.ts';

/** Bytes in the socket's queue beyond which `write` says "wait". */
const HIGH_WATER_BYTES = 64 * 1024;

/** Filled by a read and empty again before the next one. */
const sharedBuffer: Uint8Array = Buffer.allocUnsafeSlow(64 * 1024);

const POISON = 0xdb;

const nobody: ByteStreamHandler = {
  onData: () => {},
  onDrain: () => {},
  onEnd: () => {},
  onClose: () => {},
};

export class SocketStream implements ByteStream {
  handler: ByteStreamHandler = nobody;
  readonly remoteAddress: string;
  readonly #socket: Socket;
  #needsDrain = false;
  #error: Error | undefined = undefined;

  /** Takes the socket over: nobody else may listen to it or write to it. */
  constructor(socket: Socket) {
    this.#socket = socket;
    this.remoteAddress = addressOf(socket);
    socket.on('drain', () => this.#onDrain());
    socket.on('end', () => this.handler.onEnd());
    socket.on('error', (error) => {
      this.#error = error;
    });
    socket.on('close', () => this.handler.onClose(this.#error));
  }

  /** Over a socket that delivers its input as events; any socket does. */
  static overEvents(socket: Socket): SocketStream {
    const stream = new SocketStream(socket);
    socket.on('data', (chunk: Uint8Array) => stream.handler.onData(chunk));
    return stream;
  }

  /** Over a plain socket that a server has accepted and nobody reads from at the moment. */
  static overAccepted(socket: Socket): SocketStream {
    const inside = socket as unknown as SocketInside;
    const handle = inside._handle;
    if (typeof handle?.useUserBuffer !== 'function' || typeof handle.readStart !== 'function') {
      return SocketStream.overEvents(socket);
    }
    const reads = new SharedReads();
    const options = { handle, allowHalfOpen: true, onread: reads.onread };
    const fresh = new Socket(options as ConstructorParameters<typeof Socket>[0]);
    // The old object lets go, or the collector would one day close the connection under the new one.
    inside._handle = null;
    (fresh as unknown as SocketInside)._server = inside._server;
    inside._server = null;
    const stream = new SocketStream(fresh);
    reads.stream = stream;
    return stream;
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  write(bytes: Uint8Array): boolean {
    const socket = this.#socket;
    if (socket.destroyed || socket.writableEnded) return true;
    socket.write(bytes);
    // What the system took at once is no longer in `writableLength`, though `write` counts it.
    if (socket.writableLength < HIGH_WATER_BYTES) return true;
    this.#needsDrain = true;
    return false;
  }

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

/** The undocumented properties that {@link SocketStream.overAccepted} moves. */
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
      // Whoever still looks at these bytes is to notice in tests, not under load.
      if (verify.all) buffer.fill(POISON, 0, count);
      return true;
    },
  };
}

/** `host:port` of the other side; `@` for a Unix socket, whose other side has no name. */
export function addressOf(socket: Socket): string {
  if (socket.remoteAddress === undefined) return '@';
  const host = socket.remoteAddress.includes(':')
    ? `[${socket.remoteAddress}]`
    : socket.remoteAddress;
  return `${host}:${socket.remotePort}`;
}
