// What every Disk must do, run on the real and on the simulated one.

import { expect, test } from 'vitest';
import { bytesFromLatin1, ERROR_CODES, hasCode, latin1FromBytes } from '../base/index.ts';
import { type Disk, type DiskFile, OPEN_MODES } from './index.ts';

export interface DiskUnderTest {
  readonly disk: Disk;
  /** An existing, empty directory. */
  readonly root: string;
  finish(): Promise<void>;
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    for (const code of Object.values(ERROR_CODES)) if (hasCode(error, code)) return code;
    throw error;
  }
  return 'none';
}

async function contentOf(file: DiskFile): Promise<string> {
  const bytes = new Uint8Array(file.size());
  expect(await file.read(bytes, 0)).toBe(bytes.length);
  return latin1FromBytes(bytes);
}

/** Declares the tests. `make` is called for each and its result finished after it. */
export function diskContract(make: () => Promise<DiskUnderTest>): void {
  const check = (name: string, body: (disk: Disk, root: string) => Promise<void>): void => {
    test(name, async () => {
      const made = await make();
      try {
        await body(made.disk, made.root);
      } finally {
        await made.finish();
      }
    });
  };
  const text = bytesFromLatin1;

  check('open modes', async (disk, root) => {
    const path = `${root}/a`;
    expect(await codeOf(disk.open(path, OPEN_MODES.READ))).toBe('NOT_FOUND');
    expect(await codeOf(disk.open(path, OPEN_MODES.WRITE))).toBe('NOT_FOUND');
    expect(await codeOf(disk.open(`${root}/no/a`, OPEN_MODES.CREATE))).toBe('NOT_FOUND');
    const created = await disk.open(path, OPEN_MODES.CREATE);
    expect(created.path).toBe(path);
    created.writeSync(text('hello'), 0);
    await created.close();
    expect(await codeOf(disk.open(path, OPEN_MODES.CREATE))).toBe('ALREADY_EXISTS');
    const kept = await disk.open(path, OPEN_MODES.OPEN_OR_CREATE);
    expect(await contentOf(kept)).toBe('hello');
    await kept.close();
    const readOnly = await disk.open(path, OPEN_MODES.READ);
    expect(await contentOf(readOnly)).toBe('hello');
    expect(() => readOnly.writeSync(text('x'), 0)).toThrow();
    expect(await codeOf(readOnly.write([text('x')], 0))).toBe('DISK_FAILED');
    await readOnly.close();
    const fresh = await disk.open(`${root}/b`, OPEN_MODES.OPEN_OR_CREATE, 0o640);
    expect(fresh.size()).toBe(0);
    await fresh.close();
    expect(await disk.stat(`${root}/b`)).toEqual({ kind: 'file', size: 0, mode: 0o640 });
    expect((await disk.stat(path))?.mode).toBe(0o600);
  });

  check('stat, list, directories, rename, remove', async (disk, root) => {
    expect(await disk.stat(`${root}/x`)).toBeUndefined();
    await disk.makeDirectory(`${root}/d/e/f`);
    await disk.makeDirectory(`${root}/d/e`);
    expect(await disk.stat(`${root}/d/e`)).toEqual({ kind: 'directory', size: 0, mode: 0o700 });
    for (const name of ['b', 'a', 'é', 'Z']) {
      await (await disk.open(`${root}/d/${name}`, OPEN_MODES.CREATE)).close();
    }
    expect(await disk.list(`${root}/d`)).toEqual(['Z', 'a', 'b', 'e', 'é']);
    expect(await codeOf(disk.list(`${root}/no`))).toBe('NOT_FOUND');
    expect(await disk.stat(`${root}/d/a/below-a-file`)).toBeUndefined();

    const file = await disk.open(`${root}/d/a`, OPEN_MODES.WRITE);
    file.writeSync(text('one'), 0);
    await disk.rename(`${root}/d/a`, `${root}/d/b`);
    expect(await contentOf(file)).toBe('one');
    await file.close();
    expect(await disk.list(`${root}/d`)).toEqual(['Z', 'b', 'e', 'é']);
    expect((await disk.stat(`${root}/d/b`))?.size).toBe(3);
    expect(await codeOf(disk.rename(`${root}/d/none`, `${root}/d/c`))).toBe('NOT_FOUND');

    await disk.rename(`${root}/d`, `${root}/renamed`);
    expect(await disk.list(`${root}/renamed`)).toEqual(['Z', 'b', 'e', 'é']);
    await disk.remove(`${root}/renamed/Z`);
    expect(await codeOf(disk.remove(`${root}/renamed/Z`))).toBe('NOT_FOUND');
    await disk.syncDirectory(`${root}/renamed`);
    await disk.removeTree(`${root}/renamed`);
    await disk.removeTree(`${root}/renamed`);
    expect(await disk.list(root)).toEqual([]);
  });

  check('free room', async (disk, root) => {
    const free = await disk.freeBytes(root);
    expect(free).toBeGreaterThan(1024 * 1024);
    expect(await codeOf(disk.freeBytes(`${root}/no`))).toBe('NOT_FOUND');
  });

  check('an open file outlives its name', async (disk, root) => {
    const file = await disk.open(`${root}/a`, OPEN_MODES.CREATE);
    await file.write([text('kept')], 0);
    await disk.remove(`${root}/a`);
    expect(await disk.stat(`${root}/a`)).toBeUndefined();
    expect(await contentOf(file)).toBe('kept');
    await file.close();
  });

  check('reads and writes at positions', async (disk, root) => {
    const file = await disk.open(`${root}/a`, OPEN_MODES.CREATE);
    await file.write([text('ab'), text(''), text('cd'), text('ef')], 2);
    expect(await contentOf(file)).toBe('\0\0abcdef');
    file.writeSync(text('XY'), 7);
    expect(await contentOf(file)).toBe('\0\0abcdeXY');
    const target = text('........');
    expect(file.readSync(target, 5)).toBe(4);
    expect(latin1FromBytes(target)).toBe('deXY....');
    expect(file.readSync(target, 100)).toBe(0);
    expect(await file.read(target.subarray(0, 2), 3)).toBe(2);
    expect(latin1FromBytes(target)).toBe('bcXY....');
    const many = Array.from({ length: 2500 }, (_, i) => text(String.fromCharCode(i % 256)));
    await file.write(many, 10);
    expect(file.size()).toBe(2510);
    const back = new Uint8Array(2500);
    await file.read(back, 10);
    expect(back.every((byte, i) => byte === i % 256)).toBe(true);
    await file.write([], 0);
    await file.sync();
    for (let i = 0; i < 20; i++) if (!file.maybeSyncNow()) await file.sync();
    await file.close();
  });

  check('truncate and zero-fill', async (disk, root) => {
    const file = await disk.open(`${root}/a`, OPEN_MODES.CREATE);
    file.writeSync(text('0123456789'), 0);
    await file.truncate(4);
    expect(await contentOf(file)).toBe('0123');
    await file.truncate(8);
    expect(await contentOf(file)).toBe('0123\0\0\0\0');
    file.writeSync(text('456789'), 4);
    await file.zeroFill(2, 5);
    expect(await contentOf(file)).toBe('01\0\0\x0056789');
    await file.zeroFill(10, 3_000_000);
    expect(file.size()).toBe(3_000_000);
    const target = text('xxx');
    file.readSync(target, 2_999_997);
    expect(latin1FromBytes(target)).toBe('\0\0\0');
    await file.close();
  });

  check('one holder of a lock', async (disk, root) => {
    const first = await disk.open(`${root}/a`, OPEN_MODES.OPEN_OR_CREATE);
    const second = await disk.open(`${root}/a`, OPEN_MODES.OPEN_OR_CREATE);
    await first.lock();
    expect(await codeOf(second.lock())).toBe('LOCKED');
    first.writeSync(text('still usable'), 0);
    await first.close();
    await second.lock();
    await second.close();
  });

  check('one holder of the lock of a directory, whatever its name', async (disk, root) => {
    expect(await codeOf(disk.lockDirectory(`${root}/no`))).toBe('NOT_FOUND');
    await disk.makeDirectory(`${root}/a`);
    const first = await disk.lockDirectory(`${root}/a`);
    const second = async (path: string): Promise<string> => {
      const code = await codeOf(disk.lockDirectory(path));
      // Where it stands for nothing it excludes nobody.
      return first.coversFiles ? code : 'LOCKED';
    };
    expect(await second(`${root}/a`)).toBe('LOCKED');
    await disk.rename(`${root}/a`, `${root}/b`);
    await disk.makeDirectory(`${root}/a`);
    expect(await second(`${root}/b`)).toBe('LOCKED');
    const other = await disk.lockDirectory(`${root}/a`);
    await other.release();
    await first.release();
    await first.release();
    const third = await disk.lockDirectory(`${root}/b`);
    await third.release();
  });

  check('the lock of a directory spares those of its files', async (disk, root) => {
    const directory = await disk.lockDirectory(root);
    const file = await disk.open(`${root}/a`, OPEN_MODES.CREATE);
    await file.lock(directory);
    const again = await disk.open(`${root}/a`, OPEN_MODES.WRITE);
    // Nothing was taken, or the lock of the file itself.
    expect(await codeOf(again.lock(directory))).toBe(directory.coversFiles ? 'none' : 'LOCKED');
    await again.close();
    // One who has locked the file itself is seen.
    const other = await disk.open(`${root}/b`, OPEN_MODES.CREATE);
    await other.lock();
    const same = await disk.open(`${root}/b`, OPEN_MODES.WRITE);
    expect(await codeOf(same.lock(directory))).toBe('LOCKED');
    await other.close();
    await same.lock(directory);
    await same.rename(`${root}/c`);
    await file.close();
    await same.close();
    await directory.release();
  });

  check('a file renamed over a locked one is locked beside it', async (disk, root) => {
    const old = await disk.open(`${root}/a`, OPEN_MODES.CREATE);
    await old.lock();
    const other = await disk.open(`${root}/b`, OPEN_MODES.CREATE);
    await other.write([text('new')], 0);
    await disk.rename(`${root}/b`, `${root}/a`);
    const found = await disk.open(`${root}/a`, OPEN_MODES.WRITE);
    await found.lock();
    old.writeSync(text('old'), 0);
    await old.close();
    expect(await contentOf(found)).toBe('new');
    expect(await codeOf(other.lock())).toBe('LOCKED');
    await found.close();
    await other.close();
  });

  check('an open file that gets the name of a locked one keeps its lock', async (disk, root) => {
    const old = await disk.open(`${root}/a`, OPEN_MODES.CREATE);
    await old.lock();
    const next = await disk.open(`${root}/b`, OPEN_MODES.CREATE);
    await next.lock();
    next.writeSync(text('new'), 0);
    expect(await codeOf(next.rename(`${root}/no/a`))).toBe('NOT_FOUND');
    expect(next.path).toBe(`${root}/b`);
    await next.rename(`${root}/a`);
    expect(next.path).toBe(`${root}/a`);
    expect((await disk.list(root)).filter((name) => !name.endsWith('.lock'))).toEqual(['a']);
    const third = await disk.open(`${root}/a`, OPEN_MODES.WRITE);
    expect(await codeOf(third.lock())).toBe('LOCKED');
    old.writeSync(text('old'), 0);
    await old.close();
    expect(await codeOf(third.lock())).toBe('LOCKED');
    expect(await contentOf(next)).toBe('new');
    await next.close();
    await third.lock();
    await third.close();
  });

  check('knows when no name leads to it any more', async (disk, root) => {
    const replaced = await disk.open(`${root}/a`, OPEN_MODES.CREATE);
    const next = await disk.open(`${root}/b`, OPEN_MODES.CREATE);
    const removed = await disk.open(`${root}/c`, OPEN_MODES.CREATE);
    expect([replaced, next, removed].map((file) => file.isNamed())).toEqual([true, true, true]);
    await next.rename(`${root}/a`);
    await disk.remove(`${root}/c`);
    expect([replaced, next, removed].map((file) => file.isNamed())).toEqual([false, true, false]);
    // It is still a file.
    await replaced.write([text('content')], 0);
    await replaced.truncate(3);
    expect(await contentOf(replaced)).toBe('con');
    await Promise.all([replaced.close(), next.close(), removed.close()]);
    expect(() => next.isNamed()).toThrow(/closed/);
  });

  check('a second name outlives the first', async (disk, root) => {
    const old = await disk.open(`${root}/a`, OPEN_MODES.CREATE);
    await old.lock();
    await old.write([text('old')], 0);
    const next = await disk.open(`${root}/b`, OPEN_MODES.CREATE);
    await old.link(`${root}/c`);
    expect(await codeOf(old.link(`${root}/c`))).toBe('ALREADY_EXISTS');
    expect(await codeOf(old.link(`${root}/no/c`))).toBe('NOT_FOUND');
    expect(old.path).toBe(`${root}/a`);
    await next.rename(`${root}/a`);
    old.goBy(`${root}/c`);
    expect([old.path, old.isNamed()]).toEqual([`${root}/c`, true]);
    const found = await disk.open(`${root}/c`, OPEN_MODES.WRITE);
    expect(await contentOf(found)).toBe('old');
    // The lock is the file's, whatever its name.
    expect(await codeOf(found.lock())).toBe('LOCKED');
    await old.rename(`${root}/d`);
    await disk.remove(`${root}/d`);
    expect([old.isNamed(), next.isNamed()]).toEqual([false, true]);
    expect(await disk.list(root)).toEqual(['a']);
    await Promise.all([old.close(), next.close(), found.close()]);
  });

  check('nothing works after close', async (disk, root) => {
    const file = await disk.open(`${root}/a`, OPEN_MODES.CREATE);
    const writing = file.write([new Uint8Array(100_000)], 0);
    await file.close();
    await writing;
    await file.close();
    expect(() => file.readSync(new Uint8Array(1), 0)).toThrow(/closed/);
    expect(() => file.writeSync(new Uint8Array(1), 0)).toThrow(/closed/);
    expect(() => file.size()).toThrow(/closed/);
    expect(await codeOf(file.read(new Uint8Array(1), 0))).toBe('CLOSED');
    expect(await codeOf(file.write([new Uint8Array(1)], 0))).toBe('CLOSED');
    expect(await codeOf(file.sync())).toBe('CLOSED');
    expect(() => file.maybeSyncNow()).toThrow(/closed/);
    expect(await codeOf(file.truncate(0))).toBe('CLOSED');
    expect(await codeOf(file.lock())).toBe('CLOSED');
    expect(await codeOf(file.rename(`${root}/b`))).toBe('CLOSED');
    expect((await disk.stat(`${root}/a`))?.size).toBe(100_000);
  });
}
