// Configuration files: what they set, and why they are refused, beside real etcd.

import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { realProgram, temporaryDirectory } from '../../../test/helpers/member.ts';
import { describeWith, need, realEtcd } from '../../../test/helpers/real-etcd.ts';
import { run } from '../../../test/helpers/run.ts';
import { parseConfigFile } from '../../server/index.ts';
import { readConfigFile } from './config-file.ts';

const directory = temporaryDirectory();
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const path = join(directory, 'etcd.yml');

async function settingsOf(text: string) {
  writeFileSync(path, text);
  return parseConfigFile(path, await readConfigFile(path));
}

async function configOf(text: string) {
  const parsed = await settingsOf(text);
  if (parsed.kind !== 'run') throw new Error(JSON.stringify(parsed));
  return parsed.config;
}

async function problemOf(text: string): Promise<unknown> {
  const parsed = await settingsOf(text);
  return parsed.kind === 'fail' ? parsed.notes.at(-1)?.fields['error'] : undefined;
}

const field = (what: string, name: string, type: string): string =>
  `error unmarshaling JSON: while decoding JSON: json: cannot unmarshal ${what} into Go struct field ${name} of type ${type}`;

/** Refused in the same words by real etcd. */
const REFUSED: readonly (readonly [text: string, error: string])[] = [
  ['name: 1', field('number', 'configYAML.Config.name', 'string')],
  ['name: [a]', field('array', 'configYAML.Config.name', 'string')],
  ['name: {a: b}', field('object', 'configYAML.Config.name', 'string')],
  ['NAME: y', field('bool', 'configYAML.Config.name', 'string')],
  ['snapshot-count: x', field('string', 'configYAML.Config.snapshot-count', 'uint64')],
  ['snapshot-count: -1', field('number -1', 'configYAML.Config.snapshot-count', 'uint64')],
  ['max-wals: 1.5', field('number 1.5', 'configYAML.Config.max-wals', 'uint')],
  ['pre-vote: 1', field('number', 'configYAML.Config.pre-vote', 'bool')],
  ['pre-vote: "true"', field('string', 'configYAML.Config.pre-vote', 'bool')],
  [
    'max-concurrent-streams: 4294967296',
    field('number 4294967296', 'configYAML.Config.max-concurrent-streams', 'uint32'),
  ],
  [
    'backend-batch-interval: 1s',
    field('string', 'configYAML.Config.backend-batch-interval', 'time.Duration'),
  ],
  ['cipher-suites: x', field('string', 'configYAML.Config.cipher-suites', '[]string')],
  ['cipher-suites: [1]', field('number', 'configYAML.Config.cipher-suites', 'string')],
  ['cors: 1', field('number', 'configYAML.configJSON.cors', 'string')],
  [
    'client-transport-security: x',
    field('string', 'configYAML.configJSON.client-transport-security', 'embed.securityConfig'),
  ],
  [
    'client-transport-security:\n  allowed-cn: a',
    field('string', 'securityConfig.configJSON.client-transport-security.allowed-cn', '[]string'),
  ],
  [
    'discovery-config:\n  client:\n    request-timeout: x',
    field('string', 'ConfigSpec.Config.discovery-config.client.request-timeout', 'time.Duration'),
  ],
  [
    'socket-options:\n  reuse-port: x',
    field('string', 'SocketOpts.Config.socket-options.reuse-port', 'bool'),
  ],
  // The first in the order of names.
  ['wal-dir: 1\nname: 2', field('number', 'configYAML.Config.name', 'string')],
  [
    '- a',
    'error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into Go value of type embed.configYAML',
  ],
  ['peer-transport-security:', 'invalid peer-transport-security'],
  ['feature-gates: X=true', 'unrecognized feature gate: X'],
  ['initial-cluster-state: foo', 'unexpected clusterState "foo"'],
  ['auto-compaction-mode: foo', 'unknown auto-compaction-mode "foo"'],
  ['tls-min-version: foo', 'unexpected TLS version "foo" (must be one of: TLS1.2, TLS1.3)'],
  ['log-format: foo', 'unknown log format: foo, supported values json, console'],
];

test.each(REFUSED)('%j is refused', async (text, error) => {
  expect(await problemOf(text)).toBe(error);
});

const real = realEtcd('3.7');

describeWith('real etcd 3.7', [real], () => {
  test('refuses the same in the same words', { timeout: 60_000 }, async () => {
    const { command } = realProgram(need(real));
    for (const [text, error] of REFUSED) {
      writeFileSync(path, `${text}\n`);
      const { code, stderr } = await run([...command, '--config-file', path], { cwd: directory });
      const last = JSON.parse(stderr.trim().split('\n').at(-1)!) as { readonly error: string };
      expect([text, last.error, code]).toEqual([text, error, 1]);
    }
  });
});

describe('a file', () => {
  test('has its settings, and nothing else has', async () => {
    const config = await configOf(`
name: m1
data-dir: /d
heartbeat-interval: 0x10
election-timeout: 1_000
snapshot-count: 1e3
quota-backend-bytes: 010
backend-batch-interval: 5000000
max-txn-ops:
Pre-Vote: off
strict-reconfig-check: false
log-outputs: [stdout, /l]
auto-compaction-mode: revision
auto-compaction-retention: "5"
listen-client-urls: http://127.0.0.1:1
initial-advertise-peer-urls: http://127.0.0.1:2
initial-cluster-token: 1:30
socket-options:
  reuse-address: true
something-else: [1, 2]
`);
    expect(config).toMatchObject({
      name: 'm1',
      heartbeatMs: 16,
      electionMs: 1000,
      snapshotCount: 1000,
      quotaBackendBytes: 8,
      backendBatchIntervalMs: 5,
      maxTxnOps: 128,
      preVote: false,
      strictReconfigCheck: false,
      initialClusterToken: '1:30',
      autoCompaction: { mode: 'revision' },
    });
    expect(config.log.outputs).toEqual(['stdout', '/l']);
    expect(config.initialCluster).toEqual([{ name: 'm1', peerURLs: ['http://127.0.0.1:2'] }]);
    expect(config.advertiseClientUrls).toEqual(['http://localhost:2379']);
  });

  test('has the certificates of clients and of members in sections', async () => {
    const config = await configOf(`
client-transport-security:
  cert-file: c
  key-file: k
  trusted-ca-file: a
  client-cert-auth: true
  allowed-cn: [a, b]
  skip-client-san-verification: true
peer-transport-security:
  cert-file: p
  key-file: q
  allowed-cn: [m]
`);

    const { clientTls, peerTls } = config;
    expect(clientTls).toMatchObject({
      ...{ certFile: 'c', clientCertAuth: true },
      ...{ allowedCommonNames: ['a', 'b'], skipsSanVerification: true },
    });
    expect(peerTls).toMatchObject({ certFile: 'p', allowedCommonNames: ['m'] });
  });

  test('that is empty, or a comment, sets nothing', async () => {
    expect(await configOf('')).toEqual(await configOf('# nothing\n'));
  });

  test('a name that stands twice counts as it stands last', async () => {
    expect((await configOf('name: a\nname: b')).name).toBe('b');
    expect((await configOf('name: a\nNAME: b')).name).toBe('a');
  });

  test('is told in the log, and so is what is on its way out', async () => {
    const parsed = await settingsOf('max-snapshots: 3\nv2-deprecation: any');
    const notes = parsed.kind === 'run' ? parsed.notes.map(({ msg }) => msg) : [];
    expect(notes[0]).toMatch(
      /^loaded server configuration, other configuration command line flags/,
    );
    expect(notes).toContain(
      '--max-snapshots is deprecated in 3.6 and will be decommissioned in 3.8.',
    );
    expect(notes.some((msg) => msg.startsWith('--v2-deprecation is deprecated'))).toBe(true);
  });

  test.each([
    ['a: b\n  c: d', /^error converting YAML to JSON: yaml: line 1: /],
    ['a: *b', /^error converting YAML to JSON: yaml: /],
    ['listen-client-urls: foo', /^unexpected error setting up listen-client-urls: URL scheme must/],
    ['cors: foo', /^invalid value "foo" for cors: URL scheme must be http, https, unix, or unixs/],
  ])('%j is refused, and why is said', async (text, pattern) => {
    expect(await problemOf(text)).toMatch(pattern);
  });

  test('must be there, and one', async () => {
    expect(await readConfigFile('/nowhere/x')).toEqual({
      error: 'open /nowhere/x: no such file or directory',
    });
    expect(await readConfigFile(directory)).toEqual({ error: `read ${directory}: is a directory` });
  });

  test('of many aliases of aliases is refused', async () => {
    const rows = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]'];
    for (let i = 1; i < 10; i++) rows.push(`a${i}: &a${i} [${`*a${i - 1},`.repeat(10)}]`);
    expect(await problemOf(rows.join('\n'))).toMatch(/Excessive alias count/);
  });
});
