// Counters of the store. The server's registry names them.

import type { Counter, Gauge, Histogram, MetricFamily } from '../base/index.ts';

export interface StoreMetrics {
  readonly mvcc: {
    readonly puts: Counter;
    readonly deletes: Counter;
    readonly ranges: Counter;
    readonly txns: Counter;
    readonly totalPutBytes: Gauge;
    readonly indexCompactionPauseMs: Histogram;
    readonly dbCompactionPauseMs: Histogram;
    readonly dbCompactionTotalMs: Histogram;
    readonly dbCompactionLast: Gauge;
    readonly dbCompactionKeys: Counter;
    readonly hashRevSeconds: Histogram;
  };
  readonly lease: {
    readonly granted: Counter;
    readonly revoked: Counter;
    readonly ttlSeconds: Histogram;
  };
  readonly server: {
    /** Labels: `v3`, the operation by etcd's name, `true` or `false`. */
    readonly applySeconds: MetricFamily<Histogram>;
  };
  readonly watch: {
    readonly responseSeconds: Histogram;
    readonly eventSeconds: Histogram;
  };
}
