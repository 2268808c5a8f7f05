// A disk that lost a sector: every sector of the log in turn reads as zeros. Either the member starts
// and has everything that was acknowledged, or it is refused by file and offset and nothing changes.

import { expect, test } from 'vitest';
import { TetcdError } from '../../base/index.ts';
import type { Env } from '../../env/index.ts';
import { createSimEnv, type SimDisk } from '../../env/sim/index.ts';
import { createLogger } from '../telemetry/log.ts';
import { createMetrics } from '../telemetry/metrics.ts';
import { SimCluster, type SimHost, SNAP_DIR, WAL_DIR } from '../testing/sim-cluster.fixture.ts';
import { SEGMENT_SIZE, simConfig } from '../testing/sim-member.fixture.ts';
import { boot } from './boot.ts';

const SECTOR = 512;

interface Left {
  readonly disk: SimDisk;
  /** Of the last request that was acknowledged. */
  readonly acknowledged: number;
}

/** The directory of a lone member after `keys` puts, stopped in order or killed. */
async function directory(keys: number, end: 'stopped' | 'killed'): Promise<Left> {
  let left: Left | undefined;
  await SimCluster.run(async (cluster) => {
    const settings = { snapshotCount: 25, snapshotCatchupEntries: 5 };
    const [host] = (await cluster.found(['m1'], settings)) as [SimHost];
    for (let i = 0; i < keys; i++) await host.up.put(`k${i % 7}`, 'v'.repeat(150 + 97 * (i % 9)));
    const acknowledged = host.up.member.parts.store.machine.appliedIndex;
    if (end === 'stopped') await host.stop();
    else host.crash('kept');
    left = { disk: host.env.disk, acknowledged };
  });
  return left!;
}

async function filesOf(disk: SimDisk): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const folder of [WAL_DIR, SNAP_DIR]) {
    for (const name of await disk.list(folder)) {
      const path = `${folder}/${name}`;
      files.set(path, Buffer.from(disk.contentOf(path)).toString('latin1'));
    }
  }
  return files;
}

/** `lastIndex` of a member that starts, else what it was refused with. */
async function start(disk: SimDisk): Promise<number | TetcdError> {
  const { clock, timers, entropy, network } = createSimEnv({ seed: 1 });
  const env: Env = { clock, timers, entropy, network, disk };
  const fail = (error: unknown): void => expect.unreachable(String(error));
  try {
    const booted = await boot({
      config: simConfig(),
      env,
      log: createLogger(
        { level: 'error', format: 'json' },
        { write: () => undefined },
        env.clock,
        '',
      ),
      metrics: createMetrics({ extensive: false, runtime: false }).records,
      walObserver: {},
      walSegmentSize: SEGMENT_SIZE,
      onBackendFailure: fail,
      onBackendDiskFull: fail,
      onBackendCommit: () => undefined,
    });
    await booted.wal.close();
    await booted.store.backend.close();
    return booted.storage.lastIndex();
  } catch (error) {
    if (!(error instanceof TetcdError)) throw error;
    return error;
  }
}

/** A copy that no simulated world runs. */
function copyOf(disk: SimDisk): SimDisk {
  return disk.outcome({ seed: 1, unsynced: 'kept', schedule: (_ms, done) => setImmediate(done) });
}

test.each([
  ['stopped', 60],
  ['killed', 60],
  ['killed', 20],
] as const)('a member that was %s after %i puts', { timeout: 120_000 }, async (end, keys) => {
  const { disk, acknowledged } = await directory(keys, end);
  expect(await start(copyOf(disk))).toBeGreaterThanOrEqual(acknowledged);
  let refused = 0;
  for (const name of await disk.list(WAL_DIR)) {
    if (!name.endsWith('.wal')) continue;
    const path = `${WAL_DIR}/${name}`;
    const bytes = disk.contentOf(path);
    for (let at = 0; at < bytes.length; at += SECTOR) {
      const sector = bytes.subarray(at, at + SECTOR);
      if (sector.every((byte) => byte === 0)) continue;
      const damaged = copyOf(disk);
      damaged.corrupt(path, at, new Uint8Array(sector.length));
      const before = await filesOf(damaged);
      const outcome = await start(damaged);
      const where = `${name}, sector at ${at}`;
      if (typeof outcome === 'number') {
        // A write that nothing follows, here or in the database, cannot be told from a torn one;
        // the last sector may hold two, but for the end of a hard state.
        const isLast = bytes.subarray(at + SECTOR + 48).every((byte) => byte === 0);
        const least = end === 'stopped' ? acknowledged : acknowledged - (isLast ? 2 : 1);
        expect(outcome, where).toBeGreaterThanOrEqual(least);
      } else {
        refused++;
        expect(outcome.message, where).toMatch(/\/member\/wal\/[0-9a-f-]{33}\.wal at offset \d+/);
        expect(await filesOf(damaged), where).toEqual(before);
      }
    }
  }
  expect(refused).toBeGreaterThan(5);
});

test('damage before the newest snapshot is only looked at where its file is broken', async () => {
  const { disk, acknowledged } = await directory(60, 'stopped');
  const [oldest] = (await disk.list(WAL_DIR)).filter((name) => name.endsWith('.wal'));
  const newestSnap = (await disk.list(SNAP_DIR)).filter((name) => name.endsWith('.snap')).at(-1);
  const damaged = copyOf(disk);
  damaged.corrupt(`${WAL_DIR}/${oldest}`, SECTOR, new Uint8Array(SECTOR));
  const lacksSnap = copyOf(damaged);
  lacksSnap.corrupt(`${SNAP_DIR}/${newestSnap}`, 0, new Uint8Array(16));
  expect(await start(damaged)).toBeGreaterThanOrEqual(acknowledged);
  const outcome = await start(lacksSnap);
  expect(outcome).toMatchObject({ code: 'CORRUPT' });
  expect((outcome as TetcdError).message).toContain(oldest);
});
