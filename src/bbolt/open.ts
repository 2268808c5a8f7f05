import { fail } from '../base/index.ts';
import type { Env } from '../env/index.ts';
import type { Database, DatabaseOptions } from './api.ts';

/**
 * Opens the database file, creating it if it is missing (unless `readOnly`). LOCKED if another
 * process has it open for writing; CORRUPT, naming file and page, if it is none or is damaged;
 * NOT_FOUND if `readOnly` and missing; INVALID_ARGUMENT for a wrong option.
 */
export function openDatabase(
  _env: Pick<Env, 'clock' | 'timers' | 'disk'>,
  _path: string,
  _options: DatabaseOptions = {},
): Promise<Database> {
  return fail('not built yet');
}
