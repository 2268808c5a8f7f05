// The leader's commit index, and the shell's reports of what is applied.

import { invariant, type LogIndex, verify } from '../../base/index.ts';
import { snapshotIndex } from '../log/index.ts';
import { EntryType, type Snapshot } from '../raftpb.ts';
import { describeConfiguration } from '../tracker/index.ts';
import { proposeAsLeader } from './proposal.ts';
import { type Raft, ROLES } from './raft.ts';
import { STEP_RESULTS } from './step-results.ts';

/** Advances the commit index to what a quorum has acknowledged. Whether it moved. */
export function maybeCommit(raft: Raft): boolean {
  invariant(raft.role === ROLES.LEADER, 'a quorum is counted by the leader');
  const moved = raft.log.maybeCommit(raft.tracker.committedIndex(), raft.term);
  if (verify.all && moved) {
    invariant(committedInCurrentTerm(raft), 'a leader commits by an entry of its term');
  }
  return moved;
}

/** Whether an entry of this term is committed: before, a leader's commit index may be outdated. */
export function committedInCurrentTerm(raft: Raft): boolean {
  return raft.log.termOrZero(raft.log.committed) === raft.term;
}

/** The shell has applied entries up to `index`, `size` bytes of them since the last report. */
export function appliedTo(raft: Raft, index: LogIndex, size: number): void {
  const applied = Math.max(index, raft.log.applied);
  raft.log.appliedTo(applied, size);
  invariant(raft.log.applied === applied, 'what was reported is applied');
  if (raft.role !== ROLES.LEADER || !raft.tracker.config.autoLeave) return;
  if (applied < raft.pendingConfIndex) return;
  // The joint configuration is applied: propose leaving it. An empty change is never refused for its
  // size. If a leadership transfer drops it, the next leader proposes it, or this one at the next
  // report of applied entries.
  const change = { type: EntryType.EntryConfChangeV2, data: undefined };
  const result = proposeAsLeader(raft, [change]);
  const config = describeConfiguration(raft.tracker.config);
  if (result === STEP_RESULTS.OK) {
    raft.info(() => `initiating automatic transition out of joint configuration ${config}`);
  } else {
    raft.debug(
      () => `not initiating automatic transition out of joint configuration ${config}: ${result}`,
    );
  }
}

/** The shell has stored and applied `snapshot`. */
export function appliedSnapshot(raft: Raft, snapshot: Snapshot): void {
  const index = snapshotIndex(snapshot);
  invariant(index <= raft.log.committed, 'a snapshot that is applied is committed');
  raft.log.unstable.stableSnapshotTo(index);
  appliedTo(raft, index, 0);
}
