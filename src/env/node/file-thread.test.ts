// The threads are those of `npm run build`, with a file system that can be made to stall.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { describeWith, type Found } from '../../../test/helpers/real-etcd.ts';
import { STALLING_FS, type StalledCall, stall } from '../../../test/helpers/stalled-disk.ts';
import { seededRandom } from '../../base/index.ts';
import { createNodeTimers } from './clock.ts';
import { FILE_END_WAIT_MS, FileThread } from './file-thread.ts';
import { END_WAIT_MS, LineOutputs, WAITING_BYTES_MAX } from './line-outputs.ts';
import type { FileRotation } from './rotating-file.ts';

const timers = createNodeTimers();
const WRITER = new URL('../../../dist/env/node/file-writer.js', import.meta.url);
const OUTPUTS = new URL('../../../dist/env/node/line-outputs.js', import.meta.url).href;
const built: Found<URL> =
  process.platform !== 'linux'
    ? { missing: 'named pipes and /proc of Linux', excused: true }
    : existsSync(WRITER)
      ? { value: WRITER }
      : { missing: 'dist: run npm run build' };
/** The thread, on a file system that stalls where it is told to. */
const STALLING = new URL(
  `data:text/javascript,${encodeURIComponent(`await import('${STALLING_FS}'); await import('${WRITER.href}');`)}`,
);
const ROTATION = { maxBytes: 100, maxAgeMs: 0, maxBackups: 0, localTime: false, compress: false };

let directory: string;
let path: string;
let troubles: [what: string, error: unknown][];
const opened: LineOutputs[] = [];
const releases: (() => void)[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tetcd-thread-'));
  path = join(directory, 'etcd.log');
  troubles = [];
});
afterEach(() => {
  for (const release of releases.splice(0)) release();
  for (const outputs of opened.splice(0)) outputs.end();
  rmSync(directory, { recursive: true });
});

function open(rotation?: Partial<FileRotation>, workerUrl = STALLING): LineOutputs {
  const spec = rotation === undefined ? { path } : { path, rotation: { ...ROTATION, ...rotation } };
  const onTrouble = (what: string, error: unknown): void => void troubles.push([what, error]);
  const file = new FileThread(spec, { onTrouble, workerUrl });
  const outputs = new LineOutputs([file], (count) => `lost ${count}\n`);
  opened.push(outputs);
  return outputs;
}

function stalled(call: StalledCall): () => void {
  const release = stall(directory, call);
  let isDone = false;
  const once = (): void => {
    if (!isDone) release();
    isDone = true;
  };
  releases.push(once);
  return once;
}

const text = (): string => readFileSync(path, 'utf8');
const logs = (): string[] => readdirSync(directory).filter((name) => name.startsWith('etcd'));
const allText = (): string =>
  logs()
    .map((name) => {
      const bytes = readFileSync(join(directory, name));
      return name.endsWith('.gz') ? gunzipSync(bytes).toString() : bytes.toString();
    })
    .join('');

/** Looks again, turn after turn, until it is so; the test's own time limit ends a vain wait. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await timers.nextTurn();
}

const numbered = (number: number): string => `line ${String(number).padStart(90, '0')}\n`;

describeWith('a log file with a thread', [built], () => {
  test('gets what was logged in an earlier turn while the event loop does something else', async () => {
    const outputs = open();
    outputs.write('one\n', false);
    outputs.write('two\n', false);
    expect(text()).toBe('');
    await timers.nextTurn();
    // No turn from here on.
    const giveUp = performance.now() + 30_000;
    while (text() === '' && performance.now() < giveUp);
    expect(text()).toBe('one\ntwo\n');
  });

  test('has an urgent line with those before it when the call returns, thread or not yet', async () => {
    const outputs = open();
    outputs.write('one\n', false);
    outputs.write('two\n', true);
    expect(text()).toBe('one\ntwo\n');
    outputs.end();
    writeFileSync(path, '');
    const later = open();
    later.write('three\n', false);
    await timers.nextTurn();
    await until(() => text().endsWith('three\n'));
    later.write('four\n', false);
    later.write('five\n', true);
    expect(text()).toBe('three\nfour\nfive\n');
  });

  test('has all lines in order after the end, however many turns they came in', async () => {
    const outputs = open();
    const count = 60_000;
    for (let i = 0; i < count; i++) {
      outputs.write(numbered(i), false);
      if (i % 2000 === 0) await until(() => statSync(path).size >= (i - 4000) * 96);
    }
    outputs.end();
    expect(outputs.lostCount).toBe(0);
    expect(text() === Array.from({ length: count }, (_, i) => numbered(i)).join('')).toBe(true);
    expect(troubles).toEqual([]);
  });

  test('whose thread is not there yet when much was logged goes on after an urgent line', async () => {
    const outputs = open();
    for (let i = 0; i < 2000; i++) outputs.write(numbered(i), false);
    outputs.write('urgent\n', true);
    expect(text().endsWith('urgent\n')).toBe(true);
    outputs.write('after\n', false);
    await until(() => text().endsWith('after\n'));
    expect(outputs.lostCount).toBe(0);
  });

  test('takes no line after its end, and leaves no descriptor', async () => {
    const before = readdirSync('/proc/self/fd').length;
    for (let i = 0; i < 3; i++) {
      const outputs = open();
      outputs.write('before\n', false);
      await timers.nextTurn();
      await until(() => text().endsWith('before\n'));
      outputs.end();
      outputs.write('after\n', true);
      expect(outputs.lostCount).toBe(1);
    }
    expect(text()).toBe('before\nbefore\nbefore\n');
    await until(() => readdirSync('/proc/self/fd').length <= before);
  });

  test('that cannot be opened is refused', () => {
    expect(() => new FileThread({ path: directory }, { onTrouble: () => {} })).toThrow('EISDIR');
  });

  test('is written by the event loop where no thread can be started, which is reported', async () => {
    const outputs = open({}, new URL('file:///nowhere/file-writer.js'));
    for (const letter of 'abc') outputs.write(`${letter.repeat(59)}\n`, false);
    await until(() => troubles.length > 0);
    expect(troubles[0]?.[0]).toContain('no thread can be started to write a log file');
    outputs.write('after\n', false);
    outputs.end();
    expect(logs()).toHaveLength(3);
    expect(text()).toBe(`${'c'.repeat(59)}\nafter\n`);
  });

  const stallable: readonly (readonly [StalledCall, Partial<FileRotation> | undefined])[] = [
    ['write', undefined],
    ['write', {}],
    ['rename', {}],
    ['stat', {}],
    ['open', {}],
    ['rm', { maxBackups: 1 }],
    ['readdir', { maxBackups: 1 }],
    ['read', { compress: true }],
  ];
  test.each(stallable)(
    'stalled in %s (%o) holds up nobody, and comes back',
    async (call, rotation) => {
      const outputs = open(rotation && { maxBytes: 150_000, ...rotation });
      outputs.write('first\n', false);
      await timers.nextTurn();
      await until(() => text() === 'first\n');
      const release = stalled(call);
      const count = 60_000;
      const began = performance.now();
      for (let i = 0; i < count; i++) {
        outputs.write(numbered(i), false);
        if (i % 1000 === 0) await timers.nextTurn();
      }
      // Some calls are made after a rotation, or two.
      expect(performance.now() - began).toBeLessThan(20_000);
      const lost = outputs.lostCount;
      expect(lost).toBeGreaterThan(count / 2);
      expect(outputs.lostCount).toBe(lost);
      release();
      await until(() => {
        try {
          return allText().includes(`lost ${lost}\n`);
        } catch {
          // Files are being replaced.
          return false;
        }
      });
      outputs.write('last\n', false);
      outputs.end();
      expect(text().endsWith('last\n')).toBe(true);
      expect(troubles).toEqual([]);
      if (rotation?.maxBackups !== undefined) return;
      const lines = allText()
        .split('\n')
        .filter((line) => line.startsWith('line'));
      expect(lines).toHaveLength(count - lost);
      expect(lines.every((line) => `${line}\n`.length === numbered(0).length)).toBe(true);
    },
  );

  test('whatever the lines, stalls and rotations: in order, whole, and every gap is counted', async () => {
    const seed = Number(process.env['TETCD_SEED'] ?? Math.floor(Math.random() * 1e9));
    console.info(`TETCD_SEED=${seed}`);
    const random = seededRandom(seed);
    const outputs = open({ maxBytes: 20_000 + random.below(200_000) });
    let release: (() => void) | undefined;
    const count = 3000;
    outputs.write('line 0 .\n', false);
    await timers.nextTurn();
    // From here on it is the thread's.
    await until(() => text() !== '');
    for (let i = 1; i < count; i++) {
      const length = random.below(50) === 0 ? random.below(200_000) : random.below(3000);
      outputs.write(`line ${i} ${'x'.repeat(length)}.\n`, random.below(500) === 0);
      if (random.below(10) === 0) await timers.nextTurn();
      if (random.below(200) > 0) continue;
      release?.();
      const calls = ['write', 'open', 'rename', 'any'] as const;
      release = random.below(2) === 0 ? undefined : stalled(calls[random.below(calls.length)]!);
    }
    release?.();
    outputs.end();
    let next = 0;
    for (const line of allText().split('\n').slice(0, -1)) {
      const [, lost] = /^lost (\d+)$/.exec(line) ?? [];
      const [, number] = /^line (\d+) x*\.$/.exec(line) ?? [];
      if (lost !== undefined) next += Number(lost);
      else expect(Number(number)).toBe(next++);
    }
    expect(next).toBe(count);
  });

  test('stalled holds no more than its bound, and keeps what came first', async () => {
    const outputs = open();
    stalled('write');
    const count = 30_000;
    for (let i = 0; i < count; i++) outputs.write(numbered(i), false);
    await timers.nextTurn();
    const keptBytes = (count - outputs.lostCount) * numbered(0).length;
    expect(keptBytes).toBeGreaterThan(WAITING_BYTES_MAX - 100);
    expect(keptBytes).toBeLessThanOrEqual(WAITING_BYTES_MAX + 65_536);
  });

  test('stalled holds up urgent lines once, and the end, for a bounded time', async () => {
    const outputs = open();
    outputs.write('first\n', false);
    await until(() => text() === 'first\n');
    const release = stalled('write');
    let began = performance.now();
    for (let i = 0; i < 100; i++) outputs.write(numbered(i), true);
    expect(performance.now() - began).toBeGreaterThanOrEqual(END_WAIT_MS);
    expect(performance.now() - began).toBeLessThan(20 * END_WAIT_MS);
    began = performance.now();
    outputs.end();
    expect(performance.now() - began).toBeGreaterThanOrEqual(FILE_END_WAIT_MS);
    expect(performance.now() - began).toBeLessThan(FILE_END_WAIT_MS + 20_000);
    release();
    // What the thread had by then; it takes no more.
    await until(() => text() === `first\n${numbered(0)}`);
    outputs.end();
    outputs.write('after\n', true);
    expect(text()).toBe(`first\n${numbered(0)}`);
  });

  test('that cannot be rotated costs lines, counted, and goes on when it can', async () => {
    mkdirSync(join(directory, 'd'));
    path = join(directory, 'd', 'etcd.log');
    const outputs = open({ maxBytes: 100_000 });
    outputs.write(`${'a'.repeat(99_949)}\n`, false);
    await timers.nextTurn();
    await until(() => text() !== '');
    // Nothing can be made below a file.
    renameSync(join(directory, 'd'), join(directory, 'away'));
    writeFileSync(join(directory, 'd'), '');
    outputs.write(`${'b'.repeat(59)}\n`, true);
    for (let i = 0; i < 30_000; i++) outputs.write(numbered(i), false);
    expect(outputs.lostCount).toBeGreaterThan(10_000);
    rmSync(join(directory, 'd'));
    outputs.end();
    const written = readdirSync(join(directory, 'd')).map((name) =>
      readFileSync(join(directory, 'd', name), 'utf8'),
    );
    expect(written.join('')).toContain(`lost ${outputs.lostCount}\n`);
    expect(written.join('')).toContain(numbered(0));
  });

  test('tells of trouble with former files, and goes on', async () => {
    mkdirSync(join(directory, 'etcd-2026-01-01T00-00-00.000.log.gz'));
    writeFileSync(join(directory, 'etcd-2026-01-01T00-00-00.000.log'), 'x');
    const outputs = open({ compress: true });
    await until(() => troubles.length > 0);
    const text = expect.stringContaining('EISDIR');
    expect(troubles).toEqual([
      ['cannot tidy up former log files', expect.objectContaining({ message: text })],
    ]);
    outputs.write('after\n', false);
    outputs.end();
    expect(readFileSync(path, 'utf8')).toBe('after\n');
  });
});

describeWith('a process with a log file', [built], () => {
  /** Runs a program that has `outputs`; resolves when it has ended. */
  async function run(body: string): Promise<{ code: number | null; signal: string | null }> {
    const program = `
      const { LineOutputs } = await import(${JSON.stringify(OUTPUTS)});
      const outputs = new LineOutputs([${JSON.stringify(path)}], (n) => 'lost ' + n + '\\n');
      const turn = () => new Promise((done) => setImmediate(done));
      ${body}`;
    const args = ['--import', STALLING_FS, '--input-type=module', '-e', program];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] });
    const [code, signal] = await once(child, 'close');
    return { code, signal };
  }

  test.each(['', 'process.exit(0);', 'await turn(); process.exit(0);', 'throw 1;'])(
    'loses nothing that it logged before its end: %j',
    async (end) => {
      await run(`for (let i = 0; i < 8000; i++) outputs.write('line ' + i + '\\n', false); ${end}`);
      const lines = Array.from({ length: 8000 }, (_, i) => `line ${i}\n`);
      expect(text() === lines.join('')).toBe(true);
    },
  );

  /** A line is written, and so by the thread. */
  const first = (): string => `
    const { execFileSync } = await import('node:child_process');
    const { readFileSync } = await import('node:fs');
    const text = () => readFileSync(${JSON.stringify(path)}, 'utf8');
    outputs.write('first\\n', false);
    while (text() === '') await turn();`;

  test('and kill -9 has what it logged before the turn that it dies in', async () => {
    await run(`${first()}
      outputs.write('earlier\\n', false);
      await turn();
      // Without a turn, unless it was not taken: the thread may have been about to release the first line.
      const patientUntil = performance.now() + 1000;
      while (!text().includes('earlier')) if (performance.now() > patientUntil) await turn();
      outputs.write('same turn\\n', false);
      process.kill(process.pid, 'SIGKILL');`);
    expect(text()).toBe('first\nearlier\n');
  });

  test.each([
    [0, 'SIGTERM'],
    [1, 'SIGKILL'],
  ])('that stalls exits with %i all the same, by %s', async (code, signal) => {
    const began = performance.now();
    const gate = join(directory, '.stalled.write');
    const ended = await run(`${first()}
      execFileSync('mkfifo', [${JSON.stringify(gate)}]);
      outputs.write('never\\n', false);
      process.exit(${code});`);
    expect(ended).toEqual({ code: null, signal });
    expect(performance.now() - began).toBeLessThan(FILE_END_WAIT_MS + 30_000);
    expect(text()).toBe('first\n');
  });
});
