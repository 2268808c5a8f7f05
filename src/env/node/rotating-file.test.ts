import {
  chmodSync,
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
import { type FileRotation, mayRotate, RotatingFile } from './rotating-file.ts';

const DAY_MS = 86_400_000;
const ROTATION = { maxBytes: 100, maxAgeMs: 0, maxBackups: 0, localTime: false, compress: false };

let directory: string;
let nowMs: number;
let troubles: unknown[];
const savedZone = process.env['TZ'];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tetcd-rotate-'));
  nowMs = Date.UTC(2026, 0, 2, 15, 4, 5, 7);
  troubles = [];
});
afterEach(() => {
  rmSync(directory, { recursive: true });
  if (savedZone === undefined) delete process.env['TZ'];
  else process.env['TZ'] = savedZone;
});

function rotating(changed: Partial<FileRotation> = {}, name = 'etcd.log'): RotatingFile {
  const clock = { wallMs: () => nowMs };
  const onTrouble = (error: unknown): void => void troubles.push(error);
  return new RotatingFile(join(directory, name), { ...ROTATION, ...changed }, clock, onTrouble);
}

const text = (name: string): string => readFileSync(join(directory, name), 'utf8');
const names = (): string[] => readdirSync(directory).sort();
const line = (letter: string, length = 60): Buffer => Buffer.from(`${letter.repeat(length - 1)}\n`);

test('what would make the file too large goes to a new one; the former has the time in its name', () => {
  const file = rotating();
  file.write(line('a', 40));
  file.write(line('b', 60));
  expect(names()).toEqual(['etcd.log']);
  expect(statSync(join(directory, 'etcd.log')).mode & 0o777).toBe(0o600);
  chmodSync(join(directory, 'etcd.log'), 0o640);
  file.write(line('c', 1));
  expect(names()).toEqual(['etcd-2026-01-02T15-04-05.007.log', 'etcd.log']);
  expect(text('etcd-2026-01-02T15-04-05.007.log')).toBe(`${line('a', 40)}${line('b', 60)}`);
  expect(text('etcd.log')).toBe('\n');
  expect(statSync(join(directory, 'etcd.log')).mode & 0o777).toBe(0o640);
});

test('two in one millisecond get two names; a chunk larger than a file has one of its own', () => {
  const file = rotating();
  for (const letter of 'abc') file.write(line(letter, 150));
  expect(names()).toEqual([
    'etcd-2026-01-02T15-04-05.007.log',
    'etcd-2026-01-02T15-04-05.008.log',
    'etcd.log',
  ]);
  expect(text('etcd-2026-01-02T15-04-05.008.log')).toBe(String(line('b', 150)));
});

test('the names have the local time where that is asked for', () => {
  process.env['TZ'] = 'Asia/Kolkata';
  const file = rotating({ localTime: true }, 'plain');
  file.write(line('a'));
  file.write(line('b'));
  expect(names()).toEqual(['plain', 'plain-2026-01-02T20-34-05.007']);
});

test('an existing file is continued, one that is full is replaced at once, directories are made', () => {
  writeFileSync(join(directory, 'etcd.log'), 'before\n');
  rotating().write(line('a'));
  expect(text('etcd.log')).toBe(`before\n${line('a')}`);
  writeFileSync(join(directory, 'etcd.log'), line('x', 100));
  rotating();
  expect(names()).toEqual(['etcd-2026-01-02T15-04-05.007.log', 'etcd.log']);
  rotating({}, 'new/deep/etcd.log').write(line('a'));
  expect(text('new/deep/etcd.log')).toBe(String(line('a')));
});

test('only the newest former files are kept, what is no former file stays', async () => {
  const others = ['etcd-2026-01-01T00-00-00.000.txt', 'etcd-latest.log', 'x-etcd.log'];
  others.push('etcd-2026-13-01T00-00-00.000.log', 'etcd-2026-01-01T00-00-00.log');
  for (const name of others) writeFileSync(join(directory, name), 'x');
  mkdirSync(join(directory, 'etcd-2026-01-01T00-00-00.000.log'));
  const file = rotating({ maxBackups: 2 });
  for (const letter of 'abcde') {
    file.write(line(letter));
    nowMs += 1000;
  }
  while (file.tidy());
  expect(names()).toEqual(
    [
      ...others,
      'etcd-2026-01-01T00-00-00.000.log',
      'etcd-2026-01-02T15-04-08.007.log',
      'etcd-2026-01-02T15-04-09.007.log',
      'etcd.log',
    ].sort(),
  );
  expect(troubles).toEqual([]);
});

test('former files are removed by the age in their names, also at the start', async () => {
  const kept = 'etcd-2026-01-01T15-04-05.008.log';
  for (const name of [
    kept,
    'etcd-2026-01-01T15-04-05.006.log',
    'etcd-2020-01-01T00-00-00.000.log.gz',
  ])
    writeFileSync(join(directory, name), 'x');
  const file = rotating({ maxAgeMs: DAY_MS });
  while (file.tidy());
  expect(names()).toEqual([kept, 'etcd.log']);
});

test('former files are compressed, one that was cut off again; both forms count as one', async () => {
  writeFileSync(join(directory, 'etcd-2026-01-01T00-00-00.000.log'), 'whole');
  writeFileSync(join(directory, 'etcd-2026-01-01T00-00-00.000.log.gz'), 'half');
  const file = rotating({ compress: true, maxBackups: 2 });
  file.write(line('a'));
  file.write(line('b'));
  while (file.tidy());
  const [older, newer] = names();
  expect(names()).toEqual([
    'etcd-2026-01-01T00-00-00.000.log.gz',
    'etcd-2026-01-02T15-04-05.007.log.gz',
    'etcd.log',
  ]);
  const plain = (name: string): string =>
    gunzipSync(readFileSync(join(directory, name))).toString();
  expect(plain(older!)).toBe('whole');
  expect(plain(newer!)).toBe(String(line('a')));
  expect(statSync(join(directory, newer!)).mode & 0o777).toBe(0o600);
  expect(troubles).toEqual([]);
});

test('trouble with former files is reported, and the log goes on', async () => {
  mkdirSync(join(directory, 'etcd-2026-01-01T00-00-00.000.log.gz'));
  writeFileSync(join(directory, 'etcd-2026-01-01T00-00-00.000.log'), 'x');
  const file = rotating({ compress: true });
  while (file.tidy());
  expect(troubles).toMatchObject([{ code: 'EISDIR' }]);
  file.write(line('a'));
  expect(text('etcd.log')).toBe(String(line('a')));
});

test('a device or a pipe is none to be rotated', () => {
  writeFileSync(join(directory, 'file'), '');
  expect(['/dev/null', directory].map(mayRotate)).toEqual([false, false]);
  expect([join(directory, 'file'), join(directory, 'new')].map(mayRotate)).toEqual([true, true]);
});

test('a file that another took away is replaced without it', () => {
  const file = rotating();
  file.write(line('a'));
  renameSync(join(directory, 'etcd.log'), join(directory, 'taken'));
  file.write(line('b', 30));
  file.write(line('c'));
  expect(text('taken')).toBe(`${line('a')}${line('b', 30)}`);
  expect(text('etcd.log')).toBe(String(line('c')));
});

test('no line lies in two files, nor one that was written in two parts', () => {
  const file = rotating({ maxBytes: 130 });
  const lines = Buffer.concat([line('a'), line('b'), line('c'), line('d', 200), line('e', 20)]);
  const pieces: number[] = [];
  for (let at = 0; at < lines.length; ) {
    const count = file.write(lines.subarray(at, at + 150));
    pieces.push(count);
    at += count;
  }
  expect(pieces).toEqual([120, 60, 150, 50, 20]);
  const files = names();
  expect(files.pop()).toBe('etcd.log');
  expect(files.map(text)).toEqual([
    `${line('a')}${line('b')}`,
    String(line('c')),
    String(line('d', 200)),
  ]);
  expect(text('etcd.log')).toBe(String(line('e', 20)));
});

test('a former file is compressed in pieces, and read as one; one that is empty too', () => {
  const whole = Buffer.alloc(2.5 * 1024 * 1024, 'some line\n');
  writeFileSync(join(directory, 'etcd-2026-01-01T00-00-00.000.log'), whole);
  writeFileSync(join(directory, 'etcd-2026-01-01T00-00-00.001.log'), '');
  const file = rotating({ compress: true });
  let steps = 0;
  while (file.tidy()) steps++;
  expect(steps).toBeGreaterThan(4);
  const [first, second] = names();
  const plain = (name: string): Buffer => gunzipSync(readFileSync(join(directory, name)));
  expect(plain(first!).equals(whole)).toBe(true);
  expect(plain(second!)).toHaveLength(0);
  expect(names()).toHaveLength(3);
});

test('a file that is closed while a former one is compressed leaves no half', () => {
  const name = 'etcd-2026-01-01T00-00-00.000.log';
  writeFileSync(join(directory, name), Buffer.alloc(2.5 * 1024 * 1024));
  const file = rotating({ compress: true });
  while (!names().includes(`${name}.gz`)) expect(file.tidy()).toBe(true);
  file.close();
  expect(names()).toEqual([name, 'etcd.log']);
});
