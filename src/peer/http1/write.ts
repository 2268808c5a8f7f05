// Heads and chunks as bytes, as Go's net/http writes them: the handler's headers sorted by name, then
// the server's own in a fixed order.

import { bytesFromLatin1, bytesFromUtf8, EMPTY_BYTES, writeLatin1 } from '../../base/index.ts';

const STATUS_TEXTS: Readonly<Record<number, string>> = {
  200: 'OK',
  204: 'No Content',
  301: 'Moved Permanently',
  304: 'Not Modified',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  410: 'Gone',
  412: 'Precondition Failed',
  413: 'Request Entity Too Large',
  415: 'Unsupported Media Type',
  417: 'Expectation Failed',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  505: 'HTTP Version Not Supported',
};

export interface Answer {
  readonly status: number;
  /** As sent, without Date, Content-Length, Connection and Transfer-Encoding. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** Content type that Go's server would detect from the body; written after the length. */
  readonly sniffedType?: string;
}

export const CONTINUE: Uint8Array = bytesFromLatin1('HTTP/1.1 100 Continue\r\n\r\n');
/** Most bytes that a chunk adds: eight digits and two line ends. */
export const CHUNK_OVERHEAD = 12;
/** The first of those, before the data. */
export const CHUNK_HEAD_BYTES = 10;

const PLAIN = { 'Content-Type': 'text/plain; charset=utf-8', 'X-Content-Type-Options': 'nosniff' };

/** A refusal in plain text, as Go's `http.Error`. */
export function textAnswer(
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): Answer {
  return { status, headers: { ...headers, ...PLAIN }, body: bytesFromUtf8(`${text}\n`) };
}

export function emptyAnswer(
  status: number,
  headers: Readonly<Record<string, string>> = {},
): Answer {
  return { status, headers, body: EMPTY_BYTES };
}

interface AnswerContext {
  readonly wallMs: number;
  readonly close: boolean;
  /** HTTP/1.x version of the request: a response has no newer one. */
  readonly minor: number;
  /** HEAD gets the head only. */
  readonly withoutBody: boolean;
}

/** A whole answer. */
export function answerBytes(answer: Answer, context: AnswerContext): Uint8Array {
  const { status, body } = answer;
  const bodyless = status === 204 || status === 304;
  let head = `${statusLine(status, context.minor)}${sortedHeaders(answer.headers)}${dateHeader(context.wallMs)}`;
  if (!bodyless) head += `Content-Length: ${body.length}\r\n`;
  if (answer.sniffedType !== undefined) head += `Content-Type: ${answer.sniffedType}\r\n`;
  if (context.close && context.minor > 0) head += 'Connection: close\r\n';
  head += '\r\n';
  const withBody = !bodyless && !context.withoutBody;
  const bytes = new Uint8Array(head.length + (withBody ? body.length : 0));
  const at = writeLatin1(head, bytes, 0);
  if (withBody) bytes.set(body, at);
  return bytes;
}

/** The head of an answer with a chunked body. */
export function chunkedAnswerHead(
  status: number,
  headers: Readonly<Record<string, string>>,
  wallMs: number,
): Uint8Array {
  const head =
    `${statusLine(status)}${sortedHeaders(headers)}${dateHeader(wallMs)}` +
    'Transfer-Encoding: chunked\r\n\r\n';
  return bytesFromLatin1(head);
}

/** Go's answer to input that is no request; the connection is closed after it. */
export function refusalBytes(status: number, detail: string): Uint8Array {
  const text = `${status} ${STATUS_TEXTS[status] ?? ''}`;
  const line = PUBLIC_DETAILS.has(detail) ? `${text}: ${detail}` : text;
  const body = status === 501 ? 'Unsupported transfer encoding' : line;
  return bytesFromLatin1(
    `HTTP/1.1 ${line}\r\nContent-Type: text/plain; charset=utf-8\r\n` +
      `Connection: close\r\n\r\n${body}`,
  );
}

const PUBLIC_DETAILS: ReadonlySet<string> = new Set([
  'missing required Host header',
  'unsupported protocol version',
]);

interface RequestStart {
  readonly method: string;
  readonly path: string;
  /** `host:port`, or its substitute on a Unix socket. */
  readonly host: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly bodyLength: number | 'chunked' | undefined;
  readonly close: boolean;
}

export function requestHeadBytes(start: RequestStart): Uint8Array {
  let head = `${start.method} ${start.path} HTTP/1.1\r\nHost: ${start.host}\r\nUser-Agent: tetcd\r\n`;
  if (start.bodyLength === 'chunked') head += 'Transfer-Encoding: chunked\r\n';
  else if (start.bodyLength !== undefined) head += `Content-Length: ${start.bodyLength}\r\n`;
  head += sortedHeaders(start.headers);
  if (start.close) head += 'Connection: close\r\n';
  return bytesFromLatin1(`${head}\r\n`);
}

/** The end of a chunked body with a trailer. */
export function lastChunkWith(name: string, value: string): Uint8Array {
  return bytesFromLatin1(`0\r\n${name}: ${value}\r\n\r\n`);
}

/**
 * Frames data that was written into `buffer` from `start + CHUNK_HEAD_BYTES` to `end`, with two
 * bytes of room behind it. Returns where the chunk begins; it ends at `end + 2`.
 */
export function frameChunk(buffer: Uint8Array, start: number, end: number): number {
  const digits = (end - start - CHUNK_HEAD_BYTES).toString(16);
  const from = start + CHUNK_HEAD_BYTES - 2 - digits.length;
  writeLatin1('\r\n', buffer, writeLatin1(digits, buffer, from));
  writeLatin1('\r\n', buffer, end);
  return from;
}

function statusLine(status: number, minor = 1): string {
  return `HTTP/1.${minor} ${status} ${STATUS_TEXTS[status] ?? `status code ${status}`}\r\n`;
}

function sortedHeaders(headers: Readonly<Record<string, string>>): string {
  const names = Object.keys(headers).sort();
  return names.map((name) => `${name}: ${headers[name]!.replace(/[\r\n]/g, ' ')}\r\n`).join('');
}

function dateHeader(wallMs: number): string {
  return `Date: ${new Date(wallMs).toUTCString()}\r\n`;
}
