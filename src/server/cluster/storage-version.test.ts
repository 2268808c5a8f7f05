// The storage version of a member's database, beside the log that it is in.

import { expect, test } from 'vitest';
import { bytesFromUtf8 } from '../../base/index.ts';
import { createSimEnv, type SimEnv } from '../../env/sim/index.ts';
import type { ClusterVersion } from '../../membership/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import { BUCKET, META_KEY, REQUEST_KIND } from '../../store/index.ts';
import { SimMember, simConfig } from '../testing/sim-member.fixture.ts';
import { StorageVersionMonitor } from './storage-version.ts';

async function inMember(body: (member: SimMember, env: SimEnv) => Promise<void>): Promise<void> {
  const env = createSimEnv({ seed: 1, autoRun: false });
  await env.run(async () =>
    body(await SimMember.start(env, simConfig({ snapshotCount: 1000 })), env),
  );
}

const pause = (env: SimEnv, ms: number): Promise<void> =>
  new Promise((resolve) => env.timers.after(ms, resolve));

const storedIn = ({ member }: SimMember) => member.parts.store.storageVersion;

/** A monitor of this member for a cluster of another version, and without a snapshot of its own. */
function monitorOf({ member }: SimMember, version: ClusterVersion): StorageVersionMonitor {
  const { parts } = member;
  const downgrade = { enabled: true, targetVersion: '3.6.0' };
  const { backend } = parts.store.machine;
  const machine = { backend, cluster: { version, downgrade } };
  return new StorageVersionMonitor({
    env: parts.env,
    log: parts.log,
    directory: parts.directory,
    life: parts.life,
    snapshotter: { whenIdle: async () => undefined },
    store: { machine: machine as never },
  });
}

function logged({ log }: SimMember, text: string): number {
  return log.filter((line) => line.includes(text)).length;
}

test('goes down only once the log since the last snapshot can be read by the older release', async () => {
  await inMember(async (sim, env) => {
    const test = etcdserverpb.DowngradeVersionTestRequestCodec.encode({ ver: '3.7.0' });
    // It is applied without an answer.
    void sim.propose(REQUEST_KIND.DOWNGRADE_VERSION_TEST, test).catch(() => undefined);
    await pause(env, 50);
    const monitor = monitorOf(sim, { major: 3, minor: 6 });
    monitor.check();
    await pause(env, 50);
    expect(storedIn(sim)).toEqual({ major: 3, minor: 7 });
    const refusal =
      'cannot downgrade storage, WAL contains newer entries, as the target version (3.6.0) is ' +
      'lower than the version (3.7.0) detected from WAL logs';
    expect(logged(sim, 'failed to update storage version')).toBe(1);
    expect(logged(sim, refusal)).toBe(1);
    expect(logged(sim, 'The server is ready to downgrade')).toBe(0);

    await sim.member.parts.snapshotter.take();
    monitor.check();
    await pause(env, 50);
    expect(storedIn(sim)).toEqual({ major: 3, minor: 6 });
    expect(logged(sim, 'The server is ready to downgrade')).toBe(1);
    await sim.stop();
  });
});

test('is durable before the member says that it is ready', async () => {
  await inMember(async (sim, env) => {
    monitorOf(sim, { major: 3, minor: 6 }).check();
    while (logged(sim, 'The server is ready to downgrade') === 0) await pause(env, 1);
    const { durable } = sim.member.parts.store.machine.backend;
    const { log } = sim;
    expect(durable.index).toBe(sim.member.parts.store.machine.appliedIndex);
    // What is lost with the machine is what was not durable.
    const again = await SimMember.start(env.crash({ unsynced: 'lost' }), simConfig());
    expect(log.some((line) => line.includes('updated storage version'))).toBe(true);
    expect(storedIn(again)).toEqual({ major: 3, minor: 6 });
    await again.stop();
  });
});

test.each([
  ['3.8.0', /storage version 3\.8\.0: version "3\.8\.0" is not supported/],
  ['4.0.0', /storage version 4\.0\.0: changing major storage version is not supported/],
  ['?', /meta\/storageVersion of the database is "\?"/],
])('a directory of %s is refused and stays as it is', async (text, refusal) => {
  await inMember(async (sim, env) => {
    const { backend } = sim.member.parts.store.machine;
    backend.set(BUCKET.META, META_KEY.STORAGE_VERSION, bytesFromUtf8(text));
    await sim.stop();
    const later = env.crash({ unsynced: 'kept' });
    for (let attempt = 0; attempt < 2; attempt++) {
      await expect(SimMember.start(later, simConfig())).rejects.toThrow(refusal);
    }
  });
});
