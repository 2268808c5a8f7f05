// The disk calls that are counted.

import type { DiskFile } from '../env/index.ts';
import type { WalEnv, WalOptions } from './types.ts';

/** Syncs the file, unless the log never syncs. */
export async function syncFile(env: WalEnv, file: DiskFile, options: WalOptions): Promise<void> {
  if (options.unsafeNoFsync === true) return;
  const startMs = env.clock.monotonicMs();
  await file.sync();
  options.observer?.synced?.((env.clock.monotonicMs() - startMs) / 1000);
}

/** As {@link syncFile}, in this turn; false, with nothing done, if that might take long. */
export function syncFileNow(env: WalEnv, file: DiskFile, options: WalOptions): boolean {
  if (options.unsafeNoFsync === true) return true;
  const startMs = env.clock.monotonicMs();
  if (!file.maybeSyncNow()) return false;
  options.observer?.synced?.((env.clock.monotonicMs() - startMs) / 1000);
  return true;
}

/** Makes the names in the directory durable, unless the log never syncs. */
export async function syncNames(
  env: WalEnv,
  directory: string,
  options: WalOptions,
): Promise<void> {
  if (options.unsafeNoFsync === true) return;
  const startMs = env.clock.monotonicMs();
  await env.disk.syncDirectory(directory);
  options.observer?.synced?.((env.clock.monotonicMs() - startMs) / 1000);
}
