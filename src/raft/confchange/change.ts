// Membership changes: from one configuration to the next, or the reason why not. Pure: the caller
// lets its tracker adopt the outcome.
//
// A simple change moves at most one voter and takes effect at once. Anything larger goes through a
// joint configuration, entered by one entry and left by another (Raft thesis, sections 4.1, 4.3).

import { invariant } from '../../base/index.ts';
import { NONE, type NodeId } from '../ids.ts';
import { symmetricDifferenceCount } from '../quorum/index.ts';
import { type ConfChangeSingle, ConfChangeType } from '../raftpb.ts';
import { type Configuration, checkConfiguration, isJoint } from '../tracker/index.ts';
import { Draft } from './draft.ts';

export type ChangeOutcome =
  | {
      readonly ok: true;
      readonly config: Configuration;
      /** Members whose progress remains valid; all others of `config` are new. */
      readonly kept: ReadonlySet<NodeId>;
    }
  | {
      readonly ok: false;
      /** In etcd's words. */
      readonly reason: string;
    };

/** Moves at most one voter, and any number of learners. */
export function changeSimply(
  base: Configuration,
  changes: readonly ConfChangeSingle[],
): ChangeOutcome {
  if (isJoint(base)) return refused("can't apply simple config change in joint config");
  const draft = new Draft(base);
  const refusal = applyAll(draft, changes);
  if (refusal !== undefined) return refused(refusal);
  if (symmetricDifferenceCount(base.voters.incoming, draft.incoming) > 1) {
    return refused('more than one voter changed without entering joint config');
  }
  return accepted(draft, false);
}

/**
 * From `(1 2 3)` to `(1 2 3)&&(1 2 3)`, with the changes then applied to the first half. With
 * `autoLeave` the leader proposes the end of the transition without being asked.
 */
export function enterJoint(
  base: Configuration,
  changes: readonly ConfChangeSingle[],
  autoLeave: boolean,
): ChangeOutcome {
  if (isJoint(base)) return refused('config is already joint');
  if (base.voters.incoming.length === 0) {
    return refused("can't make a zero-voter config joint");
  }
  const draft = new Draft(base);
  draft.enterJoint();
  const refusal = applyAll(draft, changes);
  return refusal === undefined ? accepted(draft, autoLeave) : refused(refusal);
}

/** Makes the incoming voters the only ones. */
export function leaveJoint(base: Configuration): ChangeOutcome {
  if (!isJoint(base)) return refused("can't leave a non-joint config");
  const draft = new Draft(base);
  draft.leaveJoint();
  return accepted(draft, false);
}

/** Undefined, or why the changes are refused. */
function applyAll(draft: Draft, changes: readonly ConfChangeSingle[]): string | undefined {
  for (const change of changes) {
    // etcd zeroes the node of a change that it decided, after consensus, not to make.
    if (change.nodeId === NONE) continue;
    switch (change.type) {
      case ConfChangeType.ConfChangeAddNode:
        draft.makeVoter(change.nodeId);
        break;
      case ConfChangeType.ConfChangeAddLearnerNode:
        draft.makeLearner(change.nodeId);
        break;
      case ConfChangeType.ConfChangeRemoveNode:
        draft.remove(change.nodeId);
        break;
      case ConfChangeType.ConfChangeUpdateNode:
        break;
      default:
        return `unexpected conf type ${String(change.type)}`;
    }
  }
  return draft.incoming.length === 0 ? 'removed all voters' : undefined;
}

function accepted(draft: Draft, autoLeave: boolean): ChangeOutcome {
  const config = draft.finish(autoLeave);
  invariant(config.voters.incoming.length > 0, 'a configuration has a voter');
  invariant(!autoLeave || isJoint(config), 'only a joint configuration is left by itself');
  checkConfiguration(config);
  return { ok: true, config, kept: draft.kept };
}

function refused(reason: string): ChangeOutcome {
  return { ok: false, reason };
}
