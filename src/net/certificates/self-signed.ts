// Certificates that vouch for themselves, as etcd's `--auto-tls` makes them: ECDSA over P-521, signed with
// SHA-512, for servers. The library that writes them is loaded when one is made.

import { KeyObject, type webcrypto } from 'node:crypto';
import { isIP, isIPv4 } from 'node:net';

interface SelfSignedOptions {
  /** Host names and IP addresses that it is for. */
  readonly hosts: readonly string[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** At most twenty unpredictable bytes. */
  readonly serialNumber: Uint8Array;
}

/** Both PEM; the key as `EC PRIVATE KEY`. */
interface SelfSigned {
  readonly cert: string;
  readonly key: string;
}

/** Object identifiers of RFC 5280. */
const OID = {
  organization: '2.5.4.10',
  keyUsage: '2.5.29.15',
  alternativeNames: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
} as const;

/** Bits of KeyUsage: digitalSignature, keyEncipherment and cRLSign, as etcd has them. */
const KEY_USAGE = 0b1010_0010;
const KEY_USAGE_UNUSED_BITS = 1;

/** Kinds of GeneralName. */
const DNS_NAME = 2;
const IP_ADDRESS = 7;

export async function createSelfSigned(options: SelfSignedOptions): Promise<SelfSigned> {
  const { Certificate, AttributeTypeAndValue, Time } = await import('pkijs');
  const { Integer, PrintableString } = await import('asn1js');
  const { privateKey, publicKey } = await keyPair();
  const certificate = new Certificate();
  certificate.version = 2;
  certificate.serialNumber = new Integer({ valueHex: positive(options.serialNumber) });
  const organization = new AttributeTypeAndValue({
    type: OID.organization,
    value: new PrintableString({ value: 'etcd' }),
  });
  certificate.issuer.typesAndValues.push(organization);
  certificate.subject.typesAndValues.push(organization);
  certificate.notBefore = new Time(timeOf(options.notBeforeMs));
  certificate.notAfter = new Time(timeOf(options.notAfterMs));
  certificate.extensions = await extensions(options.hosts);
  await certificate.subjectPublicKeyInfo.importKey(publicKey);
  await certificate.sign(privateKey, 'SHA-512');
  const der = new Uint8Array(certificate.toSchema(true).toBER(false));
  return {
    cert: pem('CERTIFICATE', der),
    key: KeyObject.from(privateKey).export({ type: 'sec1', format: 'pem' }).toString(),
  };
}

/** RFC 5280 section 4.1.2.5: two digits of the year through 2049, then four. */
function timeOf(ms: number): { readonly type: 0 | 1; readonly value: Date } {
  const value = new Date(ms);
  return { type: value.getUTCFullYear() < 2050 ? 0 : 1, value };
}

function keyPair(): Promise<webcrypto.CryptoKeyPair> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-521' };
  return crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
}

async function extensions(hosts: readonly string[]) {
  const { BasicConstraints, Extension, ExtKeyUsage, GeneralName, GeneralNames } = await import(
    'pkijs'
  );
  const { BitString, OctetString } = await import('asn1js');
  const names = hosts.map((host) =>
    isIP(host) === 0
      ? new GeneralName({ type: DNS_NAME, value: host })
      : new GeneralName({
          type: IP_ADDRESS,
          value: new OctetString({ valueHex: ipBytes(host) }),
        }),
  );
  const usage = new BitString({
    valueHex: Uint8Array.of(KEY_USAGE),
    unusedBits: KEY_USAGE_UNUSED_BITS,
  });
  const values = [
    { extnID: OID.keyUsage, critical: true, value: usage },
    {
      extnID: OID.extendedKeyUsage,
      critical: false,
      value: new ExtKeyUsage({ keyPurposes: [OID.serverAuth] }).toSchema(),
    },
    {
      extnID: OID.basicConstraints,
      critical: true,
      value: new BasicConstraints({ cA: true }).toSchema(),
    },
    {
      extnID: OID.alternativeNames,
      critical: false,
      value: new GeneralNames({ names }).toSchema(),
    },
  ];
  return values.map(
    ({ extnID, critical, value }) =>
      new Extension({ extnID, critical, extnValue: value.toBER(false) }),
  );
}

/** The same number without the bit that would make it negative; never 0. */
function positive(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const number = Uint8Array.from(bytes);
  number[0] = (number[0]! & 0x3f) | 0x40;
  return number;
}

function ipBytes(ip: string): Uint8Array<ArrayBuffer> {
  if (isIPv4(ip)) return Uint8Array.from(ip.split('.'), Number);
  const [head = '', tail] = ip.split('::');
  const groups = (text: string): number[] =>
    text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
  const before = groups(head);
  const after = groups(tail ?? '');
  const zeros = new Array<number>(8 - before.length - after.length).fill(0);
  return Uint8Array.from(
    [...before, ...zeros, ...after].flatMap((group) => [group >> 8, group & 0xff]),
  );
}

function pem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
