import { once } from 'node:events';
import { type AddressInfo, connect as connectPlain, createServer, type Socket } from 'node:net';
import {
  type ConnectionOptions,
  connect as connectTls,
  Server,
  type TLSSocket,
  type TlsOptions,
} from 'node:tls';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { HandshakeFailure } from './handshake-failure.ts';
import { Handshakes } from './handshakes.ts';
import { HANDSHAKES_MAX, HANDSHAKES_PER_TURN_MAX } from './limits.ts';
import { TestAuthority } from './testing/authority.fixture.ts';
import type { ServerTls } from './tls.ts';

const authority = new TestAuthority('authority');
const member = authority.issue({ commonName: 'member', dns: ['localhost'], ip: [[127, 0, 0, 1]] });
const client = authority.issue({ commonName: 'client', dns: ['client.example'] });
const VERIFYING: TlsOptions = {
  ...{ cert: member.cert, key: member.key, ca: authority.cert },
  ...{ requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.2' },
};

const closers: (() => unknown)[] = [];
afterEach(() => {
  for (const close of closers.splice(0).reverse()) close();
});

class Port {
  readonly handshakes: Handshakes;
  readonly secured: TLSSocket[] = [];
  readonly failures: HandshakeFailure[] = [];
  received = '';
  port = 0;

  constructor(tls: TlsOptions = VERIFYING, check?: ServerTls['check'], timeoutMs = 60_000) {
    this.handshakes = new Handshakes({
      tls: { current: () => tls, ...(check === undefined ? {} : { check }) },
      timeoutMs,
      alpn: ['h2', 'http/1.1'],
      onSecure: (socket) => {
        socket.on('error', () => {});
        socket.on('data', (bytes: Buffer) => {
          this.received += bytes.toString();
        });
        this.secured.push(socket);
      },
      onFailure: (failure) => this.failures.push(failure),
    });
  }

  async open(): Promise<this> {
    const listener = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
      closers.push(() => socket.destroy());
      this.handshakes.begin(socket);
    });
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
    closers.push(() => listener.close());
    this.port = (listener.address() as AddressInfo).port;
    return this;
  }

  plain(): Socket {
    const socket = connectPlain({ port: this.port, host: '127.0.0.1', allowHalfOpen: true });
    socket.on('error', () => {});
    closers.push(() => socket.destroy());
    return socket;
  }

  secure(options: ConnectionOptions = client): TLSSocket {
    const socket = connectTls({
      port: this.port,
      host: '127.0.0.1',
      ca: authority.cert,
      ...options,
    });
    socket.on('error', () => {});
    closers.push(() => socket.destroy());
    return socket;
  }

  /** The first failure. */
  async failure(): Promise<HandshakeFailure> {
    await expect.poll(() => this.failures.length, { timeout: 10_000 }).toBe(1);
    return this.failures[0]!;
  }
}

describe('why a connection was refused, in the words of etcd', () => {
  type Act = (port: Port) => unknown;
  const send =
    (bytes: string): Act =>
    (port) =>
      port.plain().write(bytes, 'latin1');
  const NO_TLS = 'tls: first record does not look like a TLS handshake';

  test.each<[string, string, Act]>([
    ['plaintext', NO_TLS, send('GET / HTTP/1.1\r\n\r\n')],
    ['garbage', NO_TLS, send('abcdefghijkl')],
    ['an end without a byte', 'EOF', (port) => port.plain().end()],
    ['an end within the hello', 'unexpected EOF', (port) => port.plain().end('\x16\x03\x01\x02')],
    ['no certificate', "tls: client didn't provide a certificate", (port) => port.secure({})],
    [
      'an unknown authority',
      'tls: failed to verify certificate: x509: certificate signed by unknown authority',
      (port) => port.secure(new TestAuthority('elsewhere').issue({ commonName: 'client' })),
    ],
    [
      'a client that does not trust this side, and says nothing',
      'unexpected EOF',
      (port) => port.secure({ ...client, ca: [] }),
    ],
    [
      'an old version',
      'tls: client offered only unsupported versions',
      (port) => {
        const old = { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1' } as const;
        port.secure({ ...old, ciphers: 'DEFAULT@SECLEVEL=0' });
      },
    ],
    [
      'no common suite',
      'tls: no cipher suite supported by both client and server',
      (port) => port.secure({ maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' }),
    ],
  ])('%s', async (_, text, act) => {
    const port = await new Port().open();
    act(port);
    const failure = await port.failure();
    expect(failure.error.message).toBe(text);
    expect(failure.isEof).toBe(text === 'EOF');
    expect(failure.address).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(failure.certificate).toBeUndefined();
    expect(port.handshakes.pendingCount).toBe(0);
    expect(port.secured).toEqual([]);
  });

  test('the name that was asked for', async () => {
    const port = await new Port().open();
    port.secure({ servername: 'some.name' });
    expect((await port.failure()).serverName).toBe('some.name');
  });

  test('the names of a verified certificate that the check refuses', async () => {
    const refuse = (): void => {
      throw new Error('not this one');
    };
    const port = await new Port(VERIFYING, refuse).open();
    port.secure();
    const failure = await port.failure();
    expect(failure.error.message).toBe('not this one');
    expect(failure.certificate?.dnsNames).toEqual(['client.example']);
  });
});

describe('a stalled client costs nobody', () => {
  test('silence, and a hello byte by byte, end after the time', async () => {
    const port = await new Port(VERIFYING, undefined, 150).open();
    const silent = port.plain();
    const slow = port.plain();
    const drip = [...'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'];
    const more = (): void => {
      if (drip.length > 0) slow.write(drip.shift()!, 'latin1', () => setImmediate(more));
    };
    more();
    await Promise.all([once(silent, 'end'), once(slow, 'end')]);
    expect(port.failures.map(({ error }) => error.message)).toEqual(['i/o timeout', 'i/o timeout']);
    expect(port.handshakes.pendingCount).toBe(0);
  });

  test('others are served at once beside many that say nothing', async () => {
    const port = await new Port().open();
    const silent = Array.from({ length: 500 }, () => port.plain());
    await Promise.all(silent.map((socket) => once(socket, 'connect')));
    await once(port.secure(), 'secureConnect');
    await expect.poll(() => port.secured.length).toBe(1);
    expect(port.handshakes.pendingCount).toBe(500);
  });

  test('beyond the bound the oldest makes way', () => {
    const port = new Port();
    const sockets = Array.from({ length: HANDSHAKES_MAX + 1 }, () => connectPlain({ port: 1 }));
    for (const socket of sockets) {
      socket.on('error', () => {});
      port.handshakes.begin(socket);
    }
    expect(port.handshakes.pendingCount).toBe(HANDSHAKES_MAX);
    expect(port.failures.map(({ error }) => error.message)).toEqual([
      'too many handshakes under way',
    ]);
    expect(sockets.filter(({ destroyed }) => destroyed)).toEqual([sockets[0]]);
    port.handshakes.drop();
    expect(port.handshakes.pendingCount).toBe(0);
    expect(sockets.every(({ destroyed }) => destroyed)).toBe(true);
  });

  test('many at once begin a few per turn, and all of them come through', async () => {
    let turn = { begun: 0, asked: 0 };
    const turns = [turn];
    const thisTurn = (): typeof turn => {
      if (turn.begun + turn.asked === 0) setImmediate(endTurn);
      return turn;
    };
    const endTurn = (): void => {
      turn = { begun: 0, asked: 0 };
      turns.push(turn);
    };
    const emit: (this: Server, ...event: unknown[]) => boolean = Server.prototype.emit as never;
    const begin = vi.spyOn(Server.prototype, 'emit').mockImplementation(function (
      this: Server,
      ...event: unknown[]
    ) {
      if (event[0] === 'connection') thisTurn().begun++;
      return emit.apply(this, event);
    } as never);
    closers.push(() => begin.mockRestore());
    const port = await new Port().open();
    const counted = new Handshakes({
      tls: {
        current: () => {
          thisTurn().asked++;
          return VERIFYING;
        },
      },
      timeoutMs: 60_000,
      onSecure: (socket) => {
        socket.on('error', () => {});
        port.secured.push(socket);
      },
      onFailure: (failure) => port.failures.push(failure),
    });
    port.handshakes.begin = (socket) => counted.begin(socket);
    const clients = Array.from({ length: 60 }, () => port.secure());
    await Promise.all(clients.map((socket) => once(socket, 'secureConnect')));
    await expect.poll(() => port.secured.length).toBe(60);
    expect(port.failures).toEqual([]);
    expect(turns.reduce((sum, { begun }) => sum + begun, 0)).toBe(60);
    expect(Math.max(...turns.map(({ begun }) => begun))).toBeLessThanOrEqual(
      HANDSHAKES_PER_TURN_MAX,
    );
    // What looks at files does so once per turn.
    expect(Math.max(...turns.map(({ asked }) => asked))).toBe(1);
  });
});

describe('each connection is verified by itself', () => {
  test.each(['TLSv1.2', 'TLSv1.3'] as const)('no session is resumed, %s', async (maxVersion) => {
    const first = await new Port().open();
    const second = await new Port().open();
    const socket = first.secure({ ...client, maxVersion });
    const sessions: Buffer[] = [];
    socket.on('session', (session) => sessions.push(session));
    socket.resume();
    await once(socket, 'secureConnect');
    await expect.poll(() => first.secured.length).toBe(1);
    first.secured[0]!.end('bye');
    await once(socket, 'close');
    const offered = sessions.at(-1) ?? socket.getSession();
    for (const port of [first, second]) {
      const again = port.secure({ ...client, maxVersion, session: offered });
      again.resume();
      await once(again, 'secureConnect');
      expect(again.isSessionReused()).toBe(false);
      // Nor does the session stand for the certificate that is missing now.
      const bare = port.secure({ maxVersion, session: offered });
      bare.resume();
      await new Promise((resolve) => bare.once('close', resolve));
    }
    await expect.poll(() => second.secured.length).toBe(1);
    expect(first.secured).toHaveLength(2);
    const text = "tls: client didn't provide a certificate";
    expect([...first.failures, ...second.failures].map(({ error }) => error.message)).toEqual([
      text,
      text,
    ]);
  });

  test('and cannot begin another handshake', async () => {
    const port = await new Port().open();
    const socket = port.secure({ ...client, maxVersion: 'TLSv1.2' });
    await once(socket, 'secureConnect');
    const refused = new Promise<Error | null>((resolve) => {
      socket.once('error', resolve);
      socket.renegotiate({}, resolve);
    });
    expect((await refused)?.message).toMatch(/no renegotiation/);
  });
});

describe('a check that takes its time', () => {
  test('accepts, and nothing that was sent meanwhile is lost', async () => {
    let decide = (): void => {};
    const checked = new Promise<void>((resolve) => {
      decide = resolve;
    });
    const port = await new Port(VERIFYING, () => checked).open();
    const socket = port.secure();
    await once(socket, 'secureConnect');
    socket.write('hello');
    await expect.poll(() => port.handshakes.pendingCount).toBe(1);
    expect(port.secured).toEqual([]);
    decide();
    await expect.poll(() => port.received).toBe('hello');
    expect(port.secured).toHaveLength(1);
  });

  test('refuses', async () => {
    const port = await new Port(VERIFYING, async () => {
      throw new Error('no such host');
    }).open();
    const socket = port.secure();
    await once(socket, 'close');
    expect((await port.failure()).error.message).toBe('no such host');
    expect(port.secured).toEqual([]);
  });

  test('is given up with its connection, and after the time', async () => {
    const closed: boolean[] = [];
    const never: ServerTls['check'] = (connection) => {
      closed.push(connection.closed);
      return new Promise(() => {});
    };
    const port = await new Port(VERIFYING, never, 300).open();
    const leaving = port.secure();
    await once(leaving, 'secureConnect');
    await expect.poll(() => closed.length).toBe(1);
    leaving.destroy();
    await port.failure();
    const waiting = port.secure();
    await once(waiting, 'close');
    expect(port.failures.map(({ error }) => error.message)).toEqual([
      'unexpected EOF',
      'i/o timeout',
    ]);
    expect(port.secured).toEqual([]);
  });
});

test('a half that ended is not the end of the connection once it is secured', async () => {
  const port = await new Port({ cert: member.cert, key: member.key }).open();
  const socket = connectTls({
    ...{ port: port.port, host: '127.0.0.1', ca: authority.cert, allowHalfOpen: true },
  });
  await once(socket, 'secureConnect');
  await expect.poll(() => port.secured.length).toBe(1);
  const ended = once(port.secured[0]!, 'end');
  socket.end('request');
  await ended;
  port.secured[0]!.end('answer');
  const [bytes] = (await once(socket, 'data')) as [Buffer];
  expect(bytes.toString()).toBe('answer');
});
