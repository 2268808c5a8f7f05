// Runs a TypeScript program of this repository on a Node that cannot strip types itself:
//
//   node scripts/run-ts.mjs test/crash/main.ts --seconds 60
//
// The module is transformed by the same tool that runs the tests; `process.argv` looks to it as if
// it had been started directly.

import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { createServer, createServerModuleRunner } from 'vite';

const [file, ...rest] = process.argv.slice(2);
if (file === undefined) {
  console.error('usage: node scripts/run-ts.mjs <file.ts> [argument ...]');
  process.exit(2);
}
const path = resolve(file);
process.argv = [process.argv[0], path, ...rest];
const server = await createServer({
  configFile: false,
  logLevel: 'error',
  server: { middlewareMode: true, hmr: false, watch: null, ws: false },
  optimizeDeps: { noDiscovery: true },
  appType: 'custom',
});
const runner = createServerModuleRunner(server.environments.ssr, { hmr: false });
try {
  await runner.import(pathToFileURL(path).href);
} finally {
  await server.close();
}
