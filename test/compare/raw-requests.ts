// Requests as bytes on a connection of their own, and what a server makes of them: for what no gRPC
// library would send. What real etcd 3.7.1 answers, and we, stands in `raw-requests.txt`.

import { connect } from 'node:net';
import { HpackDecoder } from '../../src/grpc/hpack/index.ts';
import { http2ErrorName } from '../../src/grpc/http2/protocol.ts';
import {
  block,
  data,
  FLAG,
  FLAGS_ALL,
  FRAME,
  frame,
  headers,
  join,
  message,
  PREFACE_BYTES,
  SETTINGS,
  uint32,
} from '../../src/grpc/testing/raw-peer.fixture.ts';

type Fields = ReadonlyArray<readonly [name: string, value: string]>;

export interface RawRequest {
  readonly name: string;
  readonly bytes: Uint8Array;
}

const ANSWER_MS_MAX = 10_000;
/** A server that has sent nothing for this long waits for more of the request. */
const SILENCE_MS = 700;

/**
 * Sends the bytes after the preface and tells what became of stream 1: `served`, `served in part`,
 * `status 12: its text` with the HTTP status if it is not 200, `reset NAME`, `goaway NAME`, `closed`
 * or `open`, joined by commas.
 */
export function ask(endpoint: string, bytes: Uint8Array): Promise<string> {
  const [host, port] = endpoint.replace(/^http:\/\//, '').split(':');
  return new Promise((resolve) => {
    const answer = new Answer();
    const socket = connect(Number(port), host);
    const end = () => {
      clearTimeout(silence);
      clearTimeout(limit);
      socket.destroy();
      resolve(answer.text);
    };
    const limit = setTimeout(end, ANSWER_MS_MAX);
    let silence = setTimeout(end, ANSWER_MS_MAX);
    socket.on('connect', () => {
      socket.write(join(PREFACE_BYTES, SETTINGS, bytes));
    });
    socket.on('data', (chunk) => {
      answer.read(chunk);
      clearTimeout(silence);
      silence = setTimeout(end, answer.ended ? 50 : SILENCE_MS);
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      answer.closed();
      end();
    });
  });
}

/** Frames that concern stream 1 or the whole connection, as they come. */
class Answer {
  ended = false;
  readonly #events: string[] = [];
  readonly #decoder = new HpackDecoder(4096, 1 << 20);
  #rest: Uint8Array = new Uint8Array(0);
  #messages = 0;
  #httpStatus = '200';

  get text(): string {
    const got = this.#messages > 0 ? `open with DATA ${this.#messages}` : 'open';
    return this.#events.length === 0 ? got : this.#events.join(', ');
  }

  read(chunk: Uint8Array): void {
    this.#rest = join(this.#rest, chunk);
    while (this.#rest.length >= 9) {
      const view = new DataView(this.#rest.buffer, this.#rest.byteOffset);
      const length = view.getUint32(0) >>> 8;
      if (this.#rest.length < 9 + length) return;
      const payload = this.#rest.slice(9, 9 + length);
      this.#take(this.#rest[3]!, this.#rest[4]!, view.getUint32(5), payload);
      this.#rest = this.#rest.slice(9 + length);
    }
  }

  closed(): void {
    if (!this.ended) this.#add('closed');
  }

  #add(event: string): void {
    this.ended = true;
    this.#events.push(event);
  }

  #take(type: number, flags: number, id: number, payload: Uint8Array): void {
    if (type === FRAME.GOAWAY) this.#add(`goaway ${codeName(payload, 4)}`);
    if (id !== 1) return;
    if (type === FRAME.DATA) this.#messages++;
    // After a whole answer a reset says no more than that the rest of the request is not wanted.
    if (type === FRAME.RST_STREAM && !this.ended) this.#add(`reset ${codeName(payload, 0)}`);
    if (type === FRAME.HEADERS) this.#takeFields(payload, (flags & FLAG.END_STREAM) !== 0);
  }

  #takeFields(payload: Uint8Array, end: boolean): void {
    this.#decoder.decode(payload, 0, payload.length);
    const fields = new Map(this.#decoder.fields.map((field) => [field.name, field.value]));
    this.#httpStatus = fields.get(':status') ?? this.#httpStatus;
    if (!end) return;
    const status = fields.get('grpc-status');
    const http = this.#httpStatus === '200' ? '' : `HTTP ${this.#httpStatus}, `;
    if (status === '0' && this.#messages > 0) this.#add('served');
    else this.#add(`${http}status ${status}${textOf(fields.get('grpc-message') ?? '')}`);
  }
}

/** Go's protobuf writes a blank of one kind or the other, by chance. */
function textOf(message: string): string {
  return message === '' ? '' : `: ${message.replaceAll('%C2%A0', ' ')}`;
}

function codeName(payload: Uint8Array, at: number): string {
  const code = new DataView(payload.buffer).getUint32(at);
  return http2ErrorName(code);
}

// What is asked ------------------------------------------------------------------------------------

const RANGE: Fields = [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':path', '/etcdserverpb.KV/Range'],
  [':authority', 'a'],
  ['content-type', 'application/grpc'],
  ['te', 'trailers'],
];

type Change = readonly [name: string, value?: string];

/** `RANGE` with some fields replaced, added, or (without a value) left out. */
function fields(...changes: readonly Change[]): Fields {
  const left = new Map<string, string | undefined>(changes.map(([name, value]) => [name, value]));
  const list: (readonly [string, string])[] = [];
  for (const [name, value] of RANGE) {
    const changed = left.has(name) ? left.get(name) : value;
    left.delete(name);
    if (changed !== undefined) list.push([name, changed]);
  }
  for (const [name, value] of left) if (value !== undefined) list.push([name, value]);
  return list;
}

/** A serializable range of one key. */
const MESSAGE = message([0x0a, 1, 0x61, 0x38, 1]);
const BODY = data(1, MESSAGE);

const changed = (...changes: readonly Change[]): Uint8Array =>
  join(headers(1, fields(...changes)), BODY);

const listed = (list: Fields, body = BODY): Uint8Array => join(headers(1, list), body);

/** A block in frames of `size` bytes. */
function inFrames(list: Fields, size: number): Uint8Array {
  const bytes = block(list);
  const frames = [frame(FRAME.HEADERS, 0, 1, bytes.subarray(0, size))];
  for (let at = size; at < bytes.length; at += size) {
    const flags = at + size >= bytes.length ? FLAG.END_HEADERS : 0;
    frames.push(frame(FRAME.CONTINUATION, flags, 1, bytes.subarray(at, at + size)));
  }
  return join(...frames);
}

const large = (bytes: number): Fields => fields(['x-large', 'x'.repeat(bytes)]);

const UNARY: ReadonlyArray<readonly [name: string, bytes: Uint8Array]> = [
  ['an ordinary one', changed()],
  ['te: gzip', changed(['te', 'gzip'])],
  ['te: empty', changed(['te', ''])],
  ['no te', changed(['te'])],
  ['two te', listed([...RANGE, ['te', 'trailers']])],
  ['a blank before a value', changed(['x-a', ' b'])],
  ['a blank after a value', changed(['x-a', 'b '])],
  ['a tab around a value', changed(['x-a', '\tb\t'])],
  ['a tab inside a value', changed(['x-a', 'b\tc'])],
  ['a line feed in a value', changed(['x-a', 'b\nc'])],
  ['a NUL in a value', changed(['x-a', 'b\0c'])],
  ['a control character in a value', changed(['x-a', 'b\x01c'])],
  ['DEL in a value', changed(['x-a', 'b\x7fc'])],
  ['a byte over 127 in a value', changed(['x-a', 'b\xe4c'])],
  ['a capital in a name', changed(['x-A', 'b'])],
  ['a blank in a name', changed(['x a', 'b'])],
  ['an empty name', changed(['', 'b'])],
  ['a byte over 127 in a name', changed(['x-\xe4', 'b'])],
  ['brackets in a name', changed(['x(a)', 'b'])],
  ['no :scheme', changed([':scheme'])],
  ['an unknown :scheme', changed([':scheme', 'ftp'])],
  ['an empty :scheme', changed([':scheme', ''])],
  ['no :method', changed([':method'])],
  [':method GET', changed([':method', 'GET'])],
  [':method PUT', changed([':method', 'PUT'])],
  [':method CONNECT', changed([':method', 'CONNECT'])],
  ['an empty :method', changed([':method', ''])],
  ['no :path', changed([':path'])],
  ['an empty :path', changed([':path', ''])],
  [':path without a slash', changed([':path', 'etcdserverpb.KV/Range'])],
  [':path of one part', changed([':path', '/Range'])],
  [':path of an unknown service', changed([':path', '/a.B/C'])],
  [':path of an unknown method', changed([':path', '/etcdserverpb.KV/Nope'])],
  [':path with a query', changed([':path', '/etcdserverpb.KV/Range?a=b'])],
  ['no :authority', changed([':authority'])],
  ['an empty :authority', changed([':authority', ''])],
  ['host and no :authority', changed([':authority'], ['host', 'h'])],
  ['host and :authority', changed(['host', 'h'])],
  ['two hosts', listed([...RANGE, ['host', 'h'], ['host', 'i']])],
  ['two :authority', listed([[':authority', 'b'], ...RANGE])],
  ['two :path', listed([[':path', '/a.B/C'], ...RANGE])],
  ['two :method', listed([[':method', 'POST'], ...RANGE])],
  [':status in a request', listed([[':status', '200'], ...RANGE])],
  [':protocol in a request', listed([[':protocol', 'websocket'], ...RANGE])],
  ['an unknown pseudo-header', listed([[':nope', 'x'], ...RANGE])],
  ['a pseudo-header after a field', listed([['x-a', 'b'], ...RANGE])],
  ['no fields at all', join(frame(FRAME.HEADERS, FLAG.END_HEADERS, 1), BODY)],
  ['connection', changed(['connection', 'close'])],
  ['transfer-encoding', changed(['transfer-encoding', 'chunked'])],
  ['keep-alive', changed(['keep-alive', 'x'])],
  ['proxy-connection', changed(['proxy-connection', 'x'])],
  ['upgrade', changed(['upgrade', 'x'])],
  ['content-length that is right', changed(['content-length', String(MESSAGE.length)])],
  ['content-length too small', changed(['content-length', '1'])],
  ['content-length too large', changed(['content-length', '100'])],
  ['content-length that is no number', changed(['content-length', 'abc'])],
  [
    'content-length of a request without a body',
    headers(1, fields(['content-length', '10']), FLAGS_ALL),
  ],
  ['two content-length', listed([...RANGE, ['content-length', '1'], ['content-length', '2']])],
  ['no content-type', changed(['content-type'])],
  ['content-type application/json', changed(['content-type', 'application/json'])],
  ['content-type application/grpc+proto', changed(['content-type', 'application/grpc+proto'])],
  ['content-type application/grpc+json', changed(['content-type', 'application/grpc+json'])],
  ['content-type application/grpc;a=b', changed(['content-type', 'application/grpc;a=b'])],
  ['content-type application/grpcx', changed(['content-type', 'application/grpcx'])],
  ['content-type in capitals', changed(['content-type', 'Application/GRPC'])],
  ['two content-type', listed([...RANGE, ['content-type', 'text/html']])],
  ['grpc-timeout that is none', changed(['grpc-timeout', 'abc'])],
  ['grpc-timeout of nothing', changed(['grpc-timeout', ''])],
  ['grpc-timeout of 0', changed(['grpc-timeout', '0n'])],
  ['grpc-timeout of 1 ns', changed(['grpc-timeout', '1n'])],
  ['grpc-timeout of 1 hour', changed(['grpc-timeout', '1H'])],
  ['grpc-timeout of nine digits', changed(['grpc-timeout', '100000000S'])],
  ['grpc-encoding unknown', changed(['grpc-encoding', 'snappy'])],
  ['grpc-encoding identity', changed(['grpc-encoding', 'identity'])],
  ['malformed binary metadata', changed(['x-bin', '!'])],
  ['no message', headers(1, RANGE, FLAGS_ALL)],
  ['no message, ended by DATA', join(headers(1, RANGE), data(1, []))],
  ['two messages', listed(RANGE, data(1, join(MESSAGE, MESSAGE)))],
  ['two messages in two frames', listed(RANGE, join(data(1, MESSAGE, 0), data(1, MESSAGE)))],
  ['a message and no end', listed(RANGE, data(1, MESSAGE, 0))],
  ['a message cut off', listed(RANGE, data(1, MESSAGE.subarray(0, 7)))],
  ['a prefix cut off', listed(RANGE, data(1, [0, 0]))],
  ['a message and a cut-off one', listed(RANGE, data(1, join(MESSAGE, [0, 0])))],
  ['a message that is no request', listed(RANGE, data(1, message([0xff, 0xff])))],
  ['a compressed flag without encoding', listed(RANGE, data(1, join([1], MESSAGE.subarray(1))))],
  ['an unknown flag', listed(RANGE, data(1, join([2], MESSAGE.subarray(1))))],
  ['a message larger than allowed', listed(RANGE, data(1, join([0], uint32(4_000_000), [1])))],
  [
    'trailers after the message',
    join(headers(1, RANGE), data(1, MESSAGE, 0), headers(1, [['x-a', 'b']], FLAGS_ALL)),
  ],
  [
    'trailers with a pseudo-header',
    join(headers(1, RANGE), data(1, MESSAGE, 0), headers(1, [[':path', '/x']], FLAGS_ALL)),
  ],
  [
    'trailers without an end',
    join(headers(1, RANGE), data(1, MESSAGE, 0), headers(1, [['x-a', 'b']])),
  ],
  ['DATA after the end', join(headers(1, RANGE), BODY, BODY)],
  ['a second HEADERS after the end', join(headers(1, RANGE), BODY, headers(1, RANGE, FLAGS_ALL))],
  [
    'WINDOW_UPDATE of 0 on the stream',
    join(headers(1, RANGE), frame(FRAME.WINDOW_UPDATE, 0, 1, uint32(0)), BODY),
  ],
  ['an even stream', join(headers(2, RANGE), data(2, MESSAGE))],
  ['DATA on an idle stream', BODY],
  ['RST_STREAM on an idle stream', frame(FRAME.RST_STREAM, 0, 1, uint32(8))],
  ['CONTINUATION in 40 frames', join(inFrames(large(3_000), 80), BODY)],
  ['CONTINUATION in 4,000 frames', join(inFrames(large(20_000), 5), BODY)],
  ['metadata of 60 KB', join(inFrames(large(60_000), 16_000), BODY)],
  ['metadata of 100 KB', join(inFrames(large(100_000), 16_000), BODY)],
  ['metadata of 900 KB', join(inFrames(large(900_000), 16_000), BODY)],
  ['metadata of 5 MB', join(inFrames(large(5_000_000), 16_000), BODY)],
  [
    '2,000 fields',
    join(
      inFrames(
        [...RANGE, ...Array.from({ length: 2_000 }, (_, i) => [`x-${i}`, 'v'] as const)],
        16_000,
      ),
      BODY,
    ),
  ],
];

/** What each streaming method takes. */
const STREAMS: Readonly<Record<string, readonly number[]>> = {
  '/etcdserverpb.Watch/Watch': [0x0a, 3, 0x0a, 1, 0x61],
  '/etcdserverpb.Lease/LeaseKeepAlive': [0x08, 5],
  '/etcdserverpb.Maintenance/Snapshot': [],
  '/etcdserverpb.KV/RangeStream': [0x0a, 1, 0x61],
  '/grpc.health.v1.Health/Watch': [],
};

function streaming([path, request]: readonly [string, readonly number[]]): RawRequest[] {
  const one = message(request);
  const head = headers(1, fields([':path', path]));
  const timed = headers(1, fields([':path', path], ['grpc-timeout', '1n']));
  const cases: ReadonlyArray<readonly [string, Uint8Array]> = [
    ['a request and the end', join(head, data(1, one))],
    ['a request, then the end', join(head, data(1, one, 0), data(1, []))],
    ['a request and no end', join(head, data(1, one, 0))],
    ['no request, HEADERS end it', headers(1, fields([':path', path]), FLAGS_ALL)],
    ['no request, DATA end it', join(head, data(1, []))],
    ['two requests and the end', join(head, data(1, join(one, one)))],
    ['two requests and no end', join(head, data(1, join(one, one), 0))],
    ['a request cut off', join(head, data(1, [0, 0, 0, 0, 9, 1]))],
    ['a prefix cut off', join(head, data(1, [0, 0, 0]))],
    ['a request and a prefix cut off', join(head, data(1, join(one, [0, 0, 0])))],
    ['grpc-timeout of 1 ns', join(timed, data(1, one))],
  ];
  return cases.map(([name, bytes]) => ({ name: `${path.replace(/.*\./, '')}: ${name}`, bytes }));
}

export const RAW_REQUESTS: readonly RawRequest[] = [
  ...UNARY.map(([name, bytes]) => ({ name: `KV/Range: ${name}`, bytes })),
  ...Object.entries(STREAMS).flatMap(streaming),
];

const ASKED_AT_ONCE = 8;

/** Every request's name with what became of it. */
export async function askAll(endpoint: string): Promise<Map<string, string>> {
  const answers = new Map(RAW_REQUESTS.map(({ name }) => [name, '']));
  const left = RAW_REQUESTS.slice();
  const worker = async () => {
    for (let next = left.pop(); next !== undefined; next = left.pop()) {
      answers.set(next.name, await ask(endpoint, next.bytes));
    }
  };
  await Promise.all(Array.from({ length: ASKED_AT_ONCE }, worker));
  return answers;
}
