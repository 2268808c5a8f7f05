// Traffic against one member in simulated time: what is recorded passes every check, whatever the
// member and its connections go through.

import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../src/base/index.ts';
import { Client } from '../../src/client/index.ts';
import { type SimEnv, SimWorld } from '../../src/env/sim/index.ts';
import { SimMember, simConfig } from '../../src/server/testing/sim-member.fixture.ts';
import { type ChangeLog, mergeChangeLogs } from './change-log.ts';
import { checkHistory } from './check-history.ts';
import { clientTarget } from './client-target.ts';
import { historyFromJson, historyToJson } from './history.ts';
import { changeLogOfMember } from './member-rows.ts';
import { RawWatch } from './raw-watch.ts';
import { Recorder } from './recorder.ts';
import { runTraffic } from './traffic.ts';

const CLIENTS = 6;
const RUN_MS = 8_000;

async function serve(env: SimEnv): Promise<SimMember> {
  // Slow enough for requests to be under way when it is killed.
  env.disk.extraLatencyMs = ({ kind }) => (kind === 'sync' ? 5 : 0);
  const member = await SimMember.start(env, simConfig({ snapshotCount: 50 }));
  const address = { host: 'server', port: 2379 };
  await env.network.listen(address, (stream) => member.member.grpc.accept(stream));
  return member;
}

/** A run whose member is killed `kills` times. */
async function record(seed: number, kills: number) {
  const world = new SimWorld({ seed, autoRun: false });
  const clientEnv = world.machine('client');
  const { clock, timers, entropy, network } = clientEnv;
  const runtime = {
    ...{ clock, timers, entropy },
    connect: (endpoint: { host: string; port: number }, timeoutMs: number) =>
      network.connect(endpoint, timeoutMs),
  };
  const sleep = (ms: number) => new Promise<void>((resolve) => timers.after(ms, resolve));
  const recorder = new Recorder(clock);
  const random = seededRandom(seed);
  return await world.scheduler.run(async () => {
    let env = world.machine('server');
    let member = await serve(env);
    const logs: ChangeLog[] = [];
    const clients = Array.from(
      { length: CLIENTS },
      () => new Client({ endpoints: 'server', runtime }),
    );
    const endpoints = [{ host: 'server', port: 2379 }];
    const watches = [
      { key: 'k', end: 'l', startRevision: 0, prevKv: true },
      { key: 'k03', end: 'k07', startRevision: 2, noDelete: true },
      { key: 'k05', startRevision: 2, fragment: true },
    ].map((request, i) => new RawWatch({ recorder, runtime, endpoints, client: `w${i}`, request }));
    const traffic = runTraffic({
      ...{ recorder, clock, timers, seed, endMs: RUN_MS },
      targets: clients.map((client) => clientTarget(client, { timeoutMs: 1000 })),
      beforeCompaction: async () => {
        logs.push(changeLogOfMember(member.member.parts.store.machine));
        return true;
      },
    });
    for (let i = 0; i < kills; i++) {
      await sleep(RUN_MS / (kills + 1));
      for (const watch of watches) watch.requestProgress();
      logs.push(changeLogOfMember(member.member.parts.store.machine));
      env = env.crash(random.below(2) === 0 ? {} : { unsynced: 'kept' });
      await sleep(random.below(500));
      member = await serve(env);
    }
    await traffic;
    logs.push(changeLogOfMember(member.member.parts.store.machine));
    await sleep(10_000);
    const merged = mergeChangeLogs([...logs, changeLogOfMember(member.member.parts.store.machine)]);
    for (const watch of watches) watch.close(merged.log.last);
    for (const client of clients) client.close();
    await member.stop();
    return { history: recorder.history(''), ...merged };
  });
}

describe.each([
  [1, 0],
  [2, 4],
])('seed %i, killed %i times', (seed, kills) => {
  test('every promise is kept', { timeout: 60_000 }, async () => {
    const { history, log, conflicts } = await record(seed, kills);
    expect(conflicts).toEqual([]);
    expect(log.first).toBe(2);
    const saved = historyFromJson(historyToJson(history));
    expect(checkHistory(saved, { log })).toEqual([]);
    expect(checkHistory(history, kills === 0 ? {} : { log })).toEqual([]);
    const kinds = new Set(history.operations.map((each) => each.request.kind));
    expect(kinds.size).toBe(9);
    const outcomes = new Set(history.operations.map((each) => each.outcome.kind));
    expect(outcomes.has('unknown')).toBe(kills > 0);
    expect(history.watches.length).toBeGreaterThan(2);
    expect(history.operations.length).toBeGreaterThan(1500);
  });
});
