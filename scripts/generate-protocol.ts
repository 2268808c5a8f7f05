// Writes src/protocol/gen from src/protocol/schema. With `--check` it writes nothing, lists the files
// that differ, and fails if there are any. Run from the root of the repository.

import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { generate } from './protocol/generate.ts';

const SCHEMA = 'src/protocol/schema';
const GEN = 'src/protocol/gen';

/** Contents of the files below `folder` with this ending, by their paths below it. */
function readTree(folder: string, ending: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const entry of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const path = entry.replaceAll('\\', '/');
    if (path.endsWith(ending)) found.set(path, readFileSync(join(folder, path), 'utf8'));
  }
  return found;
}

function main(): void {
  const wanted = generate(readTree(SCHEMA, '.proto'));
  const present = readTree(GEN, '.ts');
  const stale = [...present.keys()].filter((path) => !wanted.has(path));
  const changed = [...wanted].filter(([path, text]) => present.get(path) !== text);
  if (process.argv.includes('--check')) {
    for (const path of [...stale, ...changed.map(([path]) => path)]) {
      console.error(`${GEN}/${path} is not what the schemas say: npm run generate`);
    }
    process.exitCode = stale.length + changed.length > 0 ? 1 : 0;
    return;
  }
  for (const path of stale) rmSync(join(GEN, path));
  for (const [path, text] of changed) {
    mkdirSync(dirname(join(GEN, path)), { recursive: true });
    writeFileSync(join(GEN, path), text);
  }
  console.log(`${wanted.size} files, ${changed.length} written, ${stale.length} removed`);
}

main();
