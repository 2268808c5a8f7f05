// TLS settings that may change while a port listens, and the handshakes of accepted connections.

import type { Socket } from 'node:net';
import {
  type ConnectionOptions,
  createServer,
  type Server,
  type TLSSocket,
  type TlsOptions,
} from 'node:tls';

/**
 * Where the settings of a handshake come from: certificates, authorities, revocation lists. ALPN is
 * not among them: it follows from what is served.
 */
export interface TlsSource<Options> {
  /**
   * Asked for every handshake, so a source keeps what it has read and makes a new object only when
   * something has changed: the same object means the same settings. A throw fails this handshake alone.
   */
  current(): Options;
}

/** Of the side that accepts. */
export type ServerTls = TlsSource<TlsOptions>;
/** Of the side that connects. */
export type ClientTls = TlsSource<ConnectionOptions>;

/** Settings that never change. */
export function fixedTls<Options>(options: Options): TlsSource<Options> {
  return { current: () => options };
}

interface HandshakeOptions {
  readonly tls: ServerTls;
  readonly timeoutMs: number;
  /** In order of preference; without it, none is negotiated. */
  readonly alpn?: readonly string[];
  /** The handshake is complete. */
  readonly onSecure: (socket: TLSSocket) => void;
  /** It failed; the connection is closed. */
  readonly onFailure: (socket: Socket, error: Error) => void;
}

/** Makes TLS sockets of accepted ones, each with the settings of its moment. */
export class Handshakes {
  readonly #options: HandshakeOptions;
  #current: TlsOptions | undefined = undefined;
  /** Accepted sockets whose handshake is under way. */
  readonly #pending = new Set<Socket>();
  /** Listens to nothing: connections are handed to it. */
  #server: Server | undefined = undefined;

  /** Throws what is wrong with the settings as they are now. */
  constructor(options: HandshakeOptions) {
    this.#options = options;
    this.#refresh();
  }

  /** Closes the connections whose handshake is under way. */
  drop(): void {
    for (const socket of this.#pending) socket.destroy();
  }

  begin(socket: Socket): void {
    try {
      const server = this.#refresh();
      this.#pending.add(socket);
      socket.once('close', () => this.#pending.delete(socket));
      server.emit('connection', socket);
    } catch (error) {
      this.#options.onFailure(socket, error instanceof Error ? error : new Error(String(error)));
      socket.destroy();
    }
  }

  #refresh(): Server {
    const { tls, timeoutMs, alpn } = this.#options;
    const current = tls.current();
    if (this.#server !== undefined && current === this.#current) return this.#server;
    const server = createServer({
      ...current,
      allowHalfOpen: true,
      handshakeTimeout: timeoutMs,
      ...(alpn === undefined ? {} : { ALPNProtocols: [...alpn] }),
    });
    server.on('secureConnection', (socket) => {
      this.#pending.delete((socket as TLSSocket & SecureInside)._parent);
      this.#options.onSecure(socket);
    });
    server.on('tlsClientError', (error, socket) => {
      this.#options.onFailure(socket, reasonOf(error, socket));
      socket.destroy();
    });
    this.#current = current;
    this.#server = server;
    return server;
  }
}

/** The accepted socket under a secure one; Node has no documented way from one to the other. */
interface SecureInside {
  readonly _parent: Socket;
}

/** Node says that the connection was hung up where it has refused a certificate itself. */
function reasonOf(error: Error, socket: TLSSocket): Error {
  // Typed as an Error, but a code of OpenSSL.
  const refusal: unknown = socket.authorizationError;
  return typeof refusal === 'string' ? new Error(`certificate refused: ${refusal}`) : error;
}
