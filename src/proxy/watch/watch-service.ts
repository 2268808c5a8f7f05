// etcdserverpb.Watch of a proxy: many watchers of clients on few watches of the cluster.

import { etcdserverpb } from '../../protocol/index.ts';
import type { ServiceTable } from '../../rpc/index.ts';
import { callerKey, callerMetadata, requiresLeader } from '../calls/passed-metadata.ts';
import type { Upstream } from '../calls/upstream.ts';
import type { Namespace } from '../kv/namespace.ts';
import type { ProxyLog } from '../log.ts';
import type { ProxyMetrics } from '../metrics.ts';
import { WatchClient } from './watch-client.ts';
import { WatchGroup } from './watch-group.ts';

interface WatchServiceParts {
  readonly upstream: Upstream;
  readonly metrics: ProxyMetrics;
  readonly log: ProxyLog;
  readonly namespace: Namespace | undefined;
}

/** Serves watches; what it returns counts those that are shared, for metrics. */
export function registerWatchService(table: ServiceTable, parts: WatchServiceParts): () => void {
  const { namespace } = parts;
  const groups = new Map<string, WatchGroup>();
  table.stream(etcdserverpb.WatchService.methods.watch, (call) => {
    const { metadata } = call;
    const key = callerKey(metadata);
    let group = groups.get(key);
    if (group === undefined) {
      group = new WatchGroup({
        ...parts,
        metadata: callerMetadata(metadata),
        requiresLeader: requiresLeader(metadata),
        change: namespace && ((message) => namespace.watchResponse(message)),
      });
      groups.set(key, group);
    }
    const joined = group;
    return new WatchClient({
      call,
      group,
      metrics: parts.metrics,
      place: (first, end) => namespace?.range(first, end) ?? [first, end],
      onLeft: () => {
        if (joined.isEmpty && groups.get(key) === joined) groups.delete(key);
      },
    });
  });
  return () => {
    parts.metrics.watchersCoalescing.value = sharingOf(groups.values());
  };
}

function sharingOf(groups: Iterable<WatchGroup>): number {
  let sharing = 0;
  for (const group of groups) {
    for (const range of group.ranges()) {
      for (const watch of range.watches()) sharing += Math.max(0, watch.attachedCount - 1);
    }
  }
  return sharing;
}
