// The handshakes of accepted connections. A connection is in one phase after the other, all within one
// time limit:
//
//     silent    nothing has arrived yet, and it costs no more than its socket
//     waiting   for its turn: a handshake takes a millisecond of this thread, so a few begin per turn
//     under way OpenSSL's business
//     checked   the source's own check, which may look up names
//
// Beyond HANDSHAKES_MAX the oldest is closed: an honest client needs milliseconds.

import { constants } from 'node:crypto';
import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket, type TlsOptions } from 'node:tls';
import { type HandshakeFailure, handshakeReason } from './handshake-failure.ts';
import {
  addressOf,
  type CertificateSubject,
  identityOf,
  ipOf,
  serialNumbersOf,
} from './identity.ts';
import { HANDSHAKES_MAX, HANDSHAKES_PER_TURN_MAX } from './limits.ts';
import type { SecuredConnection, ServerTls } from './tls.ts';

interface HandshakesOptions {
  readonly tls: ServerTls;
  /** From the first look at the connection to its last check. */
  readonly timeoutMs: number;
  /** In order of preference; without it, none is negotiated. */
  readonly alpn?: readonly string[];
  /** The handshake is complete. Nothing has been read; the other half stays open after an end. */
  readonly onSecure: (socket: TLSSocket) => void;
  /** The connection has been closed. */
  readonly onFailure: (failure: HandshakeFailure) => void;
}

/**
 * No session is resumed: its ticket would outlive the revocation of its certificate, and Node gives no say
 * in which listeners take it. A client cannot begin a second handshake on its connection.
 */
const SECURE_OPTIONS = constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION;

/** A connection that is not secured yet. */
interface Pending {
  readonly socket: Socket;
  readonly address: string;
  readonly expiry: NodeJS.Timeout;
}

/** Makes TLS sockets of accepted ones, each with the settings of its moment. */
export class Handshakes {
  readonly #options: HandshakesOptions;
  #current: TlsOptions | undefined = undefined;
  /** Listens to nothing: connections are handed to it. */
  #server: Server | undefined = undefined;
  /** In order of arrival. */
  readonly #pending = new Map<Socket, Pending>();
  /** Those of them that wait for their turn. */
  readonly #waiting = new Set<Pending>();
  #begunThisTurn = 0;
  #isTurnScheduled = false;
  /** The source has been asked in this turn: it looks at files. */
  #isFresh = false;

  /** Throws what is wrong with the settings as they are now. */
  constructor(options: HandshakesOptions) {
    this.#options = options;
    this.#refresh();
  }

  /** Connections that are not secured yet. */
  get pendingCount(): number {
    return this.#pending.size;
  }

  /** Closes the connections that are not secured yet. */
  drop(): void {
    for (const pending of this.#pending.values()) {
      this.#forget(pending);
      pending.socket.destroy();
    }
  }

  /** Takes the socket over. It does not flow; bytes that were put back into it come first. */
  begin(socket: Socket): void {
    const [oldest] = this.#pending.values();
    if (this.#pending.size >= HANDSHAKES_MAX) {
      this.#fail(oldest!, new Error('too many handshakes under way'));
    }
    const expiry = setTimeout(() => this.#fail(pending, IO_TIMEOUT), this.#options.timeoutMs);
    const pending: Pending = { socket, address: addressOf(socket), expiry };
    this.#pending.set(socket, pending);
    // An end before the handshake is the end of the connection.
    socket.allowHalfOpen = false;
    socket.on('error', ignore);
    // After what the handshake itself has to say of it.
    socket.once('close', () => {
      if (this.#pending.has(socket)) setImmediate(() => this.#fail(pending, undefined));
    });
    if (socket.readableLength > 0) this.#await(pending);
    else socket.once('readable', () => this.#awaitIfOpen(pending));
  }

  #awaitIfOpen(pending: Pending): void {
    const { socket } = pending;
    if (!this.#pending.has(socket)) return;
    if (socket.readableLength > 0) this.#await(pending);
    else this.#fail(pending, undefined);
  }

  #await(pending: Pending): void {
    if (this.#begunThisTurn < HANDSHAKES_PER_TURN_MAX) this.#start(pending);
    else this.#waiting.add(pending);
  }

  #start(pending: Pending): void {
    this.#begunThisTurn++;
    if (!this.#isTurnScheduled) {
      this.#isTurnScheduled = true;
      setImmediate(this.#nextTurn);
    }
    try {
      const server = this.#refresh();
      pending.socket.off('error', ignore);
      server.emit('connection', pending.socket);
    } catch (error) {
      this.#fail(pending, error instanceof Error ? error : new Error(String(error)));
    }
  }

  readonly #nextTurn = (): void => {
    this.#isTurnScheduled = false;
    this.#isFresh = false;
    this.#begunThisTurn = 0;
    for (const pending of this.#waiting) {
      if (this.#begunThisTurn >= HANDSHAKES_PER_TURN_MAX) break;
      this.#waiting.delete(pending);
      this.#start(pending);
    }
  };

  #refresh(): Server {
    const { tls } = this.#options;
    if (this.#server !== undefined && this.#isFresh) return this.#server;
    const current = tls.current();
    if (this.#server === undefined || current !== this.#current) this.#make(current);
    this.#isFresh = this.#isTurnScheduled;
    return this.#server!;
  }

  #make(current: TlsOptions): void {
    const { alpn } = this.#options;
    const server = createServer({
      ...current,
      secureOptions: (current.secureOptions ?? 0) | SECURE_OPTIONS,
      // None of its own, a second timer for each connection; 0 would be its default.
      handshakeTimeout: -1,
      ...(alpn === undefined ? {} : { ALPNProtocols: [...alpn] }),
    });
    server.on('secureConnection', (socket) => this.#accept(socket));
    server.on('tlsClientError', (error, socket) => {
      const pending = this.#pendingOf(socket);
      if (pending !== undefined) this.#fail(pending, handshakeReason(error, socket), socket);
      socket.destroy();
    });
    trustEach(server, current);
    this.#current = current;
    this.#server = server;
  }

  #accept(socket: TLSSocket): void {
    const pending = this.#pendingOf(socket);
    if (pending === undefined) {
      socket.destroy();
      return;
    }
    const { tls, onSecure } = this.#options;
    const accept = (): void => {
      this.#forget(pending);
      socket.allowHalfOpen = true;
      onSecure(socket);
    };
    let checking: void | Promise<void>;
    const secured = new Secured(socket, pending);
    const refuse = (error: unknown): void => {
      const known = error instanceof Error ? error : new Error(String(error));
      this.#fail(pending, known, socket, secured.peer.certificate);
    };
    try {
      checking = tls.check?.(secured);
    } catch (error) {
      refuse(error);
      return;
    }
    if (checking === undefined) {
      accept();
      return;
    }
    socket.on('error', ignore);
    checking.then(() => {
      if (!this.#pending.has(pending.socket)) return;
      socket.off('error', ignore);
      accept();
    }, refuse);
  }

  #pendingOf(socket: TLSSocket): Pending | undefined {
    return this.#pending.get((socket as TLSSocket & SecureInside)._parent);
  }

  /** Closes the connection and reports it, once. Without a reason, the other side has left. */
  #fail(
    pending: Pending,
    reason: Error | undefined,
    secure?: TLSSocket,
    certificate?: CertificateSubject,
  ): void {
    const { socket, address } = pending;
    if (!this.#pending.has(socket)) return;
    this.#forget(pending);
    const isEof = reason === undefined && socket.bytesRead === 0;
    const error = reason ?? new Error(isEof ? 'EOF' : 'unexpected EOF');
    // Node has it as false or null where there is none.
    const serverName = (secure as { servername?: unknown } | undefined)?.servername;
    this.#options.onFailure({
      address,
      serverName: typeof serverName === 'string' ? serverName : '',
      certificate,
      error,
      isEof,
    });
    secure?.destroy();
    socket.destroy();
  }

  #forget(pending: Pending): void {
    clearTimeout(pending.expiry);
    this.#pending.delete(pending.socket);
    this.#waiting.delete(pending);
  }
}

const IO_TIMEOUT = new Error('i/o timeout');
const ignore = (): void => {};

class Secured implements SecuredConnection {
  readonly peer: SecuredConnection['peer'];
  readonly ip: string | undefined;
  readonly #socket: TLSSocket;

  /** What the accepted socket under it knows is not asked of the system again. */
  constructor(socket: TLSSocket, accepted: Pending) {
    this.#socket = socket;
    this.peer = identityOf(socket, accepted.address);
    this.ip = ipOf(accepted.socket);
  }

  get closed(): boolean {
    return this.#socket.destroyed;
  }

  serialNumbers(): readonly string[] {
    return serialNumbersOf(this.#socket);
  }
}

/** The context that a server has made; Node documents none. */
interface ServerInside {
  readonly _sharedCreds?: { readonly context: { setAllowPartialTrustChain?(): void } };
}

/** Passes on to the server's context what its constructor forgets in Node 20 and 22. */
function trustEach(server: Server, { allowPartialTrustChain }: TlsOptions): void {
  if (allowPartialTrustChain !== true) return;
  (server as ServerInside)._sharedCreds?.context.setAllowPartialTrustChain?.();
}

/** The accepted socket under a secure one; Node has no documented way from one to the other. */
interface SecureInside {
  readonly _parent: Socket;
}
