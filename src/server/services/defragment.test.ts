// Defragmentation of a whole member: what clients, health checks, log and metrics see of it.

import { describe, expect, test } from 'vitest';
import type { Histogram } from '../../base/index.ts';
import { createSimEnv, type SimEnv } from '../../env/sim/index.ts';
import { STATUS, type StreamHandler } from '../../grpc/index.ts';
import { etcdserverpb, health } from '../../protocol/index.ts';
import type { StreamCall } from '../../rpc/index.ts';
import type { ServerConfig } from '../config/index.ts';
import { DATA_DIR, openerOf, SimMember, simConfig } from '../testing/sim-member.fixture.ts';

const { defragment, status, alarm } = etcdserverpb.MaintenanceService.methods;
const { AlarmType } = etcdserverpb;
const { check, watch } = health.HealthService.methods;
const SNAP = `${DATA_DIR}/member/snap`;
const DATABASE = `${SNAP}/db`;
const NEW_FILE = `${DATABASE}.tmp.defragment`;
const VALUE = 'v'.repeat(1000);

async function on(
  seed: number,
  changes: Partial<ServerConfig>,
  body: (member: SimMember, env: SimEnv) => Promise<void>,
): Promise<void> {
  const env = createSimEnv({ seed, autoRun: false });
  await env.run(async () => {
    const member = await SimMember.start(env, simConfig({ snapshotCount: 10_000, ...changes }));
    await body(member, env);
    expect(member.fatal).toEqual([]);
    await member.stop();
    expect(await leftOver(env)).toEqual([]);
  });
}

const leftOver = async (env: SimEnv) =>
  (await env.disk.list(SNAP)).filter((name) => name.startsWith('db.tmp'));

const pause = (env: SimEnv, ms: number) =>
  new Promise<void>((resolve) => env.timers.after(ms, resolve));

/** A history of one key, compacted: hardly anything but free pages. */
async function fragment(member: SimMember, count = 400): Promise<void> {
  for (let i = 0; i < count; i++) await member.put('k', VALUE);
  await (await member.compact(member.revision)).physical;
  for (let i = 0; i < 3; i++) {
    await member.put('k', VALUE);
    await pause(member.env, 50);
  }
}

/** Syncs of the new file take so long, all or the first `count`. */
function slowDown(env: SimEnv, ms: number, count = Number.POSITIVE_INFINITY): void {
  let left = count;
  env.disk.extraLatencyMs = ({ kind, path }) =>
    kind === 'sync' && path === NEW_FILE && left-- > 0 ? ms : 0;
}

const countOf = ({ counts }: Histogram) => counts.reduce((sum, count) => sum + count, 0);

const logOf = (member: SimMember, text: string) =>
  member.log.filter((line) => line.includes(`\t${text}\t`) || line.endsWith(`\t${text}`));

/** The fields of the only such line. */
function fieldsOf(member: SimMember, text: string): Record<string, unknown> {
  const lines = logOf(member, text);
  expect(lines.length, text).toBe(1);
  const [line] = lines;
  return JSON.parse(line!.slice(line!.indexOf('{')));
}

test('gives back what is free: Status, log and metrics say so at once', async () => {
  await on(1, {}, async (member, env) => {
    await fragment(member);
    const before = await member.call(status, {});
    expect(before.dbSize - before.dbSizeInUse).toBeGreaterThan(200_000);
    slowDown(env, 1000);
    const { disk } = member.member.parts.metrics;
    const done = member.call(defragment, {});
    await pause(env, 4500);
    expect(disk.defragInflight.value).toBe(1);
    expect(member.member.parts.metrics.own.defragCopiedBytes.value).toBeGreaterThan(0);
    expect(await done).toEqual({ header: undefined });
    const after = await member.call(status, {});
    expect(after.dbSize).toBeLessThan(before.dbSize / 4);
    expect(after.dbSize - after.dbSizeInUse).toBeLessThan(30_000);

    const began = fieldsOf(member, 'defragmenting');
    expect(Object.keys(began).slice(0, 5)).toEqual([
      'path',
      'current-db-size-bytes',
      'current-db-size',
      'current-db-size-in-use-bytes',
      'current-db-size-in-use',
    ]);
    expect(began).toMatchObject({ path: DATABASE, 'current-db-size-bytes': before.dbSize });
    const ended = fieldsOf(member, 'finished defragmenting directory');
    expect(Object.keys(ended).slice(0, 8)).toEqual([
      'path',
      'current-db-size-bytes-diff',
      'current-db-size-bytes',
      'current-db-size',
      'current-db-size-in-use-bytes-diff',
      'current-db-size-in-use-bytes',
      'current-db-size-in-use',
      'took',
    ]);
    expect(ended).toMatchObject({
      'current-db-size-bytes': after.dbSize,
      'current-db-size-bytes-diff': after.dbSize - before.dbSize,
    });
    expect(ended['took']).toMatch(/^\d+\.\d+s$/);
    for (const text of ['starting defragment', 'finished defragment']) {
      expect(logOf(member, text).length, text).toBe(1);
    }
    expect([disk.defragInflight.value, countOf(disk.backendDefragSeconds)]).toEqual([0, 1]);
    expect(member.member.parts.metrics.own.defragCopiedBytes.value).toBe(0);
    expect(await member.violations()).toEqual([]);
  });
});

test('a long one says now and then how far it is', async () => {
  await on(2, {}, async (member, env) => {
    await fragment(member, 50);
    slowDown(env, 12_000);
    await member.call(defragment, {});
    const lines = logOf(member, 'defragmenting: the new file is being written');
    expect(lines.length).toBeGreaterThan(1);
    expect(lines[0]).toMatch(/"copied-bytes": \d+, .*"expected-bytes": \d+/);
  });
});

test('puts, reads and leases go on meanwhile', async () => {
  await on(3, {}, async (member, env) => {
    await fragment(member);
    await member.grant(7n, 1);
    await member.put('leased', 'v', 7n);
    slowDown(env, 800, 5);
    const done = member.call(defragment, {});
    let isOver = false;
    void done.then(() => {
      isOver = true;
    });
    let puts = 0;
    let longestMs = 0;
    while (!isOver) {
      const began = env.clock.monotonicMs();
      await member.put(`during/${puts++}`, VALUE);
      await member.linearizable();
      longestMs = Math.max(longestMs, env.clock.monotonicMs() - began);
      await pause(env, 20);
    }
    expect(puts).toBeGreaterThan(100);
    expect(longestMs).toBeLessThan(50);
    expect(member.pairs().filter(({ key }) => key === 'leased')).toEqual([]);
    const { revision } = member;
    const { hash } = await member.hashKv(revision);
    await member.stop();
    const again = await SimMember.start(env);
    expect(again.revision).toBe(revision);
    expect((await again.hashKv(revision)).hash).toBe(hash);
    expect(await again.violations()).toEqual([]);
    await again.stop();
  });
});

describe('is refused, with nothing changed,', () => {
  test('while one is under way', async () => {
    await on(4, {}, async (member, env) => {
      await fragment(member);
      slowDown(env, 1000);
      const first = member.call(defragment, {});
      await pause(env, 100);
      await expect(member.call(defragment, {})).rejects.toMatchObject({
        code: STATUS.FAILED_PRECONDITION,
        details: 'a defragmentation of this member is under way',
      });
      await first;
      await member.call(defragment, {});
    });
  });

  test('without room on the disk', async () => {
    await on(5, {}, async (member, env) => {
      await fragment(member);
      const { dbSize } = await member.call(status, {});
      env.disk.capacity = env.disk.usedSize + 5 * 4096;
      const text = /defragmentation needs \d+ kB of free disk space in \S+snap, 20 kB are free/;
      await expect(member.call(defragment, {})).rejects.toMatchObject({
        code: STATUS.RESOURCE_EXHAUSTED,
        details: expect.stringMatching(text),
      });
      env.disk.capacity = Number.POSITIVE_INFINITY;
      expect(logOf(member, 'failed to defragment').join()).toMatch(text);
      expect((await member.call(status, {})).dbSize).toBe(dbSize);
      // The file of the next one, which is empty.
      expect(await leftOver(env)).toEqual(['db.tmp.defragment']);
      expect((await env.disk.stat(NEW_FILE))?.size).toBe(0);
      const { disk } = member.member.parts.metrics;
      expect([disk.defragInflight.value, countOf(disk.backendDefragSeconds)]).toEqual([0, 0]);
    });
  });

  test('when the member stops, which it does at once', async () => {
    await on(6, {}, async (member, env) => {
      await fragment(member);
      slowDown(env, 5000);
      const done = member.call(defragment, {});
      const failed = expect(done).rejects.toMatchObject({ code: STATUS.UNAVAILABLE });
      await pause(env, 100);
      const began = env.clock.monotonicMs();
      await member.stop();
      await failed;
      expect(env.clock.monotonicMs() - began).toBeLessThan(20_000);
    });
  });
});

describe('health', () => {
  const SERVING = health.ServingStatus.SERVING;
  const NOT_SERVING = health.ServingStatus.NOT_SERVING;

  /** What a watcher of the whole member's health is told. */
  function follow(member: SimMember, told: number[]): StreamHandler {
    const call = {
      metadata: new Map(),
      write: (_: unknown, message: { status: number }) => {
        told.push(message.status);
        return true;
      },
    };
    const stream = openerOf(member.member, watch.path)(call as unknown as StreamCall);
    stream.onMessage(watch.request.encode({ service: '' }));
    return stream;
  }

  async function during(member: SimMember, env: SimEnv): Promise<number[]> {
    await fragment(member, 20);
    slowDown(env, 1000);
    const told: number[] = [];
    follow(member, told);
    const left: number[] = [];
    follow(member, left).onCancel();
    const done = member.call(defragment, {});
    await pause(env, 100);
    const { status: meanwhile } = await member.call(check, {});
    await done;
    const { status: afterwards } = await member.call(check, {});
    expect(afterwards).toBe(SERVING);
    expect(left).toEqual([SERVING]);
    return [meanwhile, ...told];
  }

  test('stays good', async () => {
    await on(7, {}, async (member, env) => {
      expect(await during(member, env)).toEqual([SERVING, SERVING]);
    });
  });

  test('is bad meanwhile with the gate StopGRPCServiceOnDefrag', async () => {
    const { featureGates } = simConfig();
    const enabled = { ...featureGates.enabled, StopGRPCServiceOnDefrag: true };
    await on(8, { featureGates: { ...featureGates, enabled } }, async (member, env) => {
      expect(await during(member, env)).toEqual([NOT_SERVING, SERVING, NOT_SERVING, SERVING]);
      expect(logOf(member, 'grpc service status changed').at(-2)).toMatch(
        /warn.*"service": "", "status": "NOT_SERVING", "reason": "defrag is active"/,
      );
    });
  });
});

test('a member at its quota gets out by compaction, defragmentation, disarming', async () => {
  await on(9, { quotaBackendBytes: 600_000 }, async (member) => {
    let error: unknown;
    for (let i = 0; i < 2000 && error === undefined; i++) {
      await member.put('k', VALUE).catch((refusal: unknown) => {
        error = refusal;
      });
    }
    expect(error).toMatchObject({ code: 'NO_SPACE' });
    await (await member.compact(member.revision)).physical;
    // The file is as large as before: without a defragmentation the alarm comes back.
    const { DEACTIVATE } = etcdserverpb.AlarmAction;
    const { memberId: memberID } = member.member;
    const disarm = () =>
      member.call(alarm, { action: DEACTIVATE, memberID, alarm: AlarmType.NOSPACE });
    const { put } = etcdserverpb.KVService.methods;
    const request = { key: new Uint8Array([1]), value: new Uint8Array(1000) };
    await disarm();
    await expect(member.call(put, request)).rejects.toThrow('database space exceeded');
    await member.call(defragment, {});
    await disarm();
    await member.call(put, request);
    expect((await member.call(status, {})).errors).toEqual([]);
  });
});
