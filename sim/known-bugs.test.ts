// Known correctness bugs of etcd, each as the steps that led to it there. docs/known-bugs-of-etcd.md
// says what they were; each test has been seen to fail with its bug planted.

import { expect, test } from 'vitest';
import { type Client, op } from '../src/client/index.ts';
import { PURGE_INTERVAL_MS } from '../src/server/limits.ts';
import { type SimNode, SNAP_DIR } from './node.ts';
import type { Scenario } from './scenario.fixture.ts';
import { runScenario } from './scenario.fixture.ts';

const SINGLE = { size: 1, settings: { snapshotCount: 1000 } };
/** A member that was cut off for a few entries needs a snapshot. */
const SHORT_LOG = { settings: { snapshotCount: 10, snapshotCatchupEntries: 1 } };

const CUT_MS = 10_000;
const INSTALL_MS = 2 * PURGE_INTERVAL_MS;

async function puts(scenario: Scenario, node: SimNode, key: string, count: number): Promise<void> {
  const { kv } = scenario.clientOf(node);
  for (let i = 0; i < count; i++) await kv.put(key, String(i));
}

function others({ cluster }: Scenario, node: SimNode): SimNode[] {
  return cluster.nodes.filter((each) => each !== node);
}

/** Until its links are given up, so that nothing is kept for it but the log. */
async function cutOff(scenario: Scenario, node: SimNode): Promise<void> {
  const names = others(scenario, node).map(({ name }) => name);
  scenario.cluster.world.network.partition([node.name], names);
  await scenario.cluster.sleep(CUT_MS);
}

function linesOf(node: SimNode, text: string): number {
  return node.log.filter((line) => line.includes(text)).length;
}

async function caughtUp({ cluster }: Scenario): Promise<void> {
  const revisions = () =>
    cluster.running.map(({ member }) => member!.parts.store.machine.kv.currentRev);
  const isLevel = () => new Set(revisions()).size === 1;
  expect(await cluster.until(isLevel, 60_000), `revisions ${revisions()}`).toBe(true);
}

async function restart({ cluster }: Scenario, node: SimNode): Promise<void> {
  node.crash({ seed: 1, unsynced: 'kept' });
  node.start();
  expect(await cluster.until(() => node.leads, 10_000)).toBe(true);
}

// 15220: a client opened a watch in the past, asked for progress at once, and was told the current
// revision before it got the events up to it.
test('15220: progress that is asked for never comes before events', async () => {
  await runScenario(SINGLE, async (scenario) => {
    const { node, cluster } = scenario;
    await puts(scenario, node, 'a', 300);
    for (let i = 0; i < 3; i++) {
      const watch = scenario.watch(node, { startRevision: 2 });
      for (let n = 0; n < 20; n++) {
        watch.requestProgress();
        if (n % 4 === 0) await scenario.clientOf(node).kv.put('b', String(n));
        await cluster.sleep(0.1);
      }
      expect(await cluster.until(() => watch.nextRevision > 300, 5000)).toBe(true);
    }
    await cluster.sleep(100);
    scenario.checkWatches();
    expect(scenario.seen(0)[0]).toBe('2 a');
  });
});

// 15271: a member was cut off and then got a snapshot. Its watches, which had seen everything so
// far, were sent events again from the revision at which they had once begun.
test('15271: a watch does not go back in time when its member gets a snapshot', async () => {
  await runScenario(SHORT_LOG, async (scenario) => {
    const { leader, cluster } = scenario;
    const [node] = others(scenario, leader);
    const watch = scenario.watch(node!, { startRevision: 0 });
    scenario.watch(node!, { startRevision: 2 });
    await cluster.sleep(100);
    await puts(scenario, leader, 'a', 30);
    expect(await cluster.until(() => watch.nextRevision === 32, 5000)).toBe(true);
    await cutOff(scenario, node!);
    await puts(scenario, leader, 'a', 30);
    cluster.world.network.heal();
    await caughtUp(scenario);
    expect(linesOf(node!, 'applied snapshot')).toBe(1);
    await puts(scenario, leader, 'a', 3);
    await caughtUp(scenario);
    await cluster.sleep(100);
    scenario.checkWatches();
    const all = Array.from({ length: 63 }, (_, i) => `${i + 2} a`);
    expect(scenario.seen(0)).toEqual(all);
    expect(scenario.seen(1)).toEqual(all);
  });
});

// 20221: watches that wait for a revision that is yet to come were told progress below it, and after
// a snapshot were sent events from before it.
test('20221: a watch of a future revision is told nothing before it', async () => {
  await runScenario(SHORT_LOG, async (scenario) => {
    const { leader, cluster } = scenario;
    const [node] = others(scenario, leader);
    await puts(scenario, leader, 'a', 4); // 2 to 5
    await caughtUp(scenario);
    // The one begins within the snapshot, the other behind it.
    const within = scenario.watch(node!, { startRevision: 20, progressNotify: true });
    const behind = scenario.watch(node!, { startRevision: 40, progressNotify: true });
    const askProgress = async () => {
      for (const watch of [within, behind]) watch.requestProgress();
      await cluster.sleep(700);
    };
    await askProgress();
    await cutOff(scenario, node!);
    await puts(scenario, leader, 'a', 30); // 6 to 35
    await askProgress();
    cluster.world.network.heal();
    await caughtUp(scenario);
    expect(linesOf(node!, 'applied snapshot')).toBe(1);
    await askProgress();
    await puts(scenario, leader, 'a', 3); // 36 to 38
    await caughtUp(scenario);
    await askProgress();
    expect(scenario.seen(1)).toEqual([]);
    await puts(scenario, leader, 'a', 4); // 39 to 42
    await caughtUp(scenario);
    await cluster.sleep(100);
    scenario.checkWatches();
    const eventsOf = (n: number) => scenario.seen(n).filter((text) => !text.startsWith('='));
    expect(eventsOf(0)).toEqual(Array.from({ length: 23 }, (_, i) => `${i + 20} a`));
    expect(scenario.seen(1)).toEqual(['40 a', '41 a', '42 a']);
    const progress = scenario.seen(0).filter((text) => text.startsWith('='));
    expect(progress.length).toBeGreaterThan(0);
    expect(progress.every((text) => Number(text.slice(1)) >= 20)).toBe(true);
  });
});

// 17247: what was committed and what was not yet were both read, and both had the newest rows.
test('17247: a watch that catches up while batches are committed gets nothing twice', async () => {
  const settings = { ...SINGLE.settings, backendBatchIntervalMs: 1, backendBatchLimit: 3 };
  await runScenario({ size: 1, settings }, async (scenario) => {
    const { node, cluster } = scenario;
    const writing = puts(scenario, node, 'a', 200);
    for (let i = 0; i < 20; i++) {
      const revision = node.member!.parts.store.machine.kv.currentRev;
      const startRevision = Math.max(1, revision - (i % 7));
      scenario.watch(node, { startRevision, ...(i % 2 === 0 ? {} : { key: 'a' }) });
      await cluster.sleep(1.3);
    }
    await writing;
    await cluster.sleep(100);
    scenario.checkWatches();
  });
});

// 18089: the tombstone at the compacted revision was removed, though a watch may begin there.
test('18089: a deletion at the compacted revision is still an event', async () => {
  await runScenario(SINGLE, async (scenario) => {
    const { node, cluster } = scenario;
    const { kv } = scenario.clientOf(node);
    await puts(scenario, node, 'k', 3); // 2 to 4
    await kv.delete('k'); // 5
    await kv.put('k', 'again'); // 6
    await kv.compact(5, { physical: true });
    scenario.watch(node, { startRevision: 5 });
    scenario.watch(node, { key: 'k', startRevision: 5 });
    await cluster.sleep(100);
    await restart(scenario, node);
    scenario.watch(node, { startRevision: 5 });
    await cluster.sleep(1000);
    for (const number of [0, 1, 2]) expect(scenario.seen(number)).toEqual(['5 -k', '6 k']);
    scenario.checkWatches();
  });
});

/** Removes one row at a time, with pauses in which a process can end. */
const SLOW_COMPACTION = {
  size: 1,
  settings: { compactionBatchLimit: 1, compactionSleepIntervalMs: 2000 },
};

// 17780: the newest revisions were deletions, and a compaction removed them. The process ended before
// it had noted the compaction as finished: the next one counted from the newest row that was left.
test('17780: revisions do not go back after crashes amid a compaction', async () => {
  await runScenario(SLOW_COMPACTION, async (scenario) => {
    const { node, cluster } = scenario;
    const { kv } = scenario.clientOf(node);
    for (const key of ['a', 'b', 'c']) await kv.put(key, '1'); // 2 to 4
    const { header } = await kv.delete('a', { rangeEnd: 'd' }); // 5
    await kv.compact(header.revision);
    for (let i = 0; i < 10; i++) {
      await cluster.sleep(1500);
      await restart(scenario, node);
      expect(node.member!.parts.store.machine.kv.currentRev).toBe(5);
    }
    expect((await kv.put('a', 'again')).header.revision).toBe(6);
  });
});

// 19179: a process ended amid a compaction, which had removed the put of a key already but not its
// tombstone at the compacted revision. The next one took the tombstone for nobody's.
test('19179: a deletion at the compacted revision outlives a crash amid the compaction', async () => {
  await runScenario(SLOW_COMPACTION, async (scenario) => {
    const { node, cluster } = scenario;
    const { kv } = scenario.clientOf(node);
    for (const key of ['a', 'b', 'c', 'd']) await kv.put(key, '1'); // 2 to 5
    await kv.delete('a'); // 6
    const { header } = await kv.delete('b', { rangeEnd: 'e' }); // 7: b, c, d
    await kv.compact(header.revision);
    await cluster.sleep(1000);
    await restart(scenario, node);
    const { member } = node;
    const { kv: store } = member!.parts.store.machine;
    expect([store.currentRev, store.compactedRev]).toEqual([7, 7]);
    scenario.watch(node, { startRevision: 7 });
    scenario.watch(node, { key: 'c', startRevision: 7 });
    await cluster.sleep(100);
    expect(scenario.seen(0)).toEqual(['7 -b', '7 -c', '7 -d']);
    expect(scenario.seen(1)).toEqual(['7 -c']);
    await cluster.sleep(20_000);
    expect(node.log.some((line) => line.includes('finished scheduled compaction'))).toBe(true);
    await restart(scenario, node);
    scenario.watch(node, { startRevision: 7 });
    scenario.watch(node, { key: 'd', startRevision: 7 });
    await cluster.sleep(100);
    expect(scenario.seen(2)).toEqual(['7 -b', '7 -c', '7 -d']);
    expect(scenario.seen(3)).toEqual(['7 -d']);
    expect((await kv.put('a', 'again')).header.revision).toBe(8);
    await cluster.sleep(100);
    scenario.checkWatches();
  });
});

// 18667: only the member whose client waited evaluated the range, and so only there it failed.
test('18667: a transaction with a range that is compacted fails everywhere or nowhere', async () => {
  await runScenario({}, async (scenario) => {
    const { cluster } = scenario;
    for (const node of cluster.nodes) {
      const { kv } = scenario.clientOf(node);
      const { header } = await kv.put('k', '1');
      await kv.compact(header.revision);
      const txn = kv.txn().then(op.put('k', '2'), op.get('k', { revision: header.revision - 1 }));
      await expect(txn.commit()).rejects.toThrow('compacted');
      const { header: after } = await kv.put('end', node.name);
      expect(after.revision).toBe(header.revision + 1);
    }
    await caughtUp(scenario);
    const hashes = cluster.nodes.map(
      async ({ member }) => (await member!.parts.store.machine.hashKv(0)).hash,
    );
    expect(new Set(await Promise.all(hashes)).size).toBe(1);
  });
});

// 18055: the second snapshot's arrival removed the database of the first, which was being opened.
test('18055: a snapshot arrives while the one before it is being installed', async () => {
  const settings = { ...SHORT_LOG.settings, maxSnapshots: 1 };
  await runScenario({ settings }, async (scenario) => {
    const { leader, cluster } = scenario;
    const [node, other] = others(scenario, leader);
    const { network } = cluster.world;
    await cutOff(scenario, node!);
    await puts(scenario, leader, 'a', 30);
    // The first database takes long to get its final name.
    node!.env.disk.extraLatencyMs = ({ kind, path }) =>
      kind === 'rename' && /\/[0-9a-f]{16}\.snap\.db$/.test(path) ? INSTALL_MS : 0;
    network.heal();
    expect(await cluster.until(() => linesOf(node!, 'applying snapshot') === 1, 20_000)).toBe(true);
    await cutOff(scenario, node!);
    // Another leader owes this member nothing: its log goes on being cut.
    await scenario.clientOf(leader).maintenance.moveLeader(other!.member!.memberId);
    await puts(scenario, other!, 'a', 30);
    network.heal();
    const hasBoth = () => linesOf(node!, 'saved database snapshot') === 2;
    expect(await cluster.until(hasBoth, 20_000)).toBe(true);
    expect(linesOf(node!, 'applied snapshot')).toBe(0);
    await cluster.sleep(PURGE_INTERVAL_MS);
    node!.env.disk.extraLatencyMs = undefined;
    await caughtUp(scenario);
    expect(linesOf(node!, 'applied snapshot')).toBe(2);
    await restartFollower(scenario, node!);
    await caughtUp(scenario);
  });
});

// 14571: the member that got the snapshot went on with the permissions that it had put together before.
test('14571: a member that gets a snapshot permits what the others do', async () => {
  const auth = { token: 'simple', simpleTokenTtlMs: 300_000, bcryptCost: 4 };
  const operator = { user: 'root', password: 'root' };
  await runScenario({ settings: { ...SHORT_LOG.settings, auth }, operator }, async (scenario) => {
    const { leader, cluster } = scenario;
    const [node] = others(scenario, leader);
    const root = scenario.clientOf(leader);
    await turnAuthOn(scenario, root);
    const uma = cluster.client([node!], { user: 'uma', password: 'uma' });
    await uma.kv.put('a', 'by uma');
    await expect(uma.kv.put('b', 'by uma')).rejects.toThrow('permission denied');
    await cutOff(scenario, node!);
    await root.auth.roleRevokePermission('r', 'a');
    await root.auth.roleGrantPermission('r', 'readwrite', 'b');
    await puts(scenario, leader, 'c', 30);
    cluster.world.network.heal();
    await caughtUp(scenario);
    expect(linesOf(node!, 'applied snapshot')).toBe(1);
    // The entry is applied alike everywhere, and so are reads that this member decides by itself.
    await uma.kv.put('b', 'by uma');
    await expect(uma.kv.put('a', 'again')).rejects.toThrow('permission denied');
    await expect(uma.kv.get('a', { serializable: true })).rejects.toThrow('permission denied');
    expect((await uma.kv.get('b', { serializable: true })).count).toBe(1);
    await caughtUp(scenario);
    uma.close();
  });
});

async function turnAuthOn({ cluster }: Scenario, { auth }: Client): Promise<void> {
  // Until the cluster's version says that all members know the requests.
  const isAdded = () => auth.userAdd('root', 'root').then(Boolean, () => false);
  for (let i = 0; i < 100 && !(await isAdded()); i++) await cluster.sleep(100);
  await auth.userGrantRole('root', 'root');
  await auth.roleAdd('r');
  await auth.roleGrantPermission('r', 'readwrite', 'a');
  await auth.userAdd('uma', 'uma');
  await auth.userGrantRole('uma', 'r');
  await auth.enable();
}

// 20271: the one wrote pages of the file that the other had put in the place of its own.
test('20271: a member whose database was replaced by a snapshot is defragmented', async () => {
  await runScenario(SHORT_LOG, async (scenario) => {
    const { leader, cluster } = scenario;
    const [node] = others(scenario, leader);
    const { maintenance } = scenario.clientOf(node!);
    await cutOff(scenario, node!);
    await puts(scenario, leader, 'a', 30);
    // Amid the installation: the received database takes long to become durable.
    node!.env.disk.extraLatencyMs = ({ kind, path }) =>
      kind === 'sync' && /\/[0-9a-f]{16}\.snap\.db$/.test(path) ? 500 : 0;
    cluster.world.network.heal();
    expect(await cluster.until(() => linesOf(node!, 'applying snapshot') === 1, 20_000)).toBe(true);
    await maintenance.defragment({ timeoutMs: 10_000 }).catch(() => undefined);
    node!.env.disk.extraLatencyMs = undefined;
    await caughtUp(scenario);
    expect(linesOf(node!, 'applied snapshot')).toBe(1);
    // And after it. What is written then is in the file that the member starts from.
    await maintenance.defragment({ timeoutMs: 10_000 });
    await puts(scenario, leader, 'b', 30);
    await caughtUp(scenario);
    await restartFollower(scenario, node!);
    await caughtUp(scenario);
    const databases = (await node!.env.disk.list(SNAP_DIR)).filter(
      (name) => !name.endsWith('.snap'),
    );
    // The empty one waits for the next defragmentation.
    expect(databases).toEqual(['db', 'db.tmp.defragment']);
    const spare = await node!.env.disk.stat(`${SNAP_DIR}/db.tmp.defragment`);
    expect(spare?.size).toBe(0);
  });
});

async function restartFollower({ cluster }: Scenario, node: SimNode): Promise<void> {
  node.crash({ seed: 1, unsynced: 'lost' });
  node.start();
  expect(await cluster.until(() => node.member !== undefined, 10_000)).toBe(true);
}
