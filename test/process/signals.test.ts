// A signal at any moment of start or stop ends the process in a bounded time; other signals do nothing.

import { chmodSync, existsSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { seededRandom } from '../../src/base/index.ts';
import { ApiClient } from '../helpers/api.ts';
import { READY, serverUnderTest, temporaryDirectory } from '../helpers/member.ts';
import { describeWith } from '../helpers/real-etcd.ts';
import { freePort, type ServerProcess } from '../helpers/server-process.ts';
import { after, flagsOf, freeAddresses, startProcess, waitForFile } from './flags.ts';

const SEED = Number(process.env['SIGNALS_SEED'] ?? 1);
const TRIES = Number(process.env['SIGNALS_TRIES'] ?? 8);
/** Far more than a stop takes on a busy machine, far less than what it must not wait for. */
const END_TIMEOUT_MS = 15_000;
const START_TIMEOUT_MS = 60_000;

describeWith('a signal to a process', [serverUnderTest()], () => {
  let directory: string;
  const started: ServerProcess[] = [];
  const servers: Server[] = [];
  beforeEach(() => {
    directory = temporaryDirectory();
  });
  afterEach(async () => {
    for (const one of started.splice(0)) await one.end('SIGKILL');
    for (const server of servers.splice(0)) server.close();
    rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
  });

  function start(flags: readonly string[], env: Readonly<Record<string, string>> = {}) {
    const one = startProcess(flags, { env });
    started.push(one);
    return one;
  }

  test(`ends one that has no quorum, whenever it comes (seed ${SEED})`, async () => {
    const random = seededRandom(SEED);
    const addresses = await freeAddresses();
    const cluster = `--initial-cluster=m1=http://127.0.0.1:${addresses.peer},m2=http://127.0.0.1:1`;
    const delays = Array.from({ length: TRIES }, (_, i) => random.below(i < 2 ? 100 : 1500));
    for (const delay of delays) {
      const one = start(flagsOf(directory, addresses, [cluster]));
      await after(delay);
      one.signal('SIGTERM');
      expect([delay, await one.ended(END_TIMEOUT_MS)]).toEqual([delay, 'SIGTERM']);
    }
    const one = start(flagsOf(directory, addresses, [cluster]));
    await one.line(/starting local member|restarting local member/, START_TIMEOUT_MS);
    one.signal('SIGINT');
    expect(await one.ended(END_TIMEOUT_MS)).toBe('SIGINT');
  });

  test('ends one that waits for a cluster to join, which leaves nothing behind', async () => {
    const silent = createServer((socket) => socket.resume()).listen(0, '127.0.0.1');
    servers.push(silent);
    await new Promise((resolve) => silent.once('listening', resolve));
    const { port } = silent.address() as { port: number };
    const asked = new Promise((resolve) => silent.once('connection', resolve));
    const addresses = await freeAddresses();
    const one = start(
      flagsOf(directory, addresses, [
        `--initial-cluster=m1=http://127.0.0.1:${addresses.peer},m2=http://127.0.0.1:${port}`,
        '--initial-cluster-state=existing',
      ]),
    );
    await asked;
    one.signal('SIGTERM');
    expect(await one.ended(5000)).toBe('SIGTERM');
    expect(existsSync(join(directory, 'data'))).toBe(false);
  });

  test('ends one whose start is stuck', async () => {
    // The program that takes the lock never ends.
    const programs = join(directory, 'bin');
    writeFileSync(join(directory, 'flock'), '#!/bin/sh\nexec sleep 20\n');
    chmodSync(join(directory, 'flock'), 0o755);
    const one = start(flagsOf(directory, await freeAddresses()), {
      PATH: `${directory}:${programs}:${process.env['PATH']}`,
    });
    await one.line(/Initialize and start|starting an etcd server|"msg"/i, START_TIMEOUT_MS);
    await waitForFile(join(directory, 'data', 'member', 'snap', 'db'));
    one.signal('SIGTERM');
    await one.line(/did not stop in time/, END_TIMEOUT_MS);
    expect(await one.ended(END_TIMEOUT_MS)).toBe('SIGTERM');
  });

  test('that arrives twice at once is one request', async () => {
    const one = start(flagsOf(directory, await freeAddresses()));
    await one.line(READY, START_TIMEOUT_MS);
    one.signal('SIGTERM');
    await one.line(/received signal/, END_TIMEOUT_MS);
    one.signal('SIGTERM');
    expect(await one.ended(END_TIMEOUT_MS)).toBe('SIGTERM');
    expect(one.log()).toMatch(/closed etcd server/);
  });

  test('ends one that stops and waits for another member, if it is the second', async () => {
    const first = await freeAddresses();
    const second = await freeAddresses();
    const cluster = `m1=http://127.0.0.1:${first.peer},m2=http://127.0.0.1:${second.peer}`;
    const [one, two] = [first, second].map((addresses, i) =>
      start(
        flagsOf(join(directory, String(i)), addresses, [
          `--name=m${i + 1}`,
          `--initial-cluster=${cluster}`,
        ]),
      ),
    ) as [ServerProcess, ServerProcess];
    await Promise.all([one.line(READY, START_TIMEOUT_MS), two.line(READY, START_TIMEOUT_MS)]);
    const [leader, follower] = /became leader/.test(one.log()) ? [one, two] : [two, one];
    follower.signal('SIGSTOP');
    leader.signal('SIGTERM');
    await leader.line(/leadership transfer starting/, START_TIMEOUT_MS);
    leader.signal('SIGINT');
    expect(await leader.ended(3000)).toBe('SIGTERM');
    expect(leader.log()).toMatch(/received another signal/);
    follower.signal('SIGCONT');
  });

  test('SIGUSR1 and SIGUSR2 do nothing', async () => {
    const addresses = await freeAddresses();
    const one = start(flagsOf(directory, addresses));
    await one.line(/"msg"/, START_TIMEOUT_MS);
    one.signal('SIGUSR1');
    one.signal('SIGUSR2');
    await one.line(READY, START_TIMEOUT_MS);
    one.signal('SIGUSR2');
    one.signal('SIGUSR1');
    const client = new ApiClient(`127.0.0.1:${addresses.client}`);
    await client.must('KV/Put', { key: 'k', value: 'v' });
    client.close();
    one.signal('SIGTERM');
    expect(await one.ended(END_TIMEOUT_MS)).toBe('SIGTERM');
    expect(one.log()).not.toMatch(/Debugger/);
  });

  test('settings that weaken Node are named in the log', async () => {
    const one = start(flagsOf(directory, await freeAddresses()), {
      NODE_TLS_REJECT_UNAUTHORIZED: '0',
      SSLKEYLOGFILE: join(directory, 'keys'),
      NODE_OPTIONS: `--inspect=127.0.0.1:${await freePort()}`,
    });
    await one.line(READY, START_TIMEOUT_MS);
    for (const name of [
      'NODE_TLS_REJECT_UNAUTHORIZED',
      'SSLKEYLOGFILE',
      'NODE_OPTIONS --inspect',
    ]) {
      expect(one.log()).toMatch(new RegExp(`weakens this process","setting":"${name}`));
    }
  });
});
