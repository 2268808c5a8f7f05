// `tetcd grpc-proxy` as a process: real etcdctl through it, and the API comparison with a member.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { Comparison } from '../compare/compare.ts';
import {
  Member,
  type Program,
  realProgram,
  serverUnderTest,
  temporaryDirectory,
} from '../helpers/member.ts';
import { describeWith, need, type RealEtcd, realEtcd } from '../helpers/real-etcd.ts';
import { run } from '../helpers/run.ts';
import { freePort } from '../helpers/server-process.ts';
import { Proxies, START_TIMEOUT_MS } from './proxies.ts';

const SEED = Number(process.env['COMPARE_SEED'] ?? 1);
const OPERATIONS = Number(process.env['COMPARE_OPERATIONS'] ?? 600);

const ours = serverUnderTest();
const real = realEtcd('3.7');

const members: Member[] = [];
const proxies = new Proxies();
afterEach(async () => {
  await proxies.dispose();
  for (const member of members.splice(0)) await member.dispose();
});

async function startMember(program: Program): Promise<Member> {
  const member = await Member.start(program);
  members.push(member);
  return member;
}

describeWith('tetcd grpc-proxy before', [ours, real], () => {
  const programs = [need(ours), realProgram(need(real))].map((each) => [each.name, each] as const);

  test.each(programs)('%s: real etcdctl through it', async (_, program) => {
    const member = await startMember(program);
    const { endpoint, process } = await proxies.start('grpc-proxy', [member.endpoint]);
    const through = async (...line: string[]) =>
      await run([need(real).etcdctl, `--endpoints=${endpoint}`, ...line]);
    expect(await through('put', 'a', '1')).toMatchObject({ code: 0, stdout: 'OK\n' });
    expect((await through('get', '', '--prefix')).stdout).toBe('a\n1\n');
    expect((await through('get', 'a', '--consistency=s')).stdout).toBe('a\n1\n');
    expect((await through('del', 'a')).stdout).toBe('1\n');
    expect((await through('lease', 'grant', '60')).stdout).toMatch(/^lease \w+ granted/);
    expect((await through('lock', 'l', 'echo', 'held')).stdout).toBe('held\n');
    expect((await through('watch', 'a', '--rev=1', '--', 'sh', '-c', 'kill $PPID')).stdout).toMatch(
      /^PUT\na\n1\n/,
    );
    expect((await through('endpoint', 'status')).stdout).toContain(endpoint);
    expect((await through('member', 'list')).stdout).toContain('127.0.0.1:23790');
    const file = join(temporaryDirectory(), 'copy.db');
    expect(await through('snapshot', 'save', file)).toMatchObject({ code: 0 });
    expect(existsSync(file)).toBe(true);
    expect(await through('compaction', '99')).toMatchObject({ code: 1 });
    process.signal('SIGTERM');
    expect(await process.ended(START_TIMEOUT_MS)).toBe('SIGTERM');
  });

  test.each(programs)(
    '%s: answers are those of the member itself',
    async (_, program) => {
      const behind = await startMember(program);
      const direct = await startMember(program);
      // Larger requests are refused by the proxy as by a client, in other words.
      const flags = ['--advertise-client-url=', '--max-send-bytes=4194304'];
      const { endpoint } = await proxies.start('grpc-proxy', [behind.endpoint], flags);
      const comparison = new Comparison(endpoint, direct.endpoint, {
        seed: SEED,
        operations: OPERATIONS,
        unknownMax: 15,
        watchesFromCompacted: true,
        tolerates: () => false,
      });
      expect(await comparison.run()).toBeGreaterThan(OPERATIONS / 2);
      comparison.close();
      const lines = comparison.found.map(({ rpc, field, left, right }) => ({
        rpc,
        field,
        left,
        right,
      }));
      expect(lines, `COMPARE_SEED=${SEED} repeats this`).toEqual([]);
    },
    120_000,
  );

  test('profiles are where etcd has them, and nowhere else', async () => {
    const { endpoint } = await startMember(need(ours));
    const pages = ['pprof', 'pprof/', 'pprof/cmdline', 'pprof/heap', 'pprof/x', 'vars', 'requests'];
    const answers = async (flags: readonly string[], etcd?: RealEtcd) => {
      const metrics = `127.0.0.1:${await freePort()}`;
      const all = [`--metrics-addr=http://${metrics}`, ...flags];
      const proxy = await proxies.start('grpc-proxy', [endpoint], all, etcd);
      const found: string[] = [];
      for (const at of [proxy.endpoint, metrics]) {
        for (const page of pages) {
          const url = `http://${at}/debug/${page}`;
          const { status, headers } = await fetch(url, { redirect: 'manual' });
          found.push(`${page} ${status} ${headers.get('content-type')} ${headers.get('location')}`);
        }
      }
      return { found, log: proxy.process.log() };
    };
    for (const flags of [['--enable-pprof', '--debug'], []]) {
      const { found, log } = await answers(flags);
      expect(found).toEqual((await answers(flags, need(real))).found);
      const line = '"msg":"gRPC proxy enabled pprof","path":"/debug/pprof"';
      expect(log.includes(line)).toBe(flags.length > 0);
    }
  });

  test('health and metrics over HTTP, of the cluster and of the proxy', async () => {
    const member = await startMember(realProgram(need(real)));
    const { endpoint } = await proxies.start('grpc-proxy', [member.endpoint]);
    const get = async (path: string) => {
      const response = await fetch(`http://${endpoint}${path}`);
      return { status: response.status, body: await response.text() };
    };
    const healthy = { status: 200, body: '{"health":"true","reason":""}' };
    expect(await get('/health')).toEqual(healthy);
    expect(await get('/proxy/health')).toEqual(healthy);
    expect((await get('/metrics')).body).toContain('etcd_server_has_leader 1');
    const own = (await get('/proxy/metrics')).body;
    for (const name of [
      'cache_hits',
      'cache_misses',
      'cache_keys',
      'watchers_coalescing',
      'events_coalescing',
    ]) {
      expect(own).toMatch(new RegExp(`^etcd_grpc_proxy_${name}_total \\d+$`, 'm'));
    }
    expect(own).toContain('grpc_server_started_total{');
    expect(await get('/nothing')).toEqual({ status: 404, body: '404 page not found\n' });
    await member.kill();
    const down = await get('/health');
    expect(down.status).toBe(503);
    expect(down.body).toMatch(/^\{"health":"false","reason":"GET ERROR:.+"\}\n$/);
    expect((await get('/metrics')).status).toBe(500);
  });
});
