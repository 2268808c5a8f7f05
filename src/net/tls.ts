// TLS settings that may change while a port listens.

import type { ConnectionOptions, TlsOptions } from 'node:tls';
import type { PeerIdentity } from './identity.ts';

/**
 * Where the settings of a handshake come from: certificates, authorities, revocation lists. ALPN is
 * not among them: it follows from what is served.
 */
export interface TlsSource<Options> {
  /**
   * Asked for every handshake, by a port once for all of one turn, so a source keeps what it has read
   * and makes a new object only when something has changed: the same object means the same settings. A
   * throw fails this handshake alone.
   */
  current(): Options;
}

/** A connection whose handshake is complete, before it is served. */
export interface SecuredConnection {
  /** Its certificate has been verified, if there is one. */
  readonly peer: PeerIdentity;
  /** IP address of the other side; undefined for a Unix socket. */
  readonly ip: string | undefined;
  /** Whether it has closed: the result of a check then has no effect. */
  readonly closed: boolean;
  /** Of the certificates of its chain, its own first: hexadecimal digits in upper case. */
  serialNumbers(): readonly string[];
}

/** Of the side that accepts. Sessions are never resumed: each connection is verified by itself. */
export interface ServerTls extends TlsSource<TlsOptions> {
  /** Asked for every secured connection; a throw or a rejection refuses it, and is reported. */
  check?(connection: SecuredConnection): void | Promise<void>;
}

/** Of the side that connects. */
export type ClientTls = TlsSource<ConnectionOptions>;

/** Settings that never change. */
export function fixedTls<Options>(options: Options): TlsSource<Options> {
  return { current: () => options };
}
