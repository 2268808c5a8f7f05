// Peer URLs that mean the same, and those that do not. The words are those of etcd.

import { expect, test } from 'vitest';
import { createSimEnv, type SimEnv } from '../../env/sim/index.ts';
import { createLogger } from '../telemetry/log.ts';
import { PeerUrlComparison } from './peer-url-comparison.ts';

interface Rig {
  readonly env: SimEnv;
  readonly urls: PeerUrlComparison;
  readonly log: string[];
}

async function withNames(body: (rig: Rig) => Promise<void>): Promise<void> {
  const env = createSimEnv({ seed: 1, autoRun: false });
  const { network } = env.world;
  network.setAddress('host.example', '127.0.0.1');
  network.setAddress('six.example', '::1');
  network.setAddress('other.example', '10.9.9.9');
  network.setAddress('mapped.example', '::ffff:10.9.9.9');
  const log: string[] = [];
  const sink = { write: (line: string) => void log.push(line) };
  const logger = createLogger({ level: 'debug', format: 'json' }, sink, env.clock, 'test');
  await env.run(() => body({ env, urls: new PeerUrlComparison(env, logger), log }));
}

const SAME: readonly (readonly [readonly string[], readonly string[]])[] = [
  [['http://a.unknown:1'], ['http://a.unknown:1']],
  [['unix:///tmp/a:1'], ['unix:///tmp/a:1']],
  [['http://[::1]:1'], ['http://[0:0:0:0:0:0:0:1]:1']],
  [['http://[2001:DB8::0:1]:1'], ['http://[2001:db8:0::1]:1']],
  [['http://[::ffff:10.0.0.1]:1'], ['http://10.0.0.1:1']],
  [['HTTP://10.0.0.1:1'], ['http://10.0.0.1:1']],
  [['http://host.example:1'], ['http://127.0.0.1:1']],
  [['http://127.0.0.1:1'], ['http://host.example:1']],
  [['http://six.example:1'], ['http://[0::1]:1']],
  [['http://mapped.example:1'], ['http://other.example:1']],
  // In whatever order; also where the names sort otherwise than their addresses.
  [
    ['http://127.0.0.1:1', 'http://10.9.9.9:1'],
    ['http://host.example:1', 'http://other.example:1'],
  ],
];

test.each(SAME)('%j and %j are the same', async (a, b) => {
  await withNames(async ({ urls }) => {
    expect(await urls.difference(a, b)).toBeUndefined();
    expect(await urls.difference(b, a)).toBeUndefined();
  });
});

const DIFFERENT: readonly (readonly [readonly string[], readonly string[], string])[] = [
  [
    ['http://127.0.0.1:1'],
    ['http://127.0.0.2:1'],
    'resolved urls: "http://127.0.0.1:1" != "http://127.0.0.2:1"',
  ],
  [
    ['http://host.example:1'],
    ['http://127.0.0.1:2'],
    'resolved urls: "http://127.0.0.1:1" != "http://127.0.0.1:2"',
  ],
  [
    ['http://host.example:1'],
    ['https://127.0.0.1:1'],
    'resolved urls: "http://127.0.0.1:1" != "https://127.0.0.1:1"',
  ],
  [
    ['http://localhost:1'],
    ['http://127.0.0.1:1'],
    'resolved urls: "http://localhost:1" != "http://127.0.0.1:1"',
  ],
  [
    ['unix://a.sock'],
    ['http://host.example:1'],
    'resolved urls: "unix://a.sock" != "http://127.0.0.1:1"',
  ],
  [
    ['http://a:1', 'http://b:1'],
    ['http://a:1'],
    'len(["http://a:1" "http://b:1"]) != len(["http://a:1"])',
  ],
];

test.each(DIFFERENT)('%j and %j differ', async (a, b, text) => {
  await withNames(async ({ urls }) => {
    expect(await urls.difference(a, b)).toBe(text);
  });
});

test('what is the same as written is not resolved', async () => {
  await withNames(async ({ urls, log }) => {
    const unknown = ['http://a.unknown:1', 'http://10.0.0.1:1'];
    expect(await urls.difference(unknown, [...unknown].reverse())).toBeUndefined();
    expect(log).toEqual([]);
  });
});

test('a name that becomes known within the time is taken', async () => {
  await withNames(async ({ env, urls, log }) => {
    env.timers.after(20_000, () => env.world.network.setAddress('late.example', '10.0.0.7'));
    expect(await urls.difference(['http://late.example:1'], ['http://10.0.0.7:1'])).toBeUndefined();
    expect(env.clock.monotonicMs()).toBeGreaterThan(20_000);
    const tries = log.filter((line) => line.includes('"failed to resolve URL Host"'));
    expect(tries).toHaveLength(20);
    expect(tries[0]).toContain('"url":"http://late.example:1","host":"late.example:1"');
    expect(tries[0]).toContain('"retry-interval":"1s"');
    expect(log.join('')).toContain('"host":"late.example:1","resolved-addr":"10.0.0.7:1"');
  });
});

test('a name that stays unknown is given up after half a minute, for all comparisons of a start', async () => {
  await withNames(async ({ env, urls, log }) => {
    const text =
      'failed to resolve "http://never.example:1" (lookup never.example: the host name is unknown)';
    const compare = () => urls.difference(['http://never.example:1'], ['http://10.0.0.7:1']);
    expect(await compare()).toBe(text);
    expect(env.clock.monotonicMs()).toBeGreaterThan(29_000);
    expect(env.clock.monotonicMs()).toBeLessThanOrEqual(30_000);
    expect(log.at(-1)).toContain('failed to resolve URL Host; returning');
    const beforeMs = env.clock.monotonicMs();
    expect(await compare()).toBe(text);
    expect(env.clock.monotonicMs() - beforeMs).toBeLessThan(100);
  });
});
