// Wrong flags: a clear message, the exit code of etcd, and no data directory left behind.

import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { serverUnderTest, temporaryDirectory } from '../helpers/member.ts';
import { describeWith, need } from '../helpers/real-etcd.ts';
import { run } from '../helpers/run.ts';
import { freePort } from '../helpers/server-process.ts';

const ours = serverUnderTest();
const root = temporaryDirectory();
afterAll(() => rmSync(root, { recursive: true, force: true }));

describeWith('wrong flags', [ours], () => {
  test.each<[string, readonly string[], number, RegExp]>([
    ['an unknown flag', ['--nonsense'], 2, /flag provided but not defined: -nonsense/],
    ['an unknown flag with a value', ['-nonsense=1'], 2, /not defined: -nonsense/],
    ['a number that is none', ['--snapshot-count=x'], 2, /"x" for flag -snapshot-count/],
    ['a negative count', ['--snapshot-count=-1'], 2, /"-1" for flag -snapshot-count/],
    ['a missing value', ['--snapshot-count'], 2, /flag needs an argument: -snapshot-count/],
    ['a URL that is none', ['--listen-client-urls=foo'], 2, /flag -listen-client-urls/],
    ['a release that is none', ['--max-cluster-version=nine'], 2, /flag -max-cluster-version/],
    ['a positional argument', ['extra'], 1, /"extra.?" is not a valid flag/],
    ['an unknown log level', ['--log-level=loud'], 1, /unrecognized level: .*loud/],
    [
      'an election timeout too short',
      ['--heartbeat-interval=500', '--election-timeout=600'],
      1,
      /--election-timeout\[600ms\] should be at least as 5 times as --heartbeat-interval\[500ms\]/,
    ],
    [
      'client URLs to listen on but none to advertise',
      ['--listen-client-urls=http://127.0.0.1:1'],
      1,
      /--advertise-client-urls is required when --listen-client-urls is set explicitly/,
    ],
  ])('%s', async (_name, flags, code, pattern) => {
    const directory = join(root, 'never');
    const result = await run([...need(ours).command, `--data-dir=${directory}`, ...flags]);
    expect(result.stdout + result.stderr).toMatch(pattern);
    expect(result.code).toBe(code);
    expect(existsSync(directory)).toBe(false);
  });

  test('a data directory that is a file', async () => {
    const directory = join(root, 'file');
    writeFileSync(directory, 'not a directory');
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const flags = [`--listen-client-urls=${url}`, `--advertise-client-urls=${url}`];
    const peer = `http://127.0.0.1:${await freePort()}`;
    const peerFlags = [`--listen-peer-urls=${peer}`, `--initial-advertise-peer-urls=${peer}`];
    const result = await run([
      ...[...need(ours).command, `--data-dir=${directory}`, ...flags, ...peerFlags],
      `--initial-cluster=default=${peer}`,
    ]);
    expect(result.code).toBe(1);
    expect(result.stdout + result.stderr).toContain(directory);
  });
});
