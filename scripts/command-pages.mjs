// Writes the pages about commands in docs/commands. Run by `npm run commands`, after the build.

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const repository = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const { commandPages } = await import(join(repository, 'dist/cli/man/pages.js'));
const { createNodeIo } = await import(join(repository, 'dist/cli/shell/node-io.js'));

const target = join(repository, 'docs', 'commands');
mkdirSync(target, { recursive: true });
for (const [name, text] of commandPages(createNodeIo())) writeFileSync(join(target, name), text);
