// What a member looks after now and then: old files, and how full the heap is.

import { getHeapSpaceStatistics, getHeapStatistics } from 'node:v8';
import type { Timer } from '../../env/index.ts';
import { purgeSegments, purgeSnapFiles, type Wal } from '../../wal/index.ts';
import type { DataDirectory } from '../boot/data-directory.ts';
import type { MemberCore } from '../core.ts';
import { HEAP_CHECK_INTERVAL_MS, PURGE_INTERVAL_MS } from '../limits.ts';
import { asError } from '../telemetry/log.ts';
import type { HeapUse } from './quota.ts';

interface HousekeepingOptions {
  readonly core: MemberCore;
  readonly wal: Wal;
  readonly directory: DataDirectory;
  /** Use of the JavaScript heap; default: V8's own numbers. */
  readonly heapUse?: (() => HeapUse) | undefined;
}

export class Housekeeping {
  readonly #options: HousekeepingOptions;
  readonly #timers: Timer[] = [];

  constructor(options: HousekeepingOptions) {
    this.#options = options;
    options.core.quota.watchHeap(options.heapUse ?? v8HeapUse);
    this.every(PURGE_INTERVAL_MS, () => void this.#purge());
    this.every(HEAP_CHECK_INTERVAL_MS, () => this.#checkHeap());
  }

  /** Does `work` at that interval, until {@link stop}. */
  every(intervalMs: number, work: () => void): void {
    const { timers } = this.#options.core.env;
    const place = this.#timers.length;
    const run = () => {
      work();
      this.#timers[place] = timers.after(intervalMs, run);
    };
    this.#timers[place] = timers.after(intervalMs, run);
  }

  stop(): void {
    for (const timer of this.#timers.splice(0)) timer.cancel();
  }

  async #purge(): Promise<void> {
    const { core, wal, directory } = this.#options;
    const { config, env, log } = core;
    try {
      if (config.maxWals > 0) await purgeSegments(env, wal, config.maxWals);
      if (config.maxSnapshots > 0) {
        const { index } = core.machine.backend.durable;
        await purgeSnapFiles(env.disk, directory.snap, config.maxSnapshots, index);
      }
    } catch (error) {
      if (!core.isStopping) log.warn('failed to purge old files', { error: asError(error) });
    }
  }

  #checkHeap(): void {
    const { core, heapUse = v8HeapUse } = this.#options;
    if (core.quota.acceptHeapUse(heapUse())) core.raiseNoSpace(() => undefined);
  }
}

/**
 * V8 aborts when the old generation is full, while its limit counts the young one, too: three
 * semi-spaces of 16 MiB unless a flag says otherwise. What is young is mostly garbage.
 */
const YOUNG_BYTES: number = 3 * 16 * 1024 * 1024;

function v8HeapUse(): HeapUse {
  let usedBytes = 0;
  for (const { space_name: name, space_used_size: bytes } of getHeapSpaceStatistics()) {
    if (!name.startsWith('new_')) usedBytes += bytes;
  }
  const { heap_size_limit: limitBytes } = getHeapStatistics();
  return { usedBytes, limitBytes: Math.max(limitBytes - YOUNG_BYTES, limitBytes / 2) };
}
