// What a service manager is told. It listens at a datagram socket, which Node does not have; Python does, and
// sees as systemd does which process a message is from.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { READY, serverUnderTest, temporaryDirectory } from '../helpers/member.ts';
import { describeWith, REPOSITORY, systemProgram } from '../helpers/real-etcd.ts';
import { run } from '../helpers/run.ts';
import type { ServerProcess } from '../helpers/server-process.ts';
import { flagsOf, freeAddresses, startProcess } from './flags.ts';

const TIMEOUT_MS = 60_000;

/** Prints a line for each message: the process id of its sender and its text. */
const MANAGER = `
import os, socket, struct, sys
path = sys.argv[1]
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
manager.bind('\\0' + path[1:] if path[0] == '@' else path)
print('listening', flush=True)
while True:
    text, ancillary, _, _ = manager.recvmsg(4096, 4096)
    sender = 0
    for level, kind, value in ancillary:
        if kind == socket.SCM_CREDENTIALS:
            sender = struct.unpack('iII', value)[0]
        if kind == socket.SCM_RIGHTS:
            for descriptor in struct.unpack('%di' % (len(value) // 4), value):
                os.close(descriptor)
    print(sender, text.decode().strip(), flush=True)
`;

const needs = [serverUnderTest(), systemProgram('python3')];

describeWith('a service manager', needs, () => {
  let directory: string;
  const ends: (() => Promise<unknown>)[] = [];
  beforeEach(() => {
    directory = temporaryDirectory();
  });
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
    rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
  });

  /** Resolves with each message in turn. */
  async function listenAt(path: string): Promise<() => Promise<string>> {
    const manager = spawn('python3', ['-c', MANAGER, path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    // Not 'close', which waits for messages that nobody reads.
    const gone = once(manager, 'exit');
    ends.push(() => {
      manager.kill('SIGKILL');
      return gone;
    });
    const lines = manager.stdout.setEncoding('utf8')[Symbol.asyncIterator]();
    let rest = '';
    const next = async (): Promise<string> => {
      while (!rest.includes('\n')) {
        const { done, value } = await lines.next();
        if (done === true) throw new Error('the manager has ended');
        rest += value;
      }
      const line = rest.slice(0, rest.indexOf('\n'));
      rest = rest.slice(line.length + 1);
      return line;
    };
    expect(await next()).toBe('listening');
    return next;
  }

  async function start(env: Readonly<Record<string, string>>): Promise<ServerProcess> {
    const one = startProcess(flagsOf(directory, await freeAddresses()), { env });
    ends.push(() => one.end('SIGKILL'));
    await one.line(READY, TIMEOUT_MS);
    return one;
  }

  test('hears from the process itself that it serves, and that it stops', async () => {
    const path = join(directory, 'notify');
    const next = await listenAt(path);
    const member = await start({ NOTIFY_SOCKET: path });
    expect(await next()).toBe(`${member.pid} READY=1`);
    await member.line(/successfully notified init daemon/, TIMEOUT_MS);
    member.signal('SIGTERM');
    expect(await next()).toBe(`${member.pid} STOPPING=1`);
    expect(await member.ended(TIMEOUT_MS)).toBe('SIGTERM');
  });

  test('that is not there keeps no member from serving, and none speaks to nobody', async () => {
    const member = await start({ NOTIFY_SOCKET: join(directory, 'nobody') });
    await member.line(/failed to notify systemd for readiness/, TIMEOUT_MS);
    member.signal('SIGTERM');
    expect(await member.ended(TIMEOUT_MS)).toBe('SIGTERM');
    const silent = await start({ NOTIFY_SOCKET: '' });
    silent.signal('SIGTERM');
    expect(await silent.ended(TIMEOUT_MS)).toBe('SIGTERM');
    expect(silent.log()).not.toMatch(/init daemon/);
  });

  describeWith('at an abstract socket', [systemProgram('systemd-notify')], () => {
    test('hears it from systemd-notify', async () => {
      const path = `@tetcd-test-${process.pid}`;
      const next = await listenAt(path);
      const member = await start({ NOTIFY_SOCKET: path });
      expect(await next()).toMatch(/^\d+ READY=1$/);
      await member.line(/successfully notified init daemon/, TIMEOUT_MS);
    });
  });
});

describeWith('the unit for systemd', [systemProgram('systemd-analyze')], () => {
  test('is one that systemd takes without a complaint', async () => {
    const unit = join(REPOSITORY, 'packaging', 'systemd', 'tetcd.service');
    const { code, stdout, stderr } = await run(['systemd-analyze', 'verify', unit]);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(readFileSync(unit, 'utf8').split('\n')).toContain('Type=notify');
  });
});
