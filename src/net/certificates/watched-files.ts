// Small files that are read again when they have changed. Reads are synchronous: a handshake asks for them,
// and the state of some names in the operating system's cache costs microseconds.

import { type BigIntStats, readFileSync, statSync } from 'node:fs';
import { CERTIFICATE_FILE_BYTES_MAX } from '../limits.ts';

export class WatchedFiles {
  readonly #paths: readonly string[];
  /** State of all files at the last look. */
  #seen = '';

  constructor(paths: readonly string[]) {
    this.#paths = paths;
  }

  /**
   * The contents by path; undefined if no file has changed since the last look. Throws if one cannot be
   * read, once per change as well.
   */
  read(): ReadonlyMap<string, Uint8Array> | undefined {
    // Taken before the contents: what is written in between is a change for the next look.
    const states = this.#paths.map(stateOf);
    const seen = states.join(' ');
    if (seen === this.#seen) return undefined;
    this.#seen = seen;
    return new Map(this.#paths.map((path) => [path, contentOf(path)]));
  }
}

/** Through symbolic links, so that a link which is pointed elsewhere is a change. */
function stateOf(path: string): string {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join('.');
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code);
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  EISDIR: 'is a directory',
};

function contentOf(path: string): Uint8Array {
  try {
    const { size }: BigIntStats = checked(statSync(path, { bigint: true }));
    if (size > CERTIFICATE_FILE_BYTES_MAX) {
      throw new Error(`larger than ${CERTIFICATE_FILE_BYTES_MAX} bytes`);
    }
    return readFileSync(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new Error(`open ${path}: ${(code && REASONS[code]) ?? message}`, { cause: error });
  }
}

/** A named pipe in a file's place would stop the thread. */
function checked(found: BigIntStats): BigIntStats {
  if (found.isFile()) return found;
  throw new Error(found.isDirectory() ? 'is a directory' : 'not a regular file');
}
