// Bundles the commands: dist/cli and what it imports become a few files in dist/bin.
//
// A process of Node.js pays about half a millisecond for each module that it loads, and a member is
// some five hundred of them. What a command needs only later is imported dynamically in the sources
// and becomes a file of its own here. Run by `npm run build`, after the compiler.

import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { bundleLibrary } from './bundle-library.mjs';
import { bundleWorker } from './bundle-worker.mjs';

const repository = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const dist = join(repository, 'dist');
const target = join(dist, 'bin');

/** Path of the package that holds `module`; undefined for a module of ours. */
function packageOf(module) {
  return /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(module)?.[0];
}

/** The licences of the packages that are inside the bundle, which must travel with it. */
function licencesOf(modules) {
  const packages = [...new Set(modules.map(packageOf))].filter((path) => path !== undefined);
  return packages.sort().map((path) => {
    const { name, version, license } = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'));
    const text = ['LICENSE', 'LICENSE.md', 'LICENSE.txt', 'license', 'LICENCE']
      .map((file) => join(path, file))
      .flatMap((file) => {
        try {
          return [readFileSync(file, 'utf8')];
        } catch {
          return [];
        }
      })[0];
    return `${name} ${version} (${license})\n\n${text ?? ''}`;
  });
}

rmSync(target, { recursive: true, force: true });
const bundle = await rolldown({
  input: {
    tetcd: join(dist, 'cli/tetcd/tetcd.js'),
    tetcdctl: join(dist, 'cli/tetcdctl/tetcdctl.js'),
  },
  platform: 'node',
  // Native code, and optional: it is looked for when it is needed.
  external: ['node-unix-socket'],
});
const { output } = await bundle.write({
  dir: target,
  format: 'esm',
  // Lines and names stay, for stack traces; comments are in the sources.
  comments: false,
  entryFileNames: '[name].js',
  chunkFileNames: '[name]-[hash].js',
});
await bundleWorker(join(dist, 'server/auth/password-worker.js'), target, output);
const modules = output.flatMap((file) => (file.type === 'chunk' ? file.moduleIds : []));
writeFileSync(join(target, 'LICENSES.txt'), licencesOf(modules).join(`\n${'-'.repeat(80)}\n\n`));
await bundleLibrary();
