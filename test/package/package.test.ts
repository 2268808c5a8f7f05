// The packages as they are published: packed, installed into an empty project, and used there. Takes
// the build as it is; `npm pack` makes it first.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { publint } from 'publint';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../helpers/member.ts';
import { REPOSITORY } from '../helpers/real-etcd.ts';
import { type RunOptions, run } from '../helpers/run.ts';
import { freePort } from '../helpers/server-process.ts';

interface Packed {
  readonly name: string;
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}

const SOURCES = { tetcd: '.', '@tetcd/client': 'dist/packages/client' } as const;
type Name = keyof typeof SOURCES;
const NAMES = Object.keys(SOURCES) as readonly Name[];

const directory = temporaryDirectory();
const project = join(directory, 'project');
const packed = {} as Record<Name, Packed>;

/** What it printed; rejects with all of its output if it fails. */
async function succeed(command: readonly string[], options: RunOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await run(command, { timeoutMs: 120_000, ...options });
  if (code !== 0) throw new Error(`${command.join(' ')}: ${code}\n${stdout}\n${stderr}`);
  return stdout;
}

function tarballOf(name: Name): string {
  return join(directory, packed[name].filename);
}

beforeAll(async () => {
  for (const name of NAMES) {
    const flags = ['--ignore-scripts', '--json', '--pack-destination', directory];
    const text = await succeed(['npm', 'pack', ...flags], { cwd: join(REPOSITORY, SOURCES[name]) });
    packed[name] = JSON.parse(text)[0];
  }
  mkdirSync(project);
  writeFileSync(join(project, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  const flags = ['--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund'];
  await succeed(['npm', 'install', ...flags, ...NAMES.map(tarballOf)], { cwd: project });
}, 180_000);

afterAll(() => rmSync(directory, { recursive: true, force: true }));

function manifestOf(name: Name) {
  return JSON.parse(readFileSync(join(project, 'node_modules', name, 'package.json'), 'utf8'));
}

describe.each(NAMES)('the package %s', (name) => {
  const textOf = (path: string): string =>
    readFileSync(join(project, 'node_modules', name, path), 'utf8');

  test('holds code, declarations and documents, and nothing else', () => {
    const paths = packed[name].files.map(({ path }) => path);
    const kinds = [
      /^(?:dist\/(?:bin|lib)\/|shared\/|index\.js$).*\.js$|^index\.js$/,
      /^(?:dist\/)?types\/.*\.d\.ts$/,
      /^(?:package\.json|README\.md|CHANGELOG\.md|LICENSE|NOTICE|dist\/bin\/LICENSES\.txt)$/,
      /^dist\/bin\/(?:package\.json|[\w-]+\.js\.cache)$/,
      /^dist\/man\/tetcd(?:ctl|utl)?\.1$/,
    ];
    expect(paths.filter((path) => !kinds.some((kind) => kind.test(path)))).toEqual([]);
    expect(paths).toEqual(expect.arrayContaining(['README.md', 'LICENSE', 'NOTICE']));
    const code = paths.filter((path) => /\.(?:js|ts)$/.test(path));
    expect(code.filter((path) => textOf(path).includes('sourceMappingURL'))).toEqual([]);
  });

  test('says where it comes from, in links that work anywhere', () => {
    const { repository, homepage, bugs, keywords, license, engines } = manifestOf(name);
    expect(repository).toMatchObject({ url: 'git+https://github.com/tetcd/tetcd.git' });
    expect([homepage, bugs.url].every((url) => url.startsWith('https://'))).toBe(true);
    expect(keywords).toContain('etcd');
    expect([license, engines]).toEqual(['Apache-2.0', { node: '>=20.19' }]);
    const links = [...textOf('README.md').matchAll(/\]\(([^)]+)\)/g)].map(([, target]) => target!);
    expect(links.filter((target) => !/^(?:https:\/\/|#)/.test(target))).toEqual([]);
  });

  test('is as other tools expect packages to be', async () => {
    const bytes = new Uint8Array(readFileSync(tarballOf(name)));
    const { messages } = await publint({ pack: { tarball: bytes.buffer }, level: 'suggestion' });
    expect(messages).toEqual([]);
    const analysis = await checkPackage(createPackageFromTarballData(bytes));
    const problems = 'problems' in analysis ? analysis.problems : ['no types'];
    // It is a package of ES modules: what loads none, or knows no `exports`, cannot use it.
    const isServed = (problem: unknown): boolean =>
      !/"node10"|"node16-cjs"/.test(JSON.stringify(problem));
    expect(problems.filter(isServed)).toEqual([]);
  });
});

test('the client brings no other package along, and no server', () => {
  const { dependencies, optionalDependencies, peerDependencies } = manifestOf('@tetcd/client');
  expect([dependencies, optionalDependencies, peerDependencies]).toEqual(Array(3).fill(undefined));
  const path = join(project, 'node_modules/@tetcd/client');
  expect(readdirSync(path)).not.toContain('node_modules');
  const imports = [
    ...readFileSync(join(path, 'index.js'), 'utf8').matchAll(/^import .*"(.+)";$/gm),
  ];
  expect(imports.map(([, from]) => from!).filter((from) => !from.startsWith('node:'))).toEqual([]);
});

describe('a strict program of somebody else', () => {
  const compilerOptions = {
    ...{ target: 'es2023', lib: ['es2023'], strict: true, skipLibCheck: false, types: ['node'] },
    ...{ exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, isolatedModules: true },
  };
  const resolutions = {
    nodenext: { module: 'nodenext', outDir: 'out' },
    bundler: { module: 'preserve', moduleResolution: 'bundler', noEmit: true },
  };

  beforeAll(() => {
    const source = readFileSync(join(import.meta.dirname, 'consumer/main.ts'));
    writeFileSync(join(project, 'main.ts'), source);
    mkdirSync(join(project, 'node_modules/@types'), { recursive: true });
    const nodeTypes = join(REPOSITORY, 'node_modules/@types/node');
    symlinkSync(nodeTypes, join(project, 'node_modules/@types/node'));
  });

  test.each(Object.entries(resolutions))('compiles under %s', async (name, resolution) => {
    const settings = { compilerOptions: { ...compilerOptions, ...resolution }, files: ['main.ts'] };
    writeFileSync(join(project, `tsconfig.${name}.json`), JSON.stringify(settings));
    const tsc = join(REPOSITORY, 'node_modules/typescript/bin/tsc');
    await succeed([process.execPath, tsc, '-p', `tsconfig.${name}.json`], { cwd: project });
  });

  test('uses every entry', async () => {
    const source = readFileSync(join(project, 'main.ts'), 'utf8');
    const entries = NAMES.flatMap((name) =>
      Object.keys(manifestOf(name).exports)
        .filter((entry) => entry !== './package.json')
        .map((entry) => name + entry.slice(1)),
    );
    expect(entries.filter((entry) => !source.includes(`from '${entry}'`))).toEqual([]);
    expect(await succeed([process.execPath, 'out/main.js'], { cwd: project })).toBe('ok\n');
  });
});

interface Running {
  readonly log: () => string;
  readonly stop: () => Promise<void>;
}

/** Starts `npx tetcd`, whose shells pass no signal on: it is ended with all that it started. */
async function npxTetcd(flags: readonly string[]): Promise<Running> {
  const child = spawn('npx', ['--no-install', 'tetcd', ...flags], {
    ...{ cwd: project, detached: true, stdio: ['ignore', 'ignore', 'pipe'] },
  });
  const ended = once(child, 'close');
  const stop = async (): Promise<void> => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGTERM');
    await ended;
  };
  const timer = setTimeout(() => void stop(), 60_000);
  let log = '';
  for await (const line of createInterface({ input: child.stderr! })) {
    log += `${line}\n`;
    if (!line.includes('ready to serve client requests')) continue;
    clearTimeout(timer);
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      log += text;
    });
    return { log: () => log, stop };
  }
  clearTimeout(timer);
  throw new Error(`npx tetcd did not start:\n${log}`);
}

test('npx tetcd serves, to its first put', async () => {
  const [client, peer] = [await freePort(), await freePort()].map(
    (port) => `http://127.0.0.1:${port}`,
  );
  const { log, stop } = await npxTetcd([
    ...[`--data-dir=${join(directory, 'data')}`, `--initial-cluster=default=${peer}`],
    ...[`--listen-client-urls=${client}`, `--advertise-client-urls=${client}`],
    ...[`--listen-peer-urls=${peer}`, `--initial-advertise-peer-urls=${peer}`],
  ]);
  try {
    const ctl = ['npx', '--no-install', 'tetcdctl', `--endpoints=${client}`];
    expect(await succeed([...ctl, 'put', 'greeting', 'hello'], { cwd: project })).toBe('OK\n');
    const get = [...ctl, 'get', 'greeting', '--print-value-only'];
    expect(await succeed(get, { cwd: project })).toBe('hello\n');
    // Passwords are hashed in a thread, whose file lies beside the one that starts it.
    const direct = [join(project, 'node_modules/.bin/tetcdctl'), `--endpoints=${client}`];
    for (const args of ['user add root:secret', 'user grant-role root root', 'auth enable']) {
      await succeed([...direct, ...args.split(' ')]);
    }
    const as = (user: string) => [...direct, `--user=${user}`, 'get', 'greeting'];
    expect(await succeed(as('root:secret'))).toBe('greeting\nhello\n');
    const wrong = await run(as('root:wrong'));
    expect(wrong.stderr).toContain('authentication failed, invalid user ID or password');
  } finally {
    await stop();
  }
  expect(log()).toContain('enabled authentication');
  expect(log()).not.toMatch(/no thread can be started/);
});
