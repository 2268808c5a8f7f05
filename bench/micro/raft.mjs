// Entries per second through raft alone: one node, and three nodes in this process. No disk and no
// network: storage threads answer at once, messages are delivered by reference. What is measured is
// the consensus core's own cost per entry, and what it leaves for the collector.
//
//   npx tsc -b src/raft
//   node --expose-gc bench/micro/raft.mjs [--entries N] [--batch N] [--size N] [--case NAME]
//
// `batch` proposals arrive between two Readys, as they do in one turn of the event loop.

import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { seededRandom } from '../../dist/base/index.js';
import {
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  MemoryStorage,
  RawNode,
  ROLES,
  STEP_RESULTS,
} from '../../dist/raft/index.js';

const { values } = parseArgs({
  options: {
    entries: { type: 'string', default: '400000' },
    batch: { type: 'string', default: '100' },
    size: { type: 'string', default: '256' },
    case: { type: 'string' },
  },
});
const ENTRIES = Number(values.entries);
const BATCH = Number(values.batch);
const SIZE = Number(values.size);
/** As the server does: the log is compacted now and then, a tail is kept. */
const COMPACT_EVERY = 10_000;
const KEPT = 5_000;

class Member {
  constructor(id, voters, deferAppends) {
    this.storage = new MemoryStorage();
    this.storage.applySnapshot({
      data: new Uint8Array(0),
      metadata: {
        confState: {
          voters,
          learners: [],
          votersOutgoing: [],
          learnersNext: [],
          autoLeave: false,
        },
        index: 2,
        term: 1,
      },
    });
    this.node = new RawNode({
      id,
      electionTicks: 10,
      heartbeatTicks: 1,
      storage: this.storage,
      random: seededRandom(Number(id)),
      applied: 2,
      asyncStorageWrites: true,
      messageBytesMax: 1024 * 1024,
      applyingBytesMax: 4 * 1024 * 1024,
      inflightMessagesMax: 512,
      checkQuorum: true,
      preVote: true,
      deferAppends,
    });
    this.applied = 2;
    this.compacted = 2;
    this.messages = 0;
  }

  /** Does all the work of one Ready; messages to others go to `deliver`. */
  turn(deliver) {
    const ready = this.node.ready();
    for (const message of ready.messages) {
      if (message.to === LOCAL_APPEND_THREAD) {
        if (message.term !== 0) {
          this.storage.setHardState({
            term: message.term,
            vote: message.vote,
            commit: message.commit,
          });
        }
        this.storage.append(message.entries);
        for (const response of message.responses) {
          if (response.to === this.node.id) this.node.step(response);
          else deliver(response);
        }
      } else if (message.to === LOCAL_APPLY_THREAD) {
        this.applied = message.entries[message.entries.length - 1].index;
        for (const response of message.responses) this.node.step(response);
      } else {
        deliver(message);
      }
    }
    if (this.applied - this.compacted > COMPACT_EVERY + KEPT) {
      this.compacted = this.applied - KEPT;
      this.storage.compact(this.compacted);
    }
  }
}

class Group {
  constructor(count, deferAppends) {
    const ids = Array.from({ length: count }, (_, i) => BigInt(i + 1));
    this.members = ids.map((id) => new Member(id, ids, deferAppends));
    this.byId = new Map(this.members.map((member) => [member.node.id, member]));
    this.messages = 0;
    this.deliver = (message) => {
      this.messages++;
      this.byId.get(message.to).node.step(message);
    };
  }

  settle() {
    for (let busy = true; busy; ) {
      busy = false;
      for (const member of this.members) {
        while (member.node.hasReady()) {
          member.turn(this.deliver);
          busy = true;
        }
      }
      if (!busy) busy = this.sendCommits();
    }
  }

  /** The commit index that a leader has not sent with an append; a shell does this after a delay. */
  sendCommits() {
    const leaders = this.members.filter(({ node }) => node.hasUnsentCommit);
    for (const { node } of leaders) node.sendCommit();
    return leaders.length > 0;
  }

  elect() {
    this.members[0].node.campaign();
    this.settle();
    if (this.members[0].node.basicStatus().role !== ROLES.LEADER) throw new Error('no leader');
  }
}

const CASES = {
  'one node, propose': { count: 1, defer: false, batched: false },
  'one node, propose, deferred appends': { count: 1, defer: true, batched: false },
  'one node, proposeBatch': { count: 1, defer: false, batched: true },
  'three nodes, propose': { count: 3, defer: false, batched: false },
  'three nodes, propose, deferred appends': { count: 3, defer: true, batched: false },
  'three nodes, proposeBatch': { count: 3, defer: false, batched: true },
};

function drive(group, entries, batched, data) {
  const leader = group.members[0].node;
  const batch = new Array(BATCH).fill(data);
  for (let done = 0; done < entries; done += BATCH) {
    if (batched) {
      if (leader.proposeBatch(batch) !== STEP_RESULTS.OK) throw new Error('dropped');
    } else {
      for (let i = 0; i < BATCH; i++) {
        if (leader.propose(data) !== STEP_RESULTS.OK) throw new Error('dropped');
      }
    }
    group.settle();
  }
}

function run(name, { count, defer, batched }) {
  const data = new Uint8Array(SIZE).fill(7);
  const group = new Group(count, defer);
  group.elect();
  drive(group, Math.min(ENTRIES, 100_000), batched, data);
  const before = group.members[0].applied;
  const messagesBefore = group.messages;
  globalThis.gc?.();
  const cpu = process.cpuUsage();
  const start = performance.now();
  drive(group, ENTRIES, batched, data);
  const seconds = (performance.now() - start) / 1000;
  const used = process.cpuUsage(cpu);
  for (const member of group.members) {
    if (member.applied < before + ENTRIES) throw new Error('not everything was applied');
  }
  const cpuUs = (used.user + used.system) / ENTRIES;
  const messages = (group.messages - messagesBefore) / ENTRIES;
  const bytes = allocated(group, batched, data);
  console.log(
    `${name.padEnd(42)} ${Math.round(ENTRIES / seconds)
      .toLocaleString('en')
      .padStart(11)} ` +
      `entries/s ${cpuUs.toFixed(3).padStart(8)} us CPU/entry ` +
      `${messages.toFixed(3).padStart(8)} messages/entry ${bytes.padStart(8)} bytes/entry`,
  );
}

/** Heap growth over a run short enough that no collection falls into it. */
function allocated(group, batched, data) {
  if (globalThis.gc === undefined) return '?';
  const samples = [];
  for (let i = 0; i < 9; i++) {
    globalThis.gc();
    const entries = Math.max(BATCH, 1000);
    const before = process.memoryUsage().heapUsed;
    drive(group, entries, batched, data);
    const after = process.memoryUsage().heapUsed;
    samples.push((after - before) / entries);
  }
  samples.sort((a, b) => a - b);
  return samples[4].toFixed(0);
}

console.log(`${ENTRIES} entries of ${SIZE} bytes, ${BATCH} proposals between two Readys`);
for (const [name, settings] of Object.entries(CASES)) {
  if (values.case === undefined || values.case === name) run(name, settings);
}
