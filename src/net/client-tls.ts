// TLS settings of the side that connects, as PEM, checked before anything is connected.

import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { ERROR_CODES, TetcdError } from '../base/index.ts';
import { type ClientTls, fixedTls } from './tls.ts';

/** Text, or its bytes. */
export type Pem = string | Uint8Array;

/** What a client says about itself and expects of servers. */
export interface ClientTlsSettings {
  /** Certificates of the authorities that may vouch for a server; undefined: Node's own list. */
  readonly ca?: Pem | readonly Pem[] | undefined;
  /** The client's own certificate, after it those that lead to its authority; with its key. */
  readonly cert?: Pem | undefined;
  readonly key?: Pem | undefined;
  /** Name or address that a server's certificate must carry; undefined: the host connected to. */
  readonly serverName?: string | undefined;
  /** Takes any certificate of a server, which may then be anybody. Default false. */
  readonly insecureSkipVerify?: boolean | undefined;
}

/** INVALID_ARGUMENT names the setting that makes no sense, and never shows it. */
export function clientTls(settings: ClientTlsSettings): ClientTls {
  const { ca, cert, key, serverName, insecureSkipVerify = false } = settings;
  const authorities = ca === undefined ? undefined : [ca].flat().map(textOf);
  // Node ignores an authority that does not parse, and takes an empty text for its own list.
  if (authorities !== undefined) checkAuthorities(authorities);
  const own = ownCertificate(cert, key);
  return fixedTls({
    ...own,
    ...(authorities === undefined ? {} : { ca: authorities }),
    ...(serverName === undefined ? {} : { servername: serverName }),
    rejectUnauthorized: !insecureSkipVerify,
  });
}

function textOf(pem: Pem): string {
  return typeof pem === 'string' ? pem : new TextDecoder().decode(pem);
}

const CERTIFICATE = /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----.*?-----END [^-]*-----/gs;
const PRIVATE_KEY = /-----BEGIN (?:[A-Z0-9]+ )?PRIVATE KEY-----/;

function checkAuthorities(authorities: readonly string[]): void {
  const blocks = authorities.map((text) => text.match(CERTIFICATE) ?? []);
  if (blocks.length === 0 || blocks.some((each) => each.length === 0)) {
    throw invalid('ca holds no certificate in PEM');
  }
  for (const block of blocks.flat()) certificateOf(block, 'ca');
}

function ownCertificate(
  cert: Pem | undefined,
  key: Pem | undefined,
): { readonly cert: string; readonly key: string } | undefined {
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined) throw invalid('key without cert');
  if (key === undefined) throw invalid('cert without key');
  const own = { cert: textOf(cert), key: textOf(key) };
  const blocks = own.cert.match(CERTIFICATE) ?? [];
  if (blocks.length === 0) throw invalid('cert holds no certificate in PEM');
  const [leaf] = blocks.map((block) => certificateOf(block, 'cert'));
  if (!leaf!.checkPrivateKey(keyOf(own.key))) {
    throw invalid('key is not that of the certificate in cert');
  }
  return own;
}

function certificateOf(block: string, name: string): X509Certificate {
  try {
    return new X509Certificate(block);
  } catch (error) {
    throw invalid(`${name} holds a damaged certificate`, error);
  }
}

function keyOf(text: string): KeyObject {
  if (!PRIVATE_KEY.test(text)) throw invalid('key holds no private key in PEM');
  try {
    return createPrivateKey(text);
  } catch (error) {
    throw invalid('key holds a private key that cannot be read', error);
  }
}

function invalid(text: string, cause?: unknown): TetcdError {
  return new TetcdError(ERROR_CODES.INVALID_ARGUMENT, `TLS: ${text}`, { cause });
}
