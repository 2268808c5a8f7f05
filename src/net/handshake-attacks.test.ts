// Hellos and certificates that no honest client sends, over real sockets: each is refused with a reason, and
// the next client is served.

import { once } from 'node:events';
import { type AddressInfo, connect as connectPlain, createServer, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket, type TlsOptions } from 'node:tls';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { Handshakes } from './handshakes.ts';
import { TestAuthority } from './testing/authority.fixture.ts';

const authority = new TestAuthority('authority');
const member = authority.issue({ commonName: 'member', dns: ['localhost'], ip: [[127, 0, 0, 1]] });
const client = authority.issue({ commonName: 'client' });
const VERIFYING: TlsOptions = {
  ...{ cert: member.cert, key: member.key, ca: authority.cert },
  ...{ requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.2' },
};
const TIMEOUT_MS = 60_000;

const failures: string[] = [];
const secured: TLSSocket[] = [];
const handshakes = new Handshakes({
  tls: { current: () => VERIFYING },
  timeoutMs: TIMEOUT_MS,
  alpn: ['h2', 'http/1.1'],
  onSecure: (socket) => {
    socket.on('error', () => {});
    secured.push(socket);
  },
  onFailure: ({ error }) => failures.push(error.message),
});
const listener = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) =>
  handshakes.begin(socket),
);
const sockets: Socket[] = [];
let port = 0;

beforeAll(async () => {
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  port = (listener.address() as AddressInfo).port;
});
afterEach(() => {
  for (const socket of [...sockets.splice(0), ...secured.splice(0)]) socket.destroy();
  failures.length = 0;
});
afterAll(() => {
  handshakes.drop();
  listener.close();
});

function opened<T extends Socket>(socket: T): T {
  socket.on('error', () => {});
  sockets.push(socket);
  return socket;
}

const secure = (options: object): TLSSocket =>
  opened(connectTls({ port, host: '127.0.0.1', ca: authority.cert, ...options }));

const UNKNOWN = 'x509: certificate signed by unknown authority';
const issue = (more: Parameters<TestAuthority['issue']>[0]) =>
  authority.issue({ commonName: 'client', ...more });

/** A handshake record that announces a hello of `length` bytes. */
function announcing(length: number): Buffer {
  const head = [0x16, 3, 1, 0x40, 0, 1, (length >> 16) & 0xff, (length >> 8) & 0xff, length & 0xff];
  return Buffer.concat([Buffer.from(head), Buffer.alloc(0x4000 - 4)]);
}

test.each<[string, RegExp, () => unknown]>([
  [
    'a certificate whose time is over',
    /certificate has expired/i,
    () => secure(issue({ notAfter: '210101000000Z' })),
  ],
  ['a certificate of its own authority', new RegExp(UNKNOWN), () => secure(selfSigned())],
  [
    'a certificate of an authority of the same name',
    /unknown authority|CERT_SIGNATURE_FAILURE/,
    () => secure(new TestAuthority('authority').issue({ commonName: 'client' })),
  ],
  [
    'a certificate signed with SHA-1',
    /failed to verify certificate/,
    () => secure({ ...issue({ digest: 'sha1' }), ciphers: 'DEFAULT@SECLEVEL=0' }),
  ],
  [
    'a certificate for servers alone',
    /unsuitable certificate purpose|INVALID_PURPOSE|incompatible key usage/i,
    () => secure(issue({ usage: 'server' })),
  ],
  ['none', /client didn't provide a certificate/, () => secure({})],
  [
    'protocols that nobody speaks here',
    /application protocol/,
    () => secure({ ...client, ALPNProtocols: ['h3', 'spdy/3.1'] }),
  ],
  [
    'a hello of sixteen megabytes',
    /excessive message size|unexpected message|length|record/i,
    () => {
      const socket = opened(connectPlain({ port, host: '127.0.0.1' }));
      for (let i = 0; i < 64; i++) socket.write(announcing(0xffffff));
    },
  ],
  [
    'an alert in place of a hello',
    /unexpected|alert|EOF|handshake/i,
    () =>
      opened(connectPlain({ port, host: '127.0.0.1' })).write(
        Buffer.from([0x15, 3, 3, 0, 2, 1, 0]),
      ),
  ],
])('%s', async (_, reason, attack) => {
  attack();
  await expect.poll(() => failures.length, { timeout: 10_000 }).toBe(1);
  expect(failures[0]).toMatch(reason);
  expect(secured).toEqual([]);
  expect(handshakes.pendingCount).toBe(0);
  const honest = secure({ ...client, ALPNProtocols: ['h2'] });
  await once(honest, 'secureConnect');
  expect(honest.alpnProtocol).toBe('h2');
  await expect.poll(() => secured.length).toBe(1);
});

/** An authority that stands for itself. */
function selfSigned(): object {
  const own = new TestAuthority('client');
  const { cert, key } = own.issue({ commonName: 'client' });
  return { cert: `${cert}${own.cert}`, key };
}
