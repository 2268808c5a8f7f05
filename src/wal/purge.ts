// Removes old segments.

import { invariant } from '../base/index.ts';
import { listSegments } from './segments.ts';
import type { WalEnv, WalObserver } from './types.ts';
import type { Wal } from './wal.ts';

/**
 * Removes the oldest segments until `keep` are left, but none that the log still holds (see
 * `Wal.releaseTo`). Resolves with their number.
 */
export async function purgeSegments(
  env: WalEnv,
  wal: Wal,
  keep: number,
  observer?: WalObserver,
): Promise<number> {
  invariant(keep >= 0, 'a number of segments is not negative');
  const segments = await listSegments(env, wal.directory);
  let removed = 0;
  while (removed < segments.length - keep) {
    const { name, sequence } = segments[removed]!;
    // Read each time: the log may release more segments during an await.
    if (sequence >= wal.oldestHeld) break;
    const path = `${wal.directory}/${name}`;
    // Not locked for it: the log is ours while we hold any of it, and a lock starts a process, for which
    // everything waits.
    await env.disk.remove(path);
    // Before the next one is removed: a crash must not restore this one without its successor.
    await env.disk.syncDirectory(wal.directory);
    observer?.purged?.(path);
    removed++;
  }
  invariant(removed < segments.length, 'the newest segment is never removed');
  return removed;
}
