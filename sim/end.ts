// The end of a run: every harm is put right, the cluster must come to rest by itself, and then what
// its members hold is compared.

import { latin1FromBytes, type Random } from '../src/base/index.ts';
import { BUCKET } from '../src/store/schema/schema.ts';
import { checkWal } from '../src/wal/index.ts';
import { clientTarget } from './check/client-target.ts';
import type { SimCluster } from './cluster.ts';
import { replaceMember } from './membership-faults.ts';
import { type SimNode, WAL_DIR } from './node.ts';

/** Within so much time after the last fault everything must work again. */
const REST_MS_MAX = 120_000;
const WRITE_MS = 3_000;
const LEASE_MS_MAX = 60_000;

/** False if the cluster does not come to rest; that is a violation. `clientsEnd`: when all works again. */
export async function settle(
  cluster: SimCluster,
  random: Random,
  clientsEnd: () => Promise<void> = async () => {},
): Promise<boolean> {
  cluster.world.network.heal();
  for (const node of cluster.nodes) {
    if (node.paused) node.resume();
    node.env.disk.intercept = undefined;
    node.env.disk.extraLatencyMs = undefined;
    node.env.disk.capacity = Number.POSITIVE_INFINITY;
  }
  const endMs = cluster.nowMs + REST_MS_MAX;
  for (const node of cluster.nodes) if (!node.damaged && (await node.hasData())) node.start();
  while (cluster.nowMs < endMs) {
    await cluster.sleep(1000);
    if (!(await allServe(cluster, random))) continue;
    await cluster.call('disarm', (client) => client.maintenance.disarm());
    await write(cluster);
    await cluster.sleep(500);
    if (!isLevel(cluster)) continue;
    await clientsEnd();
    return await leasesEnd(cluster);
  }
  const states = cluster.nodes.map((node) => describe(node)).join('; ');
  cluster.wrong('recovers', `no rest ${REST_MS_MAX} ms after the last fault: ${states}`);
  for (const node of cluster.nodes) cluster.log(`${node.name}:\n${node.log.slice(-15).join('\n')}`);
  return false;
}

/** Recorded, as every write must be. */
async function write(cluster: SimCluster): Promise<void> {
  const client = cluster.client(cluster.running);
  const target = clientTarget(client, { timeoutMs: WRITE_MS });
  const value = String(Math.round(cluster.nowMs));
  await cluster.recorder.execute('operator', target, { kind: 'put', key: 'l', value });
  client.close();
}

function describe({ name, status, member }: SimNode): string {
  if (member === undefined) return `${name} ${status}`;
  const { leader, term, appliedIndex, committedIndex } = member.parts.raft;
  const revision = member.parts.store.machine.kv.currentRev;
  return (
    `${name} ${status}, leader ${leader.toString(16)} in term ${term}, ` +
    `applied ${appliedIndex} of ${committedIndex}, revision ${revision}`
  );
}

/** Whether all members run, and no others; starts and replaces what does not. */
async function allServe(cluster: SimCluster, random: Random): Promise<boolean> {
  const names = await cluster.memberNames();
  if (names === undefined) return false;
  let complete = true;
  for (const node of cluster.nodes) {
    const isMember = names.includes(node.name);
    if (isMember && node.status === 'running') continue;
    if (!isMember && (node.status === 'down' || node.status === 'removed')) continue;
    complete = false;
    if (node.status === 'starting') continue;
    if (!isMember) node.crash({ seed: 1, unsynced: 'kept' });
    else if (node.damaged) await replaceMember({ cluster, random }, node);
    else if (node.status !== 'running') {
      // Retired, and a member: it was added again, and no client learnt of it.
      const isFresh = node.status === 'removed' || !(await node.hasData());
      if (isFresh) await node.wipe({ state: 'existing', names });
      node.start();
    }
    if (!isMember) node.retire();
  }
  return complete;
}

/** All members have applied the same, and there is a leader. */
function isLevel(cluster: SimCluster): boolean {
  const states = cluster.running.map(({ member }) => ({
    ...{ leader: member!.parts.raft.leader, index: member!.parts.store.machine.appliedIndex },
    revision: member!.parts.store.machine.kv.currentRev,
  }));
  const [first] = states;
  if (first === undefined || first.leader === 0n) return false;
  return states.every(
    ({ leader, index, revision }) =>
      leader === first.leader && index === first.index && revision === first.revision,
  );
}

/** Renewals of the run's leases stop: they expire, and their keys with them. */
async function leasesEnd(cluster: SimCluster): Promise<boolean> {
  const endMs = cluster.nowMs + LEASE_MS_MAX;
  while (cluster.nowMs < endMs) {
    const list = await cluster.call('lease list', (client) => client.lease.list());
    if (list !== undefined && list.leases.length === 0) {
      await cluster.sleep(1000);
      if (isLevel(cluster)) return true;
    }
    await cluster.sleep(1000);
  }
  cluster.wrong('leases end', `leases are left ${LEASE_MS_MAX} ms after their last renewal`);
  return false;
}

/** What the members hold is the same, and whole. */
export async function checkMembers(cluster: SimCluster): Promise<void> {
  await compareHashes(cluster);
  const compacted = new Set(
    cluster.running.map(({ member }) => member!.parts.store.machine.kv.compactedRev),
  );
  if (compacted.size > 1) {
    cluster.wrong('equal content', `compacted at ${[...compacted].join(' and ')}`);
  }
  compareUsers(cluster);
  const log = cluster.changeLog();
  for (const node of cluster.running) {
    const { backend, kv } = node.member!.parts.store.machine;
    for (const text of kv.index.check()) cluster.wrong('key index', `${node.name}: ${text}`);
    for (const { page, text } of await backend.database.check()) {
      cluster.wrong('database', `${node.name}, page ${page}: ${text}`);
    }
    if (log.last !== kv.currentRev) {
      cluster.wrong('same history', `${node.name} is at ${kv.currentRev}, the log at ${log.last}`);
    }
  }
  for (const node of cluster.running) {
    await node.stop();
    for (const text of await checkWal(node.env, WAL_DIR)) {
      cluster.wrong('log', `${node.name}: ${text}`);
    }
  }
}

/** Users and roles: the same rows on every member, and those that follow from the log. */
function compareUsers(cluster: SimCluster): void {
  const { enabled, revision, users, roles } = cluster.authStates.newest;
  const names = (list: readonly (readonly [string, unknown])[]) =>
    list.map(([name]) => name).sort();
  const expected = JSON.stringify([enabled, revision, names(users), names(roles)]);
  const [first, ...others] = cluster.running.map(({ name, member }) => {
    const { backend, auth } = member!.parts.store.machine;
    const { state } = auth;
    const told = [state.enabled, state.revision, state.userNames(), state.roleNames()];
    if (JSON.stringify(told) !== expected) {
      cluster.wrong('equal users', `${name} has ${JSON.stringify(told)}, the log ${expected}`);
    }
    const rows = [BUCKET.AUTH, BUCKET.AUTH_USERS, BUCKET.AUTH_ROLES].flatMap((bucket) =>
      [...backend.entries(bucket)].map(
        ([key, value]) => `${bucket} ${key} ${latin1FromBytes(value)}`,
      ),
    );
    return { name, rows: rows.sort().join('\n') };
  });
  for (const { name, rows } of others) {
    if (rows === first!.rows) continue;
    cluster.wrong('equal users', `${first!.name} has\n${first!.rows}\n${name}\n${rows}`);
  }
}

/**
 * Compares what can be compared at this moment: those that are compacted at the same revision. The hash that
 * a compaction at `revision` has left is another than one that is made without it if the newest change of
 * all keys is their deletion there: in etcd too.
 */
export async function compareHashes(cluster: SimCluster): Promise<void> {
  const nodes = cluster.running;
  const revision = Math.min(
    ...nodes.map(({ member }) => member!.parts.store.machine.kv.currentRev),
  );
  const found = await Promise.all(
    nodes.map(async ({ name, member }) => {
      const { machine } = member!.parts.store;
      // A member may stop meanwhile, or compact the revision away.
      const before = machine.kv.compactedRev;
      const hash = await machine.hashKv(revision).catch(() => undefined);
      const isKnown = machine.kv.compactedRev === before;
      return { name, isStored: before >= revision, ...(isKnown ? hash : undefined) };
    }),
  );
  const [first, ...others] = found.filter((each) => each.hash !== undefined);
  for (const other of others) {
    if (other.isStored !== first!.isStored || other.hash === first!.hash) continue;
    if (other.compactRevision !== first!.compactRevision) continue;
    const texts = `${first!.name} has hash ${first!.hash}, ${other.name} ${other.hash}`;
    cluster.wrong('equal content', `at revision ${revision} ${texts}`);
  }
}
