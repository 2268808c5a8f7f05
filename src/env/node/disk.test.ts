import { execFileSync, spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { diskContract } from '../disk-contract.fixture.ts';
import { OPEN_MODES } from '../index.ts';
import { createNodeDisk } from './disk.ts';
import { lockByProgram } from './lock.ts';
import { diskError } from './node-error.ts';
import { findLock } from './proc-locks.ts';

const linux = process.platform === 'linux';

function temporaryDirectory(): string {
  return mkdtempSync(join(tmpdir(), 'tetcd-disk-'));
}

describe('the real disk', () => {
  diskContract(async () => {
    const root = temporaryDirectory();
    const finish = async (): Promise<void> => rmSync(root, { recursive: true });
    return { disk: createNodeDisk(), root, finish };
  });
});

describe.runIf(linux)('the lock', () => {
  test('is one that flock(1) sees, and sees theirs', async () => {
    const root = temporaryDirectory();
    const disk = createNodeDisk();
    const file = await disk.open(`${root}/a`, OPEN_MODES.CREATE);
    await file.lock();
    const tryLock = (): void => {
      execFileSync('flock', ['-n', `${root}/a`, 'true']);
    };
    expect(tryLock).toThrow();
    await file.close();
    tryLock();
    const holder = spawn('flock', [`${root}/a`, 'sh', '-c', 'echo held; read wait'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await new Promise((resolve) => holder.stdout.once('data', resolve));
    const again = await disk.open(`${root}/a`, OPEN_MODES.WRITE);
    await expect(again.lock()).rejects.toMatchObject({ code: 'LOCKED' });
    await expect(again.lock()).rejects.toThrow(/another process uses it \(process \d+\)/);
    const ended = new Promise((resolve) => holder.once('exit', resolve));
    holder.stdin.end('\n');
    await ended;
    await again.lock();
    await again.close();
    rmSync(root, { recursive: true });
  });

  test('without flock(1) is a lock file; a stale one is taken over', async () => {
    const root = temporaryDirectory();
    const path = `${root}/a`;
    const descriptor = openSync(path, 'w+');
    const missing = 'a-program-that-does-not-exist';
    expect(createNodeDisk().lockGap).toBeUndefined();
    const { release } = await lockByProgram(path, descriptor, missing);
    expect(readFileSync(`${path}.lock`, 'utf8')).toMatch(new RegExp(`^${process.pid} \\d+\n$`));
    expect(createNodeDisk().lockGap).toMatch(/there is no flock program .* real etcd can open/);
    await expect(lockByProgram(path, descriptor, missing)).rejects.toMatchObject({
      code: 'LOCKED',
    });
    await release();
    // A process that is gone; then a living one whose pid was somebody else's when it was written.
    for (const stale of ['4194303 1\n', `${process.pid} 1\n`]) {
      writeFileSync(`${path}.lock`, stale);
      await (await lockByProgram(path, descriptor, missing)).release();
    }
    writeFileSync(`${path}.lock`, 'nonsense');
    await expect(lockByProgram(path, descriptor, missing)).rejects.toThrow(/names no process/);
    rmSync(`${path}.lock`);

    // A lock of the real kind is seen in /proc/locks.
    const disk = createNodeDisk();
    const holder = await disk.open(path, OPEN_MODES.WRITE);
    await holder.lock();
    await expect(lockByProgram(path, descriptor, missing)).rejects.toMatchObject({
      code: 'LOCKED',
    });
    await holder.close();

    // A file that was renamed over the one that is locked shares the lock file while both last.
    const again = await lockByProgram(path, descriptor, missing);
    const renamed = openSync(`${path}.new`, 'w+');
    renameSync(`${path}.new`, path);
    const sharing = await lockByProgram(path, renamed, missing);
    await expect(lockByProgram(path, renamed, missing)).rejects.toMatchObject({ code: 'LOCKED' });
    await again.release();
    expect(existsSync(`${path}.lock`)).toBe(true);
    await sharing.release();
    expect(existsSync(`${path}.lock`)).toBe(false);
    closeSync(renamed);
    rmSync(root, { recursive: true });
  });

  test('a lock file goes along with a file that gets the name of another', async () => {
    const root = temporaryDirectory();
    const disk = createNodeDisk();
    const path = process.env['PATH'];
    process.env['PATH'] = '';
    try {
      const old = await disk.open(`${root}/a`, OPEN_MODES.CREATE);
      await old.lock();
      const next = await disk.open(`${root}/b`, OPEN_MODES.CREATE);
      await next.lock();
      await expect(next.rename(`${root}/no/b`)).rejects.toThrow();
      expect(await disk.list(root)).toEqual(['a', 'a.lock', 'b', 'b.lock']);
      await next.rename(`${root}/a`);
      expect(await disk.list(root)).toEqual(['a', 'a.lock']);
      await old.close();
      expect(await disk.list(root)).toEqual(['a', 'a.lock']);
      const third = await disk.open(`${root}/a`, OPEN_MODES.WRITE);
      await expect(third.lock()).rejects.toMatchObject({ code: 'LOCKED' });
      await next.close();
      expect(await disk.list(root)).toEqual(['a']);
      await third.close();
    } finally {
      process.env['PATH'] = path;
    }
    rmSync(root, { recursive: true });
  });

  test('reports what flock(1) complains about', async () => {
    const root = temporaryDirectory();
    writeFileSync(`${root}/flock`, '#!/bin/sh\necho no such luck >&2\nexit 1\n', { mode: 0o755 });
    const descriptor = openSync(`${root}/a`, 'w+');
    const locking = lockByProgram(`${root}/a`, descriptor, `${root}/flock`);
    await expect(locking).rejects.toMatchObject({ code: 'DISK_FAILED' });
    await expect(locking).rejects.toThrow(/ended with 1: no such luck/);
    rmSync(root, { recursive: true });
  });
});

test('the lock table of Linux', () => {
  const table = [
    '1: OFDLCK ADVISORY  WRITE -1 fe:00:77 0 EOF',
    '2: FLOCK  ADVISORY  WRITE 13918 fe:00:78 0 EOF',
    '2: -> FLOCK  ADVISORY  WRITE 13919 fe:00:78 0 EOF',
    '3: POSIX  ADVISORY  READ 7 103:05:79 0 EOF',
    '',
  ].join('\n');
  expect(findLock(table, 'fe:00:77', true)).toBe('a lock of kind OFDLCK');
  expect(findLock(table, 'fe:00:78', true)).toBeUndefined();
  expect(findLock(table, 'fe:00:78', false)).toBe('process 13918');
  expect(findLock(table, '103:05:79', true)).toBe('process 7');
  expect(findLock(table, 'fe:00:80', false)).toBeUndefined();
});

test.runIf(linux)('a directory that cannot be made is an error, and not waited for', async () => {
  const disk = createNodeDisk();
  const root = temporaryDirectory();
  await expect(disk.makeDirectory('/proc/nope/x')).rejects.toThrow('make directory /proc/nope: ');
  writeFileSync(`${root}/file`, '');
  await expect(disk.makeDirectory(`${root}/file/x`)).rejects.toThrow(/not a directory/);
  await expect(disk.makeDirectory(`${root}/file`)).rejects.toMatchObject({
    code: 'ALREADY_EXISTS',
  });
  symlinkSync(`${root}/missing`, `${root}/dangling`);
  await expect(disk.makeDirectory(`${root}/dangling/x`)).rejects.toThrow(`${root}/dangling: `);
  rmSync(root, { recursive: true });
});

test.runIf(linux)('a named pipe is opened without waiting for who writes to it', async () => {
  const root = temporaryDirectory();
  execFileSync('mkfifo', [`${root}/pipe`]);
  const pipe = await createNodeDisk().open(`${root}/pipe`, OPEN_MODES.READ);
  await pipe.close();
  rmSync(root, { recursive: true });
});

test('errors say operation, path and reason', () => {
  const platformError = Object.assign(new Error('ENOSPC: no space'), { code: 'ENOSPC' });
  const error = diskError(platformError, 'write', '/d/f');
  expect(error.code).toBe('DISK_FULL');
  expect(error.message).toBe('write /d/f: no space left on the file system (ENOSPC)');
  expect(error.cause).toBe(platformError);
  const strange = diskError(new Error('strange'), 'sync', '/d/f');
  expect(strange.code).toBe('DISK_FAILED');
  expect(strange.message).toBe('sync /d/f: strange');
});

test.runIf(linux)('a full file system is DISK_FULL', async () => {
  const disk = createNodeDisk();
  const full = await disk.open('/dev/full', OPEN_MODES.WRITE);
  expect(() => full.writeSync(new Uint8Array(1), 0)).toThrow(
    expect.objectContaining({ code: 'DISK_FULL' }),
  );
  await expect(full.write([new Uint8Array(1)], 0)).rejects.toMatchObject({ code: 'DISK_FULL' });
  await full.close();
});
