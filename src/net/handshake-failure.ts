// Connections that were refused before they were served, and why: in etcd's words, where it has some, since
// its log lines are what operators search for.

import type { TLSSocket } from 'node:tls';
import type { CertificateSubject } from './identity.ts';
import { refusalText, tlsText } from './socket-error.ts';

/** A connection that was refused, or went away, before it could be served. */
export interface HandshakeFailure {
  /** `host:port` of the other side; `@` for a Unix socket. */
  readonly address: string;
  /** The name that the other side asked for (SNI); empty if it did not. */
  readonly serverName: string;
  /** Undefined unless it was verified, and refused for what it says. */
  readonly certificate: CertificateSubject | undefined;
  readonly error: Error;
  /** The other side closed the connection without an alert: no error of either side. */
  readonly isEof: boolean;
}

/** Where the side that accepts has other words than the side that connects. */
const REASONS: ReadonlyMap<unknown, string> = new Map([
  ['ERR_SSL_UNSUPPORTED_PROTOCOL', 'tls: client offered only unsupported versions'],
  ['ERR_TLS_HANDSHAKE_TIMEOUT', 'i/o timeout'],
]);

/** Why Node gave a handshake up; undefined where the other side has left. */
export function handshakeReason(error: Error, socket: TLSSocket): Error | undefined {
  // Node says that the connection was hung up where it has refused a certificate itself. Typed as an
  // Error, but a code of OpenSSL.
  const refusal: unknown = socket.authorizationError;
  if (typeof refusal === 'string') {
    return new Error(refusalText(refusal) ?? `tls: failed to verify certificate: ${refusal}`);
  }
  const { code, syscall } = error as { readonly code?: unknown; readonly syscall?: unknown };
  if (code === 'ECONNRESET' && syscall === undefined) return undefined;
  const text = REASONS.get(code) ?? tlsText(error);
  return text === undefined ? error : new Error(text, { cause: error });
}
