// A disk that does not answer, for programs that have loaded stalling-fs.mjs.

import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { REPOSITORY } from './real-etcd.ts';

/** To be loaded first. */
export const STALLING_FS: string = pathToFileURL(
  join(REPOSITORY, 'test', 'helpers', 'stalling-fs.mjs'),
).href;

/** A call of the file system, as `write`, or all that the module knows. */
export type StalledCall =
  | 'any'
  | 'write'
  | 'open'
  | 'rename'
  | 'stat'
  | 'fstat'
  | 'rm'
  | 'readdir'
  | 'mkdir'
  | 'read';

/** From now on such calls on files in the directory wait; the function lets them go on. */
export function stall(directory: string, call: StalledCall = 'any'): () => void {
  const gate = join(directory, `.stalled.${call}`);
  execFileSync('mkfifo', [gate]);
  return () => {
    // Open for both, since that waits for nobody; who waits for a writer has seen one then.
    const descriptor = openSync(gate, constants.O_RDWR);
    rmSync(gate);
    closeSync(descriptor);
  };
}
