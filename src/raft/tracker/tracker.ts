// The configuration together with the progress of everyone in it, and the votes of the current
// election.

import { compareUint64, fail, invariant, type LogIndex, verify } from '../../base/index.ts';
import type { NodeId } from '../ids.ts';
import {
  type AckedIndexes,
  hasId,
  jointCommittedIndex,
  jointVoteResult,
  VOTE_RESULTS,
  type VoteResult,
} from '../quorum/index.ts';
import {
  type Configuration,
  checkConfiguration,
  EMPTY_CONFIGURATION,
  membersOf,
} from './configuration.ts';
import { Progress } from './progress.ts';

/** Votes counted in an election so far. */
export interface VoteTally {
  readonly granted: number;
  readonly rejected: number;
  readonly result: VoteResult;
}

export interface TrackerLimits {
  /** Most appends in flight to one follower. */
  readonly inflightCountMax: number;
  /** Most bytes in flight to one follower; Infinity for no limit. */
  readonly inflightBytesMax: number;
}

export class Tracker implements AckedIndexes {
  readonly limits: TrackerLimits;
  #config: Configuration = EMPTY_CONFIGURATION;
  #progress = new Map<NodeId, Progress>();
  /** The keys and values of `#progress` in the order of ids: what loops walk. */
  #ids: NodeId[] = [];
  #all: Progress[] = [];
  #votes = new Map<NodeId, boolean>();

  constructor(limits: TrackerLimits) {
    this.limits = limits;
  }

  get config(): Configuration {
    return this.#config;
  }

  /** Ids of all voters and learners, ascending. */
  get ids(): readonly NodeId[] {
    return this.#ids;
  }

  /** The progress of `ids`, in the same order. */
  get all(): readonly Progress[] {
    return this.#all;
  }

  /** Undefined if `id` is not in the configuration. */
  progress(id: NodeId): Progress | undefined {
    return this.#progress.get(id);
  }

  ackedIndex(id: NodeId): LogIndex | undefined {
    return this.#progress.get(id)?.match;
  }

  /** The highest index that the voters' acknowledgements commit. */
  committedIndex(): LogIndex {
    const index = jointCommittedIndex(this.#config.voters, this);
    if (verify.all) this.#verifyCommitted(index);
    return index;
  }

  /** Whether one voter alone decides. */
  isSingleton(): boolean {
    const { incoming, outgoing } = this.#config.voters;
    return incoming.length === 1 && outgoing.length === 0;
  }

  /** Whether messages of a quorum arrived since the flags were last cleared. */
  quorumActive(): boolean {
    const active = new Map<NodeId, boolean>();
    this.#all.forEach((progress, i) => {
      if (!progress.isLearner) active.set(this.#ids[i]!, progress.recentActive);
    });
    return jointVoteResult(this.#config.voters, active) === VOTE_RESULTS.WON;
  }

  /**
   * Takes over a new configuration. Members in `kept` keep their progress; the others are new and
   * are probed at `lastIndex`, which is optimistic: a rejection carries a hint where their log ends.
   */
  adopt(config: Configuration, kept: ReadonlySet<NodeId>, lastIndex: LogIndex): void {
    checkConfiguration(config);
    const progress = new Map<NodeId, Progress>();
    for (const id of membersOf(config)) {
      const old = kept.has(id) ? this.#progress.get(id) : undefined;
      // A new member counts as active: the next CheckQuorum may come before any message of it.
      const entry = old ?? this.#fresh({ next: Math.max(lastIndex, 1), recentActive: true });
      entry.isLearner = config.learners.includes(id);
      progress.set(id, entry);
    }
    this.#config = config;
    this.#replaceProgress(progress);
    invariant(
      this.#ids.length === membersOf(config).length,
      'tracker: every member has its progress',
    );
    if (verify.all) this.#verifyMembers();
  }

  /** A new term: no follower's log is known. The local node matches its own. */
  resetProgress(local: NodeId, lastIndex: LogIndex): void {
    const progress = new Map<NodeId, Progress>();
    for (const [id, old] of this.#progress) {
      const entry = this.#fresh({ next: lastIndex + 1, recentActive: false });
      entry.isLearner = old.isLearner;
      if (id === local) entry.match = lastIndex;
      progress.set(id, entry);
    }
    const count = this.#ids.length;
    this.#replaceProgress(progress);
    invariant(this.#ids.length === count, 'tracker: a new term keeps the members');
  }

  /** Begins a new count of votes. */
  resetVotes(): void {
    this.#votes = new Map();
  }

  /** The first vote of a node counts; a repetition changes nothing. */
  recordVote(id: NodeId, granted: boolean): void {
    if (!this.#votes.has(id)) this.#votes.set(id, granted);
  }

  tallyVotes(): VoteTally {
    let granted = 0;
    let rejected = 0;
    for (const [id, progress] of this.#progress) {
      if (progress.isLearner) continue;
      const vote = this.#votes.get(id);
      if (vote === true) granted++;
      else if (vote === false) rejected++;
    }
    invariant(granted + rejected <= this.#votes.size, 'tracker: a vote is counted once');
    return { granted, rejected, result: jointVoteResult(this.#config.voters, this.#votes) };
  }

  /** One line per member, such as `1: StateReplicate match=11 next=12`. */
  describeProgress(): string {
    return describeProgressMap(this.#progress);
  }

  #fresh(from: { next: LogIndex; recentActive: boolean }): Progress {
    return new Progress({
      match: 0,
      next: from.next,
      isLearner: false,
      recentActive: from.recentActive,
      inflightCountMax: this.limits.inflightCountMax,
      inflightBytesMax: this.limits.inflightBytesMax,
    });
  }

  /** Counts, as the naive twin of the quorum: each half has a majority that holds the index. */
  #verifyCommitted(index: LogIndex): void {
    for (const voters of [this.#config.voters.incoming, this.#config.voters.outgoing]) {
      if (voters.length === 0) continue;
      const holding = voters.filter((id) => (this.ackedIndex(id) ?? 0) >= index).length;
      invariant(holding * 2 > voters.length, 'tracker: a majority holds what is committed');
    }
  }

  #verifyMembers(): void {
    const { voters, learners } = this.#config;
    for (let i = 0; i < this.#ids.length; i++) {
      const id = this.#ids[i]!;
      const { isLearner } = this.#all[i]!;
      invariant(isLearner === hasId(learners, id), 'tracker: a learner has the progress of one');
      invariant(
        isLearner || hasId(voters.incoming, id) || hasId(voters.outgoing, id),
        'tracker: who is no learner votes',
      );
      invariant(
        i === 0 || this.#ids[i - 1]! < id,
        'tracker: members are in the order of their ids',
      );
    }
  }

  #replaceProgress(progress: Map<NodeId, Progress>): void {
    this.#progress = progress;
    this.#ids = [...progress.keys()].sort(compareUint64);
    this.#all = this.#ids.map((id) => progress.get(id) ?? fail('progress lost while sorting'));
    invariant(this.#all.length === progress.size, 'tracker: one progress per member');
  }
}

/** One line per node in the order of ids; ids in decimal. */
export function describeProgressMap(progress: ReadonlyMap<NodeId, Progress>): string {
  return [...progress.keys()]
    .sort(compareUint64)
    .map((id) => `${id}: ${progress.get(id)!.describe()}\n`)
    .join('');
}
