// Connections over TLS that have shown their certificate and say nothing more: what they cost in memory.

import { readFileSync } from 'node:fs';
import { connect, createSecureContext, type TLSSocket } from 'node:tls';
import { afterEach, expect, test } from 'vitest';
import { TestAuthority } from '../../src/net/testing/authority.fixture.ts';
import { serverUnderTest } from '../helpers/member.ts';
import { describeWith, need } from '../helpers/real-etcd.ts';
import { LOOPBACK, SecureMember, securePorts } from './secure-member.ts';

const CONNECTIONS = 1_000;
const CONNECTED_AT_ONCE = 50;
/** `npm run bench -- --tls --cases idle` measures 42 of 5,000; a buffer for reads or writes is 64 more. */
const KIB_EACH_MAX = 100;
const KIB = 1024;
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0';

const ours = serverUnderTest();
const sockets: TLSSocket[] = [];
let member: SecureMember;

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await member.dispose();
});

function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * KIB;
}

describeWith('a member with a thousand idle connections', [ours], () => {
  test.skipIf(process.platform !== 'linux')(
    'pays so much for each, and serves them all',
    { timeout: 120_000 },
    async () => {
      const authority = new TestAuthority('authority');
      member = await new SecureMember('m1', await securePorts())
        .certify(authority)
        .start(need(ours));
      const { cert, key } = authority.issue({ commonName: 'client', ...LOOPBACK });
      const secureContext = createSecureContext({ ca: authority.cert, cert, key });
      let closed = 0;
      /** Resolves with the server's first frame. */
      const open = (): Promise<unknown> => {
        const where = { port: member.ports.client, host: '127.0.0.1' };
        const socket = connect({ ...where, secureContext, ALPNProtocols: ['h2'] });
        sockets.push(socket);
        socket.on('error', () => {}).once('close', () => closed++);
        socket.write(PREFACE, 'latin1');
        return new Promise((resolve) => socket.once('data', resolve));
      };
      const openAll = async (count: number): Promise<void> => {
        for (let at = 0; at < count; at += CONNECTED_AT_ONCE) {
          await Promise.all(Array.from({ length: CONNECTED_AT_ONCE }, open));
        }
      };
      // What the first ones need is not theirs: code, and the heap's first growth.
      await openAll(CONNECTIONS / 10);
      const before = residentBytes(member.pid);
      await openAll(CONNECTIONS);
      const each = (residentBytes(member.pid) - before) / CONNECTIONS / KIB;
      expect(each).toBeLessThan(KIB_EACH_MAX);
      expect(closed).toBe(0);
    },
  );
});
