import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { MemoryLock } from '../memory-lock.ts';
import { createFileMemoryLock } from './file-memory-lock.ts';

const KIB = 1024;

/** Memory of this process that is locked. */
function lockedKib(): number {
  return Number(/^VmLck:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))![1]);
}

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tetcd-mlock-'));
  path = join(directory, 'db');
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Whether this process may lock so much. */
async function canLock(lock: MemoryLock, kib: number): Promise<boolean> {
  writeFileSync(path, Buffer.alloc(kib * KIB));
  try {
    await lock.cover(path);
    return true;
  } catch (error) {
    expect(error).toMatchObject({ message: expect.stringContaining('increase ulimit -l') });
    expect(lockedKib()).toBe(0);
    return false;
  } finally {
    await lock.close();
  }
}

test.skipIf(process.platform !== 'linux')('a file stays in memory', async ({ skip }) => {
  const lock = await createFileMemoryLock();
  if (!(await canLock(lock, 30_000))) skip('the limit of locked memory is too low');
  expect(lockedKib()).toBe(0);

  writeFileSync(path, Buffer.alloc(100 * KIB));
  await lock.cover(path);
  expect(lockedKib()).toBe(100);
  await lock.cover(path);
  expect(lockedKib()).toBe(100);

  // What was covered to the middle of 64 KiB is covered from there again.
  appendFileSync(path, Buffer.alloc(10_000 * KIB));
  await lock.cover(path);
  expect(lockedKib()).toBe(100 + 10_036);

  // In many small steps it is mapped anew as a whole.
  for (let i = 0; i < 100; i++) {
    appendFileSync(path, Buffer.alloc(64 * KIB));
    await lock.cover(path);
  }
  expect(lockedKib()).toBeGreaterThanOrEqual(16_500);
  expect(lockedKib()).toBeLessThan(16_500 + 64 * 64);

  // Another file takes its place, as after a defragmentation.
  const other = join(directory, 'other');
  writeFileSync(other, Buffer.alloc(8 * KIB));
  renameSync(other, path);
  await lock.cover(path);
  expect(lockedKib()).toBe(8);

  rmSync(path);
  await expect(lock.cover(path)).rejects.toThrow('ENOENT');
  expect(lockedKib()).toBe(8);
  writeFileSync(path, '');
  await lock.cover(path);
  expect(lockedKib()).toBe(0);
  await lock.close();
});
