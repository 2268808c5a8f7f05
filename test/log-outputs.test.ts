// A log that nobody reads, whose reader goes away, or whose disk is full, must not be felt by anybody
// but who reads the log.

import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { Agent, request } from 'node:http';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ApiClient } from './helpers/api.ts';
import {
  Member,
  type Program,
  realProgram,
  serverUnderTest,
  temporaryDirectory,
} from './helpers/member.ts';
import { describeWith, need, realEtcd } from './helpers/real-etcd.ts';
import { STALLING_FS, stall } from './helpers/stalled-disk.ts';

const { O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;

let directory: string;
beforeEach(() => {
  directory = temporaryDirectory();
});
const members: Member[] = [];
afterEach(async () => {
  for (const member of members.splice(0)) await member.dispose();
  rmSync(directory, { recursive: true });
});

/** A named pipe, full to the brim with one line, and its reading end. */
function fullPipe(): { readonly path: string; readonly reader: number } {
  const path = join(directory, 'log');
  execFileSync('mkfifo', [path]);
  const reader = openSync(path, O_RDONLY | O_NONBLOCK);
  const writer = openSync(path, O_WRONLY | O_NONBLOCK);
  const piece = Buffer.alloc(4096, 'x');
  try {
    for (;;) writeSync(writer, piece);
  } catch (error) {
    expect(error).toMatchObject({ code: 'EAGAIN' });
  }
  closeSync(writer);
  return { path, reader };
}

/** With stderr at `pipe`; what it says on stdout too tells when it is ready. */
async function startWithLogAt(pipe: string, flags: readonly string[]): Promise<Member> {
  const prefix = ['sh', '-c', `exec "$0" "$@" 2>'${pipe}'`];
  const member = await Member.start(need(ours), { prefix, flags });
  members.push(member);
  return member;
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

function get(url: string, headers: Record<string, string>, agent?: Agent): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asking = request(url, { headers, agent }, (response) => {
      response.setEncoding('utf8');
      let body = '';
      response.on('data', (text: string) => {
        body += text;
      });
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
      });
    });
    asking.on('error', reject);
    asking.end();
  });
}

/** Requests at the peer port that a member logs, each a line of 4 KiB at debug level. */
async function causeLines(member: Member, count: number): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  const stranger = await get(`${member.peerUrl}/raft/stream/message/1`, {}, agent);
  const cluster = String(stranger.headers['x-etcd-cluster-id']);
  const headers = { 'X-Etcd-Cluster-Id': cluster, 'X-Server-Version': '3.7.1' };
  const known = { ...headers, 'X-Min-Cluster-Version': '3.0.0' };
  const url = `${member.peerUrl}/raft/stream/none/${'x'.repeat(5000)}`;
  const asked = Array.from({ length: count }, () => get(url, known, agent));
  expect(new Set((await Promise.all(asked)).map(({ status }) => status))).toEqual(new Set([404]));
  agent.destroy();
}

async function dropped(member: Member, reason: 'output' | 'rate'): Promise<number> {
  const { body } = await get(`http://${member.endpoint}/metrics`, {});
  return Number(
    new RegExp(`^tetcd_log_lines_dropped_total\\{reason="${reason}"\\} (\\d+)$`, 'm').exec(
      body,
    )?.[1],
  );
}

async function expectToServe(member: Member): Promise<void> {
  const client = new ApiClient(member.endpoint);
  try {
    for (const value of ['1', '2', '3']) {
      const put = await client.call('KV/Put', { key: 'a', value }, { timeoutMs: 10_000 });
      expect(put.code).toBe(0);
      const { message } = await client.call('KV/Range', { key: 'a' }, { timeoutMs: 10_000 });
      expect(message).toMatchObject({ kvs: [{ value }] });
    }
  } finally {
    client.close();
  }
}

const ours = serverUnderTest();
describeWith('a member whose log', [ours], () => {
  test('nobody reads serves; read again, it has every line whole and says what is missing', async () => {
    const { path, reader } = fullPipe();
    const member = await startWithLogAt(path, ['--log-outputs=stdout,stderr', '--log-level=debug']);
    await expectToServe(member);
    await causeLines(member, 2000);
    await expectToServe(member);
    const lost = await dropped(member, 'output');
    expect(lost).toBeGreaterThan(1000);
    const kb = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${member.pid}/status`, 'utf8'));
    expect(Number(kb?.[1])).toBeLessThan(400_000);

    const stream = new Socket({ fd: reader, readable: true, writable: false });
    stream.setEncoding('utf8');
    let text = '';
    const caughtUp = new Promise<void>((resolve) => {
      stream.on('data', (piece: string) => {
        text += piece;
        if (text.includes('dropped log lines')) resolve();
      });
    });
    const closed = once(stream, 'close');
    await caughtUp;
    expect([0, -1]).toContain(await member.stop());
    await closed;
    const lines = text.replace(/^x+/, '').split('\n');
    expect(lines.pop()).toBe('');
    const parsed: { msg: string; count?: number }[] = lines.map((line) => JSON.parse(line));
    expect(parsed[0]).toMatchObject({ level: 'warn' });
    const gaps = parsed.filter(({ msg }) => msg.startsWith('dropped log lines'));
    expect(gaps).toHaveLength(1);
    expect(gaps[0]!.count).toBeGreaterThanOrEqual(lost);
    expect(parsed.at(-1)).toMatchObject({ msg: 'closed etcd server' });
  });

  test('has lost its reader and its disk serves, and stops', async () => {
    const { path, reader } = fullPipe();
    const member = await startWithLogAt(path, ['--log-outputs=stdout,stderr,/dev/full']);
    closeSync(reader);
    await expectToServe(member);
    expect([0, -1]).toContain(await member.stop());
  });

  test('nobody reads until the end ends in a bounded time', async () => {
    const { path, reader } = fullPipe();
    const member = await startWithLogAt(path, ['--log-outputs=stdout,stderr']);
    await expectToServe(member);
    // A member that hangs is killed, and the call rejects.
    expect([0, -1]).toContain(await member.stop());
    const began = performance.now();
    const command = [...need(ours).command, '--election-timeout=1'].map((word) => `'${word}'`);
    const shell = ['-c', `${command.join(' ')} 2>'${path}'; echo "ended with $?"`];
    expect(execFileSync('sh', shell, { encoding: 'utf8', timeout: 60_000 })).toBe('ended with 1\n');
    expect(performance.now() - began).toBeLessThan(30_000);
    closeSync(reader);
  });

  test('rotates keeps the newest former files, compressed, and loses no line', async () => {
    const logs = join(directory, 'logs');
    const rotation = { maxsize: 1, maxbackups: 5, compress: true };
    const member = await Member.start(need(ours), {
      flags: [
        `--log-outputs=stderr,${join(logs, 'etcd.log')}`,
        ...['--log-level=debug', '--enable-log-rotation'],
        `--log-rotation-config-json=${JSON.stringify(rotation)}`,
      ],
    });
    members.push(member);
    await causeLines(member, 600);
    await expectToServe(member);
    await member.stop();
    const names = readdirSync(logs).sort();
    expect(names.pop()).toBe('etcd.log');
    expect(names.length).toBeGreaterThanOrEqual(2);
    const texts = names.map((name) => {
      expect(name).toMatch(/^etcd-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}\.log(\.gz)?$/);
      const bytes = readFileSync(join(logs, name));
      return (name.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString();
    });
    for (const text of texts) expect(text.length).toBeLessThanOrEqual(1024 * 1024);
    expect(names.some((name) => name.endsWith('.gz'))).toBe(true);
    const all = [...texts, readFileSync(join(logs, 'etcd.log'), 'utf8')].join('');
    const whole = (text: string): string[] =>
      text
        .split('\n')
        .filter((line) => line !== '')
        .sort();
    // Not compared by `toEqual`, whose report would be megabytes.
    expect(whole(all).join() === whole(member.log()).join()).toBe(true);
  });

  test('is on a disk that stalls serves, and has its line about what is missing when the disk is back', async () => {
    const logs = join(directory, 'logs');
    mkdirSync(logs);
    const path = join(logs, 'etcd.log');
    const member = await Member.start(need(ours), {
      env: { NODE_OPTIONS: `--import=${STALLING_FS}` },
      flags: [`--log-outputs=stderr,${path}`, '--log-level=debug'],
    });
    members.push(member);
    const release = stall(logs);
    await causeLines(member, 2000);
    await expectToServe(member);
    const lost = await dropped(member, 'output');
    expect(lost).toBeGreaterThan(1000);
    release();
    // Until then further lines are lost, those of a stop too.
    while (!readFileSync(path, 'utf8').includes('dropped log lines')) await expectToServe(member);
    expect([0, -1]).toContain(await member.stop());
    const lines: { msg: string; count?: number }[] = readFileSync(path, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    const gaps = lines.filter(({ msg }) => msg.startsWith('dropped log lines'));
    expect(gaps).toHaveLength(1);
    expect(gaps[0]!.count).toBeGreaterThanOrEqual(lost);
    expect(lines.length + gaps[0]!.count! - 1).toBe(member.log().trimEnd().split('\n').length);
    expect(lines.at(-1)).toMatchObject({ msg: 'closed etcd server' });
  });

  test.each([
    ['a plain file', []],
    ['one that rotates', ['--enable-log-rotation']],
  ])('is %s on a disk that stays stalled ends in a bounded time', async (_, flags) => {
    const logs = join(directory, 'logs');
    mkdirSync(logs);
    const member = await Member.start(need(ours), {
      env: { NODE_OPTIONS: `--import=${STALLING_FS}` },
      flags: [`--log-outputs=stderr,${join(logs, 'etcd.log')}`, ...flags],
    });
    members.push(member);
    const release = stall(logs);
    await expectToServe(member);
    const began = performance.now();
    expect([0, -1]).toContain(await member.stop());
    expect(performance.now() - began).toBeLessThan(20_000);
    release();
  });

  test('cannot be opened does not start', async () => {
    const path = join(directory, 'missing', 'etcd.log');
    const shell = [...need(ours).command, `--log-outputs=${path}`];
    const run = spawnSync(shell[0]!, shell.slice(1), { encoding: 'utf8', timeout: 30_000 });
    expect(run.status).toBe(1);
    expect(JSON.parse(run.stderr.trimEnd().split('\n').at(-1)!)).toMatchObject({
      msg: 'failed to verify flags',
      error: expect.stringContaining(path),
    });
  });

  test('is flooded by a stranger at the peer port gets a few lines of that', async () => {
    const member = await Member.start(need(ours));
    members.push(member);
    const agent = new Agent({ keepAlive: true, maxSockets: 8 });
    const url = `${member.peerUrl}/raft/stream/message/1`;
    await Promise.all(Array.from({ length: 3000 }, () => get(url, {}, agent)));
    agent.destroy();
    const suppressed = await dropped(member, 'rate');
    const written = member.log().split('failed version compatibility check').length - 1;
    expect(written).toBeGreaterThanOrEqual(100);
    expect(written + suppressed).toBe(3000);
    expect(suppressed).toBeGreaterThan(1000);
  });
});

const real = realEtcd('3.7');
describeWith('beside a real etcd', [ours, real], () => {
  /** Lines of a start and a stop in console form, without times, callers, ids and ports. */
  async function consoleLines(program: Program): Promise<readonly string[]> {
    const flags = ['--log-format=console', '--log-outputs=stdout'];
    const member = await Member.start(program, { flags });
    members.push(member);
    await member.stop();
    return member
      .log()
      .split('\n')
      .map((line) =>
        line
          .replace(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d{4})\t/, 'TIME\t')
          .replace(/^(TIME\t\w+\t)[^\t]+\t/, '$1CALLER\t')
          .replaceAll(/127\.0\.0\.1:\d+/g, 'HOST')
          .replaceAll(/"[0-9a-f]{12,16}"/g, '"ID"'),
      );
  }

  test('lines in console form are the same, byte for byte', async () => {
    const theirs = await consoleLines(realProgram(need(real)));
    const own = await consoleLines(need(ours));
    for (const text of ['now serving peer/client/metrics', 'ready to serve client requests']) {
      const of = (lines: readonly string[]): string[] =>
        lines.filter((line) => line.includes(`\t${text}`));
      expect(of(own)).toHaveLength(1);
      expect(of(own)).toEqual(of(theirs));
    }
    for (const line of own.slice(0, -1)) expect(line).toMatch(/^TIME\t[a-z]+\tCALLER\t/);
  });
});
