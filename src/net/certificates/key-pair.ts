// Certificates and their keys from PEM files. Refusals are in Go's words, which etcd has.

import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { latin1FromBytes } from '../../base/index.ts';

const BLOCK = /-----BEGIN ([A-Z\d ]+)-----[^-]*-----END \1-----/g;

interface PemBlock {
  readonly type: string;
  readonly text: string;
}

function pemBlocks(file: Uint8Array): PemBlock[] {
  const found = latin1FromBytes(file).matchAll(BLOCK);
  return [...found].map((match) => ({ type: match[1]!, text: match[0] }));
}

/** The certificates of a file with an own one first and its issuers after it. Throws what is wrong. */
export function readChain(file: Uint8Array): X509Certificate[] {
  const blocks = pemBlocks(file);
  const certificates = blocks.filter(({ type }) => type === 'CERTIFICATE');
  if (certificates.length > 0) return certificates.map(({ text }) => parsed(text));
  if (blocks.length === 0) {
    throw new Error('tls: failed to find any PEM data in certificate input');
  }
  const [first] = blocks;
  throw new Error(
    blocks.length === 1 && first!.type.endsWith('PRIVATE KEY')
      ? 'tls: failed to find certificate PEM data in certificate input, but did find a private ' +
          'key; PEM inputs may have been switched'
      : 'tls: failed to find "CERTIFICATE" PEM block in certificate input after skipping PEM ' +
          `blocks of the following types: ${typesOf(blocks)}`,
  );
}

/** All certificates of a file of authorities. Throws if there is none. */
export function readAuthorities(file: Uint8Array): X509Certificate[] {
  const certificates = pemBlocks(file).filter(({ type }) => type === 'CERTIFICATE');
  if (certificates.length === 0) throw new Error('x509: no certificate among the PEM blocks');
  return certificates.map(({ text }) => parsed(text));
}

/**
 * Those of the authorities that vouch for `leaf`, each for the one before it; none for one that vouches for
 * itself.
 */
export function issuersOf(
  leaf: X509Certificate,
  authorities: readonly X509Certificate[],
): X509Certificate[] {
  const found: X509Certificate[] = [];
  let last = leaf;
  while (!last.checkIssued(last)) {
    const issuer = authorities.find(
      (one) => !found.includes(one) && last.checkIssued(one) && last.verify(one.publicKey),
    );
    if (issuer === undefined) break;
    found.push(issuer);
    last = issuer;
  }
  return found;
}

/** End of the first certificate, in milliseconds since the Unix epoch; undefined if there is none. */
export function expiryOf(file: Uint8Array): number | undefined {
  const first = pemBlocks(file).find(({ type }) => type === 'CERTIFICATE');
  return first && Date.parse(parsed(first.text).validTo);
}

function parsed(text: string): X509Certificate {
  try {
    return new X509Certificate(text);
  } catch (error) {
    throw new Error('x509: malformed certificate', { cause: error });
  }
}

/** Throws unless the file holds the private key of the certificate. */
export function checkKey(file: Uint8Array, certificate: X509Certificate): void {
  if (certificate.checkPrivateKey(readKey(file))) return;
  throw new Error('tls: private key does not match public key');
}

function readKey(file: Uint8Array): KeyObject {
  const blocks = pemBlocks(file);
  const key = blocks.find(({ type }) => type === 'PRIVATE KEY' || type.endsWith(' PRIVATE KEY'));
  if (key === undefined) throw new Error(missingKeyText(blocks));
  try {
    return createPrivateKey(key.text);
  } catch (error) {
    throw new Error('tls: failed to parse private key', { cause: error });
  }
}

function missingKeyText(blocks: readonly PemBlock[]): string {
  if (blocks.length === 0) return 'tls: failed to find any PEM data in key input';
  if (blocks.length === 1 && blocks[0]!.type === 'CERTIFICATE') {
    return 'tls: found a certificate rather than a key in the PEM for the private key';
  }
  return (
    'tls: failed to find PEM block with type ending in "PRIVATE KEY" in key input after skipping ' +
    `PEM blocks of the following types: ${typesOf(blocks)}`
  );
}

function typesOf(blocks: readonly PemBlock[]): string {
  return `[${blocks.map(({ type }) => type).join(' ')}]`;
}
