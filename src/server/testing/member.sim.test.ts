// The member as a whole on a simulated machine: crashes before any effect on the disk, full and
// failing disks, damaged files.
//
// CRASH_SEED chooses the runs; CRASH_FULL=1 looks at every effect instead of a sample.

import { afterEach, describe, expect, test, vi } from 'vitest';
import { equalBytes, hasCode } from '../../base/index.ts';
import { createSimEnv, type DiskOperation, type SimEnv } from '../../env/sim/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import { Backend } from '../../store/index.ts';
import { Wal } from '../../wal/index.ts';
import { crashRun, isSnapshotStep, runAndCrash, within } from './crash-run.fixture.ts';
import { DATA_DIR, SEGMENT_SIZE, SimMember, simConfig } from './sim-member.fixture.ts';

const { AlarmType } = etcdserverpb;

const SEED = Number(process.env['CRASH_SEED'] ?? 1);
const FULL = process.env['CRASH_FULL'] === '1';
/** Of real time, for the sample; enough for several hundred crashes on an idle machine. */
const SAMPLE_MS = 15_000;
/** However busy the machine is. */
const CRASHES_MIN = 20;

const SNAP = `${DATA_DIR}/member/snap`;
const WAL = `${DATA_DIR}/member/wal`;
const DATABASE = `${SNAP}/db`;

/** Twice at each step of a snapshot and the effects after it; once at every third other one. */
function sample(): (operation: DiskOperation) => number {
  let sinceSnapshotStep = 100;
  return (operation) => {
    sinceSnapshotStep = isSnapshotStep(operation) ? 0 : sinceSnapshotStep + 1;
    if (FULL) return 4;
    if (sinceSnapshotStep < 4) return 2;
    return operation.effect % 3 === 0 ? 1 : 0;
  };
}

describe('a member that crashes before any effect on the disk', () => {
  test.each([SEED, SEED + 1])(
    'has everything it acknowledged, and goes on: seed %i',
    { timeout: FULL ? 3_600_000 : 120_000 },
    async (seed) => {
      const deadline = performance.now() + SAMPLE_MS / 2;
      let looks = 0;
      const isOver = () => !FULL && ++looks > CRASHES_MIN && performance.now() > deadline;
      const { wrong, checked, acknowledged } = await crashRun({ seed, outcomes: sample(), isOver });
      expect(wrong).toEqual([]);
      expect(checked).toBeGreaterThanOrEqual(CRASHES_MIN);
      expect(acknowledged).toBeGreaterThan(100);
    },
  );

  test.each([4, 5])(
    'held at cluster version 3.%i: the same',
    { timeout: 120_000 },
    async (minor) => {
      const deadline = performance.now() + SAMPLE_MS / 5;
      const isOver = () => !FULL && performance.now() > deadline;
      const config = simConfig({ maxClusterVersion: { major: 3, minor } });
      const { wrong } = await crashRun({ seed: SEED, config, outcomes: sample(), isOver });
      expect(wrong).toEqual([]);
    },
  );

  test('works on what it should: snapshots, cuts, purges, defragmentations', async () => {
    const { trace } = await runAndCrash({ seed: SEED, outcomes: () => 0 });
    const count = (kind: string, path: RegExp) =>
      trace.filter((operation) => operation.kind === kind && path.test(operation.path)).length;
    expect(count('rename', /\/snap\/tmp-/)).toBeGreaterThan(3);
    expect(count('rename', /\/wal\/\d\.tmp/)).toBeGreaterThan(1);
    expect(count('rename', /\/snap\/db\.tmp\.defragment(\.next)?$/)).toBe(4);
    expect(count('remove', /\.snap$/)).toBeGreaterThan(0);
    expect(count('remove', /\.wal$/)).toBeGreaterThan(0);
    expect(count('sync', /\/db$/)).toBeGreaterThan(20);
  });
});

describe('the crash test finds', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  const find = async (config = simConfig()) => {
    const { wrong } = await crashRun({ seed: SEED, config, outcomes: () => 1 });
    return wrong.join('\n');
  };

  test('acknowledgements before the sync', { timeout: 120_000 }, async () => {
    const { append } = Wal.prototype;
    vi.spyOn(Wal.prototype, 'append').mockImplementation(function (this: Wal, given) {
      const { entries, hardState } = given;
      const complete = (error: Parameters<typeof given.complete>[0]) => given.complete(error);
      append.call(this, { entries, hardState, mustSync: false, complete });
    });
    expect(await find()).toMatch(/npm run crash -- --sim --seed \d+ --effect \d+ --outcome 0/);
  });

  test('a log that is not synced at all', { timeout: 120_000 }, async () => {
    expect(await find(simConfig({ unsafeNoFsync: true }))).not.toBe('');
  });

  test('a snapshot of what is applied, not of what is durable', { timeout: 120_000 }, async () => {
    const { commit, close } = Backend.prototype;
    let closing = false;
    vi.spyOn(Backend.prototype, 'close').mockImplementation(function (this: Backend) {
      closing = true;
      return close.call(this).finally(() => {
        closing = false;
      });
    });
    vi.spyOn(Backend.prototype, 'commit').mockImplementation(function (this: Backend) {
      const isSnapshot = new Error().stack?.includes('snapshotter') === true;
      const { appliedIndex: index, appliedTerm: term, durable } = this;
      if (!isSnapshot || closing || durable.membership === undefined) return commit.call(this);
      return Promise.resolve({ ...durable, index, term });
    });
    const etcds = "failed to find database snapshot file \\(snap: snapshot file doesn't exist\\)";
    const ours = 'covers the log up to \\d+ only, but the log begins after';
    expect(await find()).toMatch(new RegExp(`${etcds}: \\S+ ${ours}`));
  });
});

async function on(seed: number, body: (env: SimEnv) => Promise<void>): Promise<void> {
  const env = createSimEnv({ seed, autoRun: false });
  await env.run(() => body(env));
}

const pause = (env: SimEnv, ms: number) =>
  new Promise<void>((resolve) => env.timers.after(ms, resolve));

/** Puts until one fails; returns what was acknowledged. */
async function putUntilRefused(member: SimMember, prefix: string): Promise<string[]> {
  const acknowledged: string[] = [];
  for (let i = 0; i < 500; i++) {
    try {
      await member.put(`${prefix}${i}`, 'x'.repeat(300));
    } catch {
      return acknowledged;
    }
    acknowledged.push(`${prefix}${i}`);
  }
  throw new Error('nothing was refused');
}

const noSpaceOf = ({ member }: SimMember) =>
  expect.objectContaining({ memberID: member.memberId, alarm: AlarmType.NOSPACE });

const keysOf = (member: SimMember) => member.pairs().map(({ key }) => key);

describe('the five steps of a snapshot', () => {
  test('come in their order', async () => {
    await on(1, async (env) => {
      const config = simConfig({ snapshotCount: 5 });
      const member = await SimMember.start(env, config);
      env.disk.startTrace();
      for (let i = 0; i < 7; i++) await member.put('a', `${i}`);
      await pause(env, 100);
      const steps = env.disk.trace
        .filter(({ effect }) => effect > 0)
        .map(({ kind, path }) => `${kind} ${path.replace(/[0-9a-f]{16}/g, 'N')}`);
      const at = (step: string, from = 0) => steps.indexOf(step, from);
      const file = at(`create ${SNAP}/tmp-N-N.snap`);
      const backend = steps.lastIndexOf(`sync ${DATABASE}`, file);
      expect(backend).toBeGreaterThan(-1);
      const synced = at(`sync ${SNAP}/tmp-N-N.snap`, file);
      const named = at(`rename ${SNAP}/tmp-N-N.snap`, synced);
      const durable = at(`syncDirectory ${SNAP}`, named);
      const record = at(`write ${WAL}/N-N.wal`, durable);
      const recordSynced = at(`sync ${WAL}/N-N.wal`, record);
      const order = [backend, file, synced, named, durable, record, recordSynced];
      expect(order).toEqual([...order].sort((a, b) => a - b));
      expect(new Set(order).size).toBe(order.length);
      await member.stop();
    });
  });
});

describe('a full disk', () => {
  test('at the cut of the log: the member stops, and nothing acknowledged is lost', async () => {
    await on(2, async (env) => {
      const member = await SimMember.start(env, simConfig({ snapshotCount: 10_000 }));
      env.disk.intercept = ({ kind, path }) =>
        kind === 'zeroFill' && path.startsWith(WAL) ? 'full' : undefined;
      const acknowledged = await putUntilRefused(member, 'k');
      await within(
        env,
        10_000,
        member.stop().catch(() => undefined),
      );
      // Up to the cut everything fits, since a segment is filled beforehand.
      expect(acknowledged.length * 300).toBeGreaterThan(SEGMENT_SIZE / 2);
      expect(member.fatal.map((error) => hasCode(error, 'DISK_FULL'))).toEqual([true]);
      expect(member.log.join('\n')).toContain('no space left');
      env.disk.intercept = undefined;
      const again = await SimMember.start(env);
      expect(keysOf(again)).toEqual(expect.arrayContaining(acknowledged));
      await again.put('after', '1');
      expect(await again.violations()).toEqual([]);
      await again.stop();
    });
  });

  test('in the database: NOSPACE is raised, and it is written when there is room', async () => {
    await on(3, async (env) => {
      const member = await SimMember.start(env);
      const { alarms, backend } = member.member.parts.store.machine;
      const { quota } = member.member.parts;
      let full = true;
      env.disk.intercept = ({ kind, path }) =>
        full && path === DATABASE && kind !== 'sync' && kind !== 'read' ? 'full' : undefined;
      const acknowledged = await putUntilRefused(member, 'k');
      await expect(member.put('refused', 'v')).rejects.toMatchObject({ code: 'NO_SPACE' });
      await pause(env, 5000);
      expect(alarms.list(AlarmType.NONE)).toEqual([noSpaceOf(member)]);
      expect([quota.diskFull, quota.isAvailable(1)]).toEqual([true, false]);
      expect(member.fatal).toEqual([]);
      const complaints = member.log.filter((line) =>
        line.includes('the disk is full; the backend'),
      );
      expect(complaints).toHaveLength(1);
      // What makes room is let through.
      await member.delete('k0');
      // It is still full: the alarm comes back.
      await member.disarm();
      await pause(env, 2000);
      expect(alarms.list(AlarmType.NONE)).toEqual([noSpaceOf(member)]);
      full = false;
      await pause(env, 2000);
      expect(backend.durable.index).toBe(backend.appliedIndex);
      expect([quota.diskFull, quota.isAvailable(1)]).toEqual([false, true]);
      expect(member.log.join('\n')).toContain('there is room on the disk again');
      await expect(member.put('refused', 'v')).rejects.toMatchObject({ code: 'NO_SPACE' });
      await member.disarm();
      await member.put('after', 'v');
      await member.stop();
      const again = await SimMember.start(env);
      expect(keysOf(again)).toEqual([...acknowledged.slice(1), 'after'].sort());
      await again.stop();
    });
  });

  test('in the database, for good: a stop is not held up, and nothing is lost', async () => {
    await on(4, async (env) => {
      const member = await SimMember.start(env);
      env.disk.intercept = ({ kind, path }) =>
        path === DATABASE && kind !== 'sync' && kind !== 'read' ? 'full' : undefined;
      const acknowledged = await putUntilRefused(member, 'k');
      await pause(env, 1500);
      const stopped = await within(
        env,
        10_000,
        member.stop().catch((error: unknown) => error),
      );
      expect(hasCode(stopped, 'DISK_FULL')).toBe(true);
      env.disk.intercept = undefined;
      const again = await SimMember.start(env);
      expect(keysOf(again)).toEqual(acknowledged.sort());
      expect(again.member.parts.store.machine.alarms.list(AlarmType.NONE)).toEqual([
        noSpaceOf(again),
      ]);
      expect(await again.violations()).toEqual([]);
      await again.stop();
    });
  });

  test('all of it: what the log can still take is acknowledged, and nothing of that is lost', async () => {
    await on(3, async (env) => {
      const member = await SimMember.start(env, simConfig({ snapshotCount: 10_000 }));
      await member.put('before', 'v');
      await pause(env, 100);
      env.disk.capacity = env.disk.usedSize;
      // Else the log is full before the database is written for the first time.
      env.disk.extraLatencyMs = ({ kind }) => (kind === 'sync' ? 0.1 : 0);
      const acknowledged = await putUntilRefused(member, 'k');
      expect(acknowledged.length).toBeGreaterThan(0);
      await pause(env, 5000);
      // The log's segment is filled beforehand, so the alarm gets in.
      expect(member.fatal).toEqual([]);
      expect(member.member.parts.store.machine.alarms.list(AlarmType.NONE)).toEqual([
        noSpaceOf(member),
      ]);
      env.disk.capacity = Number.POSITIVE_INFINITY;
      await pause(env, 2000);
      await member.disarm();
      await member.put('z', 'v');
      await member.stop();
      const again = await SimMember.start(env);
      expect(keysOf(again)).toEqual(['before', ...acknowledged, 'z'].sort());
      await again.stop();
    });
  });

  test('at the snapshot file: the member stops, and boots when there is room', async () => {
    await on(5, async (env) => {
      const member = await SimMember.start(env);
      env.disk.intercept = ({ kind, path }) =>
        kind === 'write' && path.includes('/snap/tmp-') ? 'full' : undefined;
      const acknowledged = await putUntilRefused(member, 'k');
      await within(
        env,
        10_000,
        member.stop().catch(() => undefined),
      );
      expect(member.fatal.map((error) => hasCode(error, 'DISK_FULL'))).toEqual([true]);
      env.disk.intercept = undefined;
      const again = await SimMember.start(env);
      expect(keysOf(again)).toEqual(expect.arrayContaining(acknowledged));
      await again.stop();
    });
  });
});

describe('a failing disk', () => {
  test.each([
    ['sync of the log', 'sync', WAL],
    ['write to the log', 'write', WAL],
    ['sync of the database', 'sync', DATABASE],
    ['write to the database', 'write', DATABASE],
    ['sync of a snapshot file', 'sync', `${SNAP}/tmp-`],
    ['sync of the snapshot directory', 'syncDirectory', SNAP],
  ] as const)('%s: stops the member, which says why', async (_, kind, prefix) => {
    await on(3, async (env) => {
      const member = await SimMember.start(env);
      await member.put('before', '1');
      env.disk.intercept = (operation) =>
        operation.kind === kind && operation.path.startsWith(prefix) ? 'failed' : undefined;
      const acknowledged = await putUntilRefused(member, 'k');
      await within(
        env,
        10_000,
        member.stop().catch(() => undefined),
      );
      expect(member.fatal.map((error) => hasCode(error, 'DISK_FAILED'))).toEqual([true]);
      expect(member.log.join('\n')).toContain('the member cannot go on');
      expect(member.log.join('\n')).toContain('simulated failure');
      // What the disk holds is what a crash at this moment leaves.
      const next = env.crash({ seed: 6 });
      const again = await SimMember.start(next);
      const keys = keysOf(again);
      expect(keys).toEqual(expect.arrayContaining(['before', ...acknowledged]));
      await again.stop();
    });
  });
});

describe('damage is refused with the file and the place, never served', () => {
  async function written(env: SimEnv): Promise<string[]> {
    const member = await SimMember.start(env);
    for (let i = 0; i < 60; i++) await member.put(`k${i % 20}`, 'x'.repeat(200));
    await member.stop();
    return (await env.disk.list(WAL)).filter((name) => name.endsWith('.wal'));
  }

  test('in the middle of the log', async () => {
    await on(7, async (env) => {
      const segments = await written(env);
      const path = `${WAL}/${segments.at(-1)}`;
      const bytes = env.disk.contentOf(path);
      // In the data of an early record: not what a torn write can leave.
      env.disk.flipBit(path, 8 * 300 + 3);
      await expect(SimMember.start(env)).rejects.toSatisfy((error) => {
        expect((error as Error).message).toContain(path);
        expect((error as Error).message).toMatch(/offset \d+/);
        return hasCode(error, 'CORRUPT');
      });
      env.disk.corrupt(path, 0, bytes);
      const again = await SimMember.start(env);
      expect(keysOf(again).length).toBe(20);
      await again.stop();
    });
  });

  test('in the newest snapshot file: it is set aside, and an older truth serves', async () => {
    await on(8, async (env) => {
      await written(env);
      const names = (await env.disk.list(SNAP)).filter((name) => name.endsWith('.snap'));
      const path = `${SNAP}/${names.at(-1)}`;
      env.disk.flipBit(path, 8 * 40);
      const again = await SimMember.start(env);
      expect(await env.disk.stat(`${path}.broken`)).toBeDefined();
      expect(again.log.join('\n')).toContain('set a broken snapshot file aside');
      expect(keysOf(again).length).toBe(20);
      await again.stop();
    });
  });

  test('in both meta pages of the database', async () => {
    await on(9, async (env) => {
      await written(env);
      for (const page of [0, 1]) env.disk.flipBit(DATABASE, 8 * (page * 4096 + 40));
      await expect(SimMember.start(env)).rejects.toSatisfy((error) => {
        expect((error as Error).message).toContain(DATABASE);
        return hasCode(error, 'CORRUPT');
      });
    });
  });

  test('a log that was cut off, so that the database is beyond its end', async () => {
    await on(10, async (env) => {
      const segments = await written(env);
      const path = `${WAL}/${segments.at(-1)}`;
      // All records after the head are gone, as if they had never been written.
      env.disk.corrupt(path, 200, new Uint8Array(env.disk.contentOf(path).length - 200));
      await expect(SimMember.start(env)).rejects.toSatisfy((error) => {
        expect((error as Error).message).toContain('member/');
        return hasCode(error, 'CORRUPT') || hasCode(error, 'NOT_FOUND');
      });
    });
  });

  test('a directory that is refused is left as it was', async () => {
    await on(11, async (env) => {
      await written(env);
      const before = env.disk.contentOf(DATABASE);
      const config = simConfig({ maxClusterVersion: { major: 3, minor: 5 } });
      await expect(SimMember.start(env, config)).rejects.toThrow('3.7');
      expect(equalBytes(env.disk.contentOf(DATABASE), before)).toBe(true);
      const again = await SimMember.start(env);
      expect(keysOf(again).length).toBe(20);
      await again.stop();
    });
  });
});

describe('two processes and one directory', () => {
  test('the second is refused at once and leaves the first alone', async () => {
    await on(12, async (env) => {
      const member = await SimMember.start(env);
      // A snapshot is being written while the second one looks around.
      env.disk.extraLatencyMs = ({ path }) => (path.includes('/snap/tmp-') ? 500 : 0);
      for (let i = 0; i < 25; i++) await member.put(`k${i}`, 'v');
      await pause(env, 100);
      const temporary = (await env.disk.list(SNAP)).filter((name) => name.startsWith('tmp'));
      expect(temporary.length).toBe(1);
      const elsewhere = simConfig({
        listenPeerUrls: [{ text: '', scheme: 'http', host: 'localhost', port: 1, path: '' }],
      });
      await expect(SimMember.start(env, elsewhere)).rejects.toSatisfy((error) =>
        hasCode(error, 'LOCKED'),
      );
      await pause(env, 3000);
      for (let i = 0; i < 25; i++) await member.put(`l${i}`, 'v');
      expect(member.fatal).toEqual([]);
      expect(keysOf(member).length).toBe(50);
      await member.stop();
    });
  });
});

test('an entry that cannot be applied stops the member instead of being skipped', async () => {
  await on(13, async (env) => {
    const member = await SimMember.start(env);
    await member.put('a', '1');
    // Of a release to come.
    const refused = member.propose(1400 as never, new Uint8Array(0)).catch((error) => error);
    await within(env, 10_000, refused);
    await within(env, 10_000, member.stop());
    expect((member.fatal[0] as Error).message).toMatch(/^log entry \d+: .*1400/);
    // And so it does when it is started again.
    const log: string[] = [];
    const again = SimMember.start(env, simConfig(), log);
    await expect(within(env, 20_000, again)).rejects.toThrow();
    expect(log.join('\n')).toMatch(/the member cannot go on.*1400/);
  });
});

test('an idle member writes nothing', async () => {
  await on(14, async (env) => {
    const member = await SimMember.start(env);
    await member.put('a', '1');
    await pause(env, 1000);
    const before = env.disk.effectCount;
    await pause(env, 60_000);
    expect(env.disk.effectCount).toBe(before);
    await member.stop();
  });
});
