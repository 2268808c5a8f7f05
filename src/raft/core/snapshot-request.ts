// A follower's side of snapshots: MsgSnap replaces log and configuration.

import { invariant } from '../../base/index.ts';
import { configurationFrom } from '../confchange/index.ts';
import { describeConfState } from '../describe.ts';
import { NONE } from '../ids.ts';
import { emptyConfState, snapshotIndex, snapshotTerm } from '../log/index.ts';
import { type Message, MessageType, type Snapshot } from '../raftpb.ts';
import { restoreConfiguration } from './membership.ts';
import { type Raft, ROLES } from './raft.ts';
import { becomeFollower } from './roles.ts';

export function answerSnapshot(raft: Raft, request: Message): void {
  const restored = request.snapshot !== undefined && restore(raft, request.snapshot);
  raft.info(() => {
    const { snapshot } = request;
    const at = `[index: ${snapshotIndex(snapshot)}, term: ${snapshotTerm(snapshot)}]`;
    const verb = restored ? 'restored' : 'ignored';
    return `${raft.name} [commit: ${raft.log.committed}] ${verb} snapshot ${at}`;
  });
  const response = raft.messageTo(request.from, MessageType.MsgAppResp);
  response.index = restored ? raft.log.lastIndex() : raft.log.committed;
  raft.send(response);
}

/** Restores log and configuration from `snapshot`. False if it is outdated, invalid or redundant. */
function restore(raft: Raft, snapshot: Snapshot): boolean {
  const index = snapshotIndex(snapshot);
  const term = snapshotTerm(snapshot);
  if (index <= raft.log.committed) return false;
  if (raft.role !== ROLES.FOLLOWER) {
    // Cannot happen: a node that gets here has become a follower of the sender.
    raft.warn(() => `${raft.name} attempted to restore snapshot as leader; should never happen`);
    becomeFollower(raft, raft.term + 1, NONE);
    return false;
  }
  const confState = snapshot.metadata?.confState ?? emptyConfState();
  const { voters, learners, votersOutgoing } = confState;
  if (![voters, learners, votersOutgoing].some((ids) => ids.includes(raft.id))) {
    raft.warn(
      () =>
        `${raft.name} attempted to restore snapshot but it is not in the ConfState ` +
        `${describeConfState(confState)}; should never happen`,
    );
    return false;
  }
  const configuration = configurationFrom(confState);
  if (!configuration.ok) {
    const { reason } = configuration;
    raft.error(() => `${raft.name} ignored a snapshot with an invalid ConfState: ${reason}`);
    return false;
  }
  if (raft.log.matches(index, term)) {
    // The log already contains everything that the snapshot covers.
    raft.info(() => describeProgressTo(raft, 'fast-forwarded commit to', { index, term }));
    raft.log.commitTo(index);
    return false;
  }
  raft.log.restore(snapshot);
  restoreConfiguration(raft, confState);
  raft.restoredIndex = index;
  invariant(raft.log.committed === index, 'a restored log is committed up to its snapshot');
  invariant(raft.log.lastIndex() === index, 'a restored log ends with its snapshot');
  raft.info(() => describeProgressTo(raft, 'restored', { index, term }));
  return true;
}

function describeProgressTo(
  raft: Raft,
  verb: string,
  to: { readonly index: number; readonly term: number },
): string {
  const last = raft.log.lastEntryId();
  return (
    `${raft.name} [commit: ${raft.log.committed}, lastindex: ${last.index}, ` +
    `lastterm: ${last.term}] ${verb} snapshot [index: ${to.index}, term: ${to.term}]`
  );
}
