// Failures of sockets as our errors. Where TLS is the reason, in etcd's words where it has some (they are
// Go's, and operators search for them), with Node's code.

import { isIP } from 'node:net';
import { ERROR_CODES, TetcdError } from '../base/index.ts';
import { networkError } from '../env/index.ts';

const UNKNOWN_AUTHORITY = 'x509: certificate signed by unknown authority';
const NOT_VALID_NOW = 'x509: certificate has expired or is not yet valid';
const NO_TLS = 'tls: first record does not look like a TLS handshake';

/** Why a certificate does not verify, by OpenSSL's code. */
const UNVERIFIED: ReadonlyMap<string, string> = new Map([
  ['CERT_HAS_EXPIRED', NOT_VALID_NOW],
  ['CERT_NOT_YET_VALID', NOT_VALID_NOW],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', UNKNOWN_AUTHORITY],
  ['SELF_SIGNED_CERT_IN_CHAIN', UNKNOWN_AUTHORITY],
  ['UNABLE_TO_GET_ISSUER_CERT', UNKNOWN_AUTHORITY],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', UNKNOWN_AUTHORITY],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', UNKNOWN_AUTHORITY],
  ['INVALID_PURPOSE', 'x509: certificate specifies an incompatible key usage'],
  // Node has no code for it, nor for other rules that are seldom broken.
  ['UNSPECIFIED', 'x509: refused by OpenSSL, as is a signature with SHA-1 or MD5'],
]);

/** Other reasons, by Node's code. */
const REASONS: ReadonlyMap<string, string> = new Map([
  ['ERR_SSL_WRONG_VERSION_NUMBER', NO_TLS],
  ['ERR_SSL_PACKET_LENGTH_TOO_LONG', NO_TLS],
  ['ERR_SSL_HTTP_REQUEST', NO_TLS],
  ['ERR_SSL_HTTPS_PROXY_REQUEST', NO_TLS],
  ['ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE', "tls: client didn't provide a certificate"],
  ['ERR_SSL_NO_SHARED_CIPHER', 'tls: no cipher suite supported by both client and server'],
  ['ERR_SSL_UNSUPPORTED_PROTOCOL', 'tls: server selected unsupported protocol version'],
]);

/** Go's names of alerts, by OpenSSL's, where they differ. */
const ALERTS: ReadonlyMap<string, string> = new Map([
  ['certificate expired', 'expired certificate'],
  ['certificate revoked', 'revoked certificate'],
  ['certificate unknown', 'unknown certificate'],
  ['decrypt error', 'error decrypting message'],
  ['protocol version', 'protocol version not supported'],
  ['unknown ca', 'unknown certificate authority'],
]);

const ALERT = /^(?:sslv3|tlsv1|tlsv13) alert (.*)$/;

/** What Node puts on an error of TLS. */
interface TlsError extends Error {
  readonly code?: unknown;
  /** OpenSSL's own short text. */
  readonly reason?: string;
  /** Where a certificate is for other names: the name that was looked for, and the certificate. */
  readonly host?: string;
  readonly cert?: { readonly subjectaltname?: string };
}

/** A failed operation on a socket, plain or TLS: which, with whom, and why. */
export function socketError(error: unknown, operation: string, address: string): TetcdError {
  const reason = error instanceof Error ? tlsReason(error) : undefined;
  if (reason === undefined) return networkError(error, operation, address);
  return unavailable(`${operation} ${address}: ${reason}`, error);
}

/** Of a connection that was still in its handshake. */
export function handshakeError(error: unknown, operation: string, address: string): TetcdError {
  const isCutOff = error instanceof Error && (error as TlsError).code === 'ECONNRESET';
  if (!isCutOff) return socketError(error, operation, address);
  // What a server without TLS does with the first message of a handshake.
  const text = 'the other side broke off the handshake: does it speak TLS?';
  return unavailable(`${operation} ${address}: ${text} (ECONNRESET)`, error);
}

function unavailable(text: string, cause: unknown): TetcdError {
  return new TetcdError(ERROR_CODES.UNAVAILABLE, text, { cause });
}

/** With Node's code; undefined for an error of another kind than TLS. */
function tlsReason(error: TlsError): string | undefined {
  const text = tlsText(error);
  return text === undefined ? undefined : `${text} (${error.code})`;
}

/** The reason in etcd's words; undefined for an error of another kind than TLS. */
export function tlsText(error: TlsError): string | undefined {
  const { code } = error;
  if (typeof code !== 'string') return undefined;
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return unverified(otherNames(error));
  const known = refusalText(code) ?? REASONS.get(code);
  if (known !== undefined) return known;
  return code.startsWith('ERR_SSL_') ? opensslText(error) : undefined;
}

/** That a certificate is refused with this code of OpenSSL; undefined if it is another code. */
export function refusalText(code: string): string | undefined {
  const reason = UNVERIFIED.get(code);
  return reason === undefined ? undefined : unverified(reason);
}

function unverified(reason: string): string {
  return `tls: failed to verify certificate: ${reason}`;
}

function opensslText({ reason = 'the handshake failed' }: TlsError): string {
  const alert = ALERT.exec(reason)?.[1];
  return alert === undefined
    ? `tls: ${reason}`
    : `remote error: tls: ${ALERTS.get(alert) ?? alert}`;
}

function otherNames({ host = '', cert }: TlsError): string {
  const names = cert?.subjectaltname?.split(', ') ?? [];
  const kind = isIP(host) === 0 ? 'DNS:' : 'IP Address:';
  const fitting = names.filter((name) => name.startsWith(kind));
  if (fitting.length > 0) {
    const listed = fitting.map((name) => name.slice(kind.length)).join(', ');
    return `x509: certificate is valid for ${listed}, not ${host}`;
  }
  return isIP(host) === 0
    ? `x509: certificate is not valid for any names, but wanted to match ${host}`
    : `x509: cannot validate certificate for ${host} because it doesn't contain any IP SANs`;
}
