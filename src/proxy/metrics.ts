// The metrics of a gRPC proxy: etcd's families, those of its gRPC server, and those of the process.

import { Counter, Gauge } from '../base/index.ts';
import { type MethodStats, statusName } from '../grpc/index.ts';
import type { ServiceTable } from '../rpc/index.ts';

/** As a member has it: at the default of 10 ms it is most of what an idle process wakes up for. */
const LAG_MEASURED_MS = 200;

/** What the proxy counts. Levels are set by their owners. */
export class ProxyMetrics {
  /** Watchers that share a watch of the cluster with another one. */
  readonly watchersCoalescing = new Gauge();
  /** Answers of the cluster's watches that were saved by sharing them. */
  readonly eventsCoalescing = new Counter();
  readonly cacheKeys = new Gauge();
  readonly cacheHits = new Counter();
  readonly cacheMisses = new Counter();
  /** Watches open at the cluster. */
  readonly upstreamWatches = new Gauge();
  /** Watchers of clients. */
  readonly watchers = new Gauge();
  /** Keys whose reads are answered here. */
  readonly leasedKeys = new Gauge();
  /** Bytes of recent events that are kept for late watchers. */
  readonly recentBytes = new Gauge();
}

interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge';
}

/** etcd's names and types, though some say "total" of what goes up and down. */
const FAMILIES: ReadonlyArray<Family & { readonly key: keyof ProxyMetrics }> = [
  row(
    'watchersCoalescing',
    'etcd_grpc_proxy_watchers_coalescing_total',
    'gauge',
    'watchers that share a watch of the cluster',
  ),
  row(
    'eventsCoalescing',
    'etcd_grpc_proxy_events_coalescing_total',
    'counter',
    'watch responses of the cluster saved by sharing',
  ),
  row('cacheKeys', 'etcd_grpc_proxy_cache_keys_total', 'gauge', 'answers in the cache'),
  row(
    'cacheHits',
    'etcd_grpc_proxy_cache_hits_total',
    'gauge',
    'serializable reads answered from the cache',
  ),
  row(
    'cacheMisses',
    'etcd_grpc_proxy_cache_misses_total',
    'gauge',
    'serializable reads that were not in the cache',
  ),
  row(
    'upstreamWatches',
    'tetcd_grpc_proxy_upstream_watches',
    'gauge',
    'watches open at the cluster',
  ),
  row('leasedKeys', 'tetcd_grpc_proxy_leased_keys', 'gauge', 'keys owned by leasing'),
  row('watchers', 'tetcd_grpc_proxy_watchers', 'gauge', 'watchers of clients'),
  row(
    'recentBytes',
    'tetcd_grpc_proxy_recent_event_bytes',
    'gauge',
    'events kept for late watchers, in bytes',
  ),
];

function row(key: keyof ProxyMetrics, name: string, type: Family['type'], help: string) {
  return { key, name, type, help };
}

interface Sources {
  readonly metrics: ProxyMetrics;
  readonly table: ServiceTable;
  /** Counters of the gRPC server. */
  readonly methods: readonly MethodStats[];
  /** Sets levels that are counted only for a page. */
  readonly update: () => void;
}

/** Gives the text of a page; `process` and `nodejs` families are added. */
export async function metricsPages(
  sources: Sources,
): Promise<() => Promise<{ readonly contentType: string; readonly body: string }>> {
  const { default: prometheus } = await import('prom-client');
  const registry = new prometheus.Registry();
  prometheus.collectDefaultMetrics({
    register: registry,
    eventLoopMonitoringPrecision: LAG_MEASURED_MS,
  });
  return async () => {
    sources.update();
    const own = `${proxyText(sources.metrics)}${grpcText(sources)}`;
    return { contentType: registry.contentType, body: `${await registry.metrics()}\n${own}` };
  };
}

function head({ name, help, type }: Family): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
}

function proxyText(metrics: ProxyMetrics): string {
  return FAMILIES.map((each) => `${head(each)}${each.name} ${metrics[each.key].value}\n`).join('');
}

function grpcText({ table, methods }: Sources): string {
  const labelled = methods.map((stats) => {
    const [, service, method] = stats.path.split('/');
    const type = table.get(stats.path)!.kind;
    const labels = `grpc_method="${method}",grpc_service="${service}",grpc_type="${type}"`;
    return { stats, labels };
  });
  const family = (name: string, help: string, value: (stats: MethodStats) => number): string => {
    const lines = labelled.map(({ stats, labels }) => `${name}{${labels}} ${value(stats)}\n`);
    return `${head({ name, help, type: 'counter' })}${lines.join('')}`;
  };
  const handled = 'grpc_server_handled_total';
  const ended = labelled.flatMap(({ stats, labels }) =>
    [...stats.ended].map((count, code) => {
      const name = statusName(code);
      return count === 0 ? '' : `${handled}{grpc_code="${name}",${labels}} ${count}\n`;
    }),
  );
  return [
    head({ name: handled, help: 'calls that have ended, by code', type: 'counter' }),
    ...ended,
    family('grpc_server_msg_received_total', 'messages received', (one) => one.messagesReceived),
    family('grpc_server_msg_sent_total', 'messages sent', (one) => one.messagesSent),
    family('grpc_server_started_total', 'calls that have begun', (one) => one.started),
  ].join('');
}
