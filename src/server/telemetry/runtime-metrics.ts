// Metrics of the process: those of prom-client (`process_*`, `nodejs_*`), and those that etcd has of its
// process by the Go library and that have the same meaning here. What is about Go's scheduler and
// allocator alone has no source.

import { getHeapStatistics } from 'node:v8';
import prometheus, { type Registry } from 'prom-client';
import { readProcessUsage } from '../../env/index.ts';
import { LAG_FIGURES, type LoopLag } from './loop-lag.ts';
import { LAGS, type ServerMetrics } from './metrics-table.ts';

type RuntimeRecords = Pick<ServerMetrics, 'os' | 'runtime' | 'lags'>;

/** The monitor of prom-client wakes the process at this interval: never. {@link LoopLag} replaces it. */
const MONITOR_MS: number = 2 ** 31 - 1;

/** Registers those of prom-client, but its lags of the event loop: once per process. */
export function registerRuntime(registry: Registry): void {
  prometheus.collectDefaultMetrics({
    register: registry,
    eventLoopMonitoringPrecision: MONITOR_MS,
  });
  for (const { name } of Object.values(LAGS)) registry.removeSingleMetric(name);
}

/** Reads the others, at a scrape. */
export async function collectRuntime(records: RuntimeRecords, lag: LoopLag): Promise<void> {
  const { os, runtime, lags } = records;
  const usage = await readProcessUsage();
  os.fdUsed.value = usage.openFiles ?? 0;
  os.fdLimit.value = usage.maxFiles ?? 0;
  runtime.threads.value = usage.threads ?? 0;
  runtime.virtualMemoryMaxBytes.value = usage.virtualMemoryMaxBytes ?? 0;
  runtime.networkReceivedBytes.value = usage.networkReceivedBytes ?? 0;
  runtime.networkSentBytes.value = usage.networkSentBytes ?? 0;
  runtime.info.with(process.version).value = 1;
  const heap = getHeapStatistics();
  runtime.allocatedBytes.value = heap.used_heap_size;
  runtime.heapAllocatedBytes.value = heap.used_heap_size;
  runtime.heapInUseBytes.value = heap.used_heap_size;
  runtime.heapIdleBytes.value = heap.total_heap_size - heap.used_heap_size;
  runtime.heapTotalBytes.value = heap.total_heap_size;
  runtime.totalBytes.value = heap.total_heap_size + heap.external_memory + heap.malloced_memory;
  const figures = lag.take();
  for (const figure of LAG_FIGURES) lags[figure].value = figures[figure];
}
