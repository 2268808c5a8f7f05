// Every example runs as its reader would run it, against the built package, and says what it shows.

import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { REPOSITORY } from './helpers/real-etcd.ts';

const EXAMPLES: Readonly<Record<string, readonly string[]>> = {
  'embedded-member.mjs': [
    'first run, before it: none',
    'first run ended: closed',
    'second run, before it: first',
    'second run ended: closed',
  ],
  'config-watcher.mjs': [
    "at the start: { colour: 'green' }",
    'colour is now blue',
    'size is now large',
    'colour is now gone',
  ],
  'service-registry.mjs': [
    'registered: 10.0.0.1:25, 10.0.0.2:25',
    'up: services/mail/a at 10.0.0.1:25',
    'up: services/mail/b at 10.0.0.2:25',
    'down: services/mail/a',
  ],
  'raft-alone.mjs': [
    'leader: 1',
    '1 has applied: a = 1; b = 2',
    '2 has applied: a = 1; b = 2',
    '3 has applied: a = 1; b = 2',
    'a new leader: true',
    '2 has applied: a = 1; b = 2; c = 3',
  ],
  'bbolt-alone.mjs': [
    'before: earth, mars, neptune, venus',
    'after: earth, mars, venus',
    'violations: 0',
  ],
  'wal-alone.mjs': ['metadata: about this log', 'committed: 2', '1: one', '2: two', '3: three'],
  'grpc-alone.mjs': [
    'hello, world',
    '3: InvalidArgument: a name is needed',
    'echo: one',
    'echo: two',
  ],
};

test('every example is listed here and in their README', () => {
  const present = readdirSync(join(REPOSITORY, 'examples')).filter((name) => name.endsWith('.mjs'));
  expect(present.sort()).toEqual(Object.keys(EXAMPLES).sort());
  const readme = readFileSync(join(REPOSITORY, 'examples/README.md'), 'utf8');
  expect(present.filter((name) => !readme.includes(`\`${name}\``))).toEqual([]);
});

test.each(Object.entries(EXAMPLES))('%s', (name, lines) => {
  const { stdout, stderr, status } = spawnSync(process.execPath, [`examples/${name}`], {
    cwd: REPOSITORY,
    encoding: 'utf8',
    timeout: 60_000,
  });
  expect({ stdout, stderr, status }).toEqual({
    stdout: `${lines.join('\n')}\n`,
    stderr: '',
    status: 0,
  });
});
