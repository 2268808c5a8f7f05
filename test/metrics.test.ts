// The metrics page of a member that has done a bit of everything, beside the reference's list and beside
// the page of real etcd after the same: names, types, labels and bounds.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Cluster } from './cluster/cluster.ts';
import type { ClusterMember, Server } from './cluster/cluster-member.ts';
import { until } from './cluster/until.ts';
import type { Message } from './helpers/api.ts';
import { realProgram, serverUnderTest } from './helpers/member.ts';
import { describeWith, type Found, need, realEtcd, sharedData } from './helpers/real-etcd.ts';

/** Families on one or several pages: their type, and the label names and bounds of their series. */
interface Family {
  readonly type: string;
  readonly labels: Set<string>;
  readonly bounds: Set<string>;
}

function familiesOf(page: string): Map<string, Family> {
  const families = new Map<string, Family>();
  let current: Family | undefined;
  for (const line of page.split('\n')) {
    const head = /^# TYPE (\S+) (\S+)$/.exec(line);
    if (head !== null) {
      current = families.get(head[1]!) ?? { type: head[2]!, labels: new Set(), bounds: new Set() };
      families.set(head[1]!, current);
    }
    const labels = /^\w+\{(.*)\} \S+$/.exec(line)?.[1];
    for (const [, name, value] of labels?.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g) ?? []) {
      if (name === 'le') current!.bounds.add(value!);
      else current!.labels.add(name!);
    }
  }
  return families;
}

/** The pages of all members, one below the other. */
async function scrape(cluster: Cluster): Promise<string> {
  const pages = await Promise.all(
    cluster.running.map(async ({ endpoint }) => (await fetch(`http://${endpoint}/metrics`)).text()),
  );
  return pages.join('');
}

/** Ends when a family of the pages has a sample above 0. */
async function untilFed(cluster: Cluster, name: string): Promise<void> {
  const sample = new RegExp(`^${name}(?:\\{.*\\})? [1-9]`, 'm');
  await until(name, async () => sample.test(await scrape(cluster)) || undefined);
}

async function useKeys({ client }: ClusterMember): Promise<void> {
  for (let i = 0; i < 40; i++) await client.must('KV/Put', { key: 'k', value: 'v'.repeat(i) });
  await client.must('KV/Range', { key: 'k' });
  await client.must('KV/Range', { key: 'k', serializable: true });
  await client.call('KV/Range', { key: 'k', revision: 1_000_000 });
  const range = { request_range: { key: 'k' } };
  await client.must('KV/Txn', { success: [range] });
  await client.must('KV/Txn', { success: [range, { request_put: { key: 'k', value: 'w' } }] });
  await client.must('KV/DeleteRange', { key: 'k' });
  await client.must('KV/Compact', { revision: 20, physical: true });
}

async function watch(cluster: Cluster, { client }: ClusterMember): Promise<string> {
  const stream = client.stream('Watch/Watch');
  stream.send({ create_request: { key: 'w', progress_notify: true } });
  await stream.until(() => stream.received.length === 1);
  await client.must('KV/Put', { key: 'w', value: 'v' });
  await stream.until(() => stream.received.length === 2);
  await untilFed(cluster, 'etcd_debugging_server_watch_send_loop_progress_duration_seconds_count');
  const page = await scrape(cluster);
  stream.sendRaw(Buffer.from([0x0a, 0x7f, 0x00]));
  await stream.until(() => false);
  return page;
}

async function lease({ client }: ClusterMember): Promise<void> {
  await client.must('Lease/LeaseGrant', { ID: '1', TTL: '60' });
  const stream = client.stream('Lease/LeaseKeepAlive');
  stream.send({ ID: '1' });
  await stream.until(() => stream.received.length === 1);
  stream.end();
  await client.must('Lease/LeaseRevoke', { ID: '1' });
  await client.must('Lease/LeaseGrant', { ID: '2', TTL: '2' });
}

async function maintain(cluster: Cluster, member: ClusterMember): Promise<void> {
  const { client, endpoint, id, peerUrl } = member;
  await client.must('Maintenance/Defragment', {});
  await client.must('Maintenance/Hash', {});
  await client.must('Maintenance/HashKV', {});
  await client.collect('Maintenance/Snapshot', {});
  await client.must('Maintenance/Alarm', { action: 1, memberID: id, alarm: 1 });
  await scrape(cluster);
  await client.must('Maintenance/Alarm', { action: 2, memberID: id, alarm: 1 });
  await client.call('Cluster/MemberPromote', { ID: id });
  await client.must('Auth/RoleAdd', { name: 'r' });
  await client.must('Auth/RoleList', {});
  for (const path of ['health', 'livez', 'readyz', 'version']) {
    await (await fetch(`http://${endpoint}/${path}`)).text();
  }
  // What no member sends.
  const { header } = (await client.must('Maintenance/Status', {})) as { header: Message };
  const headers = {
    'X-Etcd-Cluster-ID': BigInt(String(header['cluster_id'])).toString(16),
    'X-Server-From': '1',
    'X-Server-Version': '3.7.1',
    'X-Min-Cluster-Version': '3.0.0',
  };
  for (const path of ['raft', 'raft/snapshot']) {
    await (await fetch(`${peerUrl}/${path}`, { method: 'POST', headers, body: 'x' })).text();
  }
}

/** A cluster in which each thing has been done that some metric counts; its pages. */
async function busyCluster(program: Server): Promise<[Cluster, string]> {
  const flags = [
    ...['--snapshot-count=10', '--snapshot-catchup-entries=1', '--metrics=extensive'],
    '--watch-progress-notify-interval=100ms',
  ];
  const cluster = await Cluster.start({ servers: [program, program], flags });
  try {
    const leader = await cluster.leader();
    await useKeys(leader);
    const watched = await watch(cluster, leader);
    await lease(leader);
    await maintain(cluster, leader);
    const learner = await cluster.add(program, { learner: true });
    await untilFed(cluster, 'etcd_network_snapshot_receive_success');
    await untilFed(cluster, 'etcd_network_peer_round_trip_time_seconds_count');
    await untilFed(cluster, 'etcd_debugging_server_lease_expired_total');
    const before = await scrape(cluster);
    await cluster.promote(learner);
    await learner.kill();
    await untilFed(cluster, 'etcd_network_disconnected_peers_total');
    await untilFed(cluster, 'etcd_network_peer_sent_failures_total');
    return [cluster, watched + before + (await scrape(cluster))];
  } catch (error) {
    await cluster.dispose();
    throw error;
  }
}

/** Of metrics.json, and why a member has none: see docs/divergence.md. */
const NOT_OF_A_MEMBER = /^etcd_grpc_proxy_|^etcd_debugging_store_(?:reads_total|\w+_failed_total)$/;
/** Counted at a failure that nothing here provokes. */
const NOT_PROVOKED = new Set(['etcd_network_snapshot_send_failures']);

/** Of Go's scheduler and allocator. */
const OF_GO =
  /^go_(?:gc_|goroutines|sched_|memstats_(?:alloc_bytes_total|buck|frees|gc_|heap_(?:objects|released)|last_gc|lookups|mallocs|mcache|mspan|next_gc|other|stack))/;

interface Reference {
  readonly metrics: readonly {
    readonly name: string;
    readonly type: string;
    readonly labels: readonly string[];
    readonly buckets?: readonly number[];
  }[];
  readonly grpc_metrics: { readonly families: Reference['metrics'] };
}

const ours = serverUnderTest();
const reference = sharedData('reference');
const real = realEtcd('3.7');
const source = process.env['TETCD_ETCD_SOURCE_DIR'] ?? '';
const mixin: Found<string> =
  source === ''
    ? { missing: 'TETCD_ETCD_SOURCE_DIR: a checkout of etcd 3.7', excused: true }
    : { value: join(source, 'contrib', 'mixin') };

/** What is selected in the files of a folder, but for what Prometheus itself makes. */
function seriesIn(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const text = readFileSync(join(folder, name), 'utf8');
    return [...text.matchAll(/\b((?:etcd|grpc|process|os|go)_[a-z_]+)\{/g)].map(
      (match) => match[1]!,
    );
  });
}

let page = '';

describeWith('the metrics page of a busy cluster', [ours], () => {
  let cluster: Cluster;
  beforeAll(async () => {
    [cluster, page] = await busyCluster({ program: need(ours) });
  }, 120_000);
  afterAll(() => cluster?.dispose());

  describeWith('beside the reference', [reference], () => {
    const facts: Reference = JSON.parse(
      readFileSync(join(need(reference), 'metrics.json'), 'utf8'),
    );

    test('has every metric, with its type, labels and bounds', () => {
      const families = familiesOf(page);
      const wrong: string[] = [];
      for (const fact of [...facts.metrics, ...facts.grpc_metrics.families]) {
        const { name, type, labels, buckets } = fact;
        if (NOT_OF_A_MEMBER.test(name) || NOT_PROVOKED.has(name)) continue;
        const family = families.get(name);
        const found = family && {
          type: family.type,
          labels: [...family.labels].sort(),
          bounds: [...family.bounds].filter((bound) => bound !== '+Inf').map(Number),
        };
        const expected = { type, labels: [...labels].sort(), bounds: buckets ?? [] };
        if (JSON.stringify(found) !== JSON.stringify(expected)) {
          wrong.push(`${name}: ${JSON.stringify(found)} instead of ${JSON.stringify(expected)}`);
        }
      }
      expect(wrong).toEqual([]);
    });

    test('feeds all of them but those that are 0 after this work', () => {
      const empty = facts.metrics
        .map(({ name, type }) => (type === 'histogram' ? `${name}_count` : name))
        .filter((name) => !new RegExp(`^${name}(?:\\{.*\\})? (?!0$)`, 'm').test(page))
        .filter((name) => !NOT_OF_A_MEMBER.test(name) && !NOT_PROVOKED.has(name));
      // A slow machine may cause more.
      expect(empty.filter((name) => !UNTOUCHED.includes(name))).toEqual([]);
    });
  });

  describeWith("beside the files of etcd's mixin", [mixin], () => {
    test('the list of its series is whole', () => {
      const found = new Set(
        ['alerts', 'dashboards'].flatMap((one) => seriesIn(join(need(mixin), one))),
      );
      expect([...found].sort()).toEqual([...new Set(MIXIN.map(([name]) => name))].sort());
    });
  });

  test("has every series of etcd's mixin", () => {
    const lines = page.split('\n');
    const missing = MIXIN.filter(([name, labels]) => {
      const isIts = (line: string) => line.startsWith(`${name}{`) || line.startsWith(`${name} `);
      return !lines.some((line) => isIts(line) && labels.every((label) => line.includes(label)));
    });
    expect(missing.map(([name]) => name)).toEqual([]);
  });

  describeWith('beside real etcd after the same work', [real], () => {
    test('has its families with their types, labels and bounds', async () => {
      const [theirs, theirPage] = await busyCluster({ program: realProgram(need(real)) });
      try {
        const mine = familiesOf(page);
        const wrong: string[] = [];
        for (const [name, family] of familiesOf(theirPage)) {
          if (OF_GO.test(name) || NOT_OF_A_MEMBER.test(name)) continue;
          const found = mine.get(name);
          const same =
            found !== undefined &&
            found.type === family.type &&
            sorted(found.labels) === sorted(family.labels) &&
            sorted(found.bounds) === sorted(family.bounds);
          if (!same)
            wrong.push(`${name}: ${found && sorted(found.labels)} ${sorted(family.labels)}`);
        }
        expect(wrong).toEqual([]);
      } finally {
        await theirs.dispose();
      }
    }, 120_000);
  });
});

function sorted(values: ReadonlySet<string>): string {
  return [...values].sort().join(' ');
}

/** 0 also after this work: it lasts a moment, or nothing went that wrong. */
const UNTOUCHED = `
  etcd_debugging_mvcc_pending_events_total
  etcd_debugging_mvcc_slow_watcher_total
  etcd_debugging_server_alarms
  etcd_debugging_store_expires_total
  etcd_debugging_store_watch_requests_total
  etcd_debugging_store_watchers
  etcd_disk_defrag_inflight
  etcd_network_snapshot_receive_inflights_total
  etcd_network_snapshot_send_inflights_total
  etcd_server_health_failures
  etcd_server_heartbeat_send_failures_total
  etcd_server_proposals_failed_total
  etcd_server_proposals_pending
  etcd_server_read_indexes_failed_total
  etcd_server_slow_apply_total
  etcd_server_slow_read_indexes_total
  etcd_server_snapshot_apply_in_progress_total
`
  .trim()
  .split(/\s+/);

const FAILED_CODES =
  'Unknown FailedPrecondition ResourceExhausted Internal Unavailable DataLoss DeadlineExceeded';

/** Series of the alerts and dashboards in etcd's contrib/mixin, and the labels that they select or keep. */
const MIXIN: readonly (readonly [name: string, labels: readonly string[]])[] = [
  ['etcd_disk_backend_commit_duration_seconds_bucket', ['le="0.256"']],
  ['etcd_disk_wal_fsync_duration_seconds_bucket', ['le="0.512"']],
  ['etcd_mvcc_db_total_size_in_bytes', []],
  ['etcd_mvcc_db_total_size_in_use_in_bytes', []],
  ['etcd_network_client_grpc_received_bytes_total', []],
  ['etcd_network_client_grpc_sent_bytes_total', []],
  ['etcd_network_peer_received_bytes_total', ['From=']],
  ['etcd_network_peer_round_trip_time_seconds_bucket', ['To=', 'le=']],
  ['etcd_network_peer_sent_bytes_total', ['To=']],
  ['etcd_network_peer_sent_failures_total', ['To=']],
  ['etcd_server_has_leader', []],
  ['etcd_server_leader_changes_seen_total', []],
  ['etcd_server_proposals_applied_total', []],
  ['etcd_server_proposals_committed_total', []],
  ['etcd_server_proposals_failed_total', []],
  ['etcd_server_proposals_pending', []],
  ['etcd_server_quota_backend_bytes', []],
  ...['Watch', 'Lease'].flatMap((service) => {
    const labels = [`grpc_service="etcdserverpb.${service}"`, 'grpc_type="bidi_stream"'];
    return [
      ['grpc_server_handled_total', labels] as const,
      ['grpc_server_started_total', labels] as const,
    ];
  }),
  ...FAILED_CODES.split(' ').map((code) => {
    return ['grpc_server_handled_total', [`grpc_code="${code}"`, 'grpc_type="unary"']] as const;
  }),
  ['grpc_server_handling_seconds_bucket', ['grpc_method="Put"', 'grpc_type="unary"', 'le="0.1"']],
  ['grpc_server_started_total', ['grpc_type="unary"']],
  ['process_resident_memory_bytes', []],
];
