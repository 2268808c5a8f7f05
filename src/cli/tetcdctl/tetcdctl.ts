#!/usr/bin/env node
// The command `tetcdctl`. Modules are loaded as the command line needs them; `version`, which scripts call
// often, needs none.

import { useCompileCache } from '../shell/compile-cache.ts';
import { VERSION_TEXT } from './release.ts';

const argv = process.argv.slice(2);
if (argv.length === 1 && argv[0] === 'version') {
  process.stdout.write(VERSION_TEXT);
} else {
  useCompileCache();
  const { main } = await import('./main.ts');
  await main(argv);
}
