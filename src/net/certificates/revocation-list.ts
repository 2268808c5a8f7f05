// Certificate revocation lists (RFC 5280 section 5), PEM or DER. As in etcd, what counts is the serial
// numbers: neither the issuer nor the signature nor the age of the list.
//
//     CertificateList ::= SEQUENCE {
//       tbsCertList SEQUENCE { version INTEGER OPTIONAL, signature SEQUENCE, issuer Name, thisUpdate Time,
//         nextUpdate Time OPTIONAL, revokedCertificates SEQUENCE OF SEQUENCE {
//           userCertificate INTEGER, revocationDate Time, ... } OPTIONAL, crlExtensions [0] OPTIONAL },
//       signatureAlgorithm SEQUENCE, signatureValue BIT STRING }
//
// Read in place: a list of a hundred thousand takes a tenth of a second, where a library's tree of objects
// took six, of the one thread that also sends heartbeats (docs/decisions/0018-certificates.md).

import { latin1FromBytes } from '../../base/index.ts';

export interface RevocationList {
  /** As {@link serialKey} gives them. */
  readonly serialNumbers: ReadonlySet<string>;
  /** When the next list is due, in milliseconds since the Unix epoch; undefined if it does not say. */
  readonly nextUpdateMs: number | undefined;
}

const INTEGER = 0x02;
const BIT_STRING = 0x03;
const UTC_TIME = 0x17;
const GENERALIZED_TIME = 0x18;
const SEQUENCE = 0x30;
const EXTENSIONS = 0xa0;

/** One key per serial number: its bytes, as chars. From hexadecimal digits of either case. */
export function serialKey(hexadecimal: string): string {
  const digits = hexadecimal.replace(/^0+/, '');
  const whole = digits.length % 2 === 0 ? digits : `0${digits}`;
  return Buffer.from(whole, 'hex').toString('latin1');
}

const PEM = /-----BEGIN X509 CRL-----([A-Za-z\d+/=\s]*)-----END X509 CRL-----/g;

/** Throws an Error that says what is wrong; several lists of a PEM file count as one. */
export function readRevocationList(file: Uint8Array): RevocationList {
  const serialNumbers = new Set<string>();
  let nextUpdateMs: number | undefined;
  for (const list of file[0] === SEQUENCE ? [file] : pemBodies(file)) {
    const dueMs = readList(list, serialNumbers);
    if (dueMs !== undefined) nextUpdateMs = Math.min(nextUpdateMs ?? dueMs, dueMs);
  }
  return { serialNumbers, nextUpdateMs };
}

function pemBodies(file: Uint8Array): Uint8Array[] {
  const found = [...latin1FromBytes(file).matchAll(PEM)];
  if (found.length === 0) throw new Error('x509: malformed revocation list: neither PEM nor DER');
  return found.map((match) => Buffer.from(match[1]!, 'base64'));
}

/** Adds the serial numbers; when the next list is due, if it says so. */
function readList(der: Uint8Array, serialNumbers: Set<string>): number | undefined {
  const file = new DerReader(der, 0, der.length);
  const list = file.enter(SEQUENCE);
  file.end();
  const body = list.enter(SEQUENCE);
  list.enter(SEQUENCE);
  list.enter(BIT_STRING);
  list.end();
  if (body.tag === INTEGER) body.enter(INTEGER);
  body.enter(SEQUENCE);
  body.enter(SEQUENCE);
  readTime(body);
  const nextUpdateMs = body.tag === undefined || body.tag >= SEQUENCE ? undefined : readTime(body);
  if (body.tag === SEQUENCE) {
    const entries = body.enter(SEQUENCE);
    while (entries.tag !== undefined) serialNumbers.add(entries.serialOfEntry());
  }
  if (body.tag === EXTENSIONS) body.enter(EXTENSIONS);
  body.end();
  return nextUpdateMs;
}

const TIME = /^(\d{2}|\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/;

function readTime(reader: DerReader): number {
  const isShort = reader.tag === UTC_TIME;
  const text = reader.enter(isShort ? UTC_TIME : GENERALIZED_TIME).text();
  const match = TIME.exec(text);
  if (match === null || (match[1]!.length === 2) !== isShort) throw malformed('a time');
  const [year, month, day, hour, minute, second] = match.slice(1).map(Number) as number[];
  // RFC 5280 section 4.1.2.5.1: two digits are the years 1950 to 2049.
  const fullYear = isShort ? year! + (year! < 50 ? 2000 : 1900) : year!;
  return Date.UTC(fullYear, month! - 1, day, hour, minute, second);
}

/** Elements of DER, one after the other. */
class DerReader {
  readonly #bytes: Uint8Array;
  readonly #to: number;
  #at: number;
  /** Of the element that was opened last. */
  #end = 0;

  constructor(bytes: Uint8Array, from: number, to: number) {
    this.#bytes = bytes;
    this.#at = from;
    this.#to = to;
  }

  /** Of the next element; undefined at the end. */
  get tag(): number | undefined {
    return this.#at < this.#to ? this.#bytes[this.#at] : undefined;
  }

  /** What is inside the next element, which is passed over. */
  enter(tag: number): DerReader {
    const from = this.#open(tag, this.#to);
    const to = this.#end;
    this.#at = to;
    return new DerReader(this.#bytes, from, to);
  }

  /** Of the next entry, which is passed over. No object per entry: there may be a million. */
  serialOfEntry(): string {
    this.#at = this.#open(SEQUENCE, this.#to);
    const entryEnd = this.#end;
    let from = this.#open(INTEGER, entryEnd);
    const to = this.#end;
    this.#at = to;
    this.#open(this.tag === UTC_TIME ? UTC_TIME : GENERALIZED_TIME, entryEnd);
    this.#at = entryEnd;
    while (from < to && this.#bytes[from] === 0) from++;
    return latin1FromBytes(this.#bytes, from, to);
  }

  /** Where the content of the next element begins; its end is put into `#end`, at most `limit`. */
  #open(tag: number, limit: number): number {
    let at = this.#at;
    if (at >= limit || this.#bytes[at] !== tag) throw malformed(`tag ${tag.toString(16)}`);
    let length = this.#bytes[++at] ?? 0x80;
    at++;
    if (length >= 0x80) {
      const count = length & 0x7f;
      if (count === 0 || count > 4 || at + count > limit) throw malformed('a length');
      length = 0;
      for (let i = 0; i < count; i++) length = length * 256 + this.#bytes[at++]!;
    }
    if (at + length > limit) throw malformed('a length');
    this.#end = at + length;
    return at;
  }

  end(): void {
    if (this.#at !== this.#to) throw malformed('an end');
  }

  text(): string {
    return latin1FromBytes(this.#bytes, this.#at, this.#to);
  }
}

function malformed(expected: string): Error {
  return new Error(`x509: malformed revocation list: expected ${expected}`);
}
