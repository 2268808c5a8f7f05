// Raft's last reported state as fields, since services read it for every call.

import type { LogIndex, Term } from '../../base/index.ts';
import type { raftpb } from '../../protocol/index.ts';
import type { RawNode, SoftState, Status } from '../../raft/index.ts';
import type { StoreView } from './store-view.ts';

interface RaftStateParts {
  readonly memberId: bigint;
  readonly node: Pick<RawNode, 'basicStatus' | 'status'>;
  readonly store: StoreView<'appliedIndex'>;
}

export class RaftState {
  readonly #parts: RaftStateParts;
  /** 0n if no leader is known. */
  leader = 0n;
  term: Term;
  committedIndex: LogIndex;
  /** Whether this member leads, as far as it knows. */
  leads = false;

  constructor(parts: RaftStateParts) {
    const { term, commit } = parts.node.basicStatus();
    this.#parts = parts;
    this.term = term;
    this.committedIndex = commit;
  }

  get appliedIndex(): LogIndex {
    return this.#parts.store.machine.appliedIndex;
  }

  /** Whether all entries known to be committed are applied. */
  get isCaughtUp(): boolean {
    return this.appliedIndex >= this.committedIndex;
  }

  /** A copy of raft's current state; on the leader with the progress of followers. */
  status(): Status {
    return this.#parts.node.status();
  }

  acceptHardState({ term, commit }: raftpb.HardState): void {
    this.term = term;
    this.committedIndex = commit;
  }

  /** Updates the state; returns what has changed. */
  acceptSoftState({ lead }: SoftState): {
    readonly lostLead: boolean;
    readonly newLeader: boolean;
  } {
    const leads = lead === this.#parts.memberId;
    const lostLead = this.leads && !leads;
    const newLeader = lead !== this.leader && lead !== 0n;
    this.leads = leads;
    this.leader = lead;
    return { lostLead, newLeader };
  }
}
