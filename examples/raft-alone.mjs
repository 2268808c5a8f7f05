// Three members of a raft group in one program. Raft itself has no clock, no disk and no network:
// this shell ticks it, keeps its log in memory, carries its messages and applies what is committed.
//
//     node examples/raft-alone.mjs

import { decodeConfChange, MemoryStorage, RawNode, ROLES, raftpb, seededRandom } from 'tetcd/raft';

const IDS = [1n, 2n, 3n];
const text = new TextDecoder();

class Node {
  /** @param {bigint} id */
  constructor(id) {
    this.id = id;
    this.storage = new MemoryStorage();
    /** @type {string[]} What was applied: the state machine of this example. */
    this.applied = [];
    this.raw = new RawNode({
      id,
      electionTicks: 10,
      heartbeatTicks: 1,
      storage: this.storage,
      random: seededRandom(Number(id)),
      messageBytesMax: 1_000_000,
      inflightMessagesMax: 256,
    });
    this.raw.bootstrap(IDS.map((peer) => ({ id: peer, context: new Uint8Array(0) })));
  }

  /** Does what raft wants done, in the order that it asks for, and returns what is to be sent. */
  work() {
    const { hardState, entries, committedEntries, messages } = this.raw.ready();
    // A real shell writes these to its disk, and syncs, before it sends anything.
    this.storage.append(entries);
    if (hardState !== undefined) this.storage.setHardState(hardState);
    for (const entry of committedEntries) this.apply(entry);
    this.raw.advance();
    return messages;
  }

  /** @param {import('tetcd/raft').Entry} entry */
  apply({ type, data, index }) {
    if (type === raftpb.EntryType.EntryNormal) {
      if (data.length > 0) this.applied.push(text.decode(data)); // empty: a leader's first entry
    } else {
      this.raw.applyConfChange(decodeConfChange(type, data), index);
    }
  }
}

const nodes = new Map(IDS.map((id) => [id, new Node(id)]));

/** @param {bigint} id */
function nodeOf(id) {
  const node = nodes.get(id);
  if (node === undefined) throw new Error(`no node ${id}`);
  return node;
}

/** Carries messages until nobody has anything left to say. */
function settle() {
  for (let busy = true; busy; ) {
    busy = false;
    for (const node of nodes.values()) {
      while (node.raw.hasReady()) {
        busy = true;
        for (const message of node.work()) nodes.get(message.to)?.raw.step(message);
      }
    }
  }
}

function leader() {
  return [...nodes.values()].find(({ raw }) => raw.basicStatus().role === ROLES.LEADER);
}

settle();
nodeOf(1n).raw.campaign();
settle();
console.log(`leader: ${leader()?.id}`);

nodeOf(1n).raw.propose(new TextEncoder().encode('a = 1'));
nodeOf(3n).raw.propose(new TextEncoder().encode('b = 2')); // a follower sends it on
settle();
for (const { id, applied } of nodes.values())
  console.log(`${id} has applied: ${applied.join('; ')}`);

nodes.delete(1n); // the leader is gone; the others notice by their ticks
while (leader() === undefined) {
  for (const { raw } of nodes.values()) raw.tick();
  settle();
}
console.log(`a new leader: ${leader()?.id !== 1n}`);
leader()?.raw.propose(new TextEncoder().encode('c = 3'));
settle();
console.log(`2 has applied: ${nodeOf(2n).applied.join('; ')}`);
