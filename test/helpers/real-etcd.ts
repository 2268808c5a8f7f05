// Finds what a test needs from outside the repository: real etcds and shared data. What is missing
// makes the test be skipped with the reason printed, so that a newcomer's clone passes alone; under
// CI=true it makes the test fail.
//
// `scripts/install-real-etcd.sh` installs the programs where this file looks.

import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, test } from 'vitest';

export const REPOSITORY: string = resolve(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** Something a test needs: `value` if it is there, else the reason why the test cannot run. */
export type Found<T> =
  | { readonly missing?: undefined; readonly value: T }
  | {
      readonly missing: string;
      /** This machine cannot have it: the test is skipped under CI too. */
      readonly excused?: boolean;
    };

export type Release = '3.4' | '3.5' | '3.6' | '3.7';

export interface RealEtcd {
  readonly release: Release;
  /** As the program tells it, for example `3.5.16`. */
  readonly version: string;
  /** Paths of the two programs. */
  readonly etcd: string;
  readonly etcdctl: string;
}

const VERSION_TIMEOUT_MS = 20_000;

function versionOf(program: string, args: readonly string[], pattern: RegExp): string | undefined {
  try {
    const text = execFileSync(program, args, {
      encoding: 'utf8',
      timeout: VERSION_TIMEOUT_MS,
      env: { ...process.env, ETCDCTL_API: '3' },
    });
    return pattern.exec(text)?.[1];
  } catch {
    return undefined;
  }
}

function onPath(name: string): string | undefined {
  const directories = (process.env['PATH'] ?? '').split(delimiter).filter((entry) => entry !== '');
  return directories.map((entry) => join(entry, name)).find((path) => existsSync(path));
}

/** `etcd` and `etcdctl` in the directory itself, its `bin` or its `usr/bin`. */
function pairIn(directory: string): [string, string] | undefined {
  for (const sub of ['', 'bin', 'usr/bin']) {
    const etcd = join(directory, sub, 'etcd');
    const etcdctl = join(directory, sub, 'etcdctl');
    if (existsSync(etcd) && existsSync(etcdctl)) return [etcd, etcdctl];
  }
  return undefined;
}

function pairOnPath(): [string, string] | undefined {
  const etcd = onPath('etcd');
  const etcdctl = onPath('etcdctl');
  return etcd === undefined || etcdctl === undefined ? undefined : [etcd, etcdctl];
}

function checked(
  release: Release,
  pair: [string, string] | undefined,
  where: string,
): Found<RealEtcd> {
  const hint = `real etcd ${release} (run scripts/install-real-etcd.sh)`;
  if (pair === undefined) return { missing: `${hint}: not found ${where}` };
  const [etcd, etcdctl] = pair;
  const version = versionOf(etcd, ['--version'], /etcd Version: (\S+)/);
  if (version === undefined || !version.startsWith(`${release}.`)) {
    return { missing: `${hint}: ${etcd} is version ${version ?? 'unknown'}` };
  }
  const toolVersion = versionOf(etcdctl, ['version'], /etcdctl version: (\S+)/);
  if (toolVersion !== version) {
    return { missing: `${hint}: ${etcdctl} is version ${toolVersion ?? 'unknown'}` };
  }
  return { value: { release, version, etcd, etcdctl } };
}

/** $TETCD_ETCD_34_DIR and so on, else the user's cache directory; 3.4 is installed by the system. */
function directoryOf(release: Release): string | undefined {
  const given = process.env[`TETCD_ETCD_${release.replace('.', '')}_DIR`];
  if (given || release === '3.4') return given;
  const cache = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache');
  return join(cache, 'tetcd', `etcd-${release}`);
}

function find(release: Release): Found<RealEtcd> {
  const directory = directoryOf(release);
  const pair = directory ? pairIn(directory) : pairOnPath();
  const result = checked(release, pair, directory ? `in ${directory}` : 'on the path');
  // These are built from their Go modules.
  const isBuilt = release === '3.6' || release === '3.7';
  const excused = isBuilt && onPath('go') === undefined;
  return result.missing === undefined ? result : { ...result, excused };
}

const found = new Map<Release, Found<RealEtcd>>();

/** The real etcd of a release, looked for where `scripts/install-real-etcd.sh` puts it. */
export function realEtcd(release: Release): Found<RealEtcd> {
  let result = found.get(release);
  if (result === undefined) {
    result = find(release);
    found.set(release, result);
  }
  return result;
}

/** etcd's own load generator, of its module `tools/benchmark`, beside the programs of 3.7. */
export function officialLoader(): Found<string> {
  const path = join(directoryOf('3.7') ?? '', 'benchmark');
  if (existsSync(path)) return { value: path };
  const hint = "etcd's load generator (run scripts/install-real-etcd.sh)";
  return { missing: `${hint}: not found: ${path}`, excused: onPath('go') === undefined };
}

/** A directory or file of the data that stands beside the repository, as `raft-testdata`. */
export function sharedData(name: string): Found<string> {
  const path = join(REPOSITORY, '..', 'shared', name);
  return existsSync(path)
    ? { value: path }
    : { missing: `shared data ../shared/${name}: not found` };
}

/** A program of the system, as `h2load`. */
export function systemProgram(name: string): Found<string> {
  const path = onPath(name);
  return path === undefined ? { missing: `program ${name}: not on the path` } : { value: path };
}

/** The value of something that {@link describeWith} has checked. */
export function need<T>(thing: Found<T>): T {
  if (thing.missing !== undefined) throw new Error(`missing: ${thing.missing}`);
  return thing.value;
}

/**
 * `describe` for tests that need `things`. When one is missing, `body` does not run: one test in its
 * place is skipped, with the reasons printed; under CI=true it throws.
 */
export function describeWith(
  name: string,
  things: readonly Found<unknown>[],
  body: () => void,
): void {
  const missing = things.filter((thing) => thing.missing !== undefined);
  if (missing.length === 0) {
    describe(name, body);
    return;
  }
  const reasons = missing.map((thing) => thing.missing);
  if (process.env['CI'] === 'true' && !missing.every((thing) => thing.excused === true)) {
    throw new Error(`"${name}" cannot run, which is a failure under CI: ${reasons.join('; ')}`);
  }
  console.warn(`skipped "${name}": ${reasons.join('; ')}`);
  describe(name, () => {
    test('has what it needs', (context) => context.skip(reasons.join('; ')));
  });
}
