// A certificate authority for tests: issues certificates with any names, and revokes them. ECDSA over
// P-256; valid from 2020 to 2049. Structures are those of RFC 5280, written in DER.

import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

/** Alternative names, each as its bytes in the certificate. */
export interface IssueOptions {
  readonly commonName?: string;
  readonly dns?: readonly string[];
  /** Four or sixteen bytes each. */
  readonly ip?: readonly (readonly number[])[];
  readonly uri?: readonly string[];
  readonly email?: readonly string[];
  /** Its end, `YYMMDDhhmmssZ`. */
  readonly notAfter?: string;
}

export interface Issued {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
  /** Hexadecimal digits in upper case. */
  readonly serialNumber: string;
}

export class TestAuthority {
  /** PEM of its own certificate. */
  readonly cert: string;
  readonly #name: Buffer;
  readonly #key: KeyObject;
  #serial = 0x1000;

  constructor(name: string) {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    this.#name = nameOf(name);
    this.#key = privateKey;
    const isAuthority = extension([0x55, 0x1d, 0x13], sequence(der(0x01, Buffer.from([0xff]))));
    const serial = this.#serial++;
    this.cert = this.#sign(this.#name, publicKey, { extensions: [isAuthority], serial });
  }

  issue(options: IssueOptions): Issued {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const names = [
      ...(options.email ?? []).map((value) => der(0x81, Buffer.from(value))),
      ...(options.dns ?? []).map((value) => der(0x82, Buffer.from(value))),
      ...(options.uri ?? []).map((value) => der(0x86, Buffer.from(value))),
      ...(options.ip ?? []).map((value) => der(0x87, Buffer.from(value))),
    ];
    const extensions =
      names.length === 0 ? [] : [extension([0x55, 0x1d, 0x11], sequence(...names))];
    const serial = this.#serial++;
    const { commonName, notAfter } = options;
    return {
      cert: this.#sign(nameOf(commonName), publicKey, { extensions, serial, notAfter }),
      key: privateKey.export({ type: 'sec1', format: 'pem' }).toString(),
      serialNumber: serial.toString(16).toUpperCase(),
    };
  }

  /** PEM of a list of what is revoked. */
  revoke(...certificates: readonly Issued[]): string {
    const entries = certificates.map(({ serialNumber }) =>
      sequence(integer(Number.parseInt(serialNumber, 16)), NOT_BEFORE),
    );
    const list = sequence(
      integer(1),
      ECDSA_WITH_SHA256,
      this.#name,
      NOT_BEFORE,
      NOT_AFTER,
      ...(entries.length === 0 ? [] : [sequence(...entries)]),
    );
    return pem('X509 CRL', this.#signed(list));
  }

  #sign(
    subject: Buffer,
    key: KeyObject,
    { extensions, serial, notAfter }: CertificateBody,
  ): string {
    const end = notAfter === undefined ? NOT_AFTER : der(0x17, Buffer.from(notAfter));
    const body = sequence(
      der(0xa0, integer(2)),
      integer(serial),
      ECDSA_WITH_SHA256,
      this.#name,
      sequence(NOT_BEFORE, end),
      subject,
      key.export({ type: 'spki', format: 'der' }),
      ...(extensions.length === 0 ? [] : [der(0xa3, sequence(...extensions))]),
    );
    return pem('CERTIFICATE', this.#signed(body));
  }

  #signed(body: Buffer): Buffer {
    const signature = sign('sha256', body, this.#key);
    return sequence(body, ECDSA_WITH_SHA256, der(0x03, Buffer.from([0]), signature));
  }
}

interface CertificateBody {
  readonly extensions: readonly Buffer[];
  readonly serial: number;
  readonly notAfter?: string | undefined;
}

function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const { length } = body;
  const head =
    length < 0x80
      ? [tag, length]
      : length < 0x100
        ? [tag, 0x81, length]
        : [tag, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(head), body]);
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return der(0x30, ...parts);
}

/** From 0 to 0x7fff. */
function integer(value: number): Buffer {
  return der(0x02, Buffer.from(value < 0x80 ? [value] : [value >> 8, value & 0xff]));
}

function extension(oid: readonly number[], value: Buffer): Buffer {
  return sequence(der(0x06, Buffer.from(oid)), der(0x04, value));
}

function nameOf(commonName: string | undefined): Buffer {
  if (commonName === undefined) return sequence();
  const oid = der(0x06, Buffer.from([0x55, 0x04, 0x03]));
  return sequence(der(0x31, sequence(oid, der(0x0c, Buffer.from(commonName)))));
}

function pem(label: string, bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g)!;
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

const ECDSA_WITH_SHA256 = sequence(
  der(0x06, Buffer.from([0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02])),
);
const NOT_BEFORE = der(0x17, Buffer.from('200101000000Z'));
const NOT_AFTER = der(0x17, Buffer.from('491231235959Z'));
