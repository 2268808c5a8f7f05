// Directories of a member that others than its owner may enter: told at the start, as etcd does, and left
// as they are.

import { goQuote } from '../../base/index.ts';
import type { Disk } from '../../env/index.ts';
import type { Logger } from '../telemetry/log.ts';

const PRIVATE = 0o700;
const RWX = 'rwxrwxrwx';

/** Those that exist and are not what a member makes. */
export async function warnOfOpenDirectories(
  disk: Pick<Disk, 'stat'>,
  directories: readonly string[],
  log: Pick<Logger, 'warn'>,
): Promise<void> {
  for (const path of directories) {
    const found = await disk.stat(path);
    if (found?.kind !== 'directory' || (found.mode & 0o777) === PRIVATE) continue;
    log.warn('check file permission', {
      error:
        `directory ${goQuote(path)} exist, but the permission is "${textOf(found.mode)}". The ` +
        `recommended permission is "-${bitsOf(PRIVATE)}" to prevent possible unprivileged access ` +
        'to the data',
    });
  }
}

/** As Go writes the mode of a directory. */
function textOf(mode: number): string {
  const special = [mode & 0o4000 ? 'u' : '', mode & 0o2000 ? 'g' : '', mode & 0o1000 ? 't' : ''];
  return `d${special.join('')}${bitsOf(mode)}`;
}

function bitsOf(mode: number): string {
  return [...RWX].map((letter, i) => (mode & (0o400 >> i) ? letter : '-')).join('');
}
