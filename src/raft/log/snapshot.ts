// Reading snapshots. Messages of older members carry an empty one where newer leave it out, and
// metadata may be missing; both mean index 0.

import type { LogIndex, Term } from '../../base/index.ts';
import type { ConfState, Snapshot } from '../raftpb.ts';

export function snapshotIndex(snapshot: Snapshot | undefined): LogIndex {
  return snapshot?.metadata?.index ?? 0;
}

export function snapshotTerm(snapshot: Snapshot | undefined): Term {
  return snapshot?.metadata?.term ?? 0;
}

/** Whether there is a snapshot in it. */
export function isEmptySnapshot(snapshot: Snapshot | undefined): boolean {
  return snapshotIndex(snapshot) === 0;
}

export function emptyConfState(): ConfState {
  return { voters: [], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
}
