// V8's compile cache, where Node.js has it (22.1 and later): a process reuses the compiled code of earlier
// ones.

import module from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** As Node.js 22 has it. */
interface WithCompileCache {
  enableCompileCache?(directory: string): unknown;
}

/**
 * Modules imported from here on use the cache in the user's own cache directory. Without a home directory
 * there is no cache: Node's default directory is writable by other users, who could inject code.
 */
export function useCompileCache(): void {
  const home =
    process.env['XDG_CACHE_HOME'] || (process.env['HOME'] ? join(homedir(), '.cache') : '');
  if (home !== '') (module as WithCompileCache).enableCompileCache?.(join(home, 'tetcd', 'code'));
}
