// Settings that ask something of the system: the database file in memory, ports that others share.

import { readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { until } from '../cluster/until.ts';
import { ApiClient } from '../helpers/api.ts';
import { Member, serverUnderTest } from '../helpers/member.ts';
import { describeWith, need } from '../helpers/real-etcd.ts';
import { flagsOf, freeAddresses, startProcess } from './flags.ts';

const TIMEOUT_MS = 60_000;

const members: Member[] = [];
afterEach(async () => {
  for (const member of members.splice(0)) await member.dispose();
});

function lockedBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmLck:\s+(\d+) kB$/m.exec(status)![1]) * 1024;
}

const ours = serverUnderTest();

describeWith('a member', [ours], () => {
  test.skipIf(process.platform !== 'linux')(
    'keeps its database file in memory, as it grows and is replaced',
    { timeout: TIMEOUT_MS },
    async () => {
      const member = await Member.start(need(ours), { flags: ['--memory-mlock'] });
      members.push(member);
      const sizeOfFile = (): number =>
        statSync(join(member.directory, 'member', 'snap', 'db')).size;
      const isCovered = (): boolean => {
        const [size, locked] = [sizeOfFile(), lockedBytes(member.pid)];
        return locked >= size && locked < size + 1_000_000;
      };
      expect(lockedBytes(member.pid)).toBeGreaterThan(0);
      const first = sizeOfFile();
      const client = new ApiClient(member.endpoint);
      for (let i = 0; i < 20; i++) {
        await client.must('KV/Put', { key: `k${i}`, value: 'v'.repeat(100_000) });
      }
      await until('a larger file, all of it locked', () => {
        return (sizeOfFile() > first + 1_000_000 && isCovered()) || undefined;
      });
      await client.must('KV/DeleteRange', { key: 'k', range_end: 'l' });
      await client.must('KV/Compact', { revision: '22', physical: true });
      await client.must('Maintenance/Defragment', {});
      await until('a small file, and no more than that locked', () => {
        return (sizeOfFile() < 1_000_000 && isCovered()) || undefined;
      });
      client.close();
    },
  );

  test('shares its ports with others that do so, too', { timeout: TIMEOUT_MS }, async () => {
    const one = await Member.start(need(ours), { flags: ['--socket-reuse-port'] });
    members.push(one);
    // Node's own sockets do not share.
    const taken = createServer();
    const refused = new Promise((resolve) => taken.once('error', resolve));
    taken.listen(one.port, '127.0.0.1');
    expect(await refused).toMatchObject({ code: 'EADDRINUSE' });
    const other = await freeAddresses();
    const flags = flagsOf(join(one.directory, '..', 'other'), {
      client: one.port,
      peer: other.peer,
    });
    const second = startProcess([...flags, '--socket-reuse-port']);
    await second.line(/ready to serve client requests/, TIMEOUT_MS);
    await second.end('SIGTERM');
    const third = startProcess(flags);
    expect(await third.ended(TIMEOUT_MS)).toBe('1');
    expect(third.log()).toContain('the address is in use');
  });
});
