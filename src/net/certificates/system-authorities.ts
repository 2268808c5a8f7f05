// The authorities that this system trusts, where no file names any: in the places where Go looks.

import { readFileSync } from 'node:fs';
import { rootCertificates } from 'node:tls';

const BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/pki/tls/cacert.pem',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/cert.pem',
];

let known: string | undefined;

/** PEM; that of `SSL_CERT_FILE`, or the system's, or without either what Node brings. Read once. */
export function systemAuthorities(): string {
  const asked = process.env['SSL_CERT_FILE'];
  known ??=
    (asked === undefined || asked === '' ? BUNDLES : [asked]).map(contentOf).find(isKnown) ??
    rootCertificates.join('\n');
  return known;
}

function contentOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}

function isKnown(text: string | undefined): text is string {
  return text !== undefined;
}
