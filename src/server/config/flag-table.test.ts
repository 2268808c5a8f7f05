// Every flag of the reference in its three forms: on the command line, in the environment and in a
// configuration file. All three have to mean the same, and something.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { describeWith, need, sharedData } from '../../../test/helpers/real-etcd.ts';
import type { FileValue } from './config-file.ts';
import { parseConfig, parseConfigFile } from './parse-config.ts';
import type { ServerConfig } from './server-config.ts';
import { parseDurationMs } from './values.ts';

const ABOUT = { packageVersion: '0.1.0', nodeVersion: 'v20.19.0', platform: 'linux', arch: 'x64' };

interface FlagFact {
  readonly name: string;
  readonly type: 'string' | 'uint' | 'int' | 'bool' | 'duration' | 'url list' | 'stringlist';
  readonly default: string | number | boolean;
  readonly env: string;
  readonly ignored?: boolean;
  readonly yaml_key?: string;
  readonly yaml_form?: string;
  readonly yaml_settable?: boolean;
}

type Settings = Readonly<Record<string, string>>;

/** Where a value other than the default cannot be had by a rule. */
const VALUES: Settings = {
  'election-timeout': '2000',
  'max-concurrent-streams': '7',
  'raft-read-timeout': '9s',
  'raft-write-timeout': '9s',
  'feature-gates': 'CompactHashCheck=true',
  'initial-cluster': 'default=http://localhost:2380,b=http://b:2380',
  'initial-cluster-state': 'existing',
  'listen-client-http-urls': 'http://127.0.0.1:2378',
  'auto-compaction-mode': 'revision',
  'auto-compaction-retention': '5',
  'tls-min-version': 'TLS1.3',
  'tls-max-version': 'TLS1.2',
  'cipher-suites': 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256',
  'auth-token': 'jwt,sign-method=RS256',
  metrics: 'extensive',
  'log-level': 'debug',
  'log-format': 'console',
  'log-outputs': 'stdout',
  'log-rotation-config-json': '{"maxsize": 7}',
};

const SERVICE = { 'discovery-endpoints': 'a:1', 'discovery-token': 't' };
const ROTATING = { 'enable-log-rotation': 'true', 'log-outputs': 'etcd.log' };
const TRACING = { 'enable-distributed-tracing': 'true' };

/** What has to be set beside a flag, or gives it a meaning. */
const BESIDE: Readonly<Record<string, Settings>> = {
  'listen-client-urls': { 'advertise-client-urls': 'http://localhost:2379' },
  'discovery-srv-name': { 'discovery-srv': 'example.com' },
  'discovery-user': { ...SERVICE, 'discovery-password': 'p' },
  'discovery-password': { ...SERVICE, 'discovery-user': 'u' },
  'auto-compaction-mode': { 'auto-compaction-retention': '5' },
  'enable-log-rotation': { 'log-outputs': 'etcd.log' },
  'log-rotation-config-json': ROTATING,
};

/** What is refused without the flag. */
const TOGETHER: Readonly<Record<string, Settings>> = {
  'discovery-endpoints': { 'discovery-token': 't' },
  'discovery-token': { 'discovery-endpoints': 'a:1' },
  'peer-cert-file': { 'peer-key-file': 'k' },
  'peer-key-file': { 'peer-cert-file': 'c' },
};

function beside(name: string): Settings {
  if (TOGETHER[name] !== undefined) return TOGETHER[name];
  if (BESIDE[name] !== undefined) return BESIDE[name];
  if (name.startsWith('distributed-tracing-')) return TRACING;
  return /^discovery-(?!srv|fallback)/.test(name) ? SERVICE : {};
}

/** Taken, and nothing changes: why. */
const WITHOUT_EFFECT: Settings = {
  logger: 'has one value',
  'socket-reuse-address': 'Node sets the option on every listener, as Go does',
  'backend-bbolt-freelist-type': 'says how bbolt keeps free pages in memory',
  'discovery-fallback': 'has one value that is not refused',
  'v2-deprecation': 'has no effect in etcd 3.7',
  'config-file': 'names the file; see the tests of the command',
  version: 'prints; see the tests of the command',
};

function newValueOf({ name, type, default: byDefault }: FlagFact): string {
  if (VALUES[name] !== undefined) return VALUES[name];
  switch (type) {
    case 'bool':
      return String(byDefault !== true);
    case 'uint':
    case 'int':
      return String(Number(byDefault) + 1);
    case 'duration':
      return '7s';
    case 'url list':
      return 'http://127.0.0.1:1234';
    default:
      return 'x';
  }
}

function configOf(parsed: ReturnType<typeof parseConfig>): ServerConfig {
  if (parsed.kind !== 'run') throw new Error(JSON.stringify(parsed));
  return parsed.config;
}

const asFlags = (settings: Settings): string[] =>
  Object.entries(settings).map(([name, value]) => `--${name}=${value}`);

function inFile(fact: FlagFact, text: string): FileValue {
  switch (fact.type) {
    case 'bool':
      return text === 'true';
    case 'uint':
    case 'int':
      return BigInt(text);
    case 'duration': {
      const parsed = parseDurationMs(text);
      if ('reason' in parsed) throw new Error(text);
      return BigInt(parsed.value * 1e6);
    }
    case 'stringlist':
      return fact.yaml_form === 'comma string' ? text : text.split(',');
    default:
      return text;
  }
}

/** A document with the settings, in sections where the reference says so. */
function documentOf(settings: Settings, facts: ReadonlyMap<string, FlagFact>): FileValue {
  const document: Record<string, FileValue> = {};
  for (const [name, text] of Object.entries(settings)) {
    const fact = facts.get(name)!;
    const path = (fact.yaml_key ?? name).split('.');
    const key = path.pop()!;
    let section = document;
    for (const part of path) {
      section[part] ??= {};
      section = section[part] as Record<string, FileValue>;
    }
    section[key] = inFile(fact, text);
  }
  return document;
}

const reference = sharedData('reference');
describeWith('beside the reference', [reference], () => {
  const path = join(need(reference), 'flags.json');
  const { flags } = JSON.parse(readFileSync(path, 'utf8')) as { flags: readonly FlagFact[] };
  const facts = new Map(flags.map((fact) => [fact.name, fact]));
  const rows = flags.filter(({ name }) => WITHOUT_EFFECT[name] === undefined);
  const working = rows.filter(({ ignored }) => !ignored);

  test.each(working.map((fact) => [fact.name, fact] as const))('--%s', (name, fact) => {
    const others = beside(name);
    const value = newValueOf(fact);
    const settings = { ...others, [name]: value };
    const changed = configOf(parseConfig(asFlags(settings), {}, ABOUT));
    const before = TOGETHER[name] === undefined ? others : {};
    expect(changed).not.toEqual(configOf(parseConfig(asFlags(before), {}, ABOUT)));
    expect(configOf(parseConfig(asFlags(others), { [fact.env]: value }, ABOUT))).toEqual(changed);
    if (fact.yaml_settable === false) return;
    const document = documentOf(settings, facts);
    expect(configOf(parseConfigFile('/f', { document }))).toEqual(changed);
  });

  test.each(Object.keys(WITHOUT_EFFECT))('--%s is one of the reference', (name) => {
    expect(facts.has(name)).toBe(true);
  });

  const ignored = flags.filter((fact) => fact.ignored === true);
  test.each(ignored.map((fact) => [fact.name, fact] as const))('--%s, ignored', (name, fact) => {
    for (const parsed of [
      parseConfig([`--${name}`], {}, ABOUT),
      parseConfig([], { [fact.env]: 'true' }, ABOUT),
    ]) {
      expect(configOf(parsed)).toEqual(configOf(parseConfig([], {}, ABOUT)));
      expect(parsed.kind === 'run' && parsed.notes.map(({ msg }) => msg)).toContain(
        'flag is no longer supported - ignoring',
      );
    }
  });
});
