// What processes take that nobody asks anything of.

import { setTimeout as pause } from 'node:timers/promises';
import type { Measurement, Sizes } from './cases.ts';
import { cpuMicrosecondsOf, residentMebibytes, wakeUps } from './loader/process-stats.ts';

/**
 * Of one of these processes, on average. As long again is waited first: what the start or a load left to do,
 * such as giving memory back, is done by then. CPU time comes in steps of 10 ms.
 */
export async function measureAtRest(
  pids: readonly number[],
  { restMs }: Sizes,
): Promise<Measurement> {
  await pause(restMs);
  const wakeUpsOfAll = (): number => pids.reduce((sum, pid) => sum + wakeUps(pid), 0);
  const [cpuBefore, wakeUpsBefore] = [cpuMicrosecondsOf(pids), wakeUpsOfAll()];
  const startedAt = performance.now();
  await pause(restMs);
  const seconds = ((performance.now() - startedAt) / 1000) * pids.length;
  return {
    corePercent: ((cpuMicrosecondsOf(pids) - cpuBefore) / 1e6 / seconds) * 100,
    wakeUpsPerSecond: (wakeUpsOfAll() - wakeUpsBefore) / seconds,
    rssMiB: pids.reduce((sum, pid) => sum + residentMebibytes(pid).now, 0) / pids.length,
  };
}
