import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../../test/helpers/member.ts';
import { describeWith, need, realEtcd } from '../../../test/helpers/real-etcd.ts';
import { parseConfig } from '../config/index.ts';
import { createLogger } from './log.ts';
import { logStart } from './start-log.ts';

const about = { packageVersion: '0', nodeVersion: 'v20', platform: 'linux', arch: 'x64' } as const;

function settingsOf(args: readonly string[], isInitialized = false): Record<string, unknown> {
  const parsed = parseConfig(args, {}, about);
  if (parsed.kind !== 'run') throw new Error(`refused: ${args.join(' ')}`);
  const lines: string[] = [];
  const sink = { write: (line: string) => void lines.push(line) };
  const clock = { wallMs: () => 0, monotonicMs: () => 0 };
  const log = createLogger(
    { level: 'info', format: 'json' },
    sink,
    clock,
    'server/telemetry/start-log.ts',
  );
  logStart(log, parsed.config, isInitialized);
  return JSON.parse(lines[0]!);
}

test('a member that knows its cluster names no initial one, unless it is forced', () => {
  const initial = ['--initial-cluster=default=http://localhost:2380'];
  expect(settingsOf(initial)).toMatchObject({
    'member-initialized': false,
    'initial-cluster': 'default=http://localhost:2380',
    'initial-cluster-token': 'etcd-cluster',
  });
  expect(settingsOf(initial, true)).toMatchObject({
    'member-initialized': true,
    'initial-cluster': '',
    'initial-cluster-token': '',
  });
  expect(settingsOf([...initial, '--force-new-cluster'], true)).toMatchObject({
    'initial-cluster': 'default=http://localhost:2380',
  });
});

test('what only we have is named too', () => {
  const settings = settingsOf(['--max-cluster-version=3.5', '--log-outputs=stderr,a.log']);
  expect(settings).toMatchObject({
    'max-cluster-version': '3.5',
    'log-outputs': ['stderr', 'a.log'],
    'warning-apply-duration': '100ms',
  });
  expect(settings['etcd-version']).toMatch(/^3\.7\./);
});

/** Keys of etcd's line that name what this release does not have, or its own program. */
const THEIRS_ALONE =
  /^(git-sha|go-.*|max-cpu-set|local-address|downgrade-check-interval|discovery-.*|ts|caller)$/;

const real = realEtcd('3.7');
describeWith('beside a real etcd', [real], () => {
  const changed = [
    '--name=m1',
    '--initial-cluster=m1=http://127.0.0.1:0',
    '--snapshot-catchup-entries=1000',
    '--heartbeat-interval=150',
    '--election-timeout=1600',
    '--quota-backend-bytes=-1',
    '--max-request-bytes=1000',
    '--max-concurrent-streams=7',
    '--pre-vote=false',
    '--feature-gates=FastLeaseKeepAlive=false,LeaseCheckpoint=true',
    '--max-learners=3',
    '--initial-cluster-token=tkn',
    '--listen-metrics-urls=http://127.0.0.1:0',
    '--v2-deprecation=gone',
    '--cors=http://b.example:2,http://a.example:1',
    '--host-whitelist=b.example,a.example',
  ];
  test.each([
    { which: 'those by default', more: ['--initial-cluster=default=http://127.0.0.1:0'] },
    { which: 'those that were set', more: changed },
  ])('$which are named in the same form', async ({ more }) => {
    const directory = temporaryDirectory();
    const local = ['listen-client-urls', 'advertise-client-urls', 'listen-peer-urls'];
    const urls = [...local, 'initial-advertise-peer-urls'].map((n) => `--${n}=http://127.0.0.1:0`);
    const args = [`--data-dir=${directory}/d`, ...urls, ...more];
    const child = spawn(need(real).etcd, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    const ended = once(child, 'exit');
    let theirs: Record<string, unknown> | undefined;
    for await (const line of createInterface({ input: child.stderr })) {
      if (!line.includes('"starting an etcd server"')) continue;
      theirs = JSON.parse(line);
      break;
    }
    child.kill('SIGKILL');
    await ended;
    rmSync(directory, { recursive: true });
    const ours = settingsOf(args);
    const expected = Object.entries(theirs!).filter(([key]) => !THEIRS_ALONE.test(key));
    expect(expected.length).toBeGreaterThan(25);
    expect(ours).toMatchObject(Object.fromEntries(expected));
  });
});
