// Creation of a node: from its storage, or with the first entries of a new group.

import { EMPTY_BYTES, ERROR_CODES, TetcdError } from '../../base/index.ts';
import { type AnyConfChange, configurationFrom, encodeConfChange } from '../confchange/index.ts';
import type { ResolvedConfig } from '../config.ts';
import { hexId, NONE, type NodeId } from '../ids.ts';
import { MEMBERS_MAX } from '../limits.ts';
import { jointIds } from '../quorum/index.ts';
import { ConfChangeType, type ConfState, newEntry } from '../raftpb.ts';
import { applyConfChange, restoreConfiguration } from './membership.ts';
import { Raft } from './raft.ts';
import { becomeFollower } from './roles.ts';

/** A member that a new group begins with. */
export interface Peer {
  readonly id: NodeId;
  /** Put into the entry that adds the member; etcd keeps the member's attributes there. */
  readonly context: Uint8Array;
}

/**
 * The node as its storage describes it, a follower. CORRUPT if hard state, log and configuration
 * contradict each other; INVALID_ARGUMENT if `applied` is outside of what is committed.
 */
export function bootRaft(config: ResolvedConfig): Raft {
  const { hardState, confState } = config.storage.initialState();
  checkConfState(confState);
  const raft = new Raft(config);
  const last = raft.log.lastEntryId();
  restoreConfiguration(raft, confState);
  if (hardState !== undefined) {
    const { committed } = raft.log;
    if (hardState.commit !== 0 || hardState.term !== 0 || hardState.vote !== NONE) {
      if (hardState.commit < committed || hardState.commit > last.index) {
        throw new TetcdError(
          ERROR_CODES.CORRUPT,
          `${raft.name} state.commit ${hardState.commit} is out of range ` +
            `[${committed}, ${last.index}]`,
        );
      }
      raft.log.committed = hardState.commit;
      raft.term = hardState.term;
      raft.vote = hardState.vote;
    }
  }
  if (config.applied > 0) restoreApplied(raft, config.applied);
  becomeFollower(raft, raft.term, NONE);
  raft.info(() => {
    const voters = jointIds(raft.tracker.config.voters).map(hexId).join(',');
    return (
      `newRaft ${raft.name} [peers: [${voters}], term: ${raft.term}, ` +
      `commit: ${raft.log.committed}, applied: ${raft.log.applied}, ` +
      `lastindex: ${last.index}, lastterm: ${last.term}]`
    );
  });
  return raft;
}

/**
 * Begins a new group: the log starts with one committed entry per peer that adds it.
 * INVALID_ARGUMENT without peers or if the log is not empty.
 */
export function bootstrap(raft: Raft, peers: readonly Peer[]): void {
  if (peers.length === 0) {
    const text = 'must provide at least one peer to Bootstrap';
    throw new TetcdError(ERROR_CODES.INVALID_ARGUMENT, text);
  }
  if (raft.log.lastIndex() !== 0) {
    throw new TetcdError(ERROR_CODES.INVALID_ARGUMENT, "can't bootstrap a nonempty Storage");
  }
  becomeFollower(raft, 1, NONE);
  const additions = peers.map(
    (peer): AnyConfChange => ({
      id: 0n,
      type: ConfChangeType.ConfChangeAddNode,
      nodeId: peer.id,
      context: peer.context,
    }),
  );
  additions.forEach((change, i) => {
    const { type, data } = encodeConfChange(change);
    raft.log.push(newEntry(type, 1, i + 1, data));
  });
  raft.log.committed = additions.length;
  // Effective immediately, so that the node may campaign. The shell applies the same entries when
  // they come as committed, which then changes nothing.
  for (const change of additions) {
    applyConfChange(raft, { ...change, context: EMPTY_BYTES }, undefined);
  }
}

function restoreApplied(raft: Raft, applied: number): void {
  const { log } = raft;
  if (applied < log.applied || applied > log.committed) {
    throw new TetcdError(
      ERROR_CODES.INVALID_ARGUMENT,
      `applied(${applied}) is out of range ` +
        `[prevApplied(${log.applied}), committed(${log.committed})]`,
    );
  }
  log.appliedTo(applied, 0);
}

function checkConfState(confState: ConfState): void {
  const count = confState.voters.length + confState.learners.length;
  const outcome = configurationFrom(confState);
  if (!outcome.ok) throw new TetcdError(ERROR_CODES.CORRUPT, `ConfState: ${outcome.reason}`);
  if (count > MEMBERS_MAX) {
    throw new TetcdError(ERROR_CODES.LIMIT_EXCEEDED, `ConfState has ${count} members`);
  }
}
