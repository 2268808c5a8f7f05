// Leadership transfer (thesis, section 3.10): bring the transferee up to date, then send MsgTimeoutNow,
// which makes it campaign without waiting. Proposals are dropped until the transfer ends.

import { invariant } from '../../base/index.ts';
import { hexId, NONE, type NodeId } from '../ids.ts';
import { MessageType } from '../raftpb.ts';
import type { Progress } from '../tracker/index.ts';
import { type Raft, ROLES } from './raft.ts';
import { sendAppend } from './replication.ts';

/** The leader begins a transfer to `to`, whose progress is `progress`. */
export function beginTransfer(raft: Raft, to: NodeId, progress: Progress): void {
  invariant(raft.role === ROLES.LEADER, 'only a leader transfers leadership');
  const name = hexId(to);
  if (progress.isLearner) {
    raft.debug(() => `${raft.name} is learner. Ignored transferring leadership`);
    return;
  }
  const previous = raft.leadTransferee;
  if (previous === to) {
    raft.info(
      () =>
        `${raft.name} [term ${raft.term}] transfer leadership to ${name} is in progress, ` +
        `ignores request to same node ${name}`,
    );
    return;
  }
  if (previous !== NONE) {
    abortTransfer(raft);
    raft.info(
      () =>
        `${raft.name} [term ${raft.term}] abort previous transferring leadership ` +
        `to ${hexId(previous)}`,
    );
  }
  if (to === raft.id) {
    raft.debug(() => `${raft.name} is already leader. Ignored transferring leadership to self`);
    return;
  }
  raft.info(() => `${raft.name} [term ${raft.term}] starts to transfer leadership to ${name}`);
  // The transfer ends after one election timeout at the latest; see tick.ts.
  raft.electionElapsed = 0;
  raft.leadTransferee = to;
  if (progress.match === raft.log.lastIndex()) {
    sendTimeoutNow(raft, to);
    raft.info(
      () =>
        `${raft.name} sends MsgTimeoutNow to ${name} immediately ` +
        `as ${name} already has up-to-date log`,
    );
  } else {
    sendAppend(raft, to);
  }
}

export function abortTransfer(raft: Raft): void {
  raft.leadTransferee = NONE;
}

/** MsgTimeoutNow: `to` campaigns without waiting for its election timeout. */
export function sendTimeoutNow(raft: Raft, to: NodeId): void {
  raft.send(raft.messageTo(to, MessageType.MsgTimeoutNow));
}
