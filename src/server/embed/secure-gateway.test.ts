// The JSON gateway over TLS: HTTP/1.1, HTTP/2 and WebSocket, and who counts as the user there.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import WebSocket from 'ws';
import { createMemoryDisk } from '../../env/index.ts';
import { type Issued, TestAuthority } from '../../net/testing/authority.fixture.ts';
import { startMember } from '../index.ts';

const authority = new TestAuthority('authority');
const pair = authority.issue({ commonName: 'member', dns: ['localhost'], ip: [[127, 0, 0, 1]] });
/** A user of this name may do everything. */
const root = authority.issue({ commonName: 'root' });
const nameless = authority.issue({ commonName: '' });

let folder: string;
const undo: (() => unknown)[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tetcd-gateway-'));
  writeFileSync(join(folder, 'ca.crt'), authority.cert);
  writeFileSync(join(folder, 'member.crt'), pair.cert);
  writeFileSync(join(folder, 'member.key'), pair.key);
});
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
  rmSync(folder, { recursive: true });
});

async function started(clientCertAuth: boolean): Promise<string> {
  const [cert, key, ca] = ['member.crt', 'member.key', 'ca.crt'].map((name) => join(folder, name));
  const member = await startMember({
    env: { disk: createMemoryDisk() },
    ...{ listenClientUrls: ['https://127.0.0.1:0'], listenPeerUrls: ['http://127.0.0.1:0'] },
    ...{ certFile: cert!, keyFile: key!, trustedCaFile: ca!, clientCertAuth },
    bcryptCost: 4,
  });
  undo.push(() => member.close());
  return member.clientUrls[0]!;
}

type Answer = readonly [status: number | undefined, body: string];
type Protocol = 'http/1.1' | 'h2';

interface Sent {
  readonly body?: string;
  readonly token?: string;
  readonly certificate?: Issued;
}

/** Posts by the given protocol, showing the certificate. */
function post(url: string, path: string, protocol: Protocol, sent: Sent): Promise<Answer> {
  const { body = '{}', token, certificate = pair } = sent;
  const tls = { ca: authority.cert, cert: certificate.cert, key: certificate.key };
  const headers = token === undefined ? {} : { authorization: token };
  return new Promise((resolve, reject) => {
    let text = '';
    const collect = (stream: NodeJS.ReadableStream, status: () => number | undefined): void => {
      stream.setEncoding('utf8');
      stream.on('data', (chunk: string) => {
        text += chunk;
      });
      stream.on('end', () => resolve([status(), text]));
    };
    if (protocol === 'http/1.1') {
      const options = { ...tls, headers, method: 'POST', agent: false };
      const asked = request(`${url}${path}`, options, (answer) =>
        collect(answer, () => answer.statusCode),
      );
      asked.on('error', reject).end(body);
      return;
    }
    const session = connectHttp2(url, tls).on('error', reject);
    undo.push(() => session.destroy());
    const stream = session.request({ ':method': 'POST', ':path': path, ...headers });
    let status: number | undefined;
    stream.on('response', (fields) => {
      status = fields[':status'];
    });
    collect(stream.on('error', reject), () => status);
    stream.end(body);
  });
}

/** Turns authentication on and returns root's token. */
async function withUsers(url: string, certificate: Issued): Promise<string> {
  const send = (path: string, body: string) =>
    post(url, `/v3/auth/${path}`, 'http/1.1', { body, certificate });
  for (const [path, body] of [
    ['user/add', '{"name":"root","password":"a"}'],
    ['role/add', '{"name":"root"}'],
    ['user/grant', '{"user":"root","role":"root"}'],
    ['enable', '{}'],
  ] as const) {
    expect((await send(path, body))[0]).toBe(200);
  }
  const [, text] = await send('authenticate', '{"name":"root","password":"a"}');
  return (JSON.parse(text) as { token: string }).token;
}

const PROTOCOLS: readonly Protocol[] = ['http/1.1', 'h2'];
const KEY = { body: '{"key":"Zm9v"}' };
const NOBODY: Answer = [400, '{"code":3,"message":"etcdserver: user name is empty"}'];

test.each(PROTOCOLS)(
  'without client certificates, by %s: the token is who asks',
  async (protocol) => {
    const url = await started(false);
    const token = await withUsers(url, root);
    expect(await post(url, '/v3/kv/put', protocol, { ...KEY, certificate: root })).toEqual(NOBODY);
    const [status] = await post(url, '/v3/kv/put', protocol, { ...KEY, token });
    expect(status).toBe(200);
  },
);

test.each(PROTOCOLS)(
  'with client certificates, by %s: their names are no users',
  async (protocol) => {
    const url = await started(true);
    const token = await withUsers(url, nameless);
    const ignored =
      'CommonName of client sending a request against gateway will be ignored and not used as expected\n';
    for (const path of ['/v3/kv/put', '/v3beta/kv/put', '/v3/nosuch']) {
      for (const sent of [
        { ...KEY, certificate: root },
        { ...KEY, token, certificate: root },
      ]) {
        expect(await post(url, path, protocol, sent)).toEqual([400, ignored]);
      }
    }
    expect(await post(url, '/v3/kv/put', protocol, { ...KEY, certificate: nameless })).toEqual(
      NOBODY,
    );
    const [status] = await post(url, '/v3/kv/put', protocol, {
      ...KEY,
      token,
      certificate: nameless,
    });
    expect(status).toBe(200);
  },
);

test('a watch by HTTP/2 and one by WebSocket', async () => {
  const url = await started(false);
  const tls = { ca: authority.cert, cert: pair.cert, key: pair.key };
  const create = '{"create_request":{"key":"Zm9v"}}';
  const session = connectHttp2(url, tls);
  undo.push(() => session.destroy());
  const stream = session.request({ ':method': 'POST', ':path': '/v3/watch' });
  stream.setEncoding('utf8').write(create);
  const socket = new WebSocket(`${url.replace('https', 'wss')}/v3/watch`, tls);
  undo.push(() => socket.terminate());
  socket.on('open', () => socket.send(create));
  const lines: string[][] = [[], []];
  const both = new Promise<void>((resolve) => {
    const took = (side: number, text: string): void => {
      lines[side]!.push(...text.trimEnd().split('\n'));
      if (lines.every(({ length }) => length === 1)) {
        void post(url, '/v3/kv/put', 'h2', KEY);
      } else if (lines.every(({ length }) => length === 2)) resolve();
    };
    stream.on('data', (text: string) => took(0, text));
    socket.on('message', (text) => took(1, String(text)));
  });
  await both;
  for (const [created, event] of lines as [string, string][]) {
    expect(JSON.parse(created)).toMatchObject({ result: { created: true } });
    expect(JSON.parse(event)).toMatchObject({ result: { events: [{ kv: { key: 'Zm9v' } }] } });
  }
});
