import { describe, expect, test } from 'vitest';
import { hasCode } from '../../base/index.ts';
import { createSimEnv, type SimDisk, SimEnv, SimWorld } from '../../env/sim/index.ts';
import { ByteSlice, mainOfKey } from '../../mvcc/index.ts';
import { PIN_MS_MAX } from '../limits.ts';
import { BUCKET, META_KEY } from '../schema/schema.ts';
import { type RigOptions, StoreRig } from '../testing/store.fixture.ts';

const SEED = Number(process.env['STORE_SEED'] ?? 1);

async function on(seed: number, body: (env: SimEnv) => Promise<void>): Promise<void> {
  const env = createSimEnv({ seed, autoRun: false });
  await env.run(() => body(env));
}

const pause = (env: SimEnv, ms: number) =>
  new Promise<void>((resolve) => env.timers.after(ms, resolve));

/** Puts, overwrites and deletions at revisions 2 to 22. */
function fill(rig: StoreRig): void {
  for (let i = 0; i < 12; i++) rig.put(`k${i % 4}`, `${i}`); // 2–13
  rig.delete('k0'); // 14
  rig.delete('k1', 'k3'); // 15: k1, k2
  rig.put('k1', 'again'); // 16
  rig.txn([
    ['k5', 'a'],
    ['k6', 'b'],
  ]); // 17
  rig.delete('k6'); // 18
  for (let i = 0; i < 4; i++) rig.put('k7', `${i}`); // 19–22
}

function markAt(rig: StoreRig, key: string): number {
  const bytes = rig.backend.get(BUCKET.META, key);
  return bytes === undefined ? -1 : mainOfKey(bytes);
}

/** As boot does. */
async function reopen(env: SimEnv, options: RigOptions = {}): Promise<StoreRig> {
  const rig = await StoreRig.open(env, options);
  const { scheduledRev, finishedRev } = rig.restore.marks;
  if (scheduledRev > finishedRev) await rig.machine.compactor.resume(scheduledRev);
  return rig;
}

/** What is left of `fill` after a compaction at 15: the newest of each key, and tombstones there. */
const LEFT_AT_15 = ['13.0', '15.0t', '15.1t', '16.0', '17.0', '17.1', '18.0t'];
const NEWEST = ['19.0', '20.0', '21.0', '22.0'];

describe('a compaction', () => {
  test('removes what no read at or above its revision needs, and nothing else', async () => {
    await on(1, async (env) => {
      const rig = await StoreRig.open(env);
      fill(rig);
      const before = [15, 16, 18, 22].map((rev) => rig.pairs(rev));
      const { physical } = rig.compact(15);
      expect(markAt(rig, META_KEY.SCHEDULED_COMPACT)).toBe(15);
      expect(() => rig.pairs(14)).toThrow('required revision has been compacted');
      await physical;
      await rig.backend.commit();
      expect(rig.rowNames()).toEqual([...LEFT_AT_15, ...NEWEST]);
      expect([15, 16, 18, 22].map((rev) => rig.pairs(rev))).toEqual(before);
      expect(markAt(rig, META_KEY.FINISHED_COMPACT)).toBe(15);
      expect(await rig.violations()).toEqual([]);
      await rig.close();
    });
  });

  test('is refused at or below the last one, and in the future', async () => {
    await on(2, async (env) => {
      const rig = await StoreRig.open(env);
      fill(rig);
      rig.compact(10);
      expect([9, 10, 0, -5].map((rev) => rig.compact(rev).error)).toEqual(
        new Array(4).fill('COMPACTED'),
      );
      expect(rig.compact(23).error).toBe('FUTURE_REV');
      expect(rig.compact(22).error).toBeUndefined();
      await rig.machine.compactor.whenIdle();
      expect(markAt(rig, META_KEY.FINISHED_COMPACT)).toBe(22);
      await rig.close();
    });
  });

  test('waits for views below it, which stay readable', async () => {
    await on(3, async (env) => {
      const rig = await StoreRig.open(env);
      fill(rig);
      const at13 = rig.pairs(13);
      const pin = rig.kv.pin(13);
      let done = false;
      const { physical } = rig.compact(15);
      void physical?.then(() => {
        done = true;
      });
      await pause(env, 1000);
      expect(done).toBe(false);
      expect(rig.pairs(13, pin)).toEqual(at13);
      // A view at the revision itself does not hold it back.
      const above = rig.kv.pin(15);
      pin.release();
      await physical;
      expect(rig.pairs(15, above)).toEqual(rig.pairs(15));
      above.release();
      await rig.close();
    });
  });

  test('waits for a forgotten view only so long', async () => {
    await on(4, async (env) => {
      const rig = await StoreRig.open(env);
      fill(rig);
      const pin = rig.kv.pin(5);
      const { physical } = rig.compact(15);
      await pause(env, PIN_MS_MAX + 1000);
      await physical;
      expect(() => pin.readRow(5, 0, new ByteSlice())).toThrow('held for too long');
      await rig.close();
    });
  });

  test('follows those accepted before it', async () => {
    await on(5, async (env) => {
      const finished: number[] = [];
      const rig = await StoreRig.open(env, { onCommit: () => finished.push(0) });
      fill(rig);
      const physicals = [5, 9, 20].map((rev) => rig.compact(rev).physical);
      // Only the first of several under way has every revision to hash.
      expect((await rig.machine.hashKv(5)).compactRevision).toBe(-1);
      await expect(rig.machine.hashKv(9)).rejects.toMatchObject({ code: 'COMPACTED' });
      await Promise.all(physicals);
      expect(markAt(rig, META_KEY.FINISHED_COMPACT)).toBe(20);
      await rig.backend.commit();
      expect(rig.rowNames()).toEqual(['13.0', '16.0', '17.0', '20.0', '21.0', '22.0']);
      expect(await rig.violations()).toEqual([]);
      await rig.close();
    });
  });

  test('goes on while entries are applied, and does not see their rows', async () => {
    await on(6, async (env) => {
      const rig = await StoreRig.open(env, { batchRows: 1, sleepMs: 3 });
      fill(rig);
      const { physical } = rig.compact(22);
      let done = false;
      void physical?.then(() => {
        done = true;
      });
      let puts = 0;
      for (; !done; puts++) {
        rig.put('k7', `more ${puts}`);
        if (puts % 3 === 0) rig.delete('k3');
        await pause(env, 1);
      }
      expect(puts).toBeGreaterThan(10);
      const pairs = rig.pairs(22);
      expect(pairs.map((pair) => pair.split('=')[0])).toEqual(['k1', 'k3', 'k5', 'k7']);
      await rig.close();
      const again = await StoreRig.open(env);
      expect(again.pairs(22)).toEqual(pairs);
      expect(await again.violations()).toEqual([]);
      await again.close();
    });
  });

  test('that is stopped says so, and is resumed at the next start', async () => {
    await on(7, async (env) => {
      const rig = await StoreRig.open(env, { batchRows: 1, sleepMs: 50 });
      fill(rig);
      const physical = rig.compact(15).physical?.catch((error: unknown) => error);
      await pause(env, 200);
      await rig.close();
      expect(hasCode(await physical, 'CLOSED')).toBe(true);
      expect(rig.failures).toEqual([]);
      const again = await StoreRig.open(env);
      expect(again.restore.marks).toEqual({ scheduledRev: 15, finishedRev: -1 });
      expect(again.rowNames().length).toBeGreaterThan(11);
      await again.machine.compactor.resume(15);
      await again.backend.commit();
      expect(again.rowNames()).toEqual([...LEFT_AT_15, ...NEWEST]);
      await again.close();
    });
  });

  test('reports a failing disk', async () => {
    await on(8, async (env) => {
      const rig = await StoreRig.open(env);
      fill(rig);
      await rig.backend.commit();
      const physical = rig.compact(15).physical?.catch((error: unknown) => error);
      env.disk.intercept = ({ kind }) => (kind === 'sync' ? 'failed' : undefined);
      expect(hasCode(await physical, 'DISK_FAILED')).toBe(true);
      expect(rig.failures.every((error) => hasCode(error, 'DISK_FAILED'))).toBe(true);
      expect(rig.failures.length).toBeGreaterThan(0);
      await expect(rig.machine.hashKv(0)).rejects.toSatisfy((error) =>
        hasCode(error, 'DISK_FAILED'),
      );
      await rig.close();
    });
  });
});

describe('a crash amid compactions', () => {
  /** A process on a disk that a crash left. */
  function envOn(disk: SimDisk, seed: number): SimEnv {
    const late: { env?: SimEnv } = {};
    const schedule = (delayMs: number, callback: () => void) =>
      void late.env!.timers.after(delayMs, callback);
    const own = disk.outcome({ seed, unsynced: 'kept', schedule });
    late.env = new SimEnv(new SimWorld({ seed, autoRun: false }), 'localhost', undefined, own);
    return late.env;
  }

  test('leaves what boot can resume, with the same content', { timeout: 60_000 }, async () => {
    const outcomes: SimDisk[] = [];
    const hashes = new Map<number, number>();
    await on(SEED, async (env) => {
      const rig = await StoreRig.open(env, { batchRows: 2, batchIntervalMs: 2, batchChanges: 4 });
      fill(rig);
      await rig.backend.commit();
      env.disk.intercept = ({ effect }) => {
        for (let i = 0; effect > 0 && i < 2; i++) {
          outcomes.push(env.disk.outcome({ seed: SEED * 1000 + effect * 2 + i }));
        }
        return undefined;
      };
      for (const rev of [9, 15]) {
        await rig.compact(rev).physical;
        for (let at = 16; at <= 22; at++) {
          hashes.set(rev * 100 + at, (await rig.machine.hashKv(at)).hash);
        }
      }
      await rig.backend.commit();
      env.disk.intercept = undefined;
      outcomes.push(env.disk.outcome({ seed: SEED }));
      await rig.close();
    });
    expect(outcomes.length).toBeGreaterThan(40);
    const resumed = new Set<string>();
    for (const [i, disk] of outcomes.entries()) {
      const env = envOn(disk, i);
      await env.run(async () => {
        const rig = await reopen(env);
        const { scheduledRev, finishedRev } = rig.restore.marks;
        resumed.add(`${scheduledRev} ${finishedRev}`);
        const rev = scheduledRev;
        await rig.backend.commit();
        for (let at = 16; rev > 0 && at <= 22; at++) {
          const { hash, compactRevision } = await rig.machine.hashKv(at);
          expect([hash, compactRevision], `outcome ${i}`).toEqual([
            hashes.get(rev * 100 + at),
            rev,
          ]);
        }
        if (rev === 15) expect(rig.rowNames()).toEqual([...LEFT_AT_15, ...NEWEST]);
        expect(await rig.violations()).toEqual([]);
        expect(rig.kv.currentRev).toBe(22);
        await rig.close();
      });
    }
    expect([...resumed].sort()).toEqual(['-1 -1', '15 15', '15 9', '9 -1', '9 9']);
  });
});
