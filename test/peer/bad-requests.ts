// Requests to a peer port that real etcd refuses, as bytes, and how answers are made comparable.

import { connect } from 'node:net';

export interface RawCase {
  readonly name: string;
  readonly bytes: Buffer;
}

export interface RawContext {
  readonly cluster: string;
  readonly local: string;
}

const ANSWER_TIMEOUT_MS = 10_000;

interface RequestParts {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
}

/** Every case closes its connection after the answer. */
function request(parts: RequestParts): Buffer {
  const { body = Buffer.alloc(0) } = parts;
  const headers = { Host: 'peer', ...parts.headers, Connection: 'close' };
  let head = `${parts.method ?? 'GET'} ${parts.path} HTTP/1.1\r\n`;
  for (const [name, value] of Object.entries(headers)) head += `${name}: ${value}\r\n`;
  if (body.length > 0) head += `Content-Length: ${body.length}\r\n`;
  return Buffer.concat([Buffer.from(`${head}\r\n`, 'latin1'), body]);
}

function frame(length: bigint, body = ''): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(length);
  return Buffer.concat([bytes, Buffer.from(body, 'latin1')]);
}

export function badRequests({ cluster, local }: RawContext): RawCase[] {
  const good = { ...VERSION, 'X-Etcd-Cluster-ID': cluster, 'X-Server-From': '77' };
  const cases = { ...badPosts(good), ...badStreams(good, local), ...BAD_HTTP };
  return Object.entries(cases).map(([name, bytes]) => ({ name, bytes }));
}

type Cases = Readonly<Record<string, Buffer>>;

const VERSION = { 'X-Server-Version': '3.5.0', 'X-Min-Cluster-Version': '3.0.0' };

function badPosts(good: Readonly<Record<string, string>>): Cases {
  return {
    'message by GET': request({ path: '/raft' }),
    'message without version': request({ method: 'POST', path: '/raft' }),
    'message of another cluster': request({
      method: 'POST',
      path: '/raft',
      headers: { ...good, 'X-Etcd-Cluster-ID': '1' },
    }),
    'message that is garbage': request({
      method: 'POST',
      path: '/raft',
      headers: good,
      body: Buffer.from([0xff, 0xff]),
    }),
    'snapshot by PUT': request({ method: 'PUT', path: '/raft/snapshot' }),
    'snapshot of another cluster': request({
      method: 'POST',
      path: '/raft/snapshot',
      headers: VERSION,
    }),
    'snapshot without anything': request({
      method: 'POST',
      path: '/raft/snapshot',
      headers: good,
    }),
    'snapshot cut in its length': request({
      method: 'POST',
      path: '/raft/snapshot',
      headers: good,
      body: Buffer.from([0, 0, 0]),
    }),
    'snapshot cut in its message': request({
      method: 'POST',
      path: '/raft/snapshot',
      headers: good,
      body: frame(5n, 'ab'),
    }),
    'snapshot of a wrong type': request({
      method: 'POST',
      path: '/raft/snapshot',
      headers: good,
      body: frame(2n, '\x08\x08'),
    }),
  };
}

function badStreams(good: Readonly<Record<string, string>>, local: string): Cases {
  const stranger = '/raft/stream/message/77';
  return {
    'stream by POST': request({ method: 'POST', path: stranger, headers: good }),
    'stream without version': request({ path: stranger }),
    'stream of an old release': request({
      path: stranger,
      headers: { ...good, 'X-Server-Version': '2.3.8' },
    }),
    'stream of a coming release': request({
      path: stranger,
      headers: { ...good, 'X-Server-Version': '99.1.0', 'X-Min-Cluster-Version': '99.0.0' },
    }),
    'stream of another cluster': request({
      path: stranger,
      headers: { ...good, 'X-Etcd-Cluster-ID': 'abc' },
    }),
    'stream of an unknown kind': request({ path: '/raft/stream/other/77', headers: good }),
    'stream for a bad id': request({ path: '/raft/stream/message/xyz', headers: good }),
    'stream for no id': request({ path: '/raft/stream/message/', headers: good }),
    'stream of an unknown sender': request({
      path: '/raft/stream/msgapp/77',
      headers: { ...good, 'X-Raft-To': local },
    }),
  };
}

const BAD_HTTP: Cases = {
  probe: request({ path: '/raft/probing' }),
  'unknown path': request({ path: '/raft/other' }),
  'no request': Buffer.from('garbage\r\n\r\n'),
  'no host': Buffer.from('GET /raft HTTP/1.1\r\n\r\n'),
  'HTTP/2': Buffer.from('GET /raft HTTP/2.0\r\nHost: peer\r\n\r\n'),
  'malformed header': Buffer.from('GET /raft HTTP/1.1\r\nHost: peer\r\nbad\r\n\r\n'),
  'malformed length': Buffer.from('POST /raft HTTP/1.1\r\nHost: peer\r\nContent-Length: x\r\n\r\n'),
  'unknown coding': Buffer.from(
    'POST /raft HTTP/1.1\r\nHost: peer\r\nTransfer-Encoding: gzip\r\n\r\n',
  ),
  'large head': Buffer.from(
    `GET /raft HTTP/1.1\r\nHost: peer\r\nX: ${'y'.repeat(3 << 20)}\r\n\r\n`,
  ),
  'HTTP/1.0': Buffer.from('GET /raft/probing HTTP/1.0\r\n\r\n'),
  HEAD: request({ method: 'HEAD', path: '/raft/other' }),
};

/**
 * What a server says: up to the length that it names, else until it closes the connection, which
 * real etcd does only seconds after some answers.
 */
export function ask(port: number, bytes: Buffer): Promise<string> {
  const isHead = bytes.subarray(0, 4).toString('latin1') === 'HEAD';
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect({ host: '127.0.0.1', port });
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error(`no end of the answer; so far: ${text}`));
    }, ANSWER_TIMEOUT_MS);
    socket.on('data', (piece) => {
      text += piece.toString('latin1');
      if (isWhole(text, isHead)) socket.destroy();
    });
    // A refusal of a large head may come as a reset when the server does not read the rest.
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(text);
    });
    socket.write(bytes);
  });
}

function isWhole(text: string, isHead: boolean): boolean {
  const end = text.indexOf('\r\n\r\n');
  const length = /^Content-Length: (\d+)\r$/m.exec(text);
  if (end < 0 || length === null) return false;
  return isHead || text.length >= end + 4 + Number(length[1]);
}

/** Hides what differs from one moment or release to another. */
export function comparable(answer: string): string {
  const probed = answer.includes('"Now":');
  return answer
    .replace(/^Date: .*$/m, 'Date: …')
    .replace(/^X-Server-Version: .*$/m, 'X-Server-Version: …')
    .replace(/^Content-Length: .*$/m, (line) => (probed ? 'Content-Length: …' : line))
    .replace(/"Now":"[^"]*"/, '"Now":"…"');
}
