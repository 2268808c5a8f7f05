import { ERROR_CODES, TetcdError } from '../base/index.ts';

/** A record that breaks the format or its rules, with the file and the offset of its frame. */
export function corrupt(path: string, offset: number, what: string, cause?: unknown): TetcdError {
  return new TetcdError(ERROR_CODES.CORRUPT, `wal: ${path} at offset ${offset}: ${what}`, {
    cause,
  });
}
