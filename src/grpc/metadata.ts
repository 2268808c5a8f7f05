// Metadata of calls: header fields that are neither pseudo-headers nor gRPC's own. Names are lower
// case; a name that ends in `-bin` carries bytes, base64 on the wire; other values are printable
// ASCII (we are lenient and hold one char per byte).

import { bytesFromLatin1, EMPTY_BYTES, ERROR_CODES, TetcdError } from '../base/index.ts';

/** Text, or bytes for a name that ends in `-bin`. */
export type MetadataValue = string | Uint8Array;

/** Metadata to send: plain object, name to value or values. */
export type MetadataInit = Readonly<Record<string, MetadataValue | readonly MetadataValue[]>>;

/** Received metadata, immutable. Names are in lower case. */
export interface Metadata {
  /** The first value of `name` (lower case), as text; undefined if absent. */
  get(name: string): string | undefined;
  /** All values of `name`, in order. */
  getAll(name: string): readonly string[];
  /** The first value of a `-bin` name, decoded; owned by the caller. */
  getBytes(name: string): Uint8Array | undefined;
  /** Every field in order, values as on the wire. */
  entries(): ReadonlyArray<readonly [name: string, value: string]>;
}

/** Metadata over pairs that are already decoded. */
export class PairMetadata implements Metadata {
  readonly #pairs: ReadonlyArray<readonly [string, string]>;

  constructor(pairs: ReadonlyArray<readonly [string, string]>) {
    this.#pairs = pairs;
  }

  get(name: string): string | undefined {
    for (const pair of this.#pairs) if (pair[0] === name) return pair[1];
    return undefined;
  }

  getAll(name: string): readonly string[] {
    return this.#pairs.filter((pair) => pair[0] === name).map((pair) => pair[1]);
  }

  getBytes(name: string): Uint8Array | undefined {
    const text = this.get(name);
    if (text === undefined) return undefined;
    return decodeBinaryValue(text);
  }

  entries(): ReadonlyArray<readonly [string, string]> {
    return this.#pairs;
  }
}

/** Metadata without fields; shared and immutable. */
export const EMPTY_METADATA: Metadata = new PairMetadata([]);

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

/** Base64 with or without padding; undefined if it is neither. */
export function decodeBinaryValue(text: string): Uint8Array | undefined {
  if (text === '') return EMPTY_BYTES;
  if (!BASE64.test(text)) return undefined;
  const padded = text.endsWith('=');
  if (padded ? text.length % 4 !== 0 : text.length % 4 === 1) return undefined;
  return new Uint8Array(Buffer.from(text, 'base64'));
}

/** The offset at which Go's base64 decoder fails, for its error message. */
export function base64ErrorAt(text: string): number {
  const at = text.search(/[^A-Za-z0-9+/]/);
  if (at < 0) return text.length - 1;
  // Only a text whose length is a multiple of four may have padding.
  if (text.charAt(at) !== '=' || text.length % 4 !== 0) return at;
  if (at % 4 === 3) return at + 1;
  return at % 4 === 2 && text.charAt(at + 1) === '=' ? at + 2 : at;
}

/** Base64 without padding, as gRPC sends it. */
export function encodeBinaryValue(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');
  return text.replace(/=+$/, '');
}

const NAME = /^[0-9a-z_.-]+$/;
const TEXT = /^[\x20-\x7e]*$/;

/** The fields that the transport sets; metadata may not carry them. */
const RESERVED: ReadonlySet<string> = new Set([
  'content-type',
  'te',
  'user-agent',
  'grpc-timeout',
  'grpc-encoding',
  'grpc-status',
  'grpc-message',
  'grpc-message-type',
  'connection',
  'host',
  'transfer-encoding',
  'upgrade',
  'keep-alive',
  'proxy-connection',
  'content-length',
]);

/** The pairs to put on the wire. INVALID_ARGUMENT if a name or value may not be sent. */
export function pairsFromInit(init: MetadataInit): Array<readonly [string, string]> {
  const pairs: Array<readonly [string, string]> = [];
  for (const [name, given] of Object.entries(init)) {
    const values = isList(given) ? given : [given];
    for (const value of values) pairs.push([name, wireValue(name, value)]);
  }
  return pairs;
}

function isList(
  given: MetadataValue | readonly MetadataValue[],
): given is readonly MetadataValue[] {
  return Array.isArray(given);
}

function wireValue(name: string, value: MetadataValue): string {
  if (!NAME.test(name)) throw invalid(`metadata name ${JSON.stringify(name)} is not allowed`);
  if (RESERVED.has(name)) throw invalid(`metadata name ${name} is reserved`);
  if (name.endsWith('-bin')) {
    return encodeBinaryValue(typeof value === 'string' ? bytesFromLatin1(value) : value);
  }
  if (typeof value !== 'string') throw invalid(`metadata ${name} takes text, not bytes`);
  if (!TEXT.test(value)) throw invalid(`metadata ${name} has a value that is not printable ASCII`);
  return value;
}

function invalid(text: string): TetcdError {
  return new TetcdError(ERROR_CODES.INVALID_ARGUMENT, text);
}
