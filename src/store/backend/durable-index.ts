import type { LogIndex, Term } from '../../base/index.ts';
import type { ClusterState } from '../../membership/index.ts';
import type { raftpb } from '../../protocol/index.ts';

/** The membership as of the entry at which a batch was cut, for a raft snapshot at that entry. */
export interface MembershipImage {
  readonly confState: raftpb.ConfState;
  readonly cluster: ClusterState;
}

/**
 * Proof that everything up to `index` is synced in the file. Only a finished commit makes one, so
 * raft snapshots, WAL release and log compaction cannot get the applied index by mistake.
 */
export class DurableIndex {
  readonly index: LogIndex;
  readonly term: Term;
  /** Captured when the batch was cut; undefined for the index found at opening. */
  readonly membership: MembershipImage | undefined;

  /** @internal Only the backend calls this, after a sync. */
  constructor(index: LogIndex, term: Term, membership: MembershipImage | undefined) {
    this.index = index;
    this.term = term;
    this.membership = membership;
  }
}
