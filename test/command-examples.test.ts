// The example that the manual has of each command is run as it stands, but for addresses.

import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { EXAMPLES } from '../src/cli/man/examples.ts';
import { Cluster } from './cluster/cluster.ts';
import { until } from './cluster/until.ts';
import { ApiClient } from './helpers/api.ts';
import { Member, serverUnderTest } from './helpers/member.ts';
import { describeWith, need, REPOSITORY } from './helpers/real-etcd.ts';
import { type RunResult, run } from './helpers/run.ts';
import { freePort, ServerProcess } from './helpers/server-process.ts';

const ours = serverUnderTest();

/** Takes a minute, and fails on a machine that is too slow for it; see test/tetcdctl/long-running.test.ts. */
const NOT_RUN: ReadonlySet<string> = new Set(['check perf']);
/** Run on a cluster with a learner. */
const OF_CLUSTERS = Object.keys(EXAMPLES.tetcdctl).filter((name) => /^(?:member|move)/.test(name));

const place = mkdtempSync(join(tmpdir(), 'tetcd-examples-'));
const tools = join(place, 'tools');
/** Where the examples run. */
const work = join(place, 'work');
const members: Member[] = [];
const clusters: Cluster[] = [];

beforeAll(() => {
  for (const path of [tools, work]) mkdirSync(path);
  for (const name of ['tetcd', 'tetcdctl', 'tetcdutl']) {
    const path = join(REPOSITORY, 'dist', 'bin', `${name}.js`);
    const text = `#!/bin/sh\nexec '${process.execPath}' '${path}' "$@"\n`;
    writeFileSync(join(tools, name), text, { mode: 0o755 });
  }
});

afterEach(async () => {
  for (const cluster of clusters.splice(0)) await cluster.dispose();
  for (const member of members.splice(0)) await member.dispose();
});
afterAll(() => rmSync(place, { recursive: true, maxRetries: 3 }));

function runExample(text: string, endpoints = ''): Promise<RunResult> {
  const env = { ETCDCTL_ENDPOINTS: endpoints, PATH: `${tools}:${process.env['PATH']}` };
  const script = `set -euo pipefail\n${text}`;
  return run(['bash', '-c', script], { cwd: work, env, timeoutMs: 60_000 });
}

/** A command line, with the path of the program. */
function withTool([program, ...args]: readonly string[]): string[] {
  return [join(tools, program!), ...args];
}

async function start(flags: readonly string[] = [], directory?: string): Promise<Member> {
  const at = directory === undefined ? {} : { directory };
  const member = await Member.start(need(ours), { flags, ...at });
  members.push(member);
  return member;
}

describeWith('the examples', [ours], () => {
  test('of tetcdctl run on a member', async () => {
    const [member, other] = [await start(), await start()];
    for (const [name, text] of Object.entries(EXAMPLES.tetcdctl)) {
      if (OF_CLUSTERS.includes(name) || NOT_RUN.has(name)) continue;
      const example = text.replaceAll('127.0.0.1:22379', other.endpoint);
      expect(await runExample(example, member.endpoint), name).toMatchObject({ code: 0 });
    }
    const copy = await runExample('tetcdctl get copy/ --prefix', other.endpoint);
    expect(copy.stdout).toBe('copy/color\nblue\n');
  });

  test('of tetcdctl about members run on a cluster', async () => {
    const cluster = await Cluster.start({ servers: [{ program: need(ours) }] });
    clusters.push(cluster);
    const learner = await cluster.add({ program: need(ours) }, { learner: true });
    await cluster.caughtUp();
    const endpoints = cluster.members.map(({ endpoint }) => endpoint).join(',');
    for (const name of OF_CLUSTERS) {
      const text = EXAMPLES.tetcdctl[name]!;
      // A learner is promoted once the leader knows that it has caught up, and a member added once the
      // connections between members have lasted.
      const result = await until(`example of ${name}`, async () => {
        const tried = await runExample(text, endpoints);
        return /in sync with leader|unhealthy cluster/.test(tried.stderr) ? undefined : tried;
      });
      expect(result, name).toMatchObject({ code: 0 });
      if (name === 'move-leader') expect(await cluster.leader()).toBe(learner);
    }
    expect(await cluster.list()).toHaveLength(2);
  });

  test('of tetcdutl run on what a stopped member has left', async () => {
    const member = await start(['--snapshot-count=5'], join(work, 'm1.etcd'));
    const client = new ApiClient(member.endpoint);
    for (let i = 0; i < 20; i++) await client.must('KV/Put', { key: `k${i}`, value: 'v' });
    client.close();
    await runExample('tetcdctl snapshot save backup.db', member.endpoint);
    await member.stop();
    for (const [name, text] of Object.entries(EXAMPLES.tetcdutl)) {
      expect(await runExample(text), name).toMatchObject({ code: 0 });
    }
  });

  test('of tetcd serves', async () => {
    const [client, peer] = [await freePort(), await freePort()].map((port) => `127.0.0.1:${port}`);
    const command = EXAMPLES.tetcd[''].split(' ');
    const ports = [
      ...['listen', 'advertise'].map((each) => `--${each}-client-urls=http://${client}`),
      ...['--listen-peer-urls', '--initial-advertise-peer-urls'].map((f) => `${f}=http://${peer}`),
      `--initial-cluster=m1=http://${peer}`,
    ];
    const member = new ServerProcess('tetcd', [
      'bash',
      '-c',
      `cd '${work}' && exec "$@"`,
      '-',
      ...withTool(command),
      ...ports,
    ]);
    await member.line(/ready to serve client requests/, 30_000);
    expect(await runExample('tetcdctl put a b', client)).toMatchObject({ code: 0, stdout: 'OK\n' });
    await member.end('SIGTERM');
    const made = join(work, 'm1.etcd');
    expect(existsSync(join(made, 'member', 'wal'))).toBe(true);
    rmSync(made, { recursive: true });
  });

  test('of the proxies serve', async () => {
    const member = await start();
    for (const name of ['gateway start', 'grpc-proxy start'] as const) {
      const text = EXAMPLES.tetcd[name];
      const endpoint = `127.0.0.1:${await freePort()}`;
      const example = text
        .replaceAll('127.0.0.1:2379', member.endpoint)
        .replace(/127\.0\.0\.1:12\d+/, endpoint);
      const command = example.trim().split(' ');
      const proxy = new ServerProcess(name, withTool(command));
      const put = await until(`example of ${name}`, async () => {
        const tried = await runExample('tetcdctl put a b --command-timeout=1s', endpoint);
        return tried.code === 0 ? tried : undefined;
      });
      expect(put.stdout).toBe('OK\n');
      await proxy.end('SIGTERM');
    }
  });
});
