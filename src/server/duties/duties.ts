// Background duties of a running member. A new one gets a line here.

import type { ProcessMemory } from '../../env/index.ts';
import type { ClusterVersionMonitor } from '../cluster/cluster-version.ts';
import type { StorageVersionMonitor } from '../cluster/storage-version.ts';
import type { ServerConfig } from '../config/index.ts';
import { HEAP_CHECK_INTERVAL_MS, PURGE_INTERVAL_MS, VERSION_CHECK_INTERVAL_MS } from '../limits.ts';
import { AutoCompaction, type AutoCompactionParts } from './auto-compaction.ts';
import { CorruptionDuty, type CorruptionDutyParts } from './corruption-duty.ts';
import { checkHeap, type HeapCheckParts } from './heap-check.ts';
import { IdleMemory, type IdleMemoryParts } from './idle-memory.ts';
import { LeaseExpiry, type LeaseExpiryParts } from './lease-expiry.ts';
import { MemoryLockDuty, type MemoryLockParts } from './memory-lock-duty.ts';
import { Periodic } from './periodic.ts';
import { type PurgeParts, purgeOldFiles } from './purge.ts';

export interface Duty {
  start(): void;
  stop(): void;
}

type DutiesParts = PurgeParts &
  HeapCheckParts &
  AutoCompactionParts &
  LeaseExpiryParts &
  CorruptionDutyParts &
  MemoryLockParts &
  IdleMemoryParts & {
    readonly config: Pick<ServerConfig, 'downgradeCheckTimeMs'>;
    readonly versionMonitor: ClusterVersionMonitor;
    readonly storageVersion: StorageVersionMonitor;
  };

/** `processMemory`: undefined where the process is not the member's alone. */
export function createDuties(
  parts: DutiesParts,
  processMemory: ProcessMemory | undefined,
): readonly Duty[] {
  const { timers } = parts.env;
  const { versionMonitor, storageVersion } = parts;
  const { downgradeCheckTimeMs } = parts.config;
  return [
    new Periodic(timers, PURGE_INTERVAL_MS, () => void purgeOldFiles(parts)),
    new Periodic(timers, HEAP_CHECK_INTERVAL_MS, () => checkHeap(parts)),
    new Periodic(timers, VERSION_CHECK_INTERVAL_MS, () => void versionMonitor.check()),
    new Periodic(timers, VERSION_CHECK_INTERVAL_MS, () => storageVersion.check()),
    ...(downgradeCheckTimeMs === 0
      ? []
      : [new Periodic(timers, downgradeCheckTimeMs, () => void versionMonitor.endDowngrade())]),
    ...MemoryLockDuty.of(parts),
    ...IdleMemory.of(parts, processMemory),
    new LeaseExpiry(parts),
    new AutoCompaction(parts),
    CorruptionDuty.ofKeys(parts),
    CorruptionDuty.ofCompactions(parts),
  ];
}
