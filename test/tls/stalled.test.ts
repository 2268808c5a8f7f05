// Connections that never finish their handshake, at every port: others are served, and they are closed.

import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { TestAuthority } from '../../src/net/testing/authority.fixture.ts';
import { httpsGet } from '../helpers/https-get.ts';
import { serverUnderTest } from '../helpers/member.ts';
import { describeWith, need } from '../helpers/real-etcd.ts';
import { LOOPBACK, SecureMember, securePorts } from './secure-member.ts';

const SILENT = { client: 5_000, peer: 1_000, metrics: 1_000 } as const;
const CONNECTED_AT_ONCE = 200;
const HALF_A_HELLO = '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03';
const MIB = 1024 * 1024;

const ours = serverUnderTest();
const sockets: Socket[] = [];
let member: SecureMember;

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await member.dispose();
});

/** Resolves when all are connected; each counts itself in `closed` when the other side hangs up. */
async function connectSilently(
  port: number,
  count: number,
  closed: { count: number },
): Promise<void> {
  for (let first = 0; first < count; first += CONNECTED_AT_ONCE) {
    const batch = Array.from({ length: Math.min(CONNECTED_AT_ONCE, count - first) }, () => {
      const socket = connect(port, '127.0.0.1');
      sockets.push(socket);
      socket.on('error', () => {});
      socket.once('close', () => closed.count++);
      return new Promise((resolve) => socket.once('connect', resolve));
    });
    await Promise.all(batch);
  }
}

function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024;
}

describeWith(
  'GHSA-6vch-q96h-7gc3 (2e07efce9): thousands of connections without a handshake',
  [ours],
  () => {
    test.skipIf(process.platform !== 'linux')('cost little, and nobody else anything', async () => {
      const authority = new TestAuthority('authority');
      member = await new SecureMember('m1', await securePorts())
        .certify(authority)
        .start(need(ours));
      const { cert, key } = authority.issue({ commonName: 'client', ...LOOPBACK });
      const tls = { ca: authority.cert, cert, key };
      const { ports } = member;
      const before = residentBytes(member.pid);
      const closed = { count: 0 };
      for (const name of ['client', 'peer', 'metrics'] as const) {
        await connectSilently(ports[name], SILENT[name], closed);
      }
      for (const socket of sockets.slice(0, 500)) socket.write(HALF_A_HELLO, 'latin1');
      const startedMs = performance.now();
      expect((await httpsGet(ports.client, '/health', tls)).status).toBe(200);
      expect((await httpsGet(ports.peer, '/members', tls)).status).toBe(200);
      expect((await httpsGet(ports.metrics, '/health', tls)).status).toBe(200);
      expect(performance.now() - startedMs).toBeLessThan(3_000);
      expect(residentBytes(member.pid) - before).toBeLessThan(200 * MIB);
      await expect.poll(() => closed.count, { timeout: 60_000 }).toBe(sockets.length);
      expect((await httpsGet(ports.client, '/health', tls)).status).toBe(200);
    });
  },
);
