// Periodic check of the heap, since V8 aborts at its limit.

import { getHeapSpaceStatistics, getHeapStatistics } from 'node:v8';
import type { NoSpaceAlarm } from './no-space-alarm.ts';
import type { HeapUse, Quota } from './quota.ts';

export interface HeapCheckParts {
  readonly heapUse: () => HeapUse;
  readonly quota: Pick<Quota, 'acceptHeapUse'>;
  readonly noSpaceAlarm: Pick<NoSpaceAlarm, 'raise'>;
}

export function checkHeap({ heapUse, quota, noSpaceAlarm }: HeapCheckParts): void {
  if (quota.acceptHeapUse(heapUse())) noSpaceAlarm.raise(() => undefined);
}

/**
 * V8 aborts when the old generation is full, but its limit includes the young one: three semi-spaces of
 * 16 MiB by default. Young objects are mostly garbage.
 */
const YOUNG_BYTES: number = 3 * 16 * 1024 * 1024;

/** V8's own numbers. */
export function v8HeapUse(): HeapUse {
  let usedBytes = 0;
  for (const { space_name: name, space_used_size: bytes } of getHeapSpaceStatistics()) {
    if (!name.startsWith('new_')) usedBytes += bytes;
  }
  const { heap_size_limit: limitBytes } = getHeapStatistics();
  return { usedBytes, limitBytes: Math.max(limitBytes - YOUNG_BYTES, limitBytes / 2) };
}
