// How full the heap is: looked at now and then, since V8 aborts at its limit.

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
 * V8 aborts when the old generation is full, while its limit counts the young one, too: three
 * semi-spaces of 16 MiB unless a flag says otherwise. What is young is mostly garbage.
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
