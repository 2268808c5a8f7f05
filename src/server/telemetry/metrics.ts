// The metrics page. Numbers are in plain records (`base/metrics.ts`) of their owners; prom-client formats
// them at a scrape, and adds the metrics of the runtime.

import prometheus, { type Registry } from 'prom-client';
import { Counter, Gauge, Histogram, invariant, MetricFamily } from '../../base/index.ts';
import { STATUS_NAMES } from '../../grpc/index.ts';
import { LoopLag } from './loop-lag.ts';
import { type GrpcMethodMetrics, GrpcMetrics } from './metrics-grpc.ts';
import {
  METRICS,
  type MetricRecord,
  type MetricRow,
  type MetricType,
  type ServerMetrics,
} from './metrics-table.ts';
import { collectRuntime, registerRuntime } from './runtime-metrics.ts';

interface MetricsOptions {
  /** Adds the latency histogram of every gRPC method. */
  readonly extensive: boolean;
  /** Adds the metrics of the runtime (`process_*`, `nodejs_*`): once per process. */
  readonly runtime: boolean;
}

export interface Metrics {
  readonly records: ServerMetrics;
  readonly grpc: GrpcMetrics;
  /** Undefined without the metrics of the runtime. */
  readonly lag: LoopLag | undefined;
  /** Adds a callback that runs before each scrape and sets gauges. */
  onCollect(update: () => void): void;
  /** The page in Prometheus' text format 0.0.4, families sorted by name. */
  render(): Promise<string>;
}

export function createMetrics(options: MetricsOptions): Metrics {
  const registry = new prometheus.Registry();
  const records = makeRecords();
  const grpc = new GrpcMetrics(options.extensive);
  const lag = options.runtime ? new LoopLag() : undefined;
  // Before ours, some of which replace those of prom-client.
  if (lag !== undefined) registerRuntime(registry);
  for (const [owner, rows] of Object.entries(METRICS)) {
    for (const [key, row] of Object.entries<MetricRow<unknown>>(rows)) {
      const owned: Readonly<Record<string, unknown>> = records[owner as keyof ServerMetrics];
      register(registry, row, () => samplesOf(row, owned[key] as Stored));
    }
  }
  registerGrpc(registry, grpc, options.extensive);
  const updates: (() => void)[] = [];
  return {
    records,
    grpc,
    lag,
    onCollect: (update) => void updates.push(update),
    render: async () => {
      for (const update of updates) update();
      if (lag !== undefined) await collectRuntime(records, lag);
      return await page(registry);
    },
  };
}

type Stored = MetricRecord | MetricFamily<MetricRecord>;

function makeRecords(): ServerMetrics {
  const made = Object.entries(METRICS).map(([owner, rows]) => {
    const entries = Object.entries<MetricRow<unknown>>(rows);
    return [owner, Object.fromEntries(entries.map(([key, row]) => [key, row.make()]))];
  });
  return Object.fromEntries(made) as ServerMetrics;
}

/** One line of the page. */
interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  /** The name of the sample, if it is not the family's. */
  readonly metricName?: string;
}

interface FamilyHead {
  readonly name: string;
  readonly type: MetricType;
  readonly help: string;
}

/** Registers a metric; prom-client reads its samples by `get`. */
function register(registry: Registry, head: FamilyHead, read: () => readonly Sample[]): void {
  const { name, type, help } = head;
  const adapter = { name, help, get: async () => ({ name, type, help, values: read() }) };
  registry.registerMetric(adapter as unknown as prometheus.Metric);
}

function samplesOf(row: MetricRow<unknown>, stored: Stored): Sample[] {
  if (!(stored instanceof MetricFamily)) return samplesOfRecord(row.name, {}, stored);
  const samples: Sample[] = [];
  for (const { labels, metric } of stored.children()) {
    const named = Object.fromEntries(row.labels.map((name, i) => [name, labels[i]!]));
    samples.push(...samplesOfRecord(row.name, named, metric));
  }
  return samples;
}

function samplesOfRecord(
  name: string,
  labels: Readonly<Record<string, string>>,
  record: MetricRecord,
): Sample[] {
  if (record instanceof Counter || record instanceof Gauge) {
    return [{ labels: sorted(labels), value: record.value }];
  }
  invariant(record instanceof Histogram, 'a record is a counter, a gauge or a histogram');
  const samples: Sample[] = [];
  let total = 0;
  for (let i = 0; i < record.counts.length; i++) {
    total += record.counts[i]!;
    const le = i < record.bounds.length ? formatBound(record.bounds[i]!) : '+Inf';
    samples.push({ metricName: `${name}_bucket`, labels: sorted({ ...labels, le }), value: total });
  }
  samples.push({ metricName: `${name}_sum`, labels: sorted(labels), value: record.sum });
  samples.push({ metricName: `${name}_count`, labels: sorted(labels), value: total });
  return samples;
}

/** By name, but `le` last, as the Prometheus libraries print them. */
function sorted(labels: Readonly<Record<string, string>>): Record<string, string> {
  const rank = (name: string): string => (name === 'le' ? '\uffff' : name);
  const entries = Object.entries(labels);
  return Object.fromEntries(entries.sort(([a], [b]) => (rank(a) < rank(b) ? -1 : 1)));
}

/** Go's form of a bound, such as `1.048576e+06`: as a label it is part of a series' name. */
export function formatBound(bound: number): string {
  const size = Math.abs(bound);
  if (bound === 0 || (size >= 1e-4 && size < 1e6)) return String(bound);
  return bound.toExponential().replace(/e([+-])(\d)$/, 'e$10$2');
}

function registerGrpc(registry: Registry, grpc: GrpcMetrics, extensive: boolean): void {
  const family = (
    name: string,
    type: MetricType,
    help: string,
    read: (method: GrpcMethodMetrics, labels: Record<string, string>) => Sample[],
  ): void =>
    register(registry, { name, type, help }, () =>
      grpc.shown().flatMap((method) => read(method, grpcLabels(method))),
    );
  family('grpc_server_started_total', 'counter', 'calls begun', (method, labels) => [
    { labels, value: method.started.value },
  ]);
  family('grpc_server_msg_received_total', 'counter', 'stream messages in', (method, labels) => [
    { labels, value: method.received.value },
  ]);
  family('grpc_server_msg_sent_total', 'counter', 'stream messages out', (method, labels) => [
    { labels, value: method.sent.value },
  ]);
  family('grpc_server_handled_total', 'counter', 'calls finished by code name', (method, labels) =>
    STATUS_NAMES.map((name, code) => ({
      labels: { grpc_code: name, ...labels },
      value: method.handled[code]!,
    })).filter(({ value }) => method.shownFromStart || value > 0),
  );
  if (!extensive) return;
  const name = 'grpc_server_handling_seconds';
  family(name, 'histogram', 'call time', (method, labels) =>
    method.handlingSeconds === undefined
      ? []
      : samplesOfRecord(name, labels, method.handlingSeconds),
  );
}

function grpcLabels(method: GrpcMethodMetrics): Record<string, string> {
  return { grpc_method: method.method, grpc_service: method.service, grpc_type: method.type };
}

/** A family without a sample is left out. */
async function page(registry: Registry): Promise<string> {
  const names = registry.getMetricsAsArray().map((metric) => metric.name);
  const texts = await Promise.all(
    names.sort().map((name) => registry.getSingleMetricAsString(name)),
  );
  return texts
    .filter((text) => text.split('\n').length > 2)
    .map((text) => `${text}\n`)
    .join('');
}
