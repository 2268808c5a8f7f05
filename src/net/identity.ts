// The peer of a connection: its address, and the subject of its certificate.

import { type Socket, SocketAddress } from 'node:net';
import type { TLSSocket } from 'node:tls';

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

/** The identity at the other end of `socket`. */
export function identityOf(socket: Socket): PeerIdentity {
  if (isTls(socket)) return new TlsIdentity(socket);
  return { address: addressOf(socket), encrypted: false, certificate: undefined };
}

class TlsIdentity implements PeerIdentity {
  readonly address: string;
  readonly encrypted = true;
  readonly #socket: TLSSocket;
  #certificate: CertificateSubject | undefined = undefined;
  #isRead = false;

  constructor(socket: TLSSocket) {
    this.#socket = socket;
    this.address = addressOf(socket);
  }

  get certificate(): CertificateSubject | undefined {
    if (!this.#isRead) {
      this.#isRead = true;
      if (this.#socket.authorized) this.#certificate = subjectOf(this.#socket);
    }
    return this.#certificate;
  }
}

function subjectOf(socket: TLSSocket): CertificateSubject | undefined {
  // Null or without fields where there is none, or where the connection is gone.
  const certificate = socket.getPeerCertificate();
  if (certificate?.serialNumber === undefined) return undefined;
  const names: string | string[] | undefined = certificate.subject?.CN;
  return {
    commonName: Array.isArray(names) ? names.at(-1) : names,
    ...alternativeNames(certificate.subjectaltname ?? ''),
    serialNumber: certificate.serialNumber,
  };
}

/** One name of `subjectaltname`; a value with special characters is a JSON string. */
const ALTERNATIVE_NAME = /([A-Za-z0-9 ]+):("(?:[^"\\]|\\.)*"|[^,"]*)(?:, |$)/y;

/** Parses Node's text of alternative names; no names at all if any part of it is not understood. */
export function alternativeNames(text: string): Names {
  const names = {
    dnsNames: [] as string[],
    ipAddresses: [] as string[],
    uris: [] as string[],
    emailAddresses: [] as string[],
  };
  ALTERNATIVE_NAME.lastIndex = 0;
  while (ALTERNATIVE_NAME.lastIndex < text.length) {
    const match = ALTERNATIVE_NAME.exec(text);
    if (match === null) return { dnsNames: [], ipAddresses: [], uris: [], emailAddresses: [] };
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
  const { remoteAddress, remotePort } = socket;
  if (remoteAddress === undefined) return '@';
  const host = remoteAddress.includes(':') ? `[${remoteAddress}]` : remoteAddress;
  return `${host}:${remotePort}`;
}
