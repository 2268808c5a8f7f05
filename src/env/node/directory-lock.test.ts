import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { OPEN_MODES } from '../index.ts';
import { lockDirectory } from './directory-lock.ts';
import { createNodeDisk } from './disk.ts';
import { lockByProgram } from './lock.ts';

describe.runIf(process.platform === 'linux')('the lock of a directory', () => {
  let root: string;
  let path: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'tetcd-directory-lock-'));
    path = join(root, 'log');
    mkdirSync(path);
  });
  afterEach(() => rmSync(root, { recursive: true }));

  /** The program fails with 1 where another one holds the lock. */
  const tryFlock = (at: string): void => {
    execFileSync('flock', ['-n', at, 'true']);
  };

  test('is one that flock(1) sees, under a new name too, and names its holder', async () => {
    const lock = await lockDirectory(path);
    expect(lock.coversFiles).toBe(true);
    expect(() => tryFlock(path)).toThrow();
    renameSync(path, join(root, 'renamed'));
    expect(() => tryFlock(join(root, 'renamed'))).toThrow();
    await expect(lockDirectory(join(root, 'renamed'))).rejects.toThrow(
      /^lock .*renamed: another process uses it \(process \d+\)$/,
    );
    await lock.release();
    tryFlock(join(root, 'renamed'));
  });

  test('leaves no descriptor, and closes its own once', async () => {
    const lock = await lockDirectory(path);
    await expect(lockDirectory(path)).rejects.toMatchObject({ code: 'LOCKED' });
    await lock.release();
    const next = openSync(path, 'r');
    await lock.release();
    // The number was free again, and is still in use.
    closeSync(next);
    await expect(lockDirectory(join(root, 'no'))).rejects.toMatchObject({ code: 'NOT_FOUND' });
    closeSync(openSync(join(root, 'file'), 'w'));
    await expect(lockDirectory(join(root, 'file'))).rejects.toThrow('not a directory');
  });

  test('spares its files a program, and respects who has locked one of them', async () => {
    const disk = createNodeDisk();
    const directory = await disk.lockDirectory(path);
    const file = await disk.open(join(path, 'a'), OPEN_MODES.CREATE);
    // As a process that knows no lock of the directory.
    const other = openSync(join(path, 'a'), 'r');
    await lockByProgram(join(path, 'a'), other, 'flock');
    await expect(file.lock(directory)).rejects.toThrow(/another process uses it \(process \d+\)/);
    closeSync(other);
    await file.lock(directory);
    tryFlock(join(path, 'a'));
    await file.close();
    await directory.release();
  });

  test.each([
    ['on a file system that other machines may share', { fileSystems: new Set<number>() }],
    ['without flock(1)', { program: 'a-program-that-does-not-exist' }],
  ])('is none %s: each file has its own', async (_, options) => {
    const disk = createNodeDisk();
    const directory = await lockDirectory(path, options);
    expect(directory.coversFiles).toBe(false);
    tryFlock(path);
    const file = await disk.open(join(path, 'a'), OPEN_MODES.CREATE);
    await file.lock(directory);
    expect(() => tryFlock(join(path, 'a'))).toThrow();
    await file.close();
    await directory.release();
    await expect(lockDirectory(join(root, 'no'), options)).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });
});
