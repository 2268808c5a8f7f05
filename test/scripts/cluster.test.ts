// `npm run cluster`: the members that it starts, what it says, and how it ends.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { Client } from '../../src/client/index.ts';
import { until } from '../cluster/until.ts';
import { serverUnderTest, temporaryDirectory } from '../helpers/member.ts';
import { describeWith, REPOSITORY } from '../helpers/real-etcd.ts';
import { type RunResult, run } from '../helpers/run.ts';
import { freePort, ServerProcess } from '../helpers/server-process.ts';

const SCRIPT = ['scripts/run-ts.mjs', 'scripts/cluster.ts'].map((path) => join(REPOSITORY, path));
const READY_TIMEOUT_MS = 60_000;
const directory = temporaryDirectory();
let running: ServerProcess | undefined;

// Members are in groups of their own: without the script they would go on.
afterEach(async () => {
  await running?.endAll();
  running = undefined;
});

afterAll(() => rmSync(directory, { recursive: true, force: true, maxRetries: 3 }));

/** Ports in a row, of which the first is free and the others likely are. */
async function start(args: readonly string[], firstPort: number): Promise<ServerProcess> {
  const own = [`--first-port=${firstPort}`, `--data-dir=${join(directory, `${firstPort}`)}`];
  running = new ServerProcess('cluster', [process.execPath, ...SCRIPT, ...own, ...args]);
  await running.line(/members serve/, READY_TIMEOUT_MS);
  return running;
}

async function interrupt(cluster: ServerProcess, signal: 'SIGINT' | 'SIGTERM'): Promise<void> {
  cluster.signal(signal);
  // npm passes on what the terminal has sent already.
  cluster.signal(signal);
  await cluster.line(/stopping/, READY_TIMEOUT_MS);
}

describeWith('the script that starts a cluster', [serverUnderTest()], () => {
  test('starts members that form one, keeps what they had, and stops them in order', async () => {
    const port = await freePort();
    const endpoints = [0, 2, 4].map((offset) => `127.0.0.1:${port + offset}`);
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      const cluster = await start(['--', '--log-level=info'], port);
      // A line of its own, which may come after the one that was waited for.
      await cluster.line(
        new RegExp(`etcdctl --endpoints=${endpoints.join(',')} member list$`),
        READY_TIMEOUT_MS,
      );
      const client = new Client({ endpoints, timeoutMs: 20_000 });
      const { members } = await client.cluster.memberList();
      expect(members.map(({ name }) => name).sort()).toEqual(['infra1', 'infra2', 'infra3']);
      if (signal === 'SIGINT') await client.kv.put('kept', 'yes');
      expect((await client.kv.get('kept')).kv?.valueText).toBe('yes');
      client.close();
      await interrupt(cluster, signal);
      await Promise.all(
        ['infra1', 'infra2', 'infra3'].map((name) =>
          cluster.line(new RegExp(`^${name} \\| ended with`), READY_TIMEOUT_MS),
        ),
      );
      expect(cluster.log()).not.toContain('SIGKILL');
    }
  });

  test('says when a member ends by itself, and goes on with the others', async () => {
    const cluster = await start([], await freePort());
    const [, pid] = /infra2 (\d+)/.exec(await cluster.line(/processes:/, READY_TIMEOUT_MS))!;
    process.kill(Number(pid), 'SIGKILL');
    await cluster.line(/^infra2 \| ended with SIGKILL/, READY_TIMEOUT_MS);
    await interrupt(cluster, 'SIGINT');
    await cluster.line(/^infra3 \| ended with/, READY_TIMEOUT_MS);
  });
});

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test('a process that is ended takes with it what it has started, also in a group of its own', async () => {
  const options = `{ detached: true, stdio: 'inherit' }`;
  const inner = `console.log('pid ' + process.pid); setInterval(() => {}, 60_000)`;
  const outer = `require('child_process').spawn(process.execPath, ['-e', \`${inner}\`], ${options})`;
  running = new ServerProcess('parent', [process.execPath, '-e', outer]);
  const [, pid] = /pid (\d+)/.exec(await running.line(/pid/, READY_TIMEOUT_MS))!;
  expect(isThere(Number(pid))).toBe(true);
  // Its output ends when both are gone.
  await running.endAll();
  const gone = (): true | undefined => (isThere(Number(pid)) ? undefined : true);
  await until('its end', gone);
});

describe('its flags', () => {
  const refused = (args: readonly string[]): Promise<RunResult> =>
    run([process.execPath, ...SCRIPT, ...args]);

  test.each([
    [['--count', '0'], '--count is not a number from 1 to 6: 0'],
    [['--count=x'], '--count is not a number'],
    [['--first-port=65535'], '--first-port is not a number from 1 to 65530'],
    [['--bogus'], "Unknown option '--bogus'"],
    [['word'], "Unexpected argument 'word'"],
  ])('%j are refused', async (args, text) => {
    const { code, stderr } = await refused(args);
    expect(stderr).toContain(text);
    expect(stderr).toContain('usage: npm run cluster');
    expect(code).toBe(2);
  });
});
