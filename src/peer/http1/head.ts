// Heads of HTTP/1.1 messages as values, from single lines. Strict: what RFC 9112 lets a recipient
// repair is refused, since no member sends it.

import { latin1FromBytes } from '../../base/index.ts';
import { HttpFault } from './fault.ts';

/** Names in lower case; of a name that comes twice, the values joined by `, `. */
export type Headers = ReadonlyMap<string, string>;

export interface RequestHead {
  readonly method: string;
  /** Decoded, without query; of an absolute target, only its path. */
  readonly path: string;
  readonly query: string;
  /** 0 or 1, of HTTP/1.x. */
  readonly minor: number;
  readonly headers: Headers;
}

export interface AnswerHead {
  readonly status: number;
  readonly minor: number;
  readonly headers: Headers;
}

/** How many bytes follow a head: a number, or by which rule their end is found. */
export type BodyLength = number | 'chunked' | 'untilClose';

const TOKEN = /^[!#$%&'*+\-.^_`|~\dA-Za-z]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const TARGET = /^[\x21-\x7e]+$/;
const VERSION = /^HTTP\/(\d)\.(\d)$/;
const DIGITS = /^\d{1,15}$/;
const ABSOLUTE = /^http:\/\/[^/?#]+/i;

/** Adds the header of one line. */
export function addHeader(headers: Map<string, string>, line: string): void {
  const colon = line.indexOf(':');
  const name = line.slice(0, Math.max(colon, 0));
  const value = line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '');
  if (!TOKEN.test(name) || !VALUE.test(value)) throw new HttpFault(400, 'malformed header');
  const key = name.toLowerCase();
  const before = headers.get(key);
  headers.set(key, before === undefined ? value : `${before}, ${value}`);
}

export function readRequestHead(line: string, headers: Headers): RequestHead {
  const parts = line.split(' ');
  const [method, target, version] = parts;
  const match = VERSION.exec(version ?? '');
  if (parts.length !== 3 || !TOKEN.test(method!) || !TARGET.test(target!) || match === null) {
    throw new HttpFault(400, 'malformed request line');
  }
  if (match[1] !== '1' || Number(match[2]) > 1) {
    throw new HttpFault(505, 'unsupported protocol version');
  }
  const minor = Number(match[2]);
  if (minor === 1 && !headers.has('host')) throw new HttpFault(400, 'missing required Host header');
  return { method: method!, ...readTarget(target!), minor, headers };
}

function readTarget(target: string): { path: string; query: string } {
  const local = target.replace(ABSOLUTE, '') || '/';
  if (!local.startsWith('/') && local !== '*') throw new HttpFault(400, 'malformed target');
  const mark = local.indexOf('?');
  const raw = mark < 0 ? local : local.slice(0, mark);
  return { path: decodedPath(raw), query: mark < 0 ? '' : local.slice(mark + 1) };
}

function decodedPath(raw: string): string {
  if (!raw.includes('%')) return raw;
  try {
    return decodeURIComponent(raw);
  } catch {
    throw new HttpFault(400, 'malformed target');
  }
}

export function readAnswerHead(line: string, headers: Headers): AnswerHead {
  const match = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: .*)?$/.exec(line);
  if (match === null) throw new HttpFault(502, 'malformed status line');
  return { status: Number(match[2]), minor: Number(match[1]), headers };
}

export function bodyLengthOfRequest(head: RequestHead): BodyLength {
  return declaredLength(head.headers, head.minor) ?? 0;
}

/** Of the answer to a GET or a POST. */
export function bodyLengthOfAnswer(head: AnswerHead): BodyLength {
  if (head.status < 200 || head.status === 204 || head.status === 304) return 0;
  return declaredLength(head.headers, head.minor) ?? 'untilClose';
}

function declaredLength(headers: Headers, minor: number): number | 'chunked' | undefined {
  const coding = headers.get('transfer-encoding');
  const length = headers.get('content-length');
  if (coding !== undefined) {
    if (coding.toLowerCase() !== 'chunked') throw new HttpFault(501, 'unsupported encoding');
    if (length !== undefined || minor === 0) throw new HttpFault(400, 'contradicting lengths');
    return 'chunked';
  }
  if (length === undefined) return undefined;
  if (!DIGITS.test(length)) throw new HttpFault(400, 'bad Content-Length');
  return Number(length);
}

/** Whether the connection may carry another exchange after this one. */
export function keepsAlive(head: { readonly minor: number; readonly headers: Headers }): boolean {
  const options = (head.headers.get('connection') ?? '').toLowerCase().split(/[ \t]*,[ \t]*/);
  if (options.includes('close')) return false;
  return head.minor === 1 || options.includes('keep-alive');
}

/** The text of a line's bytes; header values are bytes, one char each. */
export function lineText(bytes: Uint8Array, start: number, end: number): string {
  return latin1FromBytes(bytes, start, end);
}
