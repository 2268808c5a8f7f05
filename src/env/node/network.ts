// Byte streams over TCP and Unix sockets.
//
// Writes are not copied: the socket gets the caller's array. Several writes of one callback leave as
// one `writev`: the first corks the socket, and a `process.nextTick` (which runs when the callback
// that wrote has returned, before any other input) uncorks it.

import { lookup } from 'node:dns';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { ERROR_CODES, invariant, TetcdError } from '../../base/index.ts';
import type {
  ByteStream,
  ByteStreamHandler,
  Listener,
  Network,
  StreamAddress,
} from '../network.ts';
import { networkError } from './node-error.ts';

/** Idle time before the system probes whether the other side still exists; etcd's 30 seconds. */
const KEEPALIVE_IDLE_MS = 30_000;

/** Connections the system completes while we are busy; beyond it a connect is delayed or refused. */
const LISTEN_BACKLOG_MAX = 511;

export function createNodeNetwork(): Network {
  return { listen, connect, resolve };
}

/**
 * Takes the socket back out of a stream made by this file: the stream is dead afterwards and its
 * handler hears nothing more. `unread` (no copy is made) is put in front of what the socket delivers
 * next, so that a connection can be handed to `node:http` after a look at its first bytes. The new
 * owner must attach its listeners in the same turn, since the socket goes on delivering.
 */
export function takeSocket(stream: ByteStream, unread: Uint8Array): Socket {
  invariant(stream instanceof SocketStream, 'takeSocket: not a stream over a socket');
  return stream.release(unread);
}

class SocketStream implements ByteStream {
  handler: ByteStreamHandler = HANDLER_MISSING;
  readonly remoteAddress: string;
  readonly #socket: Socket;
  #corked = false;
  #error: Error | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.remoteAddress = describeRemote(socket);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEPALIVE_IDLE_MS);
    socket.on('data', this.#onData);
    socket.on('drain', this.#onDrain);
    socket.on('end', this.#onEnd);
    socket.on('error', this.#onError);
    socket.on('close', this.#onClose);
  }

  write(bytes: Uint8Array): boolean {
    const socket = this.#socket;
    if (!this.#corked) {
      this.#corked = true;
      socket.cork();
      process.nextTick(this.#uncork);
    }
    return socket.write(bytes);
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength;
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

  release(unread: Uint8Array): Socket {
    const socket = this.#socket;
    // A stream left paused is resumed by nobody: `node:http` expects one that flows. The resume
    // takes effect when this callback has returned, so the new owner's listeners are there by then.
    socket.resume();
    socket.off('data', this.#onData);
    socket.off('drain', this.#onDrain);
    socket.off('end', this.#onEnd);
    socket.off('error', this.#onError);
    socket.off('close', this.#onClose);
    this.handler = HANDLER_MISSING;
    if (unread.length > 0) socket.unshift(unread);
    return socket;
  }

  readonly #uncork = (): void => {
    this.#corked = false;
    this.#socket.uncork();
  };

  readonly #onData = (bytes: Uint8Array): void => this.handler.onData(bytes);
  readonly #onDrain = (): void => this.handler.onDrain();
  readonly #onEnd = (): void => this.handler.onEnd();
  readonly #onError = (error: Error): void => {
    this.#error ??= networkError(error, 'connection with', this.remoteAddress);
  };
  readonly #onClose = (): void => this.handler.onClose(this.#error);
}

/** Until the owner sets its handler. Input before that would be lost, so it is our mistake. */
const HANDLER_MISSING: ByteStreamHandler = {
  onData: () => invariant(false, 'ByteStream: input arrived before its handler was set'),
  onDrain: () => {},
  onEnd: () => {},
  onClose: () => {},
};

function describeRemote(socket: Socket): string {
  const { remoteAddress, remotePort } = socket;
  // A Unix socket has neither; the side that accepts cannot know more.
  if (remoteAddress === undefined) return '@';
  return describe({ host: remoteAddress, port: remotePort ?? 0 });
}

function describe(address: StreamAddress): string {
  if (address.path !== undefined) return address.path;
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return `${host}:${address.port}`;
}

function listen(address: StreamAddress, accept: (stream: ByteStream) => void): Promise<Listener> {
  return new Promise((resolve, reject) => {
    // Half-open: the other side's end of sending is an event of its own, not the end of the stream.
    const server = createServer({ allowHalfOpen: true }, (socket) =>
      accept(new SocketStream(socket)),
    );
    const refuse = (error: Error): void => {
      reject(networkError(error, 'listen on', describe(address)));
    };
    server.once('error', refuse);
    server.once('listening', () => {
      server.off('error', refuse);
      // A failed accept (out of descriptors, connection gone already) concerns that connection
      // only; libuv has closed it and goes on listening.
      server.on('error', () => {});
      resolve(listenerOf(server, address));
    });
    if (address.path !== undefined) {
      server.listen({ path: address.path, backlog: LISTEN_BACKLOG_MAX });
    } else {
      server.listen({ host: address.host, port: address.port, backlog: LISTEN_BACKLOG_MAX });
    }
  });
}

function listenerOf(server: Server, asked: StreamAddress): Listener {
  const bound = server.address();
  const address: StreamAddress =
    bound === null || typeof bound === 'string' ? asked : { host: bound.address, port: bound.port };
  return {
    address,
    // `server.close` calls back only when the last accepted stream has closed; what the contract
    // promises, that nothing more is accepted, holds as soon as it returns.
    close: async () => {
      if (server.listening) server.close();
    },
  };
}

function connect(address: StreamAddress, timeoutMs: number): Promise<ByteStream> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(
      address.path !== undefined
        ? { path: address.path, allowHalfOpen: true }
        : { host: address.host, port: address.port, allowHalfOpen: true },
    );
    const timer = setTimeout(() => {
      socket.destroy();
      const text = `connect to ${describe(address)}: no connection within ${timeoutMs} ms`;
      reject(new TetcdError(ERROR_CODES.UNAVAILABLE, text));
    }, timeoutMs);
    const refuse = (error: Error): void => {
      clearTimeout(timer);
      reject(networkError(error, 'connect to', describe(address)));
    };
    socket.once('error', refuse);
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.off('error', refuse);
      resolve(new SocketStream(socket));
    });
  });
}

function resolve(host: string, timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    // The system's own lookup, so that /etc/hosts counts; it cannot be cancelled.
    const timer = setTimeout(() => {
      const text = `lookup ${host}: no answer within ${timeoutMs} ms`;
      reject(new TetcdError(ERROR_CODES.UNAVAILABLE, text));
    }, timeoutMs);
    lookup(host, { order: 'verbatim' }, (error, address) => {
      clearTimeout(timer);
      if (error === null) resolve(address);
      else reject(networkError(error, 'lookup', host));
    });
  });
}
