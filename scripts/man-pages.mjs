// Writes the pages for man(1) into dist/man. Run by bundle.mjs.

import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** `pages`: the compiled `src/cli/man/pages.ts`. */
export async function writeManPages(pages, version) {
  const cli = join(dirname(pages), '..');
  const { manPages } = await import(pages);
  const { createNodeIo } = await import(join(cli, 'shell/node-io.js'));
  const target = join(cli, '..', 'man');
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target);
  for (const [name, text] of manPages(createNodeIo(), version)) {
    writeFileSync(join(target, name), text);
  }
}
