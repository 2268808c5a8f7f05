// What of an HTTP request goes with the call: metadata and the deadline, as grpc-gateway takes them over.
//
//   Authorization: T          authorization: T            the token, with or without `Bearer`
//   Grpc-Metadata-Name: V     name: V                     anything, such as hasleader
//   Accept: V                 grpcgateway-accept: V       and other fields that IANA lists
//   Grpc-Timeout: 5S          the deadline
//
// The certificate of a TLS connection does not go with it: a call that comes through the gateway is made
// by the user of its token, or by nobody (CVE-2018-16886).

import type { IncomingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import {
  base64ErrorAt,
  decodeBinaryValue,
  encodeBinaryValue,
  PairMetadata,
  STATUS,
} from '../grpc/index.ts';
import type { LocalContext, RpcStatus } from '../rpc/index.ts';

const METADATA_PREFIX = 'grpc-metadata-';

/** Fields that IANA lists as permanent; they become metadata with a prefix. */
const PERMANENT: ReadonlySet<string> = new Set([
  ...['accept', 'accept-charset', 'accept-language', 'accept-ranges', 'authorization'],
  ...['cache-control', 'content-type', 'cookie', 'date', 'expect', 'from', 'host', 'if-match'],
  ...['if-modified-since', 'if-none-match', 'if-schedule-tag-match', 'if-unmodified-since'],
  ...['max-forwards', 'origin', 'pragma', 'referer', 'user-agent', 'via', 'warning'],
]);

/** What gRPC sets by itself; metadata of these names is left out. */
const RESERVED: ReadonlySet<string> = new Set([
  ...['content-type', 'user-agent', 'te', 'grpc-timeout', 'grpc-encoding'],
  ...['grpc-status', 'grpc-message', 'grpc-message-type'],
]);

const NAME = /^[0-9a-z_.-]+$/;
const TEXT = /^[\x20-\x7e]*$/;

const UNIT_NS: Readonly<Record<string, bigint>> = {
  ...{ H: 3_600_000_000_000n, M: 60_000_000_000n, S: 1_000_000_000n },
  ...{ m: 1_000_000n, u: 1_000n, n: 1n },
};

/** What is looked at of a request. */
export interface RequestHead {
  readonly headers: IncomingHttpHeaders;
  /** Names and values in turn. */
  readonly rawHeaders: readonly string[];
  readonly socket: Socket;
}

/** The context of the call that a request asks for, or why there is none. */
export function contextOf(request: RequestHead, nowMs: number): LocalContext | RpcStatus {
  const timeout = request.headers['grpc-timeout'];
  const timeoutMs = typeof timeout === 'string' && timeout !== '' ? timeoutMsOf(timeout) : 0;
  if (timeoutMs === undefined) return invalid(`invalid grpc-timeout: ${timeout}`);
  const pairs: (readonly [string, string])[] = [];
  const { rawHeaders } = request;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const problem = addPairs(pairs, rawHeaders[i]!.toLowerCase(), rawHeaders[i + 1]!);
    if (problem !== undefined) return invalid(problem);
  }
  addForwarded(pairs, request);
  const { remoteAddress = '', remotePort = 0 } = request.socket;
  const address = remotePort === 0 ? '@' : joinedHostPort(remoteAddress, remotePort);
  const encrypted = 'encrypted' in request.socket && request.socket.encrypted === true;
  return {
    peer: { address, encrypted, certificate: undefined },
    metadata: new PairMetadata(pairs),
    deadlineMs: timeoutMs === 0 ? Number.POSITIVE_INFINITY : nowMs + timeoutMs,
    caller: undefined,
  };
}

/** Adds what a header field becomes; returns why it cannot be taken. */
function addPairs(
  pairs: (readonly [string, string])[],
  field: string,
  value: string,
): string | undefined {
  if (field === 'authorization') pairs.push([field, value]);
  const name = metadataName(field);
  if (name === undefined || !NAME.test(name) || RESERVED.has(name)) return undefined;
  if (name.endsWith('-bin')) {
    const bytes = decodeBinaryValue(value);
    if (bytes === undefined) {
      const problem = `illegal base64 data at input byte ${base64ErrorAt(value)}`;
      return `invalid binary header ${canonicalName(field)}: ${problem}`;
    }
    pairs.push([name, encodeBinaryValue(bytes)]);
  } else if (TEXT.test(value)) pairs.push([name, value]);
  return undefined;
}

function metadataName(field: string): string | undefined {
  if (PERMANENT.has(field)) return `grpcgateway-${field}`;
  return field.startsWith(METADATA_PREFIX) ? field.slice(METADATA_PREFIX.length) : undefined;
}

function addForwarded(pairs: (readonly [string, string])[], request: RequestHead): void {
  const { headers, socket } = request;
  const host = headers['x-forwarded-host'] ?? headers.host;
  if (typeof host === 'string' && host !== '') pairs.push(['x-forwarded-host', host]);
  const before = headers['x-forwarded-for'];
  const addresses = [before, socket.remoteAddress].filter((one) => typeof one === 'string');
  if (addresses.length > 0) pairs.push(['x-forwarded-for', addresses.join(', ')]);
}

/** 0 for none; undefined if it is no timeout. May be negative, as Go's is. */
function timeoutMsOf(text: string): number | undefined {
  const unit = UNIT_NS[text.charAt(text.length - 1)];
  const count = text.slice(0, -1);
  if (unit === undefined || !/^[+-]?\d+$/.test(count)) return undefined;
  const value = BigInt(count.replace('+', ''));
  if (BigInt.asIntN(64, value) !== value) return undefined;
  return Number(BigInt.asIntN(64, value * unit)) / 1e6;
}

/** As Go writes the name of a field: `Grpc-Metadata-Name`. */
function canonicalName(field: string): string {
  return field.replace(/(?:^|-)[a-z]/g, (letter) => letter.toUpperCase());
}

function joinedHostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function invalid(message: string): RpcStatus {
  return { status: STATUS.INVALID_ARGUMENT, message };
}
