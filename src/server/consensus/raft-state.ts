// What raft last said of itself, kept as fields: services look at it for every call.

import type { LogIndex, Term } from '../../base/index.ts';
import type { raftpb } from '../../protocol/index.ts';
import type { BasicStatus, SoftState } from '../../raft/index.ts';

export class RaftState {
  readonly #memberId: bigint;
  readonly #applied: () => LogIndex;
  /** 0n if no leader is known. */
  leader = 0n;
  term: Term;
  committedIndex: LogIndex;
  /** Whether this member leads, as far as it knows. */
  leads = false;

  /** `applied` tells how far the state machine is. */
  constructor(memberId: bigint, { term, commit }: BasicStatus, applied: () => LogIndex) {
    this.#memberId = memberId;
    this.#applied = applied;
    this.term = term;
    this.committedIndex = commit;
  }

  get appliedIndex(): LogIndex {
    return this.#applied();
  }

  /** Everything that is known to be committed is applied. */
  get isCaughtUp(): boolean {
    return this.appliedIndex >= this.committedIndex;
  }

  acceptHardState({ term, commit }: raftpb.HardState): void {
    this.term = term;
    this.committedIndex = commit;
  }

  /** What has changed with it. */
  acceptSoftState({ lead }: SoftState): {
    readonly lostLead: boolean;
    readonly newLeader: boolean;
  } {
    const leads = lead === this.#memberId;
    const lostLead = this.leads && !leads;
    const newLeader = lead !== this.leader && lead !== 0n;
    this.leads = leads;
    this.leader = lead;
    return { lostLead, newLeader };
  }
}
