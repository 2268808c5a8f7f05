// The peer of a connection: its address, and the subject of its certificate.

import { type Socket, SocketAddress } from 'node:net';
import type { DetailedPeerCertificate, PeerCertificate, TLSSocket } from 'node:tls';

/** The other end of a connection, the same object for all its calls. */
export interface PeerIdentity {
  /** `host:port`; `@` for a Unix socket, whose other side has no name. */
  readonly address: string;
  /** Whether the connection is encrypted. */
  readonly encrypted: boolean;
  /** Of the other side's certificate, only if it was verified. Read when first asked for. */
  readonly certificate: CertificateSubject | undefined;
}

/** The subject of a verified certificate. */
export interface CertificateSubject {
  /** Undefined if it has none; the last one if it has several. */
  readonly commonName: string | undefined;
  readonly dnsNames: readonly string[];
  /** In their shortest form, as in `::1`. */
  readonly ipAddresses: readonly string[];
  readonly uris: readonly string[];
  readonly emailAddresses: readonly string[];
  /** Hexadecimal digits in upper case. */
  readonly serialNumber: string;
}

type Names = Pick<CertificateSubject, 'dnsNames' | 'ipAddresses' | 'uris' | 'emailAddresses'>;

/** Of secured sockets: the certificate is read once. */
const identities = new WeakMap<TLSSocket, PeerIdentity>();

/** The identity at the other end of `socket`; `address` is its {@link addressOf} where that is known. */
export function identityOf(socket: Socket, address?: string): PeerIdentity {
  if (!isTls(socket)) {
    return { address: address ?? addressOf(socket), encrypted: false, certificate: undefined };
  }
  let identity = identities.get(socket);
  if (identity === undefined) {
    identity = new TlsIdentity(socket, address ?? addressOf(socket));
    identities.set(socket, identity);
  }
  return identity;
}

class TlsIdentity implements PeerIdentity {
  readonly address: string;
  readonly encrypted = true;
  readonly #socket: TLSSocket;
  #certificate: CertificateSubject | undefined = undefined;
  #isRead = false;

  constructor(socket: TLSSocket, address: string) {
    this.#socket = socket;
    this.address = address;
  }

  get certificate(): CertificateSubject | undefined {
    if (!this.#isRead) {
      this.#isRead = true;
      if (this.#socket.authorized) {
        this.#certificate = subjectOf(this.#socket.getPeerCertificate());
      }
    }
    return this.#certificate;
  }
}

/** Undefined where there is none: Node gives null or no fields then, or where the connection is gone. */
export function subjectOf(certificate: PeerCertificate | null): CertificateSubject | undefined {
  if (certificate?.serialNumber === undefined) return undefined;
  const names: string | string[] | undefined = certificate.subject?.CN;
  const alternatives = alternativeNames(certificate.subjectaltname ?? '');
  // Half of the names could be taken for all of them.
  if (alternatives === undefined) return undefined;
  return {
    commonName: Array.isArray(names) ? names.at(-1) : names,
    ...alternatives,
    serialNumber: certificate.serialNumber,
  };
}

/** One name of `subjectaltname`; a value with special characters is a JSON string. */
const ALTERNATIVE_NAME = /([A-Za-z0-9 ]+):("(?:[^"\\]|\\.)*"|[^,"]*)(?:, |$)/y;

/** Parses Node's text of alternative names; undefined if any part of it is not understood. */
export function alternativeNames(text: string): Names | undefined {
  const names = {
    dnsNames: [] as string[],
    ipAddresses: [] as string[],
    uris: [] as string[],
    emailAddresses: [] as string[],
  };
  ALTERNATIVE_NAME.lastIndex = 0;
  while (ALTERNATIVE_NAME.lastIndex < text.length) {
    const match = ALTERNATIVE_NAME.exec(text);
    if (match === null) return undefined;
    const value: string = match[2]!.startsWith('"') ? JSON.parse(match[2]!) : match[2]!;
    if (match[1] === 'DNS') names.dnsNames.push(value);
    else if (match[1] === 'IP Address') names.ipAddresses.push(shortened(value));
    else if (match[1] === 'URI') names.uris.push(value);
    else if (match[1] === 'email') names.emailAddresses.push(value);
  }
  return names;
}

function shortened(ip: string): string {
  return ip.includes(':') ? new SocketAddress({ address: ip, family: 'ipv6' }).address : ip;
}

export function isTls(socket: Socket): socket is TLSSocket {
  return 'encrypted' in socket && socket.encrypted === true;
}

/** `host:port` of the other side; `@` for a Unix socket, whose other side has no name. */
export function addressOf(socket: Socket): string {
  const ip = ipOf(socket);
  if (ip === undefined) return '@';
  return `${ip.includes(':') ? `[${ip}]` : ip}:${socket.remotePort}`;
}

/** How a socket for both families sees an IPv4 address. */
const MAPPED = /^::ffff:(?=\d+\.)/i;

/** IP address of the other side; undefined for a Unix socket. */
export function ipOf({ remoteAddress }: Socket): string | undefined {
  return remoteAddress?.replace(MAPPED, '');
}

/** Of the other side's chain, its own certificate first: hexadecimal digits in upper case. */
export function serialNumbersOf(socket: TLSSocket): readonly string[] {
  return chainSerialNumbers(socket.getPeerCertificate(true));
}

/** Of a certificate with its issuers, as Node gives it; the last one is its own issuer. */
export function chainSerialNumbers(leaf: DetailedPeerCertificate | undefined): readonly string[] {
  const found: string[] = [];
  const seen = new Set<DetailedPeerCertificate>();
  for (let at = leaf; at?.serialNumber !== undefined && !seen.has(at); at = at.issuerCertificate) {
    seen.add(at);
    found.push(at.serialNumber);
  }
  return found;
}
