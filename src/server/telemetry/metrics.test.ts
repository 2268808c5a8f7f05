import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { describeWith, need, sharedData } from '../../../test/helpers/real-etcd.ts';
import { Histogram } from '../../base/index.ts';
import { STATUS_NAMES } from '../../grpc/index.ts';
import { createMetrics, formatBound } from './metrics.ts';
import { GRPC_HANDLING_BOUNDS } from './metrics-grpc.ts';
import { METRICS, type MetricRow } from './metrics-table.ts';

interface Reference {
  readonly metrics: readonly {
    readonly name: string;
    readonly type: string;
    readonly labels: readonly string[];
    readonly help: string;
    readonly buckets?: readonly number[];
  }[];
  readonly grpc_metrics: {
    readonly families: readonly { readonly name: string; readonly help: string }[];
    readonly grpc_code_names: readonly string[];
  };
}

/** Metrics of etcd that a member does not keep, see docs/divergence.md. A kept one must leave this list. */
const MISSING = `
  etcd_debugging_store_reads_failed_total
  etcd_debugging_store_reads_total
  etcd_debugging_store_writes_failed_total
  etcd_grpc_proxy_cache_hits_total
  etcd_grpc_proxy_cache_keys_total
  etcd_grpc_proxy_cache_misses_total
  etcd_grpc_proxy_events_coalescing_total
  etcd_grpc_proxy_watchers_coalescing_total
`
  .trim()
  .split(/\s+/);

const { own, tls, scrapes, runtime, lags, ...theirs } = METRICS;
const rows = Object.values<Readonly<Record<string, MetricRow<unknown>>>>(theirs).flatMap((owned) =>
  Object.values(owned),
);

function boundsOf(row: MetricRow<unknown>): readonly number[] | undefined {
  const made = row.make();
  const record =
    made !== null && typeof made === 'object' && 'with' in made && typeof made.with === 'function'
      ? made.with(...row.labels)
      : made;
  return record instanceof Histogram ? record.bounds : undefined;
}

const reference = sharedData('reference');
describeWith('beside the reference', [reference], () => {
  const facts: Reference = JSON.parse(readFileSync(join(need(reference), 'metrics.json'), 'utf8'));
  const known = new Map(facts.metrics.map((metric) => [metric.name, metric]));

  test.each(rows.map((row) => [row.name, row] as const))('%s', (name, row) => {
    const fact = known.get(name)!;
    expect(fact, 'a metric of etcd').toBeDefined();
    expect(row.type).toBe(fact.type);
    expect([...row.labels]).toEqual(fact.labels);
    expect(row.help).toBe(fact.help);
    expect(boundsOf(row)).toEqual(fact.buckets);
  });

  test('what is missing is exactly what the list says', () => {
    const kept = new Set(rows.map((row) => row.name));
    const missing = facts.metrics.map(({ name }) => name).filter((name) => !kept.has(name));
    expect(missing.sort()).toEqual([...MISSING].sort());
  });

  test('our own are named so that etcd never has them', () => {
    for (const { name } of Object.values({ ...own, ...tls })) {
      expect(name).toMatch(/^tetcd_/);
      expect(known.has(name)).toBe(false);
    }
  });

  test('the gRPC families', async () => {
    expect(STATUS_NAMES).toEqual(facts.grpc_metrics.grpc_code_names);
    const metrics = createMetrics({ extensive: true, runtime: false });
    metrics.grpc.add('etcdserverpb.KV', 'Range', 'unary');
    const body = await metrics.render();
    for (const { name, help } of facts.grpc_metrics.families) {
      expect(body).toContain(`# HELP ${name} ${help}\n`);
    }
  });
});

test('the page is sorted, and a histogram looks as Prometheus libraries print it', async () => {
  const metrics = createMetrics({ extensive: false, runtime: false });
  metrics.records.lease.ttlSeconds.observe(5);
  metrics.records.lease.ttlSeconds.observe(2_000_000);
  metrics.records.lease.ttlSeconds.observe(1e9);
  const body = await metrics.render();
  const families = [...body.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name);
  expect(families).toEqual([...families].sort());
  expect(body).toContain('etcd_debugging_lease_ttl_total_bucket{le="4"} 0\n');
  expect(body).toContain('etcd_debugging_lease_ttl_total_bucket{le="8"} 1\n');
  expect(body).toContain('etcd_debugging_lease_ttl_total_bucket{le="1.048576e+06"} 1\n');
  expect(body).toContain('etcd_debugging_lease_ttl_total_bucket{le="2.097152e+06"} 2\n');
  expect(body).toContain('etcd_debugging_lease_ttl_total_bucket{le="+Inf"} 3\n');
  expect(body).toContain('etcd_debugging_lease_ttl_total_sum 1002000005\n');
  expect(body).toContain('etcd_debugging_lease_ttl_total_count 3\n');
  expect(body).not.toContain('\n\n');
  expect(body.endsWith('\n')).toBe(true);
});

test('a family without samples is left out, one without labels always has one', async () => {
  const metrics = createMetrics({ extensive: false, runtime: false });
  const body = await metrics.render();
  expect(body).not.toContain('etcd_server_healthchecks_total');
  expect(body).toContain('etcd_mvcc_put_total 0\n');
});

test('label values are escaped', async () => {
  const metrics = createMetrics({ extensive: false, runtime: false });
  metrics.records.server.healthcheck.with('livez', 'a"b\\c\nd').value = 1;
  const body = await metrics.render();
  expect(body).toContain('etcd_server_healthcheck{name="a\\"b\\\\c\\nd",type="livez"} 1\n');
});

test('gRPC methods are counted by status, extensively with their times', async () => {
  const metrics = createMetrics({ extensive: true, runtime: false });
  const range = metrics.grpc.add('etcdserverpb.KV', 'Range', 'unary');
  range.started.value += 3;
  range.ended(0, 0.02);
  range.ended(5, 20);
  range.ended(99, 1);
  const body = await metrics.render();
  const labels = 'grpc_method="Range",grpc_service="etcdserverpb.KV",grpc_type="unary"';
  expect(body).toContain(`grpc_server_started_total{${labels}} 3\n`);
  expect(body).toContain(`grpc_server_handled_total{grpc_code="OK",${labels}} 1\n`);
  expect(body).toContain(`grpc_server_handled_total{grpc_code="NotFound",${labels}} 1\n`);
  expect(body).toContain(`grpc_server_handled_total{grpc_code="Unknown",${labels}} 1\n`);
  expect(body).toContain(`grpc_server_handled_total{grpc_code="Internal",${labels}} 0\n`);
  expect(body).toContain(`grpc_server_handling_seconds_bucket{${labels},le="0.025"} 1\n`);
  expect(body).toContain(`grpc_server_handling_seconds_count{${labels}} 3\n`);
  expect(range.handlingSeconds?.bounds).toBe(GRPC_HANDLING_BOUNDS);
  expect(() => metrics.grpc.add('etcdserverpb.KV', 'Range', 'unary')).toThrow('once');
});

test('a method that etcd does not set up at the start is shown once it was called', async () => {
  const metrics = createMetrics({ extensive: true, runtime: false });
  const lock = metrics.grpc.add('v3lockpb.Lock', 'Lock', 'unary');
  expect(await metrics.render()).not.toContain('v3lockpb');
  lock.started.value++;
  lock.ended(4, 0.1);
  const body = await metrics.render();
  const labels = 'grpc_method="Lock",grpc_service="v3lockpb.Lock",grpc_type="unary"';
  expect(body).toContain(`grpc_server_handled_total{grpc_code="DeadlineExceeded",${labels}} 1\n`);
  expect(body.match(/handled_total\{[^}]*"v3lockpb.Lock"/g)).toHaveLength(1);
});

test('gauges are set from their owners before each scrape', async () => {
  const metrics = createMetrics({ extensive: false, runtime: false });
  let size = 1;
  metrics.onCollect(() => {
    metrics.records.mvcc.dbTotalBytes.value = size;
  });
  expect(await metrics.render()).toContain('etcd_mvcc_db_total_size_in_bytes 1\n');
  size = 2;
  expect(await metrics.render()).toContain('etcd_mvcc_db_total_size_in_bytes 2\n');
});

test('the runtime tells of itself', async () => {
  const metrics = createMetrics({ extensive: false, runtime: true });
  const body = await metrics.render();
  expect(body).toMatch(/^process_start_time_seconds \d+/m);
  expect(body).toMatch(/^nodejs_heap_size_used_bytes \d+/m);
  metrics.lag!.record(1500);
  expect(await metrics.render()).toMatch(/^nodejs_eventloop_lag_max_seconds 1\.5/m);
  expect(await metrics.render()).toMatch(/^nodejs_eventloop_lag_p99_seconds 0$/m);
  if (process.platform === 'linux') expect(body).toMatch(/^os_fd_used [1-9]/m);
});

test('bounds are printed as Go prints numbers', () => {
  const cases: readonly (readonly [number, string])[] = [
    [0.0001, '0.0001'],
    [0.00001, '1e-05'],
    [0.001, '0.001'],
    [52.4288, '52.4288'],
    [1, '1'],
    [524_288, '524288'],
    [999_999, '999999'],
    [1_000_000, '1e+06'],
    [8_388_608, '8.388608e+06'],
  ];
  for (const [bound, text] of cases) expect(formatBound(bound)).toBe(text);
});
