// A certificate authority for tests: issues certificates with any names, and revokes them. ECDSA over
// P-256 by default, for itself too; valid from 2020 to 2049 unless asked otherwise. Structures are those
// of RFC 5280, written in DER.

import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

/** Alternative names, each as its bytes in the certificate. */
export interface IssueOptions {
  readonly commonName?: string;
  readonly dns?: readonly string[];
  /** Four or sixteen bytes each. */
  readonly ip?: readonly (readonly number[])[];
  readonly uri?: readonly string[];
  readonly email?: readonly string[];
  /** What it may be used for; default: anything. */
  readonly usage?: 'server' | 'client';
  /** Its end, `YYMMDDhhmmssZ`. */
  readonly notAfter?: string;
  /** Default SHA-256. There is no MD5 with ECDSA: for an authority with RSA. */
  readonly digest?: Digest;
  /** Of the subject; default ECDSA over P-256. */
  readonly keyType?: 'rsa-2048';
}

type KeyType = 'ec' | 'rsa-2048';
type Digest = 'sha256' | 'sha1' | 'md5';

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
  readonly serialNumber: string;
  readonly #name: Buffer;
  readonly #key: KeyObject;
  #serial = 0x1000;

  /** Of its own making, or below another one. */
  constructor(name: string, above?: TestAuthority, keyType: KeyType = 'ec') {
    const { privateKey, publicKey } = keyPairOf(keyType);
    this.#name = nameOf(name);
    this.#key = privateKey;
    const isAuthority = extension([0x55, 0x1d, 0x13], sequence(der(0x01, Buffer.from([0xff]))));
    const body = { subject: this.#name, key: publicKey, extensions: [isAuthority] };
    const issuer = above ?? this;
    this.serialNumber = issuer.#serial.toString(16).toUpperCase();
    this.cert = issuer.#sign(body);
  }

  issue(options: IssueOptions): Issued {
    const isRsa = options.keyType === 'rsa-2048';
    const { privateKey, publicKey } = keyPairOf(options.keyType ?? 'ec');
    const names = [
      ...(options.email ?? []).map((value) => der(0x81, Buffer.from(value))),
      ...(options.dns ?? []).map((value) => der(0x82, Buffer.from(value))),
      ...(options.uri ?? []).map((value) => der(0x86, Buffer.from(value))),
      ...(options.ip ?? []).map((value) => der(0x87, Buffer.from(value))),
    ];
    const extensions =
      names.length === 0 ? [] : [extension([0x55, 0x1d, 0x11], sequence(...names))];
    if (options.usage !== undefined) {
      const purpose = [0x2b, 6, 1, 5, 5, 7, 3, options.usage === 'server' ? 1 : 2];
      extensions.push(extension([0x55, 0x1d, 0x25], sequence(der(0x06, Buffer.from(purpose)))));
    }
    const serial = this.#serial;
    return {
      cert: this.#sign({
        subject: nameOf(options.commonName),
        key: publicKey,
        extensions,
        notAfter: options.notAfter,
        digest: options.digest,
      }),
      key: privateKey.export({ type: isRsa ? 'pkcs1' : 'sec1', format: 'pem' }).toString(),
      serialNumber: serial.toString(16).toUpperCase(),
    };
  }

  /** PEM of a list of what is revoked; other authorities among it. */
  revoke(...certificates: readonly Pick<Issued, 'serialNumber'>[]): string {
    const entries = certificates.map(({ serialNumber }) =>
      sequence(integer(Number.parseInt(serialNumber, 16)), NOT_BEFORE),
    );
    const list = sequence(
      integer(1),
      this.#algorithm('sha256'),
      this.#name,
      NOT_BEFORE,
      NOT_AFTER,
      ...(entries.length === 0 ? [] : [sequence(...entries)]),
    );
    return pem('X509 CRL', this.#signed(list));
  }

  #sign({ subject, key, extensions, notAfter, digest }: CertificateBody): string {
    const end = notAfter === undefined ? NOT_AFTER : der(0x17, Buffer.from(notAfter));
    const body = sequence(
      der(0xa0, integer(2)),
      integer(this.#serial++),
      this.#algorithm(digest ?? 'sha256'),
      this.#name,
      sequence(NOT_BEFORE, end),
      subject,
      key.export({ type: 'spki', format: 'der' }),
      ...(extensions.length === 0 ? [] : [der(0xa3, sequence(...extensions))]),
    );
    return pem('CERTIFICATE', this.#signed(body, digest));
  }

  #signed(body: Buffer, digest: Digest = 'sha256'): Buffer {
    const signature = der(0x03, Buffer.from([0]), sign(digest, body, this.#key));
    return sequence(body, this.#algorithm(digest), signature);
  }

  #algorithm(digest: Digest): Buffer {
    const isRsa = this.#key.asymmetricKeyType === 'rsa';
    const oid = isRsa ? WITH_RSA[digest] : WITH_ECDSA[digest];
    if (oid === undefined) throw new Error(`no signatures with ECDSA and ${digest}`);
    return sequence(der(0x06, Buffer.from(oid)), ...(isRsa ? [der(0x05)] : []));
  }
}

interface CertificateBody {
  readonly subject: Buffer;
  readonly key: KeyObject;
  readonly extensions: readonly Buffer[];
  readonly notAfter?: string | undefined;
  readonly digest?: Digest | undefined;
}

function keyPairOf(keyType: KeyType) {
  return keyType === 'rsa-2048'
    ? generateKeyPairSync('rsa', { modulusLength: 2048 })
    : generateKeyPairSync('ec', { namedCurve: 'P-256' });
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

const WITH_ECDSA: Partial<Record<Digest, readonly number[]>> = {
  sha256: [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02],
  sha1: [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01],
};
const PKCS_1 = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
const WITH_RSA: Record<Digest, readonly number[]> = {
  ...{ md5: [...PKCS_1, 4], sha1: [...PKCS_1, 5], sha256: [...PKCS_1, 11] },
};
const NOT_BEFORE = der(0x17, Buffer.from('200101000000Z'));
const NOT_AFTER = der(0x17, Buffer.from('491231235959Z'));
