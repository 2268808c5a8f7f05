// Commands that go on until a signal ends them, tetcdctl's beside etcdctl's: who waits for whom, what
// they print, and what they end with.

import { afterEach, expect, test } from 'vitest';
import { MemoryIo } from '../../src/cli/shell/memory-io.fixture.ts';
import { runTetcdctl } from '../../src/cli/tetcdctl/program.ts';
import { until } from '../cluster/until.ts';
import { ApiClient } from '../helpers/api.ts';
import { Member, serverUnderTest } from '../helpers/member.ts';
import { describeWith, type Found, need, realEtcd } from '../helpers/real-etcd.ts';
import { built, MAIN, Running } from './running.ts';

type Signal = 'SIGINT' | 'SIGTERM';

const real = realEtcd('3.7');
const TOOLS: ReadonlyArray<readonly [string, Found<unknown>, () => readonly string[]]> = [
  ['tetcdctl', built, () => [process.execPath, MAIN]],
  ['etcdctl 3.7', real, () => [need(real).etcdctl]],
];

/** A lock's or election's key: name and lease. */
const KEY = /^\w+\/[0-9a-f]+$/;

for (const [name, found, program] of TOOLS) {
  describeWith(name, [found, serverUnderTest()], () => {
    const members: Member[] = [];
    const running: Running[] = [];

    afterEach(async () => {
      for (const each of running.splice(0)) each.child.kill('SIGKILL');
      for (const member of members.splice(0)) await member.dispose();
    });

    async function startMember(): Promise<Member> {
      const member = await Member.start(need(serverUnderTest()));
      members.push(member);
      return member;
    }

    function start(member: Member, ...words: readonly string[]): Running {
      const each = new Running([...program(), `--endpoints=${member.endpoint}`, ...words]);
      running.push(each);
      return each;
    }

    const lines = ({ stdout }: Running): string[] => stdout.split('\n').slice(0, -1);
    const printed = (each: Running, count: number): Promise<void> =>
      each.until(() => lines(each).length >= count);

    /** How many keys begin with a name and a slash. */
    async function countOf(member: Member, name: string): Promise<number> {
      const client = new ApiClient(member.endpoint);
      const range = { key: `${name}/`, range_end: `${name}0` };
      const { count } = await client.must('KV/Range', range);
      client.close();
      return Number(count);
    }

    /** Resolves when so many are in the queue. */
    async function queued(member: Member, name: string, count: number): Promise<void> {
      await until(`${count} keys of ${name}`, async () => {
        return (await countOf(member, name)) === count || undefined;
      });
    }

    async function end(each: Running, signal: Signal): Promise<number | null> {
      each.child.kill(signal);
      return each.closed;
    }

    test('a lock is held by one, handed on at a signal, and given up by who waits', async () => {
      const member = await startMember();
      const holder = start(member, 'lock', 'a');
      await printed(holder, 2);
      const blocked = start(member, 'lock', 'a');
      await queued(member, 'a', 2);
      const next = start(member, 'lock', 'a');
      await queued(member, 'a', 3);
      expect(await end(blocked, 'SIGINT')).toBe(1);
      expect(blocked.stdout).toBe('');
      expect(blocked.stderr).toContain('Error: context canceled\n');
      expect(await end(holder, 'SIGTERM')).toBe(0);
      await printed(next, 2);
      const [first, empty] = lines(holder);
      expect(first).toMatch(KEY);
      expect(empty).toBe('');
      expect(lines(next)[0]).toMatch(KEY);
      expect(lines(next)[0]).not.toBe(first);
      expect(await end(next, 'SIGINT')).toBe(0);
      expect(await countOf(member, 'a')).toBe(0);
    });

    test('a program has the lock until it ends, and knows it', async () => {
      const member = await startMember();
      const script =
        'echo "$ETCD_LOCK_KEY $ETCD_LOCK_REV"; read line < /dev/stdin || echo none; exit 3';
      const locked = start(member, 'lock', 'p', '--', 'sh', '-c', script);
      expect(await locked.closed).toBe(3);
      expect(locked.stdout).toMatch(/^p\/[0-9a-f]+ \d+\nnone\n$/);
      expect(locked.stderr).toBe('Error: exit status 3\n');
      expect(await countOf(member, 'p')).toBe(0);
    });

    test('whose lease is revoked has lost the lock', async () => {
      const member = await startMember();
      const holder = start(member, 'lock', 'r', '--ttl=2');
      await printed(holder, 2);
      const client = new ApiClient(member.endpoint);
      const lease = BigInt(`0x${lines(holder)[0]!.split('/')[1]}`);
      await client.must('Lease/LeaseRevoke', { ID: lease.toString() });
      client.close();
      expect(await holder.closed).toBe(1);
      expect(holder.stderr).toContain('Error: session expired\n');
    });

    test('a lock without a server is lost when its time is over', async () => {
      const member = await startMember();
      const holder = start(member, 'lock', 's', '--ttl=2');
      await printed(holder, 2);
      await member.kill();
      expect(await holder.closed).toBe(1);
      expect(holder.stderr).toContain('Error: session expired\n');
    });

    test('candidates lead one after the other, and who listens sees each', async () => {
      const member = await startMember();
      const listening = start(member, 'elect', '-l', 'e');
      const first = start(member, 'elect', 'e', 'p1');
      await printed(first, 2);
      await printed(listening, 2);
      const second = start(member, 'elect', 'e', 'p2');
      await queued(member, 'e', 2);
      const third = start(member, 'elect', 'e', 'p3');
      await queued(member, 'e', 3);
      expect(await end(third, 'SIGINT')).toBe(1);
      expect(third.stderr).toContain('Error: context canceled\n');
      expect(await end(first, 'SIGINT')).toBe(0);
      await printed(second, 2);
      expect(lines(second)[1]).toBe('p2');
      await listening.until(() => listening.stdout.endsWith('p2\n'));
      expect(await end(second, 'SIGTERM')).toBe(0);
      expect(await end(listening, 'SIGINT')).toBe(0);
      expect(lines(listening)[0]).toBe(lines(first)[0]);
      expect(lines(listening)).toContain('p1');
      expect(await countOf(member, 'e')).toBe(0);
    });

    async function valuesOf(member: Member): Promise<Record<string, string>> {
      const client = new ApiClient(member.endpoint);
      const { kvs } = await client.must('KV/Range', { key: '\0', range_end: '\0' });
      client.close();
      const pairs = kvs as readonly { readonly key: string; readonly value: string }[];
      return Object.fromEntries(pairs.map(({ key, value }) => [key, value]));
    }

    async function hasValues(member: Member, expected: Record<string, string>): Promise<void> {
      await until(JSON.stringify(expected), async () => {
        const values = await valuesOf(member);
        return JSON.stringify(values) === JSON.stringify(expected) || undefined;
      });
    }

    test.each<[string, readonly string[], Record<string, string>, Record<string, string>]>([
      ['all keys', [], { a1: '1', a2: '2', b: '3' }, { a1: '9', b: '3', n: 'x' }],
      ['a prefix', ['--prefix=a'], { a1: '1', a2: '2' }, { a1: '9' }],
      [
        'a prefix as another',
        ['--prefix=a', '--dest-prefix=z/', '--max-txn-ops=1'],
        { 'z/1': '1', 'z/2': '2' },
        { 'z/1': '9' },
      ],
      [
        'a prefix as none',
        ['--prefix=a', '--no-dest-prefix'],
        { '1': '1', '2': '2' },
        { '1': '9' },
      ],
      ['what came later', ['--rev=3'], { a2: '2', b: '3' }, { a1: '9', b: '3', n: 'x' }],
    ])('a mirror of %s', async (_what, flags, first, then) => {
      const [source, target] = [await startMember(), await startMember()];
      const client = new ApiClient(source.endpoint);
      const put = (key: string, value: string) => client.must('KV/Put', { key, value });
      for (const [key, value] of [
        ['a1', '1'],
        ['a2', '2'],
        ['b', '3'],
      ])
        await put(key!, value!);
      const mirror = start(source, 'make-mirror', target.endpoint, ...flags);
      await hasValues(target, first);
      // One revision with several changes.
      const operations = [
        { request_put: { key: 'a1', value: '9' } },
        { request_delete_range: { key: 'a2' } },
        { request_put: { key: 'n', value: 'x' } },
      ];
      await client.must('KV/Txn', { success: operations });
      await hasValues(target, then);
      client.close();
      expect(mirror.stdout).toBe('');
      expect(mirror.stderr).toBe('');
    });
  });
}

describeWith('make-mirror', [serverUnderTest()], () => {
  test('prints its count every 30 seconds, and ends when the destination refuses it', async () => {
    const start = () => Member.start(need(serverUnderTest()));
    const [source, target] = await Promise.all([start(), start()]);
    const [from, to] = [source, target].map(({ endpoint }) => new ApiClient(endpoint));
    await from!.must('KV/Put', { key: 'a', value: '1' });
    const io = new MemoryIo();
    const words = [`--endpoints=${source.endpoint}`, 'make-mirror', target.endpoint];
    const ended = runTetcdctl(words, io);
    const arrived = async (key: string): Promise<true | undefined> =>
      (await to!.must('KV/Range', { key }))['count'] === '1' || undefined;
    await until('the first key', () => arrived('a'));
    const [tick] = io.ticks;
    await until('the count', () => {
      tick!();
      return io.outText.endsWith('1\n') || undefined;
    });
    await from!.must('KV/Put', { key: 'b', value: '2' });
    await until('the second key', () => arrived('b'));
    await until('the count', () => {
      tick!();
      return io.outText.endsWith('2\n') || undefined;
    });
    await to!.must('Auth/UserAdd', { name: 'root', password: 'x' });
    await to!.must('Auth/UserGrantRole', { user: 'root', role: 'root' });
    await to!.must('Auth/AuthEnable', {});
    await from!.must('KV/Put', { key: 'c', value: '3' });
    expect(await ended).toBe(1);
    expect(io.errText).toBe('Error: etcdserver: user name is empty\n');
    expect(io.ticks.size).toBe(0);
    for (const client of [from!, to!]) client.close();
    await Promise.all([source.dispose(), target.dispose()]);
  });
});
