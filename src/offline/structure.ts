// The structure of a database file: whether every page is where its tree says.

import { ERROR_CODES, TetcdError } from '../base/index.ts';
import type { Database } from '../bbolt/index.ts';

/** CORRUPT, with every violation on a line of its own, unless the file is sound. */
export async function checkStructure(database: Database): Promise<void> {
  const violations = await database.check();
  if (violations.length === 0) return;
  const lines = violations.map(({ page, text }) => `page ${page}: ${text}`);
  const head = `snapshot file integrity check failed. ${lines.length} errors found.`;
  throw new TetcdError(ERROR_CODES.CORRUPT, [head, ...lines].join('\n'));
}
