// A value changes on the disk of one member, and nothing but a comparison of members can notice: each
// kind of check has to, has to name the right one, and the cluster has to be put right by an operator.

import { expect, test } from 'vitest';
import { bytesFromLatin1 } from '../src/base/index.ts';
import { formatId } from '../src/membership/index.ts';
import { parseFeatureGates } from '../src/server/config/feature-gates.ts';
import type { ServerConfig } from '../src/server/config/index.ts';
import { StateMachine } from '../src/store/index.ts';
import { peerUrlOf, type SimNode, SNAP_DIR } from './node.ts';
import { runScenario, type Scenario } from './scenario.fixture.ts';

const VALUE = 'a value that is easily found';
const CHECK_MS = 1000;
/** Until links count as healthy, which changes of the membership need. */
const HEALTHY_MS = 6000;

const KEYS: Partial<ServerConfig> = { corruptCheckTimeMs: CHECK_MS };
const COMPACTIONS: Partial<ServerConfig> = {
  compactHashCheckTimeMs: CHECK_MS,
  featureGates: gate('CompactHashCheck'),
};
const AT_START: Partial<ServerConfig> = { featureGates: gate('InitialCorruptCheck') };

function gate(name: string): ServerConfig['featureGates'] {
  const gates = parseFeatureGates(`${name}=true`);
  if (typeof gates === 'string') throw new Error(gates);
  return gates;
}

/** The `bit` of every copy of the value in the database of a member that is down. */
function flip(node: SimNode, bit: number): void {
  const { disk } = node.env;
  const path = `${SNAP_DIR}/db`;
  const content = Buffer.from(disk.contentOf(path));
  // The bit is in the first letter, which may have been flipped before.
  const rest = Buffer.from(VALUE.slice(1));
  let count = 0;
  for (let at = content.indexOf(rest); at >= 0; at = content.indexOf(rest, at + 1)) {
    disk.flipBit(path, (at - 1) * 8 + bit);
    count++;
  }
  expect(count).toBeGreaterThan(0);
}

/** Followers lose a bit each, another one on each of them, while they are off. */
async function damage(scenario: Scenario, count: number): Promise<SimNode[]> {
  const { cluster, leader } = scenario;
  const damaged = cluster.nodes.filter((node) => node !== leader).slice(0, count);
  const client = scenario.clientOf(leader);
  for (let i = 0; i < 5; i++) await client.kv.put(`k${i}`, VALUE);
  for (const [i, node] of damaged.entries()) {
    await node.stop();
    flip(node, i);
    node.start();
    await cluster.until(() => node.status !== 'starting', 20_000);
  }
  return damaged;
}

/** Ids of the CORRUPT alarms, by what the leader has applied. */
function alarmedIn({ cluster }: Scenario): string[] {
  const list = cluster.leader?.member?.parts.store.machine.alarms.list(0) ?? [];
  return list.filter(({ alarm }) => alarm === 2).map(({ memberID }) => formatId(memberID));
}

const idOf = (node: SimNode): string => formatId(node.member!.memberId);

async function alarmed(scenario: Scenario, ms = 5 * CHECK_MS): Promise<string[]> {
  await scenario.cluster.until(() => alarmedIn(scenario).length > 0, ms);
  return alarmedIn(scenario).sort();
}

test('at start: the member refuses to serve, and the others go on', async () => {
  await runScenario({ settings: AT_START }, async (scenario) => {
    const { cluster, leader } = scenario;
    const [good, bad] = cluster.nodes.filter((node) => node !== leader);
    const client = scenario.clientOf(leader);
    await client.kv.put('k', VALUE);
    await good!.stop();
    good!.start();
    expect(await cluster.until(() => good!.status === 'running', 20_000)).toBe(true);
    expect(good!.log.join('\n')).toContain('initial corruption checking passed; no corruption');
    await bad!.stop();
    flip(bad!, 0);
    cluster.expectDeath(bad!, 'CORRUPT');
    bad!.start();
    expect(await cluster.until(() => bad!.status === 'dead', 20_000)).toBe(true);
    const log = bad!.log.join('\n');
    expect(log).toContain('found different hash values from remote peer');
    expect(log).toMatch(/checkInitialHashKV failed.*found data inconsistency with peers/);
    await client.kv.put('k', 'still served');
    // It is compared with those that answer: alone it knows nothing, and takes part again.
    flip(bad!, 0);
    bad!.start();
    expect(await cluster.until(() => bad!.status === 'running', 20_000)).toBe(true);
  });
});

test('keys: the member is named, writes stop, and go on when it is replaced', async () => {
  await runScenario({ settings: KEYS }, async (scenario) => {
    const { cluster, leader } = scenario;
    const [bad] = await damage(scenario, 1);
    expect(await alarmed(scenario)).toEqual([idOf(bad!)]);
    const client = scenario.clientOf(cluster.leader!);
    const refused = { message: expect.stringContaining('etcdserver: corrupt cluster') };
    await expect(client.kv.put('k', 'v')).rejects.toMatchObject(refused);
    await expect(client.kv.delete('k0')).rejects.toMatchObject(refused);
    await expect(client.lease.grant(60)).rejects.toMatchObject(refused);
    await expect(client.kv.compact(2)).rejects.toMatchObject(refused);
    expect((await client.kv.get('k0')).kv?.value).toEqual(bytesFromLatin1(VALUE));
    expect(leader.log.join('\n')).toContain('same compact revision then hashes must match');

    await cluster.sleep(HEALTHY_MS);
    const { memberId } = bad!.member!;
    await client.cluster.memberRemove(memberId);
    expect(await cluster.until(() => bad!.status === 'removed', 20_000)).toBe(true);
    await client.cluster.memberAdd([peerUrlOf(bad!.name)]);
    await bad!.wipe({ state: 'existing', names: cluster.nodes.map(({ name }) => name) });
    bad!.start();
    expect(await cluster.until(() => bad!.status === 'running', 20_000)).toBe(true);
    await client.maintenance.disarm();
    await client.kv.put('k', 'v');
    await cluster.sleep(3 * CHECK_MS);
    expect(alarmedIn(scenario)).toEqual([]);
    expect(cluster.leader!.log.filter((line) => line.includes('finished peer')).at(-1)).toContain(
      '"number-of-peers-checked": 2',
    );
  });
});

test('compactions: the minority is named', async () => {
  await runScenario({ settings: COMPACTIONS }, async (scenario) => {
    const { cluster } = scenario;
    const [bad] = await damage(scenario, 1);
    const client = scenario.clientOf(cluster.leader!);
    await cluster.sleep(3 * CHECK_MS);
    expect(alarmedIn(scenario)).toEqual([]);
    await client.kv.compact(4);
    expect(await alarmed(scenario)).toEqual([idOf(bad!)]);
    expect(cluster.leader!.log.join('\n')).toContain('Detected compaction hash mismatch');
  });
});

test('compactions: nobody is named where no majority agrees', async () => {
  await runScenario({ settings: COMPACTIONS }, async (scenario) => {
    const { cluster } = scenario;
    await damage(scenario, 2);
    await scenario.clientOf(cluster.leader!).kv.compact(4);
    expect(await alarmed(scenario)).toEqual(['0']);
  });
});

test('compactions: equal members are checked once, and a missing one is no reason for an alarm', async () => {
  await runScenario({ settings: COMPACTIONS }, async (scenario) => {
    const { cluster, leader } = scenario;
    const client = scenario.clientOf(leader);
    for (let i = 0; i < 5; i++) await client.kv.put('k', String(i));
    await client.kv.compact(4);
    await cluster.sleep(4 * CHECK_MS);
    const said = (text: string): number => leader.log.filter((line) => line.includes(text)).length;
    expect(said('successfully checked hash on whole cluster')).toBe(1);
    const away = cluster.nodes.find((node) => node !== leader)!;
    away.crash({ seed: 1, unsynced: 'kept' });
    await client.kv.compact(5);
    await cluster.sleep(2 * CHECK_MS);
    expect(said('was not able to check all peers')).toBeGreaterThan(0);
    expect(alarmedIn(scenario)).toEqual([]);
  });
});

test.each([
  ['keys', KEYS],
  ['compactions', COMPACTIONS],
])('canary: %s whose checksums say nothing are not found', async (_, settings) => {
  const { hashKv } = StateMachine.prototype;
  StateMachine.prototype.hashKv = async function (revision) {
    return { ...(await hashKv.call(this, revision)), hash: 1 };
  };
  try {
    await runScenario({ settings }, async (scenario) => {
      await damage(scenario, 1);
      if (settings === KEYS) expect(await alarmed(scenario)).toEqual([]);
    });
  } finally {
    StateMachine.prototype.hashKv = hashKv;
  }
});
