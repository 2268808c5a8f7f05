// The segment files of a directory.

import { dirname } from 'node:path';
import { ERROR_CODES, invariant, TetcdError } from '../base/index.ts';
import { type DirectoryLock, type DiskFile, OPEN_MODES } from '../env/index.ts';
import type { OpenSegment } from './log-reader.ts';
import { parseSegmentName, type SegmentName } from './segment-name.ts';
import type { WalEnv, WalObserver, WalPosition } from './types.ts';

/** Suffix of a next segment that is being prepared, and of a log that is being created. */
export const TEMPORARY_SUFFIX = '.tmp';

/** What the lock of a file leaves beside it on platforms without a better one. */
const LOCK_SUFFIX = '.lock';

/** Whether the directory exists and contains at least one segment; rejects with the disk's error. */
export async function walExists(env: WalEnv, directory: string): Promise<boolean> {
  const found = await env.disk.stat(directory);
  if (found?.kind !== 'directory') return false;
  return (await env.disk.list(directory)).some((name) => parseSegmentName(name) !== undefined);
}

/** All segments, oldest first. Throws NOT_FOUND if there is none. */
export async function listSegments(
  env: WalEnv,
  directory: string,
  observer?: WalObserver,
): Promise<SegmentName[]> {
  const segments: SegmentName[] = [];
  for (const name of await env.disk.list(directory)) {
    const parsed = parseSegmentName(name);
    if (parsed !== undefined) segments.push(parsed);
    else if (!name.endsWith(TEMPORARY_SUFFIX) && !name.endsWith(LOCK_SUFFIX)) {
      observer?.ignoredFile?.(`${directory}/${name}`);
    }
  }
  if (segments.length === 0) {
    throw new TetcdError(ERROR_CODES.NOT_FOUND, `wal: file not found: no segment in ${directory}`);
  }
  return segments;
}

/**
 * Those to read for what follows the position: the newest one that begins at or before it, and all
 * after. Throws NOT_FOUND, or CORRUPT if one is missing in between.
 */
export function selectSegments(
  all: readonly SegmentName[],
  position: WalPosition,
  directory: string,
): readonly SegmentName[] {
  const first = all.findLastIndex((segment) => segment.firstIndex <= position.index);
  if (first === -1) {
    const text = `wal: ${directory}: file not found which matches the snapshot index ${position.index}`;
    throw new TetcdError(ERROR_CODES.NOT_FOUND, text);
  }
  const selected = all.slice(first);
  assertContiguous(selected, directory);
  invariant(selected.length > 0, 'what follows a position has a segment');
  return selected;
}

/**
 * CORRUPT if a segment is missing in between. The indexes in the names need not ascend: another
 * leader's entries may replace an uncommitted tail that began before the newest segment.
 */
export function assertContiguous(segments: readonly SegmentName[], directory: string): void {
  for (let i = 1; i < segments.length; i++) {
    const [before, after] = [segments[i - 1]!, segments[i]!];
    if (after.sequence !== before.sequence + 1) {
      const text = `wal: ${directory}: ${after.name} does not continue ${before.name}`;
      throw new TetcdError(ERROR_CODES.CORRUPT, text);
    }
  }
}

/** Opens the segments: all or none. With the lock of the directory for writing, else for reading. */
export async function openSegments(
  env: WalEnv,
  directory: string,
  names: readonly SegmentName[],
  lock?: DirectoryLock,
): Promise<OpenSegment[]> {
  const mode = lock === undefined ? OPEN_MODES.READ : OPEN_MODES.WRITE;
  const files: DiskFile[] = [];
  try {
    for (const { name } of names) {
      files.push(await env.disk.open(`${directory}/${name}`, mode));
    }
    if (lock !== undefined) await Promise.all(files.map((file) => file.lock(lock)));
  } catch (error) {
    await closeAll(files);
    throw error;
  }
  invariant(files.length === names.length, 'all segments are open, or none is');
  return names.map((name, i) => ({
    name,
    path: `${directory}/${name.name}`,
    file: files[i]!,
  }));
}

export async function closeAll(files: readonly DiskFile[]): Promise<void> {
  for (const file of files) await file.close();
}

export function parentOf(directory: string): string {
  return dirname(directory);
}
