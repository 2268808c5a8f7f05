// Memory of this process. V8 keeps what a load has taken for as long as nothing is allocated, and glibc
// gives back only the end of its heap, which some buffer always holds: `malloc_trim` gives back the rest.

import { readFile } from 'node:fs/promises';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { ProcessMemory } from '../process-memory.ts';
import { loadCLibrary } from './c-library.ts';

/** Used bytes of the heap up to which it is collected at once: a million keys take 100 ms or so. */
const HEAP_BYTES_MAX: number = 192 * 1024 * 1024;

/** Free bytes from which they are given back: a process that has just started has 12 MiB of its own. */
const FREE_BYTES_MIN: number = 32 * 1024 * 1024;

export function createProcessMemory(): ProcessMemory {
  let canTrim = process.platform === 'linux';
  return {
    cpuMs(): number {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1000;
    },
    collect(): void {
      if (getHeapStatistics().used_heap_size > HEAP_BYTES_MAX) return;
      // Only contexts made while the flag is set have the function.
      setFlagsFromString('--expose-gc');
      const collect: unknown = runInNewContext('gc');
      setFlagsFromString('--no-expose-gc');
      if (typeof collect === 'function') collect();
    },
    async trim(): Promise<void> {
      if (!canTrim) return;
      try {
        if ((await freeBytes()) < FREE_BYTES_MIN) return;
        const library = await loadCLibrary();
        await library.call('malloc_trim', [0]);
      } catch {
        // No such package here, or a C library without this function.
        canTrim = false;
      }
    },
  };
}

/** Resident memory that is neither of a file nor V8's nor a buffer of it. */
async function freeBytes(): Promise<number> {
  const status = await readFile('/proc/self/status', 'utf8');
  const kibibytes = Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0);
  const { heapTotal, external } = process.memoryUsage();
  return kibibytes * 1024 - heapTotal - external;
}
