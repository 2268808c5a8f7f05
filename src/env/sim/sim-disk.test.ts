import { describe, expect, test } from 'vitest';
import { bytesFromLatin1, latin1FromBytes, seededRandom } from '../../base/index.ts';
import { diskContract } from '../disk-contract.fixture.ts';
import { OPEN_MODES } from '../index.ts';
import { crashEverywhere } from './crash-everywhere.ts';
import { SimDisk } from './sim-disk.ts';

const text = bytesFromLatin1;

describe('the simulated disk', () => {
  diskContract(async () => {
    const disk = new SimDisk({ seed: 1 });
    await disk.makeDirectory('/root');
    return { disk, root: '/root', finish: async () => {} };
  });
});

/** A disk with `/a`, created and synced with its name, holding `size` bytes of 'o'. */
async function withFile(seed: number, size: number) {
  const disk = new SimDisk({ seed });
  const file = await disk.open('/a', OPEN_MODES.CREATE);
  if (size > 0) await file.write([text('o'.repeat(size))], 0);
  await file.sync();
  await disk.syncDirectory('/');
  return { disk, file };
}

describe('a crash', () => {
  test('keeps what was synced and may lose the rest', async () => {
    const { disk, file } = await withFile(1, 1000);
    await file.write([text('n'.repeat(1000))], 500);
    const kept = disk.crash({ seed: 1, unsynced: 'kept' });
    expect(latin1FromBytes(kept.contentOf('/a'))).toBe('o'.repeat(500) + 'n'.repeat(1000));
    const lost = disk.crash({ seed: 1, unsynced: 'lost' });
    expect(latin1FromBytes(lost.contentOf('/a'))).toBe('o'.repeat(1000));
    await expect(file.sync()).rejects.toMatchObject({ code: 'CLOSED' });
    expect(() => file.writeSync(text('x'), 0)).toThrow(/crashed/);
  });

  test('tears between sectors, and every outcome is reached', async () => {
    const { disk, file } = await withFile(2, 2048);
    await file.write([text('n'.repeat(2048))], 0);
    const outcomes = new Set<string>();
    for (let seed = 0; seed < 2000; seed++) {
      const content = latin1FromBytes(disk.crash({ seed }).contentOf('/a'));
      expect(content).toMatch(/^(?:(?:o{512}|n{512})){4}$/);
      outcomes.add(content);
    }
    expect(outcomes.size).toBe(16);
  });

  test('may leave the size grown without the bytes, never other bytes', async () => {
    const { disk, file } = await withFile(3, 100);
    await file.write([text('n'.repeat(2000))], 100);
    const sizes = new Set<number>();
    for (let seed = 0; seed < 300; seed++) {
      const content = latin1FromBytes(disk.crash({ seed }).contentOf('/a'));
      expect(content.slice(0, 100)).toBe('o'.repeat(100));
      expect(content.slice(100)).toMatch(/^[n\0]*$/);
      sizes.add(content.length);
    }
    expect([...sizes].sort((a, b) => a - b)).toEqual([100, 512, 1024, 1536, 2048, 2100]);
  });

  test('a sync covers what was written before it began', async () => {
    const { disk, file } = await withFile(4, 0);
    file.writeSync(text('before'), 0);
    const syncing = file.sync();
    file.writeSync(text('after'), 6);
    await syncing;
    const lost = disk.crash({ seed: 1, unsynced: 'lost' });
    expect(latin1FromBytes(lost.contentOf('/a'))).toBe('before');
  });

  test('a sync within the turn covers as much, is an effect, and may be declined', async () => {
    const { disk, file } = await withFile(4, 0);
    let done = 0;
    for (let i = 0; i < 40; i++) {
      const effects = disk.effectCount;
      file.writeSync(text(String(i % 10)), i);
      const synced = file.maybeSyncNow();
      expect(disk.effectCount - effects).toBe(synced ? 2 : 1);
      if (!synced) continue;
      done++;
      expect(disk.outcome({ seed: 1, unsynced: 'lost' }).contentOf('/a')).toHaveLength(i + 1);
    }
    expect(done).toBeGreaterThan(5);
    expect(done).toBeLessThan(35);
    disk.extraLatencyMs = () => 1;
    expect(Array.from({ length: 20 }, () => file.maybeSyncNow())).not.toContain(true);
    disk.extraLatencyMs = undefined;
    disk.crashAtEffect(disk.effectCount + 1);
    const syncing = (): void => {
      while (!file.maybeSyncNow());
    };
    expect(syncing).toThrow(/crashed/);
  });

  test('loses names that no directory sync covered', async () => {
    const prepare = async (): Promise<SimDisk> => {
      const disk = new SimDisk({ seed: 5 });
      await disk.makeDirectory('/d');
      await disk.syncDirectory('/');
      const file = await disk.open('/d/old', OPEN_MODES.CREATE);
      await file.sync();
      await disk.syncDirectory('/d');
      await disk.rename('/d/old', '/d/new');
      await disk.open('/d/other', OPEN_MODES.CREATE);
      return disk;
    };
    const unsynced = await prepare();
    const found = new Set<string>();
    for (let seed = 0; seed < 100; seed++) {
      found.add((await unsynced.crash({ seed }).list('/d')).join());
    }
    expect([...found].sort()).toEqual(['new', 'new,other', 'old', 'old,other'].sort());
    const disk = await prepare();
    const syncing = disk.syncDirectory('/d');
    await disk.remove('/d/other');
    await syncing;
    const kept = disk.crash({ seed: 1, unsynced: 'lost' });
    expect(await kept.list('/d')).toEqual(['new', 'other']);
  });

  test('a failed sync forgets, and the next one does not bring it back', async () => {
    let lost = 0;
    for (let seed = 0; seed < 40; seed++) {
      const { disk, file } = await withFile(seed, 0);
      await file.write([text('n'.repeat(512))], 0);
      disk.intercept = (operation) => (operation.kind === 'sync' ? 'failed' : undefined);
      await expect(file.sync()).rejects.toMatchObject({ code: 'DISK_FAILED' });
      disk.intercept = undefined;
      expect(file.size()).toBe(512);
      await file.write([text('m')], 512);
      await file.sync();
      const found = latin1FromBytes(disk.crash({ seed }).contentOf('/a'));
      expect(found.slice(512)).toBe('m');
      if (found.startsWith('\0')) lost++;
    }
    expect(lost).toBeGreaterThan(5);
    expect(lost).toBeLessThan(35);
  });

  test('outcomes do not touch each other, nor the disk they come from', async () => {
    const { disk, file } = await withFile(8, 3000);
    await file.write([text('n'.repeat(100))], 50);
    const before = latin1FromBytes(disk.outcome({ seed: 1, unsynced: 'lost' }).contentOf('/a'));
    for (let seed = 0; seed < 10; seed++) {
      const outcome = disk.outcome({ seed });
      const opened = await outcome.open('/a', OPEN_MODES.WRITE);
      await opened.write([text('z'.repeat(2000))], 0);
      await opened.sync();
      await opened.write([text('y'.repeat(2000))], 0);
      await opened.sync();
    }
    const after = disk.crash({ seed: 1, unsynced: 'lost' });
    expect(latin1FromBytes(after.contentOf('/a'))).toBe(before);
  });

  test('same seed, same outcome', async () => {
    const run = async (): Promise<string> => {
      const { disk, file } = await withFile(6, 3000);
      for (let i = 0; i < 10; i++) await file.write([text(String(i).repeat(700))], i * 350);
      return latin1FromBytes(disk.crash({ seed: 9 }).contentOf('/a'));
    };
    expect(await run()).toBe(await run());
  });
});

describe('faults', () => {
  test('a full disk takes what fits, says so, and has room again after a removal', async () => {
    const disk = new SimDisk({ seed: 1, capacity: 5 * 4096 });
    const big = await disk.open('/big', OPEN_MODES.CREATE);
    await big.zeroFill(0, 4 * 4096);
    const small = await disk.open('/small', OPEN_MODES.CREATE);
    await expect(small.write([new Uint8Array(5000)], 0)).rejects.toMatchObject({
      code: 'DISK_FULL',
    });
    expect(small.size()).toBe(4096);
    // Room that was taken beforehand cannot be refused.
    await big.write([new Uint8Array(4 * 4096).fill(1)], 0);
    await disk.remove('/big');
    expect(() => small.writeSync(new Uint8Array(1), 4096)).toThrow(/no space/);
    await big.close();
    expect(disk.usedSize).toBe(4096);
    small.writeSync(new Uint8Array(4096), 4096);
    expect(disk.usedSize).toBe(2 * 4096);
  });

  test('the n-th effect fails; bits flip', async () => {
    const { disk, file } = await withFile(2, 10);
    disk.startTrace();
    const next = disk.effectCount + 1;
    disk.failAtEffect(next + 1, 'full');
    await file.write([text('x')], 0);
    await expect(disk.rename('/a', '/b')).rejects.toMatchObject({ code: 'DISK_FULL' });
    await disk.rename('/a', '/b');
    expect(disk.trace).toEqual([
      { kind: 'write', path: '/a', position: 0, size: 1, effect: next },
      { kind: 'rename', path: '/a', position: 0, size: 0, effect: next + 1 },
      { kind: 'rename', path: '/a', position: 0, size: 0, effect: next + 2 },
    ]);
    disk.flipBit('/b', 8);
    expect(latin1FromBytes(disk.contentOf('/b'))).toBe('xnoooooooo');
    const bytes = new Uint8Array(2);
    disk.intercept = (operation) => (operation.kind === 'read' ? 'failed' : undefined);
    await expect(file.read(bytes, 0)).rejects.toMatchObject({ code: 'DISK_FAILED' });
  });

  test('bytes changed under a write are noticed', async () => {
    const { file } = await withFile(3, 0);
    const bytes = text('abc');
    const writing = file.write([bytes], 0);
    bytes[0] = 0;
    await expect(writing).rejects.toThrow(/changed before the write was done/);
  });
});

test('crashEverywhere finds a missing sync and a missing directory sync', async () => {
  const attempt = (options: { syncFile: boolean; syncName: boolean }): Promise<number> =>
    crashEverywhere<{ acknowledged: string | undefined }>({
      seed: 7,
      outcomes: 8,
      newState: () => ({ acknowledged: undefined }),
      work: async (disk, state) => {
        for (const value of ['one', 'two', 'three']) {
          const file = await disk.open('/t', OPEN_MODES.OPEN_OR_CREATE);
          await file.truncate(0);
          await file.write([text(value)], 0);
          if (options.syncFile) await file.sync();
          await file.close();
          await disk.rename('/t', '/v');
          if (options.syncName) await disk.syncDirectory('/');
          state.acknowledged = value;
        }
      },
      check: async (disk, state) => {
        const names = await disk.list('/');
        const value = names.includes('v') ? latin1FromBytes(disk.contentOf('/v')) : undefined;
        const order = [undefined, 'one', 'two', 'three'];
        if (order.indexOf(value) < order.indexOf(state.acknowledged)) {
          throw new Error(`found ${value}, acknowledged ${state.acknowledged}`);
        }
      },
    });
  expect(await attempt({ syncFile: true, syncName: true })).toBe(18);
  await expect(attempt({ syncFile: false, syncName: true })).rejects.toThrow(/crash at effect/);
  await expect(attempt({ syncFile: true, syncName: false })).rejects.toThrow(/crash at effect/);
});

test('random operations agree with a plain map', async () => {
  for (let seed = 0; seed < 20; seed++) {
    const random = seededRandom(seed);
    const disk = new SimDisk({ seed });
    const file = await disk.open('/a', OPEN_MODES.CREATE);
    let plain = new Uint8Array(0);
    const resized = (size: number): Uint8Array<ArrayBuffer> => {
      const next = new Uint8Array(size);
      next.set(plain.subarray(0, size));
      return next;
    };
    for (let step = 0; step < 60; step++) {
      const position = random.below(20_000);
      const size = random.below(9000);
      const kind = random.below(4);
      if (kind === 3) {
        await file.truncate(position);
        plain = resized(position);
      } else if (kind === 2) {
        await file.zeroFill(position, position + size);
        if (size > 0) plain = resized(Math.max(plain.length, position + size));
        plain.fill(0, position, position + size);
      } else {
        const bytes = new Uint8Array(size).fill(step + 1);
        await file.write([bytes], position);
        if (size > 0) plain = resized(Math.max(plain.length, position + size));
        plain.set(bytes, position);
      }
      if (random.below(5) === 0) await file.sync();
    }
    expect(Buffer.compare(disk.contentOf('/a'), plain)).toBe(0);
    const kept = disk.crash({ seed, unsynced: 'kept' });
    expect(Buffer.compare(kept.contentOf('/a'), plain)).toBe(0);
  }
});
