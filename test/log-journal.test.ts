// The journal as a log output, in a mount namespace whose /run/systemd/journal/socket is this test's.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { DgramSocket } from 'node-unix-socket';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  type Program,
  READY,
  realProgram,
  serverUnderTest,
  temporaryDirectory,
} from './helpers/member.ts';
import { describeWith, type Found, need, realEtcd } from './helpers/real-etcd.ts';
import { freePort } from './helpers/server-process.ts';

const namespaces: Found<true> =
  spawnSync('unshare', ['-rm', 'true']).status === 0
    ? { value: true }
    : { missing: 'mount namespaces: unshare -rm fails', excused: true };
const IN_NAMESPACE = 'mount -t tmpfs run /run && mkdir -p /run/systemd/journal && ';
const WITH_SOCKET = `${IN_NAMESPACE} mount --bind "$0" /run/systemd/journal && exec "$@"`;
const WITHOUT_SOCKET = `${IN_NAMESPACE} exec "$@"`;

let directory: string;
let socket: DgramSocket | undefined;
beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(() => {
  socket?.close();
  socket = undefined;
  rmSync(directory, { recursive: true });
});

async function commandOf(program: Program, flags: readonly string[]): Promise<string[]> {
  const [client, peer] = [await freePort(), await freePort()].map(
    (port) => `http://127.0.0.1:${port}`,
  );
  return [
    ...program.command,
    ...['--name=m1', `--data-dir=${join(directory, 'data')}`, '--log-outputs=systemd/journal'],
    ...[`--listen-client-urls=${client}`, `--advertise-client-urls=${client}`],
    ...[`--listen-peer-urls=${peer}`, `--initial-advertise-peer-urls=${peer}`],
    ...[`--initial-cluster=m1=${peer}`, ...flags],
  ];
}

interface Run {
  readonly entries: readonly string[];
  readonly stderr: string;
}

/** Runs a member until it is ready, and stops it. */
async function runUntilReady(program: Program, flags: readonly string[] = []): Promise<Run> {
  const entries: string[] = [];
  const reader = new DgramSocket();
  socket = reader;
  const ready = new Promise<void>((resolve) => {
    reader.on('data', (bytes: Buffer) => {
      entries.push(bytes.toString('latin1'));
      if (READY.test(entries.at(-1)!)) resolve();
    });
  });
  reader.bind(join(directory, 'socket'));
  const command = await commandOf(program, flags);
  const child = spawn('unshare', ['-rm', 'sh', '-c', WITH_SOCKET, directory, ...command]);
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = once(child, 'exit');
  await Promise.race([ready, ended.then(() => Promise.reject(new Error(stderr)))]);
  child.kill('SIGTERM');
  await ended;
  return { entries, stderr };
}

/** Names of its fields in their order, with the line that is its message. */
function parsed(entry: string): { readonly names: readonly string[]; readonly message: string } {
  const names: string[] = [];
  let message = '';
  for (let at = 0; at < entry.length; ) {
    const [, name, mark] = /^([A-Z_]+)([=\n])/.exec(entry.slice(at))!;
    const start = at + name!.length + 1;
    const isText = mark === '=';
    const length = Buffer.from(entry, 'latin1').readUInt32LE(isText ? 0 : start);
    const end = isText ? entry.indexOf('\n', start) : start + 8 + length;
    names.push(name!);
    if (name === 'MESSAGE') message = entry.slice(isText ? start : start + 8, end).trimEnd();
    at = end + 1;
  }
  return { names, message };
}

const ours = serverUnderTest();
describeWith('a member with the journal as its output', [ours, namespaces], () => {
  test('sends each line as an entry, and nothing elsewhere', async () => {
    const { entries, stderr } = await runUntilReady(need(ours));
    expect(stderr).toBe('');
    expect(entries[0]).toMatch(
      /^PRIORITY=4\nMESSAGE=\{"level":"warn",.*\}\nPACKAGE=\w+.*\nSYSLOG_/,
    );
    expect(entries.at(-1)).toContain('SYSLOG_IDENTIFIER=tetcd\n');
    for (const entry of entries) JSON.parse(parsed(entry).message);
    expect(parsed(entries.at(-1)!).message).toContain('closed etcd server');
  });

  test('does so in console form too', async () => {
    const { entries } = await runUntilReady(need(ours), ['--log-format=console']);
    expect(entries.at(-1)).toMatch(/^PRIORITY=6\nMESSAGE=\S+\tinfo\t.*closed etcd server/);
  });

  test('does not start without a journal', async () => {
    const command = await commandOf(need(ours), []);
    const run = spawnSync('unshare', ['-rm', 'sh', '-c', WITHOUT_SOCKET, '', ...command], {
      encoding: 'utf8',
      timeout: 30_000,
    });
    expect(run.status).toBe(1);
    expect(JSON.parse(run.stderr.trimEnd().split('\n').at(-1)!)).toMatchObject({
      level: 'warn',
      msg: 'failed to verify flags',
      error: expect.stringMatching(/^can't find journal \(.*\/run\/systemd\/journal\/socket/),
    });
  });
});

const real = realEtcd('3.7');
describeWith('beside a real etcd', [ours, real, namespaces], () => {
  test('an entry has the same fields', async () => {
    const theirs = await runUntilReady(realProgram(need(real)));
    socket?.close();
    rmSync(join(directory, 'socket'), { force: true });
    rmSync(join(directory, 'data'), { recursive: true });
    const own = await runUntilReady(need(ours));
    const fields = (run: Run): Set<string> =>
      new Set(run.entries.map((entry) => parsed(entry).names.toSorted().join()));
    expect(fields(own)).toEqual(fields(theirs));
  });
});
