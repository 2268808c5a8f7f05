// Random schedules: a group under message loss, duplication, reordering, crashes, slow disks,
// compaction and membership changes, all drawn from one seed; and the promises that must hold
// throughout (paper, figure 3).

import { bytesFromUtf8, fail, type LogIndex, type Random, seededRandom } from '../base/index.ts';
import {
  type ConfChangeV2,
  type ConfState,
  describeEntry,
  type Entry,
  emptyConfState,
  isVoter,
  jointVoteResult,
  type Message,
  type NodeId,
  type RaftLogger,
  ROLES,
  SILENT_LOGGER,
  type Snapshot,
  snapshotIndex,
  snapshotTerm,
  VOTE_RESULTS,
} from './index.ts';
import { ConfChangeTransition, ConfChangeType } from './raftpb.ts';
import { Member, type Observer } from './schedule-member.fixture.ts';

const MEMBERS = 5;
const MESSAGES_MAX = 400;
/**
 * Ticks until the group must agree. Many, since a node with an old configuration may keep its term
 * one ahead of the only one that can win, which then must time out twice before it does once.
 */
const HEALING_ROUNDS_MAX = 10_000;

export class Schedule implements Observer {
  readonly members: Member[] = [];
  readonly #random: Random;
  #messages: Message[] = [];
  /** Pairs that cannot reach each other, as `from>to`. */
  #cut = new Set<string>();
  #leaders = new Map<number, NodeId>();
  /** What was applied by anyone, by index: term and text. */
  #committed = new Map<LogIndex, { term: number; text: string }>();
  #committedMax: LogIndex = 2;
  /** Highest index known committed when the read with this number was asked for. */
  #reads = new Map<string, LogIndex>();
  #counter = 0;
  readsServed = 0;

  /** `logger` gets what all nodes log. */
  constructor(seed: number, logger: RaftLogger = SILENT_LOGGER) {
    this.#random = seededRandom(seed);
    const voters = [1n, 2n, 3n];
    const chance = (): boolean => this.#random.below(2) === 1;
    const preVote = chance();
    const checkQuorum = chance();
    for (let id = 1n; id <= BigInt(MEMBERS); id++) {
      const settings = {
        id,
        random: this.#random,
        confState: { ...emptyConfState(), voters },
        async: chance(),
        deferAppends: chance(),
        preVote,
        checkQuorum,
        logger,
        messageBytesMax: [0, 60, 1_000][this.#random.below(3)]!,
        inflightMessagesMax: 1 + this.#random.below(4),
      };
      this.members.push(new Member(settings, this));
    }
  }

  get committedMax(): LogIndex {
    return this.#committedMax;
  }

  get termsWithLeader(): number {
    return this.#leaders.size;
  }

  /** Runs `steps` random events and checks after each. */
  run(steps: number): void {
    for (let i = 0; i < steps; i++) {
      this.#event();
      for (const member of this.members) this.#drain(member);
      this.#checkLeaders();
      if (i % 50 === 0) this.#checkLogMatching();
    }
    this.#checkLogMatching();
  }

  /**
   * Faults end: everyone restarts, everything arrives. Fails unless the group agrees in the end.
   * False if it has locked itself out, see `#someoneCanWin` and `#leaderIsIgnored`.
   */
  heal(): boolean {
    this.#cut.clear();
    for (const member of this.members) if (!member.up) member.restart();
    for (let round = 1; round <= HEALING_ROUNDS_MAX; round++) {
      const up = this.members.filter((member) => member.up);
      for (const member of up) {
        member.node.tick();
        this.#settle(member);
      }
      const pending = this.#messages;
      this.#messages = [];
      for (const message of pending) {
        const receiver = this.#member(message.to);
        if (receiver.up) receiver.receive(message);
      }
      for (const member of up) this.#settle(member);
      this.#checkLeaders();
      if (round % 50 === 0) this.#renewSnapshots();
      if (round > 100) this.#retireRemoved();
      if (round > 300 && round % 50 === 0) this.#leader()?.propose(bytesFromUtf8('the last'));
      if (round > 300 && this.#agreed()) return true;
    }
    if (!this.#someoneCanWin() || this.#leaderIsIgnored()) return false;
    fail(`no agreement after the faults have ended: ${this.describe()}`);
  }

  /** Snapshots that were lost are reported, as a transport must; the next ones know all members. */
  #renewSnapshots(): void {
    for (const member of this.members) {
      member.compact(2);
      for (const other of this.members) member.node.reportSnapshot(other.id, 'failed');
    }
  }

  /**
   * Members outside of the configuration are turned off, as an operator would: they may not know
   * that they were removed, and without pre-votes their campaigns never end. One that a late
   * change adds again is turned on.
   */
  #retireRemoved(): void {
    const leader = this.#leader();
    if (leader === undefined || leader.applied !== this.#committedMax) return;
    for (const member of this.members) {
      const belongs = idsOf(leader.confState).has(member.id);
      if (!belongs) member.crash(0);
      else if (!member.up) member.restart();
    }
  }

  describe(): string {
    return this.members
      .map((member) => {
        const { role, term, commit, lead } = member.node.basicStatus();
        const at = `term ${term} lead ${lead} commit ${commit}`;
        return `${member.id}: ${role} ${at} applied ${member.applied}`;
      })
      .join('; ');
  }

  sent(message: Message): void {
    if (this.#messages.length < MESSAGES_MAX) this.#messages.push(message);
  }

  applied(member: Member, entry: Entry): void {
    const text = describeEntry(entry);
    const known = this.#committed.get(entry.index);
    if (known !== undefined && known.text !== text) {
      fail(`state machine safety: ${member.id} applied ${text}, another ${known.text}`);
    }
    this.#committed.set(entry.index, { term: entry.term, text });
    this.#committedMax = Math.max(this.#committedMax, entry.index);
  }

  appliedSnapshot(member: Member, snapshot: Snapshot): void {
    const known = this.#committed.get(snapshotIndex(snapshot));
    if (known === undefined || known.term !== snapshotTerm(snapshot)) {
      fail(`state machine safety: ${member.id} got a snapshot of something not committed`);
    }
  }

  mayRead(member: Member, index: LogIndex, context: Uint8Array): void {
    const asked = this.#reads.get(context.join());
    if (asked === undefined) fail('a read that was never asked for');
    if (index < asked) fail(`stale read at ${member.id}: ${index}, but ${asked} was applied`);
    this.readsServed++;
  }

  #event(): void {
    const random = this.#random;
    const member = this.members[random.below(MEMBERS)]!;
    const roll = random.below(1000);
    if (!member.up) {
      if (roll < 100) member.restart();
      return;
    }
    if (roll < 440) for (let n = random.below(8); n >= 0; n--) this.#deliverOne();
    else if (roll < 600) member.node.tick();
    else if (roll < 740) for (let n = random.below(3); n >= 0; n--) member.processAppend();
    else if (roll < 850) for (let n = random.below(3); n >= 0; n--) member.processApply();
    else if (roll < 880) member.handleReady(random.below(20) === 0);
    else if (roll < 940) member.propose(bytesFromUtf8(`p${++this.#counter}`));
    else if (roll < 955) this.#read(member);
    else if (roll < 965) member.proposeConfChange(this.#randomChange());
    else if (roll < 975) member.compact(random.below(5));
    else if (roll < 979) member.crash(random.below(member.appendWorkCount + 1));
    else if (roll < 984) this.#togglePartition(member);
    else if (roll < 988) member.node.transferLeader(BigInt(1 + random.below(MEMBERS)));
    else if (roll < 992) member.node.reportUnreachable(BigInt(1 + random.below(MEMBERS)));
    else if (roll < 998) this.#reportSnapshots(member);
    else member.node.forgetLeader();
  }

  #deliverOne(): void {
    if (this.#messages.length === 0) return;
    const random = this.#random;
    // Mostly in order, sometimes any; sometimes twice, sometimes not at all.
    const at = random.below(4) === 0 ? random.below(this.#messages.length) : 0;
    const message = this.#messages[at]!;
    if (random.below(20) !== 0) this.#messages.splice(at, 1);
    const receiver = this.#member(message.to);
    const lost = random.below(25) === 0 || this.#cut.has(`${message.from}>${message.to}`);
    if (!lost && receiver.up) receiver.receive(message);
  }

  #read(member: Member): void {
    const context = bytesFromUtf8(`r${++this.#counter}`);
    this.#reads.set(context.join(), this.#committedMax);
    member.node.readIndex(context);
  }

  #togglePartition(member: Member): void {
    if (this.#cut.size > 0) {
      this.#cut.clear();
      return;
    }
    for (const other of this.members) {
      if (other === member || this.#random.below(3) === 0) continue;
      this.#cut.add(`${member.id}>${other.id}`);
      // Sometimes one way only.
      if (this.#random.below(4) !== 0) this.#cut.add(`${other.id}>${member.id}`);
    }
  }

  #reportSnapshots(member: Member): void {
    const id = BigInt(1 + this.#random.below(MEMBERS));
    member.node.reportSnapshot(id, this.#random.below(2) === 0 ? 'finished' : 'failed');
  }

  #randomChange(): ConfChangeV2 {
    const random = this.#random;
    const types = [
      ConfChangeType.ConfChangeAddNode,
      ConfChangeType.ConfChangeAddNode,
      ConfChangeType.ConfChangeRemoveNode,
      ConfChangeType.ConfChangeAddLearnerNode,
    ];
    const changes = Array.from({ length: random.below(4) }, () => ({
      type: types[random.below(types.length)]!,
      nodeId: BigInt(1 + random.below(MEMBERS)),
    }));
    const transition =
      changes.length === 0
        ? ConfChangeTransition.ConfChangeTransitionAuto
        : [
            ConfChangeTransition.ConfChangeTransitionAuto,
            ConfChangeTransition.ConfChangeTransitionJointImplicit,
            ConfChangeTransition.ConfChangeTransitionJointExplicit,
          ][random.below(3)]!;
    return { transition, changes, context: new Uint8Array(0) };
  }

  /** An asynchronous node's Ready costs nothing to take; a synchronous one is busy at times. */
  #drain(member: Member): void {
    if (!member.up) return;
    if (member.settings.async || this.#random.below(3) === 0) member.handleReady(false);
  }

  #settle(member: Member): void {
    while (member.node.hasReady() || member.appendWorkCount + member.applyWorkCount > 0) {
      member.handleReady(false);
      member.processAppend();
      member.processApply();
    }
  }

  /** Election safety, and leader completeness at the moment when a leader is first seen. */
  #checkLeaders(): void {
    for (const member of this.members) {
      if (!member.up || member.node.hasReady()) continue;
      const { role, term } = member.node.basicStatus();
      if (role !== ROLES.LEADER) continue;
      const known = this.#leaders.get(term);
      if (known === member.id) continue;
      if (known !== undefined) {
        fail(`election safety: ${known} and ${member.id} lead in term ${term}`);
      }
      this.#leaders.set(term, member.id);
      this.#checkCompleteness(member, term);
    }
  }

  #checkCompleteness(leader: Member, term: number): void {
    const terms = new Map(leader.log.map((entry) => [entry.index, entry.term]));
    for (const [index, entry] of this.#committed) {
      if (index <= leader.base.index || entry.term >= term) continue;
      if (terms.get(index) !== entry.term) {
        fail(`leader completeness: ${leader.id} leads term ${term} without ${entry.text}`);
      }
    }
  }

  /** Log matching: where two logs agree on an entry, they agree on all before it. */
  #checkLogMatching(): void {
    for (const a of this.members) {
      for (const b of this.members) {
        if (a.id >= b.id) continue;
        const terms = new Map(b.log.map((entry) => [entry.index, entry.term]));
        let matched = false;
        for (const entry of [...a.log].reverse()) {
          const other = terms.get(entry.index);
          if (other === undefined) continue;
          if (other === entry.term) matched = true;
          else if (matched) fail(`log matching: ${a.id} and ${b.id} differ at ${entry.index}`);
        }
      }
    }
  }

  #member(id: NodeId): Member {
    return this.members[Number(id) - 1] ?? fail(`a message to ${id}, which no node has as id`);
  }

  #leader(): Member | undefined {
    const leaders = this.members.filter(
      (member) => member.up && member.node.basicStatus().lead === member.id,
    );
    const term = (member: Member): number => member.node.basicStatus().term;
    return leaders.sort((a, b) => term(b) - term(a))[0];
  }

  /**
   * Whether anyone could win an election in the configuration that it has applied. Configurations
   * take effect when they are applied, so there is a way into a state without an exit, in etcd's
   * raft as in ours: a leader demotes itself, and with it the majority that has the longer logs; it
   * crashes before the one remaining voter hears that this is committed; that one still counts the
   * others' votes, which they refuse to its shorter log, and they may not stand.
   */
  #someoneCanWin(): boolean {
    const last = (member: Member): { term: number; index: LogIndex } =>
      member.log.at(-1) ?? member.base;
    return this.members.some((candidate) => {
      const { config } = candidate.node.status();
      const own = last(candidate);
      const votes = new Map<NodeId, boolean>();
      for (const voter of this.members) {
        const theirs = last(voter);
        const longer = own.term === theirs.term && own.index >= theirs.index;
        votes.set(voter.id, voter.up && (own.term > theirs.term || longer));
      }
      return (
        isVoter(config, candidate.id) && jointVoteResult(config.voters, votes) === VOTE_RESULTS.WON
      );
    });
  }

  /**
   * Whether learners ignore their leader: a member that was removed and did not know it has raised
   * their term, they may not stand for election, and without check-quorum and pre-vote nobody
   * answers a leader of an earlier term.
   */
  #leaderIsIgnored(): boolean {
    const leader = this.#leader();
    if (leader === undefined) return false;
    const { checkQuorum, preVote } = leader.settings;
    const { learners } = leader.confState;
    const { term } = leader.node.basicStatus();
    const ahead = (id: NodeId): boolean => this.#member(id).node.basicStatus().term > term;
    return !checkQuorum && !preVote && learners.some(ahead);
  }

  /**
   * Whether all whom the leader counts in have applied the same, and the last proposal is in it.
   */
  #agreed(): boolean {
    const leader = this.#leader();
    if (leader === undefined || leader.applied !== this.#committedMax) return false;
    const ids = idsOf(leader.confState);
    const texts = [...this.#committed.values()];
    return (
      texts.some(({ text }) => text.includes('the last')) &&
      this.members.every((member) => !ids.has(member.id) || member.applied === leader.applied)
    );
  }
}

function idsOf({ voters, learners, votersOutgoing }: ConfState): Set<NodeId> {
  return new Set([...voters, ...learners, ...votersOutgoing]);
}
