// Changes of the membership, by an operator who does what the documentation says: one change at a
// time, learners first, and a member that has lost its data is removed before it comes again.

import type { FaultContext } from './faults.ts';
import { peerUrlOf, type SimNode } from './node.ts';

const NODES_MAX = 8;
const CALL_MS = 5_000;

/** A new member joins as a learner and is promoted; often an old one then leaves. */
export async function addAndRemove(context: FaultContext): Promise<void> {
  const { cluster, random } = context;
  const isGrowing = cluster.nodes.filter((node) => node.status !== 'removed').length < 4;
  if (cluster.nodes.length < NODES_MAX && (isGrowing || random.below(2) === 0)) {
    const node = await add(context);
    if (node === undefined) return;
  }
  const members = await cluster.memberNames();
  if (members === undefined || members.length < 4 || random.below(4) === 0) return;
  const candidates = cluster.running.filter(({ name }) => members.includes(name));
  const node = candidates[random.below(Math.max(1, candidates.length))];
  if (node !== undefined) await remove(context, node);
}

/** A machine with nothing on it takes the place of the member that was there. */
export async function replaceMember(context: FaultContext, node: SimNode): Promise<void> {
  const { cluster } = context;
  if (!(await remove(context, node))) {
    // It may still be a member; with an empty disk it must not vote again.
    cluster.log(`${node.name} could not be removed, and stays off`);
    return;
  }
  await join(context, node);
}

async function add(context: FaultContext): Promise<SimNode | undefined> {
  const { cluster } = context;
  const node = cluster.newNode('existing');
  return (await join(context, node)) ? node : undefined;
}

/** Adds the machine as a learner, starts it with an empty disk, and promotes it. */
async function join({ cluster, random }: FaultContext, node: SimNode): Promise<boolean> {
  const url = peerUrlOf(node.name);
  const learner = random.below(4) > 0;
  cluster.log(`${node.name} is added${learner ? ' as a learner' : ''}`);
  const added = await cluster.call('member add', (client) =>
    client.cluster.memberAdd([url], { learner, timeoutMs: CALL_MS }),
  );
  // Added or not, if the answer was lost: the list tells.
  const names = await cluster.memberNames();
  if (names === undefined || !names.includes(node.name)) return added !== undefined;
  await node.wipe({ state: 'existing', names });
  node.start();
  const started = await cluster.until(() => node.status !== 'starting', 20_000);
  if (!started || !learner) return started;
  const id = await cluster.memberId(node);
  if (id === undefined) return false;
  for (let attempt = 0; attempt < 20; attempt++) {
    const promoted = await cluster.call('member promote', (client) =>
      client.cluster.memberPromote(id, { timeoutMs: CALL_MS }),
    );
    if (promoted !== undefined) return true;
    await cluster.sleep(500);
  }
  return false;
}

/** Whether the member is certainly gone. Its process, if it runs, must stop by itself. */
async function remove({ cluster }: FaultContext, node: SimNode): Promise<boolean> {
  const { name } = node;
  for (let attempt = 0; attempt < 10; attempt++) {
    const names = await cluster.memberNames();
    if (names !== undefined && !names.includes(name)) break;
    const id = names === undefined ? undefined : await cluster.memberId(node);
    if (id !== undefined) {
      cluster.log(`${name} is removed`);
      await cluster.call('member remove', (client) =>
        client.cluster.memberRemove(id, { timeoutMs: CALL_MS }),
      );
    }
    await cluster.sleep(500);
    if (attempt === 9) return false;
  }
  const stopped = (): boolean => node.status !== 'running' && node.status !== 'starting';
  if (!(await cluster.until(stopped, 20_000))) {
    // Cut off from the others it cannot know: its operator switches it off.
    cluster.log(`${name} runs on though it was removed`);
    node.crash({ seed: 1, unsynced: 'kept' });
  }
  node.retire();
  return true;
}
