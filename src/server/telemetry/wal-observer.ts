import type { WalObserver } from '../../wal/index.ts';
import type { Logger } from './log.ts';
import type { ServerMetrics } from './metrics-table.ts';

/** Metrics and log lines of the write-ahead log. */
export function walObserver(log: Logger, metrics: ServerMetrics): WalObserver {
  return {
    synced: (seconds) => metrics.disk.walFsyncSeconds.observe(seconds),
    wrote: (bytes, seconds) => {
      metrics.disk.walWriteBytes.value += bytes;
      metrics.disk.walWriteSeconds.observe(seconds);
    },
    segmentCreated: (path) => log.info('created a new WAL segment', { path }),
    prepareFailed: (error) => log.warn('no room could be made ready in the WAL', { error }),
    ignoredFile: (path) => log.warn('ignored file in WAL directory', { path }),
    purged: (path) => log.info('purged', { path }),
  };
}
