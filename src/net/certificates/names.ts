// Whether a certificate is one for a host, as Go decides it (crypto/x509, RFC 6125): by its alternative
// names alone, never by its common name.

import { isIP, SocketAddress } from 'node:net';
import type { CertificateSubject } from '../identity.ts';

type Names = Pick<CertificateSubject, 'commonName' | 'dnsNames' | 'ipAddresses'>;

/** Names of a certificate that an error lists. */
const NAMES_SHOWN_MAX = 100;

/** Why the certificate is not valid for `host`, a name or IP address, in Go's words; undefined if it is. */
export function hostnameProblem(names: Names, host: string): string | undefined {
  const ip = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
  if (isIP(ip) !== 0) return ipProblem(names, ip);
  const wanted = host.toLowerCase();
  const isName = isHostname(wanted, false);
  const matches = (name: string): boolean => {
    const pattern = name.toLowerCase();
    if (isName && isHostname(pattern, true)) return matchesPattern(pattern, wanted);
    return wanted !== '' && wanted !== '.' && pattern === wanted;
  };
  if (names.dnsNames.some(matches)) return undefined;
  const isNameless = names.dnsNames.length === 0 && names.ipAddresses.length === 0;
  if (isNameless && matchesPattern((names.commonName ?? '').toLowerCase(), wanted)) {
    return 'x509: certificate relies on legacy Common Name field, use SANs instead';
  }
  if (names.dnsNames.length === 0) {
    return `x509: certificate is not valid for any names, but wanted to match ${host}`;
  }
  return `x509: certificate is valid for ${listed(names.dnsNames)}, not ${host}`;
}

function ipProblem({ ipAddresses }: Names, ip: string): string | undefined {
  const wanted = canonicalIp(ip);
  if (ipAddresses.some((address) => canonicalIp(address) === wanted)) return undefined;
  if (ipAddresses.length === 0) {
    return `x509: cannot validate certificate for ${ip} because it doesn't contain any IP SANs`;
  }
  return `x509: certificate is valid for ${listed(ipAddresses)}, not ${ip}`;
}

function listed(names: readonly string[]): string {
  return names.length > NAMES_SHOWN_MAX ? `${names.length} names` : names.join(', ');
}

/** One text per address: the shortest form of IPv6, and IPv4 where that is mapped into it. */
export function canonicalIp(ip: string): string {
  if (isIP(ip) !== 6) return ip;
  const { address } = new SocketAddress({ address: ip, family: 'ipv6' });
  return address.replace(/^::ffff:(?=\d+\.)/i, '');
}

const LABEL = /^[a-z\d_](?:[a-z\d_-])*$/i;

/** Whether it is a name of a host; a pattern may begin with the label `*`, and has no dot at its end. */
function isHostname(name: string, isPattern: boolean): boolean {
  const text = isPattern ? name : name.replace(/\.$/, '');
  if (text === '' || (isPattern && text === '*')) return false;
  return text
    .split('.')
    .every((label, at) => (isPattern && at === 0 && label === '*') || LABEL.test(label));
}

function matchesPattern(pattern: string, host: string): boolean {
  const expected = pattern.split('.');
  const labels = host.replace(/\.$/, '').split('.');
  return (
    expected.length === labels.length &&
    expected.every((label, at) => (at === 0 && label === '*') || label === labels[at])
  );
}
