// Bundles the commands: each part of dist/cli with all that it imports becomes one file in dist/bin.
//
// A process of Node.js pays about half a millisecond for each module that it loads, and a member is
// some five hundred of them. What a command needs only later is a part of its own, imported dynamically
// in the sources. Parts share nothing, so that within one everything is called directly. They are CommonJS,
// which a script of V8 can hold, and are loaded with the code that V8 has made of them
// (src/cli/shell/bundle-loader.ts; made by warm-bundle.mjs). Run by `npm run build`, after the compiler.

import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { bundleLibrary } from './bundle-library.mjs';
import { bundleWorker } from './bundle-worker.mjs';
import { writeManPages } from './man-pages.mjs';
import { warmBundle } from './warm-bundle.mjs';

const repository = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const dist = join(repository, 'dist');
const target = join(dist, 'bin');

const COMMANDS = [
  join(dist, 'cli/tetcd/tetcd.js'),
  join(dist, 'cli/tetcdctl/tetcdctl.js'),
  join(dist, 'cli/tetcdutl/tetcdutl.js'),
];
const LOADER = join(dist, 'cli/shell/bundle-loader.js');
const PARTS = [
  join(dist, 'cli/tetcd/serve.js'),
  join(dist, 'cli/tetcd/run-member.js'),
  join(dist, 'cli/tetcd/proxy/run-proxy.js'),
  join(dist, 'cli/tetcdctl/main.js'),
  join(dist, 'cli/tetcdutl/run-tetcdutl.js'),
  join(dist, 'server/debug/pprof-pages.js'),
  join(dist, 'server/debug/request-pages.js'),
  join(dist, 'server/tracing/start-tracing.js'),
];
/** Packages that are seldom needed: parts too, of which there is one each, for the sake of their classes. */
const PACKAGES = ['jose', 'pkijs', 'asn1js', 'ws'];

/** Modules of Node.js that are loaded when they are used first: most processes never do. */
const LATER = ['fs/promises', 'tls', 'zlib'];
/** Parts of packages that we do not use, and that load what is in LATER, as importer and import. */
const UNUSED = [['prom-client/index.js', './lib/pushgateway']];

const WORKERS = [
  join(dist, 'server/auth/password-worker.js'),
  join(dist, 'env/node/file-writer.js'),
];

const { version } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8'));

/** The import of a part stays one, of the part's file. */
const apart = {
  name: 'apart',
  resolveId(id, importer, { kind }) {
    if (importer === undefined) return undefined;
    if (PACKAGES.includes(id)) return { id: `./${id}.js`, external: true };
    if (kind !== 'dynamic-import' || !id.startsWith('.')) return undefined;
    const path = resolve(dirname(importer), id);
    return PARTS.includes(path) ? { id: `./${basename(path)}`, external: true } : undefined;
  },
};

const unused = {
  name: 'unused',
  resolveId(id, importer) {
    const isUnused = UNUSED.some(([from, part]) => importer?.endsWith(from) && id === part);
    return isUnused ? '\0unused' : undefined;
  },
  load(id) {
    return id === '\0unused' ? 'module.exports = undefined;' : undefined;
  },
};

/** Instead of at the head of the file, `require` is called where the module's names are used. */
function loadedLater(text) {
  return LATER.reduce((changed, id) => {
    const name = `node_${id.replace('/', '_')}`;
    const head = `let ${name} = require("node:${id}");`;
    if (!changed.includes(head)) return changed;
    return changed
      .replaceAll(`${name}.`, `${name}().`)
      .replace(head, `const ${name} = () => require("node:${id}");`);
  }, text);
}

/** Writes one file, with what `change` makes of its text, and returns it. */
async function bundle(input, change = (text) => text) {
  const made = await rolldown({
    input,
    platform: 'node',
    // Native code, and optional: it is looked for when it is needed.
    external: ['ffi-rs', 'node-unix-socket', 'bufferutil', 'utf-8-validate'],
    plugins: [apart, unused],
    transform: { define: { PACKAGE_VERSION: JSON.stringify(version) } },
  });
  const {
    output: [chunk],
  } = await made.generate({
    format: 'cjs',
    exports: 'named',
    strict: true,
    codeSplitting: false,
    dynamicImportInCjs: false,
    // Lines and names stay, for stack traces; comments are in the sources.
    comments: false,
    // Half the size in memory.
    charset: 'ascii',
  });
  await made.close();
  const text = loadedLater(change(chunk.code));
  if (/[^\0-\x7f]/.test(text)) throw new Error(`${input}: not everything is ASCII`);
  const fileName = `${basename(input, '.js')}.js`;
  writeFileSync(join(target, fileName), text);
  return { ...chunk, fileName };
}

/** A command is loaded by Node.js, its first part, of which a process loads one, by our loader. */
function throughLoader(text) {
  const pattern = /require\((?="\.\/)/g;
  if (!pattern.test(text)) throw new Error('a command loads a part');
  return text.replace(
    pattern,
    'new (require("./bundle-loader.js").BundleLoader)(__dirname, require).load(',
  );
}

/** Path of the package that holds `module`; undefined for a module of ours. */
function packageOf(module) {
  return /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(module)?.[0];
}

/** The licences of the packages that are inside the bundle, which must travel with it. */
function licencesOf(modules) {
  const packages = [...new Set(modules.map(packageOf))].filter((path) => path !== undefined);
  return packages.sort().map((path) => {
    const {
      name,
      version: release,
      license,
    } = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'));
    const text = ['LICENSE', 'LICENSE.md', 'LICENSE.txt', 'license', 'LICENCE']
      .map((file) => join(path, file))
      .flatMap((file) => {
        try {
          return [readFileSync(file, 'utf8')];
        } catch {
          return [];
        }
      })[0];
    return `${name} ${release} (${license})\n\n${text ?? ''}`;
  });
}

rmSync(target, { recursive: true, force: true });
mkdirSync(target, { recursive: true });
writeFileSync(join(target, 'package.json'), `${JSON.stringify({ type: 'commonjs' })}\n`);
const files = [];
for (const command of COMMANDS) {
  files.push(await bundle(command, throughLoader));
  chmodSync(join(target, basename(command)), 0o755);
}
for (const input of [LOADER, ...PARTS, ...PACKAGES]) files.push(await bundle(input));
for (const worker of WORKERS) await bundleWorker(worker, target, files, { format: 'cjs' });
const modules = files.flatMap(({ moduleIds }) => moduleIds);
writeFileSync(join(target, 'LICENSES.txt'), licencesOf(modules).join(`\n${'-'.repeat(80)}\n\n`));
await warmBundle(target);
await bundleLibrary(WORKERS);
await writeManPages(join(dist, 'cli/man/pages.js'), version);
