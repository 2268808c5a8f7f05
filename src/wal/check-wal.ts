// The check of a log: it lists every violation, not only the first.

import { ERROR_CODES, hasCode, TetcdError } from '../base/index.ts';
import { assertComplete, LogReader } from './log-reader.ts';
import { assertContiguous, closeAll, listSegments, openSegments } from './segments.ts';
import type { WalEnv } from './types.ts';

/**
 * One line for each violation; none for a sound log. A torn tail is reported too: a crash leaves one,
 * and opening for appending repairs it. After damage in one segment the next is read as if it were the
 * first. Changes nothing. Throws NOT_FOUND, DISK_FAILED.
 */
export async function checkWal(env: WalEnv, directory: string): Promise<string[]> {
  const names = await listSegments(env, directory);
  const problems: string[] = [];
  const note = (error: unknown): void => {
    const known = hasCode(error, ERROR_CODES.CORRUPT) || hasCode(error, ERROR_CODES.NOT_FOUND);
    if (!known) throw error;
    problems.push(error.message);
  };
  const check = (assertion: () => void): void => {
    try {
      assertion();
    } catch (error) {
      note(error);
    }
  };
  check(() => assertContiguous(names, directory));
  const start = { index: 0, term: 0 };
  const reader = new LogReader(start, { keepEntries: false });
  const segments = await openSegments(env, directory, names);
  try {
    let isFirst = true;
    for (const [i, segment] of segments.entries()) {
      const isLast = i === segments.length - 1;
      try {
        await reader.readSegment(segment, { isFirst, isLast });
        isFirst = false;
      } catch (error) {
        note(error);
        isFirst = true;
      }
    }
    if (problems.length === 0 && reader.ending === 'torn') {
      const { path } = segments[segments.length - 1]!;
      check(() => {
        const text = `wal: ${path} at offset ${reader.offset}: torn`;
        throw new TetcdError(ERROR_CODES.CORRUPT, text);
      });
    }
  } finally {
    await closeAll(segments.map((segment) => segment.file));
  }
  if (problems.length === 0) {
    // Old segments may be purged, and with them the record of the snapshot at index 0.
    reader.startFound = true;
    check(() => assertComplete(reader, directory, start));
    if (!reader.snapshots.some(({ index }) => index <= reader.hardState.commit)) {
      problems.push(`wal: ${directory}: no record of a snapshot to start from`);
    }
  }
  return problems;
}
