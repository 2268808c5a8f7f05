// What a start makes of a database with free pages, and of a defragmentation that a crash cut off.

import { expect, test } from 'vitest';
import { createSimEnv, type SimEnv } from '../../env/sim/index.ts';
import { DATA_DIR, SimMember, simConfig } from '../testing/sim-member.fixture.ts';

const SNAP = `${DATA_DIR}/member/snap`;
const MEBIBYTE = 1_048_576;

/** Runs the body on a directory whose database has about 2 MiB of free pages. */
async function onFragmented(body: (env: SimEnv, sizeBytes: number) => Promise<void>) {
  const env = createSimEnv({ seed: 1, autoRun: false });
  await env.run(async () => {
    const settings = { snapshotCount: 10_000, backendBatchLimit: 1000, compactionBatchLimit: 1000 };
    const member = await SimMember.start(env, simConfig(settings));
    for (let i = 0; i < 120; i++) await member.put('k', 'v'.repeat(20_000));
    await (await member.compact(member.revision)).physical;
    for (let i = 0; i < 3; i++) {
      await member.put('k', 'v');
      await new Promise<void>((resolve) => env.timers.after(50, resolve));
    }
    const { sizeBytes } = member.member.parts.store.machine.backend;
    await member.stop();
    await body(env, sizeBytes);
  });
}

const threshold = (bootstrapDefragThresholdBytes: number) =>
  simConfig({ bootstrapDefragThresholdBytes });

test('with a threshold that is reached the file is written again', async () => {
  await onFragmented(async (env, sizeBytes) => {
    const member = await SimMember.start(env, threshold(MEBIBYTE));
    const { backend } = member.member.parts.store.machine;
    expect(backend.sizeBytes).toBeLessThan(sizeBytes / 10);
    expect(member.log.join('\n')).toContain('finished defragmenting directory');
    expect(member.member.parts.metrics.disk.backendDefragSeconds.sum).toBeGreaterThan(0);
    expect(member.pairs().map(({ value }) => value)).toEqual(['v']);
    await member.put('k', 'w');
    expect(await member.violations()).toEqual([]);
    await member.stop();
  });
});

test('below the threshold it is left as it is', async () => {
  await onFragmented(async (env, sizeBytes) => {
    const member = await SimMember.start(env, threshold(100 * MEBIBYTE));
    const line = member.log.find((each) => each.includes('\tSkipping defragmentation\t'));
    expect(line).toContain('{"current-db-size-bytes": ');
    expect(line).toContain('"bootstrap-defrag-threshold-bytes": 104857600, ');
    expect(line).toContain('"bootstrap-defrag-threshold": "105 MB"');
    expect(member.member.parts.store.machine.backend.sizeBytes).toBeGreaterThanOrEqual(sizeBytes);
    await member.stop();
  });
});

test('without room for a second file the member starts nevertheless, and says so', async () => {
  await onFragmented(async (env, sizeBytes) => {
    env.disk.capacity = env.disk.usedSize + 4096;
    const member = await SimMember.start(env, threshold(MEBIBYTE));
    expect(member.log.join('\n')).toMatch(/warn.*\tfailed to defragment\t.*needs .* of free disk/);
    expect(member.member.parts.store.machine.backend.sizeBytes).toBeGreaterThanOrEqual(sizeBytes);
    env.disk.capacity = Number.POSITIVE_INFINITY;
    await member.stop();
  });
});

test('a file that a crash cut off is removed at start', async () => {
  await onFragmented(async (env) => {
    const paths = ['db.tmp.defragment', 'db.tmp.123456'].map((name) => `${SNAP}/${name}`);
    for (const path of paths) {
      const file = await env.disk.open(path, 'create');
      await file.write([Uint8Array.of(1)], 0);
      await file.close();
    }
    const member = await SimMember.start(env);
    expect((await env.disk.list(SNAP)).filter((name) => name.startsWith('db'))).toEqual([
      'db',
      // Of the next defragmentation.
      'db.tmp.defragment',
    ]);
    expect((await env.disk.stat(`${SNAP}/db.tmp.defragment`))?.size).toBe(0);
    for (const path of paths) {
      expect(member.log.join('\n')).toContain(
        `removed a file that was not finished\t{"path": "${path}"`,
      );
    }
    await member.stop();
  });
});
