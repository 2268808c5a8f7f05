// Configurations take effect when they are applied, not when they are appended (unlike in the
// paper): every node switches at the same index of the log.

import { ERROR_CODES, fail, invariant, type LogIndex, TetcdError } from '../../base/index.ts';
import {
  type AnyConfChange,
  asV2,
  changeSimply,
  configurationFrom,
  confStateOf,
  enterJoint,
  equivalentConfStates,
  leaveJoint,
  wantsJoint,
  wantsLeaveJoint,
} from '../confchange/index.ts';
import { NONE, type NodeId } from '../ids.ts';
import { hasId } from '../quorum/index.ts';
import type { ConfState } from '../raftpb.ts';
import { type Configuration, describeConfiguration, isVoter } from '../tracker/index.ts';
import { maybeCommit } from './commit.ts';
import { type Raft, ROLES } from './raft.ts';
import { broadcastAppends, probeFollowers } from './replication.ts';
import { becomeFollower } from './roles.ts';
import { abortTransfer } from './transfer.ts';

const NOBODY: ReadonlySet<NodeId> = new Set();

/**
 * Applies a committed change, whose entry is at `index` if that is given, and returns the
 * configuration that results. INVALID_ARGUMENT, and nothing changes, if the change cannot be made
 * now.
 */
export function applyConfChange(
  raft: Raft,
  change: AnyConfChange,
  index: LogIndex | undefined,
): ConfState {
  const base = raft.tracker.config;
  // The configuration came with a snapshot that this change is older than. (While the snapshot
  // waits, nothing after it is handed out for application.)
  const overtaken = index !== undefined && index <= raft.restoredIndex;
  if (overtaken || raft.log.hasPendingSnapshot()) return confStateOf(base);
  const v2 = asV2(change);
  const wish = wantsJoint(v2);
  const outcome = wantsLeaveJoint(v2)
    ? leaveJoint(base)
    : wish === 'none'
      ? changeSimply(base, v2.changes)
      : enterJoint(base, v2.changes, wish === 'leave automatically');
  if (!outcome.ok) throw new TetcdError(ERROR_CODES.INVALID_ARGUMENT, outcome.reason);
  return switchTo(raft, outcome.config, outcome.kept);
}

/**
 * Starts over with the configuration of a snapshot or of the storage. The caller has checked it.
 */
export function restoreConfiguration(raft: Raft, confState: ConfState): void {
  const outcome = configurationFrom(confState);
  if (!outcome.ok) fail(`unable to restore config: ${outcome.reason}`);
  raft.tracker.resetVotes();
  const restored = switchTo(raft, outcome.config, NOBODY);
  invariant(equivalentConfStates(confState, restored), 'a configuration is restored as stored');
}

function switchTo(raft: Raft, config: Configuration, kept: ReadonlySet<NodeId>): ConfState {
  raft.tracker.adopt(config, kept, raft.log.lastIndex());
  raft.info(() => `${raft.name} switched to configuration ${describeConfiguration(config)}`);
  raft.isLearner = hasId(config.learners, raft.id);
  invariant(
    raft.isLearner === (raft.ownProgress()?.isLearner ?? false),
    'a node and its progress agree whether it is a learner',
  );
  const confState = confStateOf(config);
  if (raft.role !== ROLES.LEADER) return confState;
  if (raft.ownProgress() === undefined || raft.isLearner) {
    // Removed or demoted. Without `stepDownOnRemoval` it stays leader, without a vote, until it is
    // replaced.
    if (raft.config.stepDownOnRemoval) becomeFollower(raft, raft.term, NONE);
    return confState;
  }
  // The new configuration may need fewer acknowledgements for what is in the log.
  if (maybeCommit(raft)) broadcastAppends(raft);
  else probeFollowers(raft);
  if (raft.leadTransferee !== NONE && !isVoter(config, raft.leadTransferee)) abortTransfer(raft);
  return confState;
}
