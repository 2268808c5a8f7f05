// What other programs import: each file of dist/entry with what it needs becomes a file of dist/lib,
// shared parts beside it, and the declarations that these reach are copied to dist/types. The client
// alone becomes a package of its own in dist/packages/client, which depends on nothing.

import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, normalize, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { bundleWorker } from './bundle-worker.mjs';

const repository = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const dist = join(repository, 'dist');
const main = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8'));

async function bundle(input, target, external) {
  rmSync(target, { recursive: true, force: true });
  const made = await rolldown({ input, platform: 'node', external });
  const { output } = await made.write({
    dir: target,
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: 'shared/[name]-[hash].js',
  });
  await made.close();
  return output;
}

/** Copies declarations and all that they import, as a tree, with imports that name `.js` files. */
function copyTypes(entries, target) {
  rmSync(target, { recursive: true, force: true });
  const reached = new Set(entries);
  // A set is walked together with what is added on the way.
  for (const path of reached) {
    const text = readFileSync(path, 'utf8')
      .replace(/\n\/\/# sourceMappingURL=.*\n?$/, '\n')
      .replace(/((?:from |import\()['"]\.[^'"]*)\.ts(['"])/g, '$1.js$2');
    for (const [, imported] of text.matchAll(/(?:from |import\()['"](\.[^'"]*)\.js['"]/g)) {
      reached.add(normalize(join(dirname(path), `${imported}.d.ts`)));
    }
    const copy = join(target, relative(dist, path));
    mkdirSync(dirname(copy), { recursive: true });
    writeFileSync(copy, text);
  }
}

async function bundleClient(target) {
  const entry = join(dist, 'entry/client');
  // Reached by what the bundle drops, as a test of the package checks.
  await bundle({ index: `${entry}.js` }, target, Object.keys(main.optionalDependencies));
  copyTypes([`${entry}.d.ts`], join(target, 'types'));
  const { version, license, type, sideEffects, engines, homepage, repository: source, bugs } = main;
  const manifest = {
    name: '@tetcd/client',
    version,
    description: 'A client for etcd and tetcd, without dependencies',
    keywords: ['etcd', 'tetcd', 'client', 'key-value', 'grpc'],
    ...{ license, homepage, repository: { ...source, directory: 'src/client' }, bugs },
    ...{ type, sideEffects, engines },
    files: ['index.js', 'shared', 'types', 'LICENSE', 'NOTICE', 'README.md'],
    exports: {
      '.': { types: './types/entry/client.d.ts', default: './index.js' },
      './package.json': './package.json',
    },
    publishConfig: { access: 'public' },
  };
  writeFileSync(join(target, 'package.json'), `${JSON.stringify(manifest, undefined, 2)}\n`);
  for (const name of ['LICENSE', 'NOTICE']) cpSync(join(repository, name), join(target, name));
  const readme = readFileSync(join(repository, 'src/client/README.md'), 'utf8');
  writeFileSync(join(target, 'README.md'), readme.replaceAll('tetcd/client', '@tetcd/client'));
}

/** `workers`: files of threads. */
export async function bundleLibrary(workers) {
  const names = readdirSync(join(dist, 'entry'))
    .filter((name) => name.endsWith('.d.ts'))
    .map((name) => name.slice(0, -'.d.ts'.length));
  const input = Object.fromEntries(names.map((name) => [name, join(dist, `entry/${name}.js`)]));
  const declarations = names.map((name) => join(dist, `entry/${name}.d.ts`));
  const lib = join(dist, 'lib');
  const installed = Object.keys({ ...main.dependencies, ...main.optionalDependencies });
  const output = await bundle(input, lib, installed);
  for (const worker of workers) {
    await bundleWorker(worker, lib, output, { external: installed });
  }
  copyTypes(declarations, join(dist, 'types'));
  await bundleClient(join(dist, 'packages/client'));
}
