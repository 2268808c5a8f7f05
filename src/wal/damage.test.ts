// Damage to what was written: it is refused with file and offset, or does no harm. Losing records
// silently is the one thing that must not happen.

import { describe, expect, test } from 'vitest';
import { ERROR_CODES, seededRandom, TetcdError } from '../base/index.ts';
import type { SimDisk } from '../env/sim/index.ts';
import { checkWal, createWal, openWal, readWal } from './index.ts';
import {
  DIRECTORY,
  entry,
  METADATA,
  newEnv,
  plainEntries,
  randomBytes,
  save,
  snapshot,
  state,
} from './wal.fixture.ts';

const START = { index: 0, term: 0 };
const options = { segmentSize: 700 };

/** A log of a few segments with records of all kinds, closed. */
async function smallLog(
  seed: number,
  segmentSize = options.segmentSize,
): Promise<{ disk: SimDisk; paths: string[]; content: string }> {
  const env = await newEnv(seed);
  const random = seededRandom(seed);
  const wal = await createWal(env, DIRECTORY, METADATA, { segmentSize });
  await save(wal, [entry(1, 1, ''), entry(2, 1, 'x')], state(1, 0));
  for (let index = 3; index <= 14; index++) {
    await save(wal, [entry(index, 2, randomBytes(random, random.below(200)))], state(2, index - 1));
    if (index === 9) await wal.saveSnapshot(snapshot(5, 2));
  }
  await wal.close();
  const paths = (await env.disk.list(DIRECTORY)).map((name) => `${DIRECTORY}/${name}`);
  return { disk: env.disk, paths, content: await contentOf(env.disk) };
}

async function contentOf(disk: SimDisk): Promise<string> {
  const env = await newEnv(0);
  const found = await openWal({ ...env, disk }, DIRECTORY, START, options);
  await found.wal.close();
  const { hardState } = found;
  const last = `${hardState.term} ${hardState.vote} ${hardState.commit}`;
  return `${Buffer.from(found.metadata)} ${plainEntries(found.entries).join()} ${last}`;
}

/** What opening says; only CORRUPT with file and offset may be thrown. */
async function contentOrCorrupt(disk: SimDisk): Promise<string> {
  try {
    return await contentOf(disk);
  } catch (error) {
    if (!(error instanceof TetcdError) || error.code !== ERROR_CODES.CORRUPT) throw error;
    expect(error.message).toMatch(/^wal: \/member\/wal\/[0-9a-f-]{33}\.wal at offset \d+: /);
    return 'corrupt';
  }
}

test('any byte that changes is noticed or does no harm', { timeout: 120_000 }, async () => {
  const { disk, paths, content } = await smallLog(1);
  expect(paths.length).toBeGreaterThan(2);
  const changes = [
    (byte: number) => byte ^ 0xff,
    (byte: number) => byte ^ 1,
    (byte: number) => byte ^ 0x80,
    (byte: number) => byte ^ 4,
    () => 0,
  ];
  let corrupt = 0;
  for (const path of paths) {
    const bytes = disk.contentOf(path);
    for (let at = 0; at < bytes.length; at++) {
      for (const change of changes) {
        const changed = change(bytes[at]!);
        if (changed === bytes[at]) continue;
        const damaged = disk.outcome({ seed: 1, unsynced: 'kept' });
        damaged.corrupt(path, at, Uint8Array.of(changed));
        const found = await contentOrCorrupt(damaged);
        if (found === 'corrupt') corrupt++;
        else if (found !== content) throw new Error(`${path} byte ${at}: silently changed`);
      }
    }
  }
  expect(corrupt).toBeGreaterThan(5_000);
});

describe('torn tails', () => {
  test('a segment cut anywhere is a prefix of the log', { timeout: 60_000 }, async () => {
    const { disk, paths, content } = await smallLog(2, 4000);
    const path = paths[0]!;
    const { length } = disk.contentOf(path);
    expect(paths).toHaveLength(1);
    const found = new Set<string>();
    for (let size = 0; size < length; size += size === 40 ? 32 : 8) {
      const cut = disk.outcome({ seed: 1, unsynced: 'kept' });
      const file = await cut.open(path, 'write');
      await file.truncate(size);
      await file.close();
      const rest = await contentOrCorrupt(cut);
      // Only the head of a segment, and the snapshot to start from, must not be lost.
      if (size >= 72) expect(rest).not.toBe('corrupt');
      found.add(rest);
      expect(rest === 'corrupt' || content.startsWith(rest.replace(/ \S+ \S+ \S+$/, ''))).toBe(
        true,
      );
    }
    expect(found.size).toBeGreaterThan(5);
  });

  test('the copy of the torn segment is kept', async () => {
    const { disk, paths } = await smallLog(3);
    const path = paths[paths.length - 1]!;
    const bytes = disk.contentOf(path);
    // The sectors of a large last record, one lost.
    const env = await newEnv(0);
    const found = await openWal({ ...env, disk }, DIRECTORY, START, { segmentSize: 100_000 });
    const data = randomBytes(seededRandom(1), 3000);
    await save(found.wal, [entry(15, 2, data)]);
    await found.wal.close();
    const torn = Math.ceil(bytes.length / 512) * 512;
    disk.corrupt(path, torn, new Uint8Array(512));
    const asFound = disk.contentOf(path);
    const events: string[] = [];
    const mended = await openWal({ ...env, disk }, DIRECTORY, START, {
      segmentSize: 100_000,
      observer: { repaired: (repair) => events.push(repair.brokenPath) },
    });
    expect(mended.entries).toHaveLength(14);
    expect(mended.repair?.path).toBe(path);
    expect(events).toEqual([`${path}.broken`]);
    expect(Buffer.compare(disk.contentOf(`${path}.broken`), asFound)).toBe(0);
    await save(mended.wal, [entry(15, 3, 'short')]);
    await mended.wal.close();
    expect((await readWal({ ...env, disk }, DIRECTORY, START)).entries).toHaveLength(15);
  });

  test('what looks torn far from the end is corrupt', async () => {
    const env = await newEnv(0);
    const big = { segmentSize: 24_000_000 };
    const wal = await createWal(env, DIRECTORY, METADATA, big);
    // Zeros: a sector of each record is as if it had not been written.
    const data = new Uint8Array(1_000_000).fill(7, 0, 500_000);
    for (let index = 1; index <= 20; index++) await save(wal, [entry(index, 1, data)]);
    await wal.close();
    const path = `${DIRECTORY}/0000000000000000-0000000000000000.wal`;
    const opened = async (record: number): Promise<number> => {
      const disk = env.disk.outcome({ seed: 1, unsynced: 'kept' });
      disk.flipBit(path, 8 * 1_000_000 * record);
      const found = await openWal({ ...env, disk }, DIRECTORY, START, big);
      await found.wal.close();
      return found.entries.length;
    };
    await expect(opened(2)).rejects.toThrow(/at offset 1000\d{3}: checksum mismatch/);
    // Nearer to the end etcd's rule decides.
    expect(await opened(19)).toBe(18);
  });

  test('the same damage in the middle is corrupt', async () => {
    const { disk, paths } = await smallLog(4);
    const [first] = paths;
    disk.corrupt(first!, 512, new Uint8Array(512));
    expect(await contentOrCorrupt(disk)).toBe('corrupt');
    expect(
      disk
        .contentOf(first!)
        .subarray(512, 1024)
        .every((byte) => byte === 0),
    ).toBe(true);
    expect(await disk.list(DIRECTORY)).toHaveLength(paths.length);
  });
});

test('the checker lists all that is wrong', async () => {
  const env = await newEnv(0);
  const { disk, paths } = await smallLog(8);
  expect(await checkWal({ ...env, disk }, DIRECTORY)).toEqual([]);
  disk.flipBit(paths[0]!, 8 * 300);
  disk.flipBit(paths[2]!, 8 * 200);
  const problems = await checkWal({ ...env, disk }, DIRECTORY);
  expect(problems).toHaveLength(2);
  expect(problems[0]).toContain(`${paths[0]} at offset`);
  expect(problems[1]).toContain(`${paths[2]} at offset`);
  await disk.remove(paths[1]!);
  expect((await checkWal({ ...env, disk }, DIRECTORY))[0]).toMatch(/does not continue/);
  await disk.remove(paths[0]!);
  for (const path of paths.slice(2)) await disk.remove(path).catch(() => {});
  await expect(checkWal({ ...env, disk }, DIRECTORY)).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

test('CVE-2020-15112: a log that contradicts itself is refused', async () => {
  const env = await newEnv(9);
  const wal = await createWal(env, DIRECTORY, METADATA, options);
  await save(wal, [entry(1, 1)], state(1, 1));
  await save(wal, [], state(1, 7));
  await wal.close();
  await expect(readWal(env, DIRECTORY, START)).rejects.toThrow(
    /commit 7 is beyond the last index 1/,
  );
  expect(await checkWal(env, DIRECTORY)).toHaveLength(1);
});

test('a segment that is missing or out of order is refused', async () => {
  const { disk, paths } = await smallLog(5);
  const gap = disk.outcome({ seed: 1, unsynced: 'kept' });
  await gap.remove(paths[1]!);
  await expect(contentOf(gap)).rejects.toThrow(/does not continue/);
  const swapped = disk.outcome({ seed: 1, unsynced: 'kept' });
  await swapped.rename(paths[1]!, '/x');
  await swapped.rename(paths[2]!, paths[1]!);
  await swapped.rename('/x', paths[2]!);
  expect(await contentOrCorrupt(swapped)).toBe('corrupt');
  const huge = disk.outcome({ seed: 1, unsynced: 'kept' });
  await huge.rename(paths[0]!, `${DIRECTORY}/ffffffffffffffff-0000000000000000.wal`);
  await expect(contentOf(huge)).rejects.toMatchObject({ code: 'NUMBER_TOO_LARGE' });
});

test('files that are none of ours are left alone', async () => {
  const { disk, content } = await smallLog(6);
  const ignored: string[] = [];
  for (const name of ['0.tmp', 'notes.txt', '0000000000000000-0000000000000000.wal.broken']) {
    await (await disk.open(`${DIRECTORY}/${name}`, 'create')).close();
  }
  expect(await contentOf(disk)).toBe(content);
  const env = await newEnv(0);
  const { wal } = await openWal({ ...env, disk }, DIRECTORY, START, {
    ...options,
    observer: { ignoredFile: (path) => ignored.push(path) },
  });
  await wal.close();
  expect(ignored).toEqual([
    `${DIRECTORY}/0000000000000000-0000000000000000.wal.broken`,
    `${DIRECTORY}/notes.txt`,
  ]);
});

test('CVE-2020-15106: random damage never does worse than an error', {
  timeout: 60_000,
}, async () => {
  const { disk, paths } = await smallLog(7);
  const random = seededRandom(7);
  for (let round = 0; round < 1500; round++) {
    const damaged = disk.outcome({ seed: 1, unsynced: 'kept' });
    for (let i = random.below(3); i >= 0; i--) {
      const path = paths[random.below(paths.length)]!;
      const size = damaged.contentOf(path).length;
      const at = random.below(size);
      const length = Math.min(size - at, 1 + random.below(random.below(2) === 0 ? 8 : 600));
      const kind = random.below(3);
      const bytes = Uint8Array.from({ length }, () => (kind === 0 ? 0 : random.below(256)));
      damaged.corrupt(path, at, bytes);
    }
    await contentOrCorrupt(damaged);
  }
});
