// Certificates as users: one member that asks clients for certificates, its users, and who passes for them.
// Real etcd answers the same.

import { request } from 'node:https';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  data,
  FRAME,
  request as fieldsOf,
  HTTP2_ERROR,
  headers,
  join as joined,
  message,
  PREFACE_BYTES,
  reset,
  SETTINGS,
} from '../../src/grpc/testing/raw-peer.fixture.ts';
import { type Issued, TestAuthority } from '../../src/net/testing/authority.fixture.ts';
import { httpsGet } from '../helpers/https-get.ts';
import { type Program, realProgram, serverUnderTest } from '../helpers/member.ts';
import { describeWith, type Found, need, realEtcd } from '../helpers/real-etcd.ts';
import { etcdctl, LOOPBACK, Pem, SecureMember, securePorts } from './secure-member.ts';

const ours = serverUnderTest();
const tools = realEtcd('3.5');
const real = realEtcd('3.7');
const authority = new TestAuthority('authority');

/** Clients by what their certificates say; `nameless` has no common name. */
const NAMES = ['root', 'uma', 'stranger', '__proto__'] as const;
const CLIENTS: Readonly<Record<string, Issued>> = Object.fromEntries([
  ...NAMES.map((commonName) => [commonName, authority.issue({ commonName, ...LOOPBACK })]),
  ['nameless', authority.issue({ ...LOOPBACK })],
]);

const DENIED = 'etcdserver: permission denied';
const FAILED = 'etcdserver: authentication failed, invalid user ID or password';

/** `client` and what it says of itself besides; what becomes of a command. */
const COMMANDS: readonly (readonly [client: string, args: string, outcome: string])[] = [
  ['root', 'get a', 'a'],
  ['root', 'user list', 'root\numa'],
  ['uma', 'get k', 'k'],
  ['uma', 'get a', DENIED],
  ['uma', 'user list', DENIED],
  ['stranger', 'get k', DENIED],
  ['__proto__', 'get k', DENIED],
  ['nameless', 'get k', DENIED],
  // A password counts, whatever the certificate says; a wrong one is not made up for by it.
  ['uma', '--user=root:secret get a', 'a'],
  ['root', '--user=uma:um get a', DENIED],
  ['root', '--user=uma:um get k', 'k'],
  ['nameless', '--user=uma:um get k', 'k'],
  ['root', '--user=uma:wrong get k', FAILED],
  ['root', '--user=root:wrong get a', FAILED],
];

/** Status and body of a read through the gateway. */
function askGateway(
  port: number,
  { cert, key }: Issued,
  fields: Readonly<Record<string, string>> = { accept: '*/*' },
): Promise<string> {
  return new Promise((resolve, reject) => {
    const tls = { ca: authority.cert, cert, key, agent: false };
    const options = { host: '127.0.0.1', port, path: '/v3/kv/range', method: 'POST', ...tls };
    const asked = request({ ...options, headers: fields }, (response) => {
      let body = `${response.statusCode} `;
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.on('end', () =>
        resolve(
          body
            .trim()
            .replace(/": ?"?/g, '":')
            .replace(/, /g, ','),
        ),
      );
    });
    asked.on('error', reject).end('{"key":"aw=="}');
  });
}

const servers: readonly (readonly [name: string, Found<unknown>, () => Program])[] = [
  ['tetcd', ours, () => need(ours)],
  ['etcd 3.7', real, () => realProgram(need(real))],
];

for (const [name, found, program] of servers) {
  describeWith(`certificates as users of ${name}`, [found, tools], () => {
    let member: SecureMember;
    const pems = new Map<string, Pem>();

    const run = async (client: string, args: string): Promise<string> => {
      const words = args.split(' ');
      const { code, stdout, stderr } = await etcdctl(
        need(tools).etcdctl,
        member.clientUrl,
        pems.get(client)!,
        words,
      );
      if (code === 0) return stdout.trim();
      return (
        /Error: (.*)|"error":"[^"]*desc = (.*?)"/.exec(stderr)?.slice(1).find(Boolean) ?? stderr
      );
    };

    beforeAll(async () => {
      member = new SecureMember('m1', await securePorts()).certify(authority);
      // A server whose own certificate has the name of the administrator.
      member.pem.putPair('server', authority.issue({ commonName: 'root', ...LOOPBACK }));
      for (const [client, pair] of Object.entries(CLIENTS)) {
        const pem = new Pem(join(member.root, `of ${client}`));
        pem.putPair('client', pair);
        pem.put('ca.crt', authority.cert);
        pems.set(client, pem);
      }
      await member.start(program(), [...member.flags(), '--bcrypt-cost=4']);
      for (const args of [
        ...['put a v', 'put k v', 'user add root:secret', 'user add uma:um', 'role add k'],
        ...['role grant-permission k readwrite k', 'user grant-role uma k'],
        ...['user grant-role root root', 'auth enable'],
      ]) {
        expect(await run('root', args)).not.toMatch(/Error|desc =/);
      }
    });
    afterAll(() => member.dispose());

    test('who may do what', { timeout: 60_000 }, async () => {
      const outcomes = [];
      for (const [client, args] of COMMANDS) {
        const text = await run(client, args);
        outcomes.push([client, args, text.replace(/\nv$/, '').replace(/^.*desc = /, '')]);
      }
      expect(outcomes).toEqual(COMMANDS);
    });

    test('CVE-2018-16886: not through the gateway, whoever asks and whatever the server is', async () => {
      const { client: port } = member.ports;
      const ignored =
        '400 CommonName of client sending a request against gateway will be ignored and not used ' +
        'as expected';
      for (const client of NAMES) {
        expect([client, await askGateway(port, CLIENTS[client]!)]).toEqual([client, ignored]);
      }
      const nobody = /^400 \{.*"message":etcdserver: user name is empty/;
      expect(await askGateway(port, CLIENTS['nameless']!)).toMatch(nobody);
      // Real etcd knows requests of its gateway by what becomes of this field, and takes others for its own.
      const without = await askGateway(port, CLIENTS['nameless']!, {});
      if (found === ours) expect(without).toMatch(nobody);
      else expect(without).toMatch(/^200 \{.*"value":dg==/);
    });

    if (found !== ours) return;
    test('CVE-2023-44487: a flood of resets over TLS ends its connection, and nobody else', async () => {
      const { cert, key } = CLIENTS['uma']!;
      const tls = { ca: authority.cert, cert, key };
      const { client: port } = member.ports;
      const socket = connect({ host: '127.0.0.1', port, ALPNProtocols: ['h2'], ...tls });
      socket.on('error', () => {});
      const closed = new Promise((resolve) => socket.once('close', resolve));
      await new Promise((resolve) => socket.once('secureConnect', resolve));
      expect(socket.alpnProtocol).toBe('h2');
      let received = Buffer.alloc(0);
      socket.on('data', (bytes: Buffer) => {
        received = Buffer.concat([received, bytes]);
      });
      socket.write(joined(PREFACE_BYTES, SETTINGS));
      const watch = fieldsOf([':path', '/etcdserverpb.Watch/Watch']);
      for (let i = 0; i < 5_000 && !socket.destroyed; i++) {
        const id = 2 * i + 1;
        socket.write(joined(headers(id, watch), data(id, message([]), 0), reset(id, 8)));
      }
      await closed;
      const goAway = received.indexOf(Buffer.from([FRAME.GOAWAY, 0, 0, 0, 0, 0]));
      expect(received.readUInt32BE(goAway + 10)).toBe(HTTP2_ERROR.ENHANCE_YOUR_CALM);
      expect((await httpsGet(port, '/health', tls)).status).toBe(200);
    });
  });
}
