// The pages for operators: every command in them is run, in their order, on a member that is in the state
// that the page is about. `etcdctl` is ours.

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, afterEach, expect, test } from 'vitest';
import { gatewayFlags } from '../src/cli/tetcd/proxy/gateway-flags.ts';
import { grpcProxyFlags } from '../src/cli/tetcd/proxy/grpc-proxy-flags.ts';
import { FLAGS } from '../src/server/config/flags.ts';
import { Cluster } from './cluster/cluster.ts';
import { until } from './cluster/until.ts';
import { ApiClient } from './helpers/api.ts';
import { Member, serverUnderTest, temporaryDirectory } from './helpers/member.ts';
import { describeWith, need, REPOSITORY, systemProgram } from './helpers/real-etcd.ts';
import { run } from './helpers/run.ts';
import { freePort } from './helpers/server-process.ts';
import { parseTree } from './tetcdctl/command-tree.ts';

const PAGES = join(REPOSITORY, 'docs', 'operate');
const QUOTA_BYTES = 16 * 1024 * 1024;
const VALUE = 'v'.repeat(500_000);
const COMMAND_TIMEOUT_MS = 60_000;

const members: Member[] = [];
const clusters: Cluster[] = [];
afterEach(async () => {
  for (const cluster of clusters.splice(0)) await cluster.dispose();
  for (const member of members.splice(0)) await member.dispose();
});

/** A directory with our tools, under etcd's names too. */
const tools = mkdtempSync(join(tmpdir(), 'tools-'));
for (const name of ['tetcdctl', 'tetcdutl']) {
  const tool = join(REPOSITORY, 'dist', 'bin', `${name}.js`);
  for (const path of [name, name.slice(1)].map((each) => join(tools, each))) {
    writeFileSync(path, `#!/bin/sh\nexec '${process.execPath}' '${tool}' "$@"\n`, { mode: 0o755 });
  }
}
afterAll(() => rmSync(tools, { recursive: true }));

/** The blocks of commands of a page, in their order. */
function blocksOf(page: string): string[] {
  const text = readFileSync(join(PAGES, page), 'utf8');
  return [...text.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map((match) => match[1]!);
}

/** Runs a block as it stands, but for the member's address; its output. Fails as the shell does. */
async function runBlock(member: { readonly endpoint: string }, block: string): Promise<string> {
  const script = `set -euo pipefail\n${block.replaceAll('127.0.0.1:2379', member.endpoint)}`;
  const env = { ETCDCTL_ENDPOINTS: member.endpoint, PATH: `${tools}:${process.env['PATH']}` };
  const result = await run(['bash', '-c', script], { env, timeoutMs: COMMAND_TIMEOUT_MS });
  const stderr = result.stderr.replace(/^\{"level":"info".*\n/gm, '');
  expect({ ...result, stderr }, block).toMatchObject({ code: 0, stderr: '' });
  return result.stdout;
}

/** As {@link runBlock}, of a block that starts a proxy at `listen`, which is put at a free port. */
async function runProxyBlock(
  member: Member,
  block: string,
  listen: string,
  port: number,
): Promise<string> {
  const bin = join(REPOSITORY, 'dist', 'bin');
  const script = [
    'set -euo pipefail',
    // In the background a function is a process of its own, which becomes the proxy: `$!` is it.
    `tetcd() { exec '${process.execPath}' '${bin}/tetcd.js' "$@"; }`,
    `etcdctl() { '${process.execPath}' '${bin}/tetcdctl.js' "$@"; }`,
    block
      .replaceAll(listen, `127.0.0.1:${port}`)
      .replaceAll('127.0.0.1:2379 ', `${member.endpoint} `),
  ].join('\n');
  const cwd = mkdtempSync(join(tmpdir(), 'tetcd-proxy-page-'));
  const result = await run(['bash', '-c', script], { cwd, timeoutMs: COMMAND_TIMEOUT_MS });
  rmSync(cwd, { recursive: true });
  expect(result, block).toMatchObject({ code: 0, stderr: '' });
  return result.stdout;
}

interface Found {
  readonly dbSize: number;
  readonly dbSizeInUse: number;
}

async function statusOf(client: ApiClient): Promise<Found> {
  const answer = await client.must('Maintenance/Status', {});
  return { dbSize: Number(answer['dbSize']), dbSizeInUse: Number(answer['dbSizeInUse']) };
}

/** Puts one key again and again, `count` times or until it is refused; what refused it. */
async function fill(client: ApiClient, count: number): Promise<string> {
  for (let i = 0; i < count; i++) {
    const { code, details } = await client.call('KV/Put', { key: 'k', value: VALUE });
    if (code !== 0) return details;
  }
  return '';
}

/** Of the table that `endpoint hashkv` prints. */
function hashesIn(text: string): string[] {
  return [...text.matchAll(/127\.0\.0\.1:\d+\s+\S\s+(\d+)/g)].map((match) => match[1]!);
}

const ours = serverUnderTest();
const curl = systemProgram('curl');
const go = systemProgram('go');

function flagsOfTetcdctl(): string[] {
  const path = join(REPOSITORY, 'test', 'tetcdctl', 'commands-3.7.txt');
  const flags = [...parseTree(readFileSync(path, 'utf8')).values()].flatMap((own) => [
    ...own.keys(),
  ]);
  return flags.map((flag) => flag.replace(/^--/, ''));
}

test('every page is run here', () => {
  expect(readdirSync(PAGES).sort()).toEqual([
    'backup.md',
    'configure.md',
    'corruption.md',
    'debug.md',
    'defragment.md',
    'logs.md',
    'monitor.md',
    'proxies.md',
    'space.md',
    'tetcdctl.md',
    'upgrade-and-downgrade.md',
  ]);
});

test.each(readdirSync(PAGES))('%s names flags that there are', (page) => {
  const text = readFileSync(join(PAGES, page), 'utf8');
  const ofTools = [
    ...flagsOfTetcdctl(),
    'max-old-space-size',
    'compressed',
    ...['bucket', 'bump-revision', 'from', 'kind', 'mark-compacted', 'skip-hash-check'],
    ...['target-version', 'write', 'with-v3', 'backup-dir', 'backup-wal-dir', 'wal-dir-of'],
    'help',
  ];
  const names = [...text.matchAll(/(?<![\w-])--([a-z][a-z0-9-]*)/g)].map((match) => match[1]!);
  expect(names.length).toBeGreaterThan(3);
  const ofProxies = [...grpcProxyFlags(), ...gatewayFlags()].map(({ long }) => long!.slice(2));
  const known = [...Object.keys(FLAGS), ...ofTools, ...ofProxies, 'help'];
  expect(names.filter((name) => !known.includes(name))).toEqual([]);
});

/** Runs a block in a directory; what the tools say of their work on standard error is let pass. */
async function runIn(cwd: string, block: string, endpoint = ''): Promise<string> {
  const tool = (name: string) =>
    `${name}() { '${process.execPath}' '${join(REPOSITORY, 'dist', 'bin')}/t${name}.js' "$@"; }`;
  const script = ['set -euo pipefail', tool('etcdctl'), tool('etcdutl'), block].join('\n');
  const env = { ETCDCTL_ENDPOINTS: endpoint };
  const result = await run(['bash', '-c', script], { cwd, env, timeoutMs: COMMAND_TIMEOUT_MS });
  expect(result, block).toMatchObject({ code: 0 });
  return result.stdout;
}

describeWith('commands of', [ours, curl], () => {
  test('backup.md', async () => {
    const place = temporaryDirectory();
    const member = await Member.start(need(ours), { directory: join(place, 'm1.etcd') });
    members.push(member);
    const client = new ApiClient(member.endpoint);
    for (let i = 0; i < 20; i++) {
      await client.must('KV/Put', { key: `config/${i % 4}`, value: String(i) });
    }
    client.close();
    const [save, restore, bump, dry, write, look, copy, change, ...more] = blocksOf('backup.md');
    expect(more).toEqual([]);
    const saved = await runIn(place, save!, member.endpoint);
    expect(saved).toMatch(
      /^Snapshot saved at backup\.db\n[\s\S]*│ +21 │ +4 │[\s\S]*\n\d+, 21, -1\n$/,
    );
    expect(await runIn(place, restore!)).toMatch(/^nothing is wrong\n/);
    expect(await runIn(place, bump!)).toMatch(/^[0-9a-f]+, 1000000021, /);
    await member.stop();
    expect(await runIn(place, dry!)).toContain('every acknowledged write is here\n');
    expect(readdirSync(place)).not.toContain('recovered');
    await runIn(place, write!);
    const seen = await runIn(place, look!);
    expect(seen).toMatch(/^nothing is wrong\n/);
    expect(seen).toContain('put{key:"config/3" value:"19"}');
    expect(seen).toMatch(/\nmembers\t/);
    expect(seen).toMatch(/\nkey\t21\.0\tkey:"config\/3"/);
    expect(await runIn(place, copy!)).toMatch(/^nothing is wrong\n/);
    await runIn(place, change!);
    for (const name of ['m1.etcd', 'recovered', 'restored', 'bumped', 'copy']) {
      const flags = name === 'copy' ? ['--force-new-cluster'] : [];
      const again = await Member.start(need(ours), { directory: join(place, name), flags });
      members.push(again);
      const reader = new ApiClient(again.endpoint);
      const { kvs } = await reader.must('KV/Range', { key: 'config/3' });
      expect(kvs, name).toMatchObject([{ value: '19' }]);
      reader.close();
      await again.stop();
    }
    rmSync(place, { recursive: true });
  });

  test('logs.md', async () => {
    const logs = temporaryDirectory();
    // Full: it is replaced at the start.
    writeFileSync(join(logs, 'etcd.log'), '{"level":"warn"}\n'.padStart(1024 * 1024, ' '));
    const rotation = '{"maxsize": 1, "maxage": 7, "maxbackups": 5, "compress": true}';
    const member = await Member.start(need(ours), {
      flags: [
        ...[`--log-outputs=stderr,${join(logs, 'etcd.log')}`, '--enable-log-rotation'],
        ...[`--log-rotation-config-json=${rotation}`, '--warning-apply-duration=0s'],
      ],
    });
    members.push(member);
    const client = new ApiClient(member.endpoint);
    await client.must('KV/Put', { key: 'k', value: 'secret' });
    await client.must('KV/Range', { key: 'k' });
    client.close();
    await until('compressed', () =>
      Promise.resolve(readdirSync(logs).some((name) => name.endsWith('.gz')) || undefined),
    );
    const here = (block: string): string => block.replaceAll('/var/log/etcd', logs);
    const [dropped, files, slow, traces, ...more] = blocksOf('logs.md').map(here);
    expect(more).toEqual([]);
    expect(await runBlock(member, dropped!)).toContain('{reason="output"} 0\n');
    const [former, current, warnings] = (await runBlock(member, files!)).split('\n');
    expect(former).toMatch(/^etcd-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}\.log\.gz$/);
    expect(current).toBe('etcd.log');
    expect(Number(warnings)).toBeGreaterThan(2);
    const lines = await runBlock(member, slow!);
    expect(lines).toContain('put:<key:\\"k\\" value_size:6 >');
    expect(lines).toContain('"prefix":"read-only range ","request":"key:\\"k\\""');
    expect(lines).not.toContain('secret');
    expect(lines).toMatch(/^etcd_server_slow_apply_total [1-9]/m);
    expect(await runBlock(member, traces!)).not.toBe('');
    rmSync(logs, { recursive: true });
  });

  test('defragment.md', async () => {
    const member = await Member.start(need(ours));
    members.push(member);
    const client = new ApiClient(member.endpoint);
    expect(await fill(client, 20)).toBe('');
    const before = await statusOf(client);
    const [status, defragment, cluster, metrics, ...more] = blocksOf('defragment.md');
    expect(more).toEqual([]);
    expect(await runBlock(member, status!)).toContain(member.endpoint);
    expect(await runBlock(member, defragment!)).toMatch(/^compacted revision \d+\nFinished defrag/);
    const after = await statusOf(client);
    expect(after.dbSize).toBeLessThan(before.dbSize / 4);
    expect(after.dbSize - after.dbSizeInUse).toBeLessThan(100_000);
    expect(await runBlock(member, cluster!)).toMatch(/^Finished defragmenting etcd member\[/);
    const page = await runBlock(member, metrics!);
    expect(page).toContain('etcd_disk_defrag_inflight 0\n');
    expect(page).toContain('etcd_disk_backend_defrag_duration_seconds_count 2\n');
    expect(page).toContain('tetcd_defrag_copied_bytes 0\n');
    client.close();
  });

  test('proxies.md', async () => {
    const member = await Member.start(need(ours));
    members.push(member);
    const [proxy, gateway, ...more] = blocksOf('proxies.md');
    expect(more).toEqual([]);
    const port = await freePort();
    const through = await runProxyBlock(member, proxy!, '127.0.0.1:12379', port);
    expect(through).toContain('{"health":"true","reason":""}OK\ngreeting\nhello\n');
    expect(through).toContain('127.0.0.1:23790');
    expect(through).toMatch(/^etcd_grpc_proxy_cache_keys_total 1$/m);
    const other = await runProxyBlock(member, gateway!, '127.0.0.1:12380', await freePort());
    expect(other).toContain('greeting\nhello\n');
  });

  test('tetcdctl.md', async () => {
    const [member, other] = await Promise.all([Member.start(need(ours)), Member.start(need(ours))]);
    members.push(member, other);
    const [backup, lock, watch, mirror, check, output, completion, ...more] =
      blocksOf('tetcdctl.md');
    expect(more).toEqual([]);
    const saved = await runBlock(member, backup!.replaceAll('/var/backups', tools));
    expect(saved).toMatch(/^OK\nSnapshot saved at .*\nServer version 3\.7\.0\n.*TOTAL KEYS/s);
    expect(await runBlock(member, lock!)).toMatch(/^holds nightly\/[0-9a-f]+ since \d+\n$/);
    expect(await runBlock(member, watch!)).toContain('\n"PUT" "app/color"\n');
    const mirrored = mirror!.replaceAll('127.0.0.1:22379', other.endpoint);
    expect(await runBlock(member, mirrored)).toBe('copy/color\ngreen\n');
    expect(await runBlock(member, check!)).toMatch(/\nPASS: Approximate system memory used : /);
    expect(await runBlock(member, output!)).toMatch(/"count":1\}\n"ClusterID" : \d+\n/);
    const offered = 'COMP_WORDS=(tetcdctl lease g); COMP_CWORD=2; _tetcdctl; echo "$COMPREPLY"';
    expect(await runBlock(member, `${completion!}${offered}`)).toBe('grant\n');
  });

  test('corruption.md', async () => {
    const flags = ['--corrupt-check-time=300ms', '--strict-reconfig-check=false'];
    const program = need(ours);
    const cluster = await Cluster.start({ servers: Array(3).fill({ program }), flags });
    clusters.push(cluster);
    const leader = await cluster.leader();
    const bad = cluster.members.find((member) => member !== leader)!;
    await leader.client.must('KV/Put', { key: 'k', value: 'a value that changes' });
    await cluster.caughtUp();
    await bad.stop();
    const path = join(bad.directory, 'member', 'snap', 'db');
    const content = readFileSync(path);
    const value = 'a value that changes';
    for (let at = content.indexOf(value); at >= 0; at = content.indexOf(value)) content[at]! ^= 1;
    writeFileSync(path, content);
    await bad.restart();
    const [looking, remove, add, disarm, metrics, ...more] = blocksOf('corruption.md');
    expect(more).toEqual([]);
    await leader.line(/same compact revision then hashes must match/);
    await leader.line(/alarm raised|finished peer corruption check/);
    const found = await runBlock(leader, looking!);
    expect(found).toMatch(/^memberID:\d+ alarm:CORRUPT/);
    expect(new Set(hashesIn(found)).size).toBe(2);
    await runBlock(leader, remove!);
    await until('the end of the member', () => !bad.isRunning || undefined);
    rmSync(bad.directory, { recursive: true });
    const url = new URL(bad.peerUrl).host;
    const named = add!.replace('m9', bad.name).replace('127.0.0.1:2390', url);
    await runBlock(leader, named);
    const peers = cluster.members.map(({ name, peerUrl }) => [name, peerUrl] as const);
    await bad.start({ peers, state: 'existing' }, flags);
    const repaired = await runBlock(leader, disarm!);
    expect(repaired).toContain('OK\n');
    expect(hashesIn(repaired)).toHaveLength(3);
    expect(await runBlock(leader, metrics!)).toMatch(
      /^ok\n[\s\S]*hash_rev_duration_seconds_count [1-9]/,
    );
  });

  test('monitor.md', async () => {
    const member = await Member.start(need(ours));
    members.push(member);
    const client = new ApiClient(member.endpoint);
    expect(await fill(client, 2)).toBe('');
    client.close();
    const [page, durations, own, probes, raft, ...more] = blocksOf('monitor.md');
    expect(more).toEqual([]);
    expect(await runBlock(member, page!)).toBe(
      `etcd_server_go_version{server_go_version="${process.version}"} 1\n` +
        'etcd_server_has_leader 1\netcd_server_version{server_version="3.7.1"} 1\n',
    );
    const times = await runBlock(member, durations!);
    expect(times).toMatch(/^etcd_disk_wal_fsync_duration_seconds_count [1-9]/m);
    expect(times).toContain(
      'etcd_server_request_duration_seconds_count{success="true",type="Put"} 2',
    );
    const named = await runBlock(member, own!);
    expect(named).toContain('tetcd_backend_disk_full 0\n');
    expect(named).toMatch(/^nodejs_heap_size_used_bytes [1-9]/m);
    const checks = ['data_corruption', 'serializable_read', 'linearizable_read', 'non_learner'];
    expect(await runBlock(member, probes!)).toBe(
      `ok\n${checks.map((check) => `[+]${check} ok\n`).join('')}ok\nok\n{"health":"true","reason":""}`,
    );
    expect(await runBlock(member, raft!)).toContain('"raftState":"StateLeader"');
  });

  test('space.md', async () => {
    const flags = [`--quota-backend-bytes=${QUOTA_BYTES}`];
    const member = await Member.start(need(ours), { flags });
    members.push(member);
    const client = new ApiClient(member.endpoint);
    expect(await fill(client, 100)).toBe('etcdserver: mvcc: database space exceeded');
    const [looking, out, writes, metrics, ...more] = blocksOf('space.md');
    expect(more).toEqual([]);
    const alarms = await runBlock(member, looking!);
    expect(alarms).toMatch(/^memberID:\d+ alarm:NOSPACE/);
    expect(alarms).toContain('alarm:NOSPACE');
    await runBlock(member, out!);
    expect(await runBlock(member, writes!)).toBe('OK\nstill/here\nyes\n');
    expect(await runBlock(member, metrics!)).toContain(
      `etcd_server_quota_backend_bytes ${QUOTA_BYTES}`,
    );
    expect((await statusOf(client)).dbSize).toBeLessThan(QUOTA_BYTES / 4);
    client.close();
  });

  // With real programs of both versions: test/cluster/downgrade.test.ts.
  test('upgrade-and-downgrade.md', async () => {
    const member = await Member.start(need(ours));
    members.push(member);
    const [versions, health, enable, wait, cancel, ...more] = blocksOf('upgrade-and-downgrade.md');
    expect(more).toEqual([]);
    expect(await runBlock(member, versions!)).toMatch(/"etcdcluster":"3\.7\.0"/);
    expect(await runBlock(member, health!)).toContain('is healthy');
    expect(await runBlock(member, enable!)).toBe(
      'Downgrade validate success, cluster version 3.7\n' +
        'Downgrade enable success, cluster version 3.7\n',
    );
    await runBlock(member, wait!);
    await member.line(/The server is ready to downgrade/);
    expect(await runBlock(member, cancel!)).toBe('Downgrade cancel success, cluster version 3.6\n');
    await member.line(/"from":"3.6","to":"3.7"/);
  });

  test('debug.md', async () => {
    const flags = ['--enable-pprof', '--log-level=debug'];
    const member = await Member.start(need(ours), { flags });
    members.push(member);
    const client = new ApiClient(member.endpoint);
    expect(await fill(client, 1)).toBe('');
    const [profiles, opened, calls, ...more] = blocksOf('debug.md');
    expect(more).toEqual([]);
    const inDirectory = (block: string) => `cd '${join(member.directory, '..')}'\n${block}`;
    expect(await runBlock(member, inDirectory(profiles!))).toMatch(
      /^goroutine profile: total [1-9]/,
    );
    const units = { cpu: 'nanoseconds', heap: 'inuse_space', allocs: 'alloc_space' };
    for (const [name, unit] of Object.entries(units)) {
      const profile = gunzipSync(readFileSync(join(member.directory, '..', `${name}.pb.gz`)));
      // An idle member may have spent no time and allocated nothing; values have their names.
      expect(profile.toString('latin1')).toContain(unit);
    }
    if (go.missing === undefined) {
      expect(await runBlock(member, inDirectory(opened!))).toMatch(/^Type: inuse_space$/m);
    }
    const pages = await runBlock(member, calls!);
    expect(pages).toContain('grpc.Recv.etcdserverpb.KV</td>');
    expect(pages).toContain('<h1>/debug/events</h1>');
    client.close();
  });
});
