// A first start that fails leaves nothing behind: it can be tried again with other settings.

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ApiClient } from '../helpers/api.ts';
import { READY, serverUnderTest, temporaryDirectory } from '../helpers/member.ts';
import { describeWith, systemProgram } from '../helpers/real-etcd.ts';
import { freePort, type ServerProcess } from '../helpers/server-process.ts';
import { type Addresses, flagsOf, freeAddresses, startProcess } from './flags.ts';

const END_TIMEOUT_MS = 60_000;

describeWith('a first start that fails', [serverUnderTest()], () => {
  let directory: string;
  let taken: Server;
  let takenPort: number;
  let addresses: Addresses;
  const started: ServerProcess[] = [];
  beforeEach(async () => {
    directory = temporaryDirectory();
    addresses = await freeAddresses();
    takenPort = await freePort();
    taken = createServer().listen(takenPort, '127.0.0.1');
    await new Promise((resolve) => taken.once('listening', resolve));
  });
  afterEach(async () => {
    for (const one of started.splice(0)) await one.end('SIGKILL');
    taken.close();
    rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
  });

  const data = () => join(directory, 'data');

  function start(where: Addresses, more: readonly string[] = []): ServerProcess {
    const one = startProcess(flagsOf(directory, where, more));
    started.push(one);
    return one;
  }

  async function refused(where: Addresses, more: readonly string[], text: RegExp): Promise<void> {
    const one = start(where, more);
    expect(await one.ended(END_TIMEOUT_MS)).toBe('1');
    expect(one.log()).toMatch(text);
  }

  test('for a taken port has written nothing; the next one uses its own URLs', async () => {
    const inUse = /address already in use|is in use/;
    await refused({ ...addresses, peer: takenPort }, [], inUse);
    expect(existsSync(data())).toBe(false);
    await refused({ ...addresses, client: takenPort }, [], inUse);
    expect(existsSync(data())).toBe(false);
    const metrics = `--listen-metrics-urls=http://127.0.0.1:${takenPort}`;
    await refused(addresses, [metrics], inUse);
    expect(existsSync(data())).toBe(false);

    const next = await freeAddresses();
    await start(next).line(READY, END_TIMEOUT_MS);
    const client = new ApiClient(`127.0.0.1:${next.client}`);
    const { members } = await client.must('Cluster/MemberList', {});
    client.close();
    expect(members).toMatchObject([{ peerURLs: [`http://127.0.0.1:${next.peer}`] }]);
  });

  test('for want of a cluster to join takes back what it made, and only that', async () => {
    const flags = [
      `--initial-cluster=m1=http://127.0.0.1:${addresses.peer},m2=http://127.0.0.1:1`,
      '--initial-cluster-state=existing',
    ];
    await refused(addresses, flags, /cannot fetch cluster info from peer urls/);
    expect(readdirSync(directory)).toEqual([]);
    mkdirSync(join(data(), 'member'), { recursive: true });
    writeFileSync(join(data(), 'notes'), 'mine');
    await refused(
      addresses,
      [...flags, `--wal-dir=${join(directory, 'far', 'wal')}`],
      /cannot fetch cluster info from peer urls/,
    );
    const left = readdirSync(directory, { recursive: true, encoding: 'utf8' }).sort();
    expect(left).toEqual(['data', 'data/member', 'data/notes']);
    await start(addresses).line(READY, END_TIMEOUT_MS);
  });

  test.runIf(process.platform === 'linux')('in a place where nothing can be made', async () => {
    for (const place of ['/proc/nope/x', '/dev/null/x']) {
      await refused(addresses, [`--data-dir=${place}`], /cannot access data directory/);
    }
  });

  test.skipIf(systemProgram('flock').missing !== undefined)(
    'because another process has the database leaves it alone',
    async () => {
      const snap = join(data(), 'member', 'snap');
      mkdirSync(snap, { recursive: true });
      writeFileSync(join(snap, 'db'), '');
      const holder = spawn('flock', [join(snap, 'db'), 'sh', '-c', 'echo held; read wait'], {
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      await new Promise((resolve) => holder.stdout.once('data', resolve));
      await refused(addresses, [], /another process uses it/);
      expect(readdirSync(snap)).toEqual(['db']);
      holder.stdin.end('\n');
    },
  );
});
