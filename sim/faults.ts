// What happens to a simulated cluster. A fault chooses its victims, does its harm, lasts, and puts
// right what it did, as far as its victims are not put right by themselves.

import type { Random } from '../src/base/index.ts';
import type { DiskOperation } from '../src/env/sim/index.ts';
import type { SimCluster } from './cluster.ts';
import { addAndRemove, replaceMember } from './membership-faults.ts';
import { type SimNode, SNAP_DIR, WAL_DIR } from './node.ts';

export interface FaultContext {
  readonly cluster: SimCluster;
  readonly random: Random;
}

/** Faults of one kind must not overlap: they would put right what the other did. */
export type FaultKind = 'process' | 'network' | 'disk' | 'membership' | 'clock';

export interface Fault {
  readonly name: string;
  readonly kind: FaultKind;
  readonly run: (context: FaultContext) => Promise<void>;
}

function between(random: Random, min: number, max: number): number {
  return min + random.below(max - min + 1);
}

function oneOf<T>(random: Random, items: readonly T[]): T | undefined {
  return items[random.below(Math.max(1, items.length))];
}

/** A node with a process; half of the time the leader. */
export function victim({ cluster, random }: FaultContext): SimNode | undefined {
  const { leader } = cluster;
  if (leader !== undefined && random.below(2) === 0) return leader;
  return oneOf(random, cluster.running);
}

function crash({ random }: FaultContext, node: SimNode, unsynced: 'random' | 'kept'): void {
  node.crash({ seed: random.below(2 ** 32), unsynced });
}

async function crashAndRestart(
  context: FaultContext,
  nodes: readonly SimNode[],
  unsynced: 'random' | 'kept',
): Promise<void> {
  const { cluster, random } = context;
  const names = nodes.map((node) => node.name).join(', ');
  cluster.log(`${unsynced === 'kept' ? 'kill' : 'power loss of'} ${names}`);
  for (const node of nodes) crash(context, node, unsynced);
  for (const node of nodes) {
    await cluster.sleep(between(random, 0, 3000));
    node.start();
  }
  await cluster.until(() => nodes.every((node) => node.status !== 'starting'), 10_000);
}

const powerLoss: Fault = {
  name: 'power-loss',
  kind: 'process',
  run: async (context) => {
    const node = victim(context);
    if (node !== undefined) await crashAndRestart(context, [node], 'random');
  },
};

const kill: Fault = {
  name: 'kill',
  kind: 'process',
  run: async (context) => {
    const node = victim(context);
    if (node !== undefined) await crashAndRestart(context, [node], 'kept');
  },
};

/** All at once: what was acknowledged must be on the disks of a quorum. */
const powerLossOfAll: Fault = {
  name: 'power-loss-of-all',
  kind: 'process',
  run: async (context) => {
    const { running } = context.cluster;
    const count = context.random.below(2) === 0 ? running.length : (running.length >> 1) + 1;
    await crashAndRestart(context, running.slice(0, count), 'random');
  },
};

/** A member that is killed again and again while it starts. */
const killWhileStarting: Fault = {
  name: 'kill-while-starting',
  kind: 'process',
  run: async (context) => {
    const { cluster, random } = context;
    const node = victim(context);
    if (node === undefined) return;
    for (let i = between(random, 1, 4); i > 0; i--) {
      cluster.log(`${node.name} killed`);
      crash(context, node, random.below(2) === 0 ? 'kept' : 'random');
      node.start();
      await cluster.sleep(between(random, 0, 300));
    }
    await cluster.until(() => node.status !== 'starting', 10_000);
  },
};

/** Power fails just when a certain kind of effect would come next. */
const crashAtEffect: Fault = {
  name: 'crash-at-effect',
  kind: 'process',
  run: async (context) => {
    const { random } = context;
    const node = victim(context);
    if (node === undefined) return;
    await crashAt(context, node, oneOf(random, MOMENTS)!, random.below(3));
  },
};

async function crashAt(
  context: FaultContext,
  node: SimNode,
  [what, isIt]: Moment,
  skip: number,
): Promise<void> {
  const { cluster, random } = context;
  const { disk } = node.env;
  let left = skip;
  let crashed = false;
  disk.intercept = (operation) => {
    if (crashed || !isIt(operation) || left-- > 0) return undefined;
    crashed = true;
    cluster.log(`power loss of ${node.name} at ${what}: ${operation.path}`);
    cluster.count(`(power loss at ${what})`);
    crash(context, node, 'random');
    return undefined;
  };
  await cluster.until(() => crashed, 10_000);
  disk.intercept = undefined;
  if (!crashed) return;
  await cluster.sleep(between(random, 0, 2000));
  node.start();
}

/**
 * A member is cut off until the others' logs begin after its own end, so that it needs a snapshot; and
 * while it gets one, it or its leader fails.
 */
const snapshotMoment: Fault = {
  name: 'snapshot-moment',
  kind: 'network',
  run: async (context) => {
    const { cluster, random } = context;
    const node = oneOf(
      random,
      cluster.running.filter((each) => !each.leads),
    );
    if (node === undefined) return;
    const index = node.member!.parts.raft.appliedIndex;
    const others = namesBeside(cluster, node).filter((name) => name !== 'client');
    cluster.world.network.partition([node.name], others);
    const isBehind = (): boolean =>
      (cluster.leader?.member?.parts.raft.appliedIndex ?? 0) > index + 200;
    await cluster.until(isBehind, 8000);
    cluster.log(`${node.name} was left behind at ${index}`);
    const moment = oneOf(random, SNAPSHOT_MOMENTS)!;
    const { leader } = cluster;
    cluster.world.network.heal();
    if (random.below(4) > 0) await crashAt(context, node, moment, random.below(4));
    else if (leader !== undefined) {
      await cluster.sleep(random.below(20));
      await crashAndRestart(context, [leader], 'random');
    }
  },
};

type Moment = readonly [name: string, isIt: (operation: DiskOperation) => boolean];

const isWrite = ({ kind }: DiskOperation) => kind === 'write' || kind === 'sync';
const MOMENTS: readonly Moment[] = [
  ['a write of the log', (each) => isWrite(each) && each.path.startsWith(WAL_DIR)],
  ['a new segment', (each) => each.kind === 'rename' && each.path.startsWith(WAL_DIR)],
  ['a write of the database', (each) => isWrite(each) && each.path === `${SNAP_DIR}/db`],
  ['a snapshot file', (each) => each.path.startsWith(SNAP_DIR) && each.path.endsWith('.snap')],
  ['a temporary file', (each) => each.path.startsWith(`${SNAP_DIR}/tmp`)],
  ['a received database', (each) => each.path.endsWith('.snap.db')],
  ['a removal', (each) => each.kind === 'remove'],
  ['a defragmentation', (each) => isNewFile(each)],
  ['the exchange of the database', (each) => each.kind === 'rename' && isNewFile(each)],
];
/** Of a member that receives a database and takes it over. */
const SNAPSHOT_MOMENTS: readonly Moment[] = [
  ['a received database', (each) => each.path.endsWith('.snap.db')],
  ['a temporary file', (each) => each.path.startsWith(`${SNAP_DIR}/tmp`)],
  ['a name in the snapshot directory', (each) => each.kind === 'rename' && isSnap(each)],
  ['a sync of the snapshot directory', (each) => each.kind === 'syncDirectory' && isSnap(each)],
  ['a write to the new database', (each) => isWrite(each) && each.path === `${SNAP_DIR}/db`],
];
function isNewFile({ path }: DiskOperation): boolean {
  return path.startsWith(`${SNAP_DIR}/db.tmp`);
}
function isSnap({ path }: DiskOperation): boolean {
  return path.startsWith(SNAP_DIR);
}

const restart: Fault = {
  name: 'restart',
  kind: 'process',
  run: async (context) => {
    const { cluster, random } = context;
    const node = victim(context);
    if (node === undefined) return;
    cluster.log(`${node.name} is stopped in order`);
    const { env } = node;
    await Promise.race([node.stop(), cluster.sleep(60_000)]);
    if (node.env === env && node.status === 'running') {
      cluster.wrong('stops', `${node.name} has not stopped after a minute`);
      crash(context, node, 'kept');
    }
    await cluster.sleep(between(random, 0, 1000));
    node.start();
  },
};

/** SIGSTOP: the process stands still, the world continues. */
const pause: Fault = {
  name: 'pause',
  kind: 'process',
  run: async (context) => {
    const { cluster, random } = context;
    const node = victim(context);
    if (node === undefined) return;
    const ms = between(random, 50, random.below(2) === 0 ? 800 : 8000);
    cluster.log(`${node.name} is paused for ${ms} ms`);
    node.pause();
    await cluster.sleep(ms);
    node.resume();
    cluster.log(`${node.name} resumes`);
  },
};

// --- Network ---------------------------------------------------------------------------------------

async function cutFor(
  { cluster }: FaultContext,
  text: string,
  pairs: readonly (readonly [string, string])[],
  ms: number,
): Promise<void> {
  cluster.log(`${text} for ${ms} ms`);
  for (const [from, to] of pairs) cluster.world.network.cut(from, to);
  await cluster.sleep(ms);
  cluster.world.network.heal();
  cluster.log('the network is whole');
}

const namesBeside = (cluster: SimCluster, node: SimNode): string[] =>
  cluster.nodes.filter((each) => each !== node).map((each) => each.name);

const isolate: Fault = {
  name: 'isolate',
  kind: 'network',
  run: async (context) => {
    const { cluster, random } = context;
    const node = victim(context);
    if (node === undefined) return;
    const others = namesBeside(cluster, node);
    const pairs = others.flatMap((other) => [
      [node.name, other] as const,
      [other, node.name] as const,
    ]);
    await cutFor(context, `${node.name} is cut off`, pairs, between(random, 200, 8000));
  },
};

const oneWay: Fault = {
  name: 'one-way',
  kind: 'network',
  run: async (context) => {
    const { cluster, random } = context;
    const node = victim(context);
    if (node === undefined) return;
    const isDeaf = random.below(2) === 0;
    const pairs = namesBeside(cluster, node)
      .filter(() => random.below(3) > 0)
      .map((other) => (isDeaf ? ([other, node.name] as const) : ([node.name, other] as const)));
    const text = `${node.name} is ${isDeaf ? 'deaf' : 'dumb'} to ${pairs.length}`;
    await cutFor(context, text, pairs, between(random, 200, 8000));
  },
};

const split: Fault = {
  name: 'split',
  kind: 'network',
  run: async (context) => {
    const { cluster, random } = context;
    const sides = new Map(cluster.nodes.map(({ name }) => [name, random.below(2)]));
    const names = [...sides.keys()];
    const pairs = names.flatMap((a) =>
      names.filter((b) => sides.get(a) !== sides.get(b)).map((b) => [a, b] as const),
    );
    const ones = names.filter((name) => sides.get(name) === 1);
    const text = `{${ones.join(', ')}} are split from the others`;
    await cutFor(context, text, pairs, between(random, 200, 8000));
  },
};

const lossAndDelay: Fault = {
  name: 'bad-links',
  kind: 'network',
  run: async ({ cluster, random }) => {
    const delayMs = random.below(2) === 0 ? 0.1 : between(random, 5, 300);
    const jitterMs = random.below(3) === 0 ? between(random, 1, 200) : 0.05;
    const lossProbability = random.below(3) === 0 ? 0 : between(random, 1, 30) / 1000;
    const bytesPerMs = random.below(3) === 0 ? between(random, 50, 2000) : 1_000_000;
    const names = cluster.nodes.map(({ name }) => name);
    const bad = { delayMs, jitterMs, lossProbability, bytesPerMs };
    cluster.log(`bad links: ${JSON.stringify(bad)}`);
    for (const a of names) for (const b of names) cluster.world.network.setLink(a, b, bad);
    await cluster.sleep(between(random, 500, 6000));
    for (const a of names) {
      for (const b of names) {
        const good = { delayMs: 0.1, jitterMs: 0.05, lossProbability: 0, bytesPerMs: 1_000_000 };
        cluster.world.network.setLink(a, b, good);
      }
    }
    cluster.log('good links');
  },
};

const reset: Fault = {
  name: 'reset',
  kind: 'network',
  run: async (context) => {
    const { cluster, random } = context;
    const names = ['client', ...cluster.nodes.map(({ name }) => name)];
    for (let i = between(random, 1, 10); i > 0; i--) {
      const [a, b] = [oneOf(random, names)!, oneOf(random, names)!];
      if (a !== b) cluster.world.network.reset(a, b);
      await cluster.sleep(between(random, 0, 100));
    }
  },
};

// --- Disk ------------------------------------------------------------------------------------------

const slowDisk: Fault = {
  name: 'slow-disk',
  kind: 'disk',
  run: async (context) => {
    const { cluster, random } = context;
    const node = victim(context);
    if (node === undefined) return;
    const { disk } = node.env;
    const syncMs = between(random, 5, random.below(3) === 0 ? 2000 : 200);
    cluster.log(`${node.name} has a slow disk: ${syncMs} ms`);
    disk.extraLatencyMs = ({ kind }) => (kind === 'sync' ? syncMs : syncMs / 50);
    await cluster.sleep(between(random, 500, 6000));
    disk.extraLatencyMs = undefined;
    // After a crash meanwhile it is another disk, which is not slow.
    cluster.log(`${node.name} has a good disk`);
  },
};

const fullDisk: Fault = {
  name: 'full-disk',
  kind: 'disk',
  run: async (context) => {
    const { cluster, random } = context;
    const node = victim(context);
    if (node === undefined) return;
    const { disk } = node.env;
    const room = random.below(40) * 4096;
    cluster.log(`${node.name} has room for ${room} bytes`);
    cluster.expectDeath(node, 'DISK_FULL', 'DISK_FAILED');
    disk.capacity = disk.usedSize + room;
    await cluster.sleep(between(random, 1000, 6000));
    node.env.disk.capacity = Number.POSITIVE_INFINITY;
    disk.capacity = Number.POSITIVE_INFINITY;
    cluster.log(`${node.name} has room`);
    cluster.expectDeath(node, 'DISK_FULL', 'DISK_FAILED');
    await cluster.sleep(1000);
    if (node.status === 'dead') node.start();
    // If it has raised the alarm meanwhile, the operator who made room ends it.
    await cluster.call('disarm', (client) => client.maintenance.disarm());
  },
};

/** One operation fails; what the disk holds is then unknown, and the member must stop. */
const failingDisk: Fault = {
  name: 'failing-disk',
  kind: 'disk',
  run: async (context) => {
    const { cluster, random } = context;
    const node = victim(context);
    if (node === undefined) return;
    const kind = oneOf(random, ['sync', 'write', 'rename', 'syncDirectory'] as const)!;
    let skip = random.below(20);
    let failed = false;
    cluster.expectDeath(node, 'DISK_FAILED');
    const { disk } = node.env;
    disk.intercept = (operation) => {
      if (failed || operation.kind !== kind || skip-- > 0) return undefined;
      failed = true;
      cluster.log(`${node.name}: ${kind} of ${operation.path} fails`);
      return 'failed';
    };
    await cluster.until(() => failed && node.status === 'dead', 4000);
    disk.intercept = undefined;
    if (node.status === 'dead') {
      // What a failed sync left in memory only is lost as well.
      if (random.below(2) === 0) crash(context, node, 'random');
      node.start();
      await cluster.sleep(500);
    }
  },
};

/** A bit of the log, or of what a start reads first, changes while the machine is off. */
const bitRot: Fault = {
  name: 'bit-rot',
  kind: 'membership',
  run: async (context) => {
    const { cluster, random } = context;
    if (cluster.running.length < 3) return;
    const node = victim(context);
    if (node === undefined) return;
    crash(context, node, 'kept');
    const path = await rot(node, random);
    if (path === undefined) return node.start();
    cluster.log(`${node.name}: a bit of ${path} has changed`);
    cluster.expectDeath(node, 'CORRUPT');
    node.start();
    await cluster.until(() => node.status !== 'starting', 10_000);
    if (node.status !== 'dead') return;
    node.damaged = true;
    await replaceMember(context, node);
  },
};

/** Changes a bit where it must be noticed; returns the file. */
async function rot(node: SimNode, random: Random): Promise<string | undefined> {
  const { disk } = node.env;
  if (random.below(4) === 0) {
    const path = `${SNAP_DIR}/db`;
    if ((await disk.stat(path)) === undefined) return undefined;
    for (const page of [0, 1]) disk.flipBit(path, 8 * (page * 4096 + 16 + random.below(60)));
    return path;
  }
  const names = (await disk.list(WAL_DIR)).filter((name) => name.endsWith('.wal'));
  const name = names.at(-1);
  if (name === undefined) return undefined;
  const path = `${WAL_DIR}/${name}`;
  const used = lastUsedByte(disk.contentOf(path));
  // Its last records may be what a torn write leaves: those it may cut.
  if (used < 2000) return undefined;
  disk.flipBit(path, 8 * random.below(used - 1500) + random.below(8));
  return path;
}

function lastUsedByte(bytes: Uint8Array): number {
  let at = bytes.length;
  while (at > 0 && bytes[at - 1] === 0) at--;
  return at;
}

// --- The rest --------------------------------------------------------------------------------------

const clocks: Fault = {
  name: 'clocks',
  kind: 'clock',
  run: async ({ cluster, random }) => {
    for (const node of cluster.nodes) {
      if (random.below(2) === 0) continue;
      const rate = 1 + between(random, -DRIFT_PERCENT_MAX, DRIFT_PERCENT_MAX) / 100;
      node.env.clock.drift(rate);
      const jumpMs = random.below(3) === 0 ? between(random, -3_600_000, 3_600_000) : 0;
      node.env.clock.jumpWall(jumpMs);
      cluster.log(`${node.name}: clock at ${rate}, jumps by ${jumpMs} ms`);
    }
    await cluster.sleep(1000);
  },
};

/** No clock of a member runs faster or slower than this. */
export const DRIFT_PERCENT_MAX = 5;

const moveLeader: Fault = {
  name: 'move-leader',
  kind: 'clock',
  run: async (context) => {
    const { cluster, random } = context;
    const { leader } = cluster;
    const target = oneOf(
      random,
      cluster.running.filter((node) => node !== leader),
    );
    if (leader === undefined || target === undefined) return;
    cluster.log(`leadership from ${leader.name} to ${target.name}`);
    const id = target.member!.memberId;
    await cluster.call('move leader', (client) => client.maintenance.moveLeader(id), [leader]);
  },
};

const membership: Fault = { name: 'membership', kind: 'membership', run: addAndRemove };

const replace: Fault = {
  name: 'replace',
  kind: 'membership',
  run: async (context) => {
    const { cluster } = context;
    if (cluster.running.length < 3) return;
    const node = victim(context);
    if (node === undefined) return;
    cluster.log(`${node.name} loses its disk`);
    crash(context, node, 'kept');
    await replaceMember(context, node);
  },
};

export const FAULTS: readonly Fault[] = [
  powerLoss,
  kill,
  powerLossOfAll,
  killWhileStarting,
  crashAtEffect,
  snapshotMoment,
  restart,
  pause,
  isolate,
  oneWay,
  split,
  lossAndDelay,
  reset,
  slowDisk,
  fullDisk,
  failingDisk,
  bitRot,
  clocks,
  moveLeader,
  membership,
  replace,
];
