// A ByteStream over a Node socket, plain or TLS.

import type { Socket } from 'node:net';
import type { ByteStream, ByteStreamHandler } from '../env/index.ts';

/** Bytes in the socket's queue beyond which `write` says "wait". */
const HIGH_WATER_BYTES = 64 * 1024;

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
    socket.on('data', (chunk: Uint8Array) => this.handler.onData(chunk));
    socket.on('drain', () => this.#onDrain());
    socket.on('end', () => this.handler.onEnd());
    socket.on('error', (error) => {
      this.#error = error;
    });
    socket.on('close', () => this.handler.onClose(this.#error));
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

function addressOf(socket: Socket): string {
  if (socket.remoteAddress === undefined) return '';
  const host = socket.remoteAddress.includes(':')
    ? `[${socket.remoteAddress}]`
    : socket.remoteAddress;
  return `${host}:${socket.remotePort}`;
}
