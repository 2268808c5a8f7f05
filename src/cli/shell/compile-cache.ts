// V8's compile cache, where Node.js has it (22.1 and later): a process then does not compile again
// what the one before it has compiled.

import module from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** As Node.js 22 has it. */
interface WithCompileCache {
  enableCompileCache?(directory: string): unknown;
}

/**
 * Modules imported from here on come from the cache below the user's own cache directory. Nothing
 * happens for a user without a home: Node's own default is a directory that others can write to,
 * who would decide what we run.
 */
export function useCompileCache(): void {
  const home =
    process.env['XDG_CACHE_HOME'] || (process.env['HOME'] ? join(homedir(), '.cache') : '');
  if (home !== '') (module as WithCompileCache).enableCompileCache?.(join(home, 'tetcd', 'code'));
}
