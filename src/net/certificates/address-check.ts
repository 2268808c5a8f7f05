// Whether a certificate is one for the address that a connection comes from: etcd asks that of members.
//
// Names are looked up, which takes as long as the servers of names do; nothing else waits for it. Of all
// certificates together a few are checked at a time.

import { isIP } from 'node:net';
import type { CertificateSubject } from '../identity.ts';
import { ADDRESS_CHECKS_MAX, CHECKED_NAMES_MAX } from '../limits.ts';
import type { SecuredConnection } from '../tls.ts';
import { canonicalIp, hostnameProblem } from './names.ts';

/** Both reject where nothing is found, with the reason. */
export interface NameLookup {
  /** Names of an IP address, with or without a dot at their end. */
  namesOf(ip: string): Promise<readonly string[]>;
  /** IP addresses of a name. */
  addressesOf(name: string): Promise<readonly string[]>;
}

type Names = Pick<CertificateSubject, 'commonName' | 'dnsNames' | 'ipAddresses'>;
type Connection = Pick<SecuredConnection, 'ip' | 'closed'>;

export class AddressCheck {
  readonly #lookup: NameLookup;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(lookup: NameLookup) {
    this.#lookup = lookup;
  }

  /**
   * Rejects, or throws if no name has to be looked up, with etcd's text, unless the certificate has the
   * connection's address or a name of it, or has neither addresses nor names.
   */
  check(names: Names, connection: Connection): void | Promise<void> {
    const { dnsNames, ipAddresses } = names;
    const { ip } = connection;
    if (ipAddresses.length === 0 && dnsNames.length === 0) return undefined;
    if (ip === undefined || isIP(ip) === 0) throw new Error('address @: missing port in address');
    if (ipAddresses.length > 0) {
      const problem = hostnameProblem(names, ip);
      if (problem === undefined) return undefined;
      if (dnsNames.length === 0) throw new Error(problem);
    }
    return this.#limited(() => this.#checkNames(dnsNames, ip, connection));
  }

  async #limited(check: () => Promise<void>): Promise<void> {
    if (this.#running >= ADDRESS_CHECKS_MAX) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else this.#running++;
    try {
      await check();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }

  async #checkNames(
    dnsNames: readonly string[],
    ip: string,
    connection: Connection,
  ): Promise<void> {
    if (connection.closed) return;
    const wildcards = dnsNames.filter(isWildcard).map((name) => name.slice(1));
    const exact = dnsNames.filter((name) => !isWildcard(name));
    let failure: unknown;
    try {
      const names = (await this.#lookup.namesOf(ip)).map((name) => name.replace(/\.$/, ''));
      const isOne = (name: string): boolean =>
        exact.includes(name) || wildcards.some((ending) => name.endsWith(ending));
      if (names.some(isOne)) return;
    } catch (error) {
      failure = error;
    }
    for (const name of exact.slice(0, CHECKED_NAMES_MAX)) {
      if (connection.closed) return;
      try {
        const addresses = await this.#lookup.addressesOf(name);
        if (addresses.some((address) => canonicalIp(address) === canonicalIp(ip))) return;
      } catch (error) {
        failure = error;
      }
    }
    const reason = failure === undefined ? '' : ` (${messageOf(failure)})`;
    const list = dnsNames.map((name) => JSON.stringify(name)).join(' ');
    throw new Error(`tls: ${JSON.stringify(ip)} does not match any of DNSNames [${list}]${reason}`);
  }
}

function isWildcard(name: string): boolean {
  return name.startsWith('*.');
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
