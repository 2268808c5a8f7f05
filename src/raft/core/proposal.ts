// Proposals on the leader: checked, given term and index, appended, sent.

import { EMPTY_BYTES, ERROR_CODES, hasCode, invariant, verify } from '../../base/index.ts';
import {
  type AnyConfChange,
  asV2,
  decodeConfChange,
  wantsLeaveJoint,
} from '../confchange/index.ts';
import { describeConfChange } from '../describe.ts';
import { NONE } from '../ids.ts';
import { EntryType, MessageType, newEntry } from '../raftpb.ts';
import { describeConfiguration, isJoint } from '../tracker/index.ts';
import { type Raft, ROLES } from './raft.ts';
import { broadcastAppends } from './replication.ts';
import { STEP_RESULTS, type StepResult } from './step-results.ts';

/** Type and data of an entry to be proposed; the leader adds term and index. No `data` means empty. */
export interface Proposal {
  readonly type: number;
  readonly data: Uint8Array | undefined;
}

/** Appends `proposals` to the leader's log, all or none, in this order. */
export function proposeAsLeader(raft: Raft, proposals: readonly Proposal[]): StepResult {
  if (proposals.length === 0) return STEP_RESULTS.MALFORMED;
  // A removed leader continues until it learns of its successor, and takes no new proposals.
  if (raft.ownProgress() === undefined) return STEP_RESULTS.PROPOSAL_DROPPED;
  if (raft.leadTransferee !== NONE) {
    raft.debug(
      () =>
        `${raft.name} [term ${raft.term}] transfer leadership to ` +
        `${raft.leadTransferee.toString(16)} is in progress; dropping proposal`,
    );
    return STEP_RESULTS.PROPOSAL_DROPPED;
  }
  const checked = checkConfChanges(raft, proposals);
  if (checked === undefined) return STEP_RESULTS.MALFORMED;
  if (!appendEntries(raft, checked)) return STEP_RESULTS.PROPOSAL_DROPPED;
  if (raft.config.deferAppends) raft.appendsDeferred = true;
  else broadcastAppends(raft);
  return STEP_RESULTS.OK;
}

/**
 * Appends `proposals` to the leader's log. False, and nothing happens, if `uncommittedBytesMax` would
 * be exceeded; proposals without payload are never refused.
 */
export function appendEntries(raft: Raft, proposals: readonly Proposal[]): boolean {
  let size = 0;
  for (let i = 0; i < proposals.length; i++) size += proposals[i]!.data?.length ?? 0;
  // With nothing uncommitted a proposal of any size is taken: a large one would never fit otherwise.
  const over = raft.uncommittedSize + size > raft.config.uncommittedBytesMax;
  if (over && raft.uncommittedSize > 0 && size > 0) {
    raft.warn(
      () =>
        `${raft.name} appending new entries to log would exceed ` +
        'uncommitted entry size limit; dropping proposal',
    );
    return false;
  }
  raft.uncommittedSize += size;
  let index = raft.log.lastIndex();
  invariant(raft.role === ROLES.LEADER, 'only a leader appends proposals');
  invariant(raft.log.termOrZero(index) <= raft.term, 'no entry is of a later term than the leader');
  for (let i = 0; i < proposals.length; i++) {
    const { type, data } = proposals[i]!;
    raft.log.push(newEntry(type, raft.term, ++index, data ?? EMPTY_BYTES));
  }
  if (verify.all) {
    invariant(raft.log.lastIndex() === index, 'the log ends with what was proposed');
  }
  if (!raft.config.deferAppends) acknowledgeOwnAppend(raft);
  else raft.appendsDeferred = true;
  return true;
}

/**
 * The leader counts its own log like a follower's, once it is synced: this MsgAppResp is delivered to
 * it then.
 */
export function acknowledgeOwnAppend(raft: Raft): void {
  const ack = raft.messageTo(raft.id, MessageType.MsgAppResp);
  invariant(raft.role === ROLES.LEADER, 'a leader counts its own log');
  ack.index = raft.log.lastIndex();
  raft.send(ack);
}

/** Entries of this size are committed and applied. */
export function reduceUncommittedSize(raft: Raft, size: number): void {
  invariant(size >= 0 && raft.uncommittedSize >= 0, 'uncommitted bytes are not negative');
  // Entries of earlier terms were never counted: do not go below zero for them.
  raft.uncommittedSize = Math.max(raft.uncommittedSize - size, 0);
}

/**
 * Replaces membership changes that cannot be made now by empty entries, so that the index of each
 * proposal stays. Undefined if one cannot be decoded.
 */
function checkConfChanges(
  raft: Raft,
  proposals: readonly Proposal[],
): readonly Proposal[] | undefined {
  let checked: Proposal[] | undefined;
  for (let i = 0; i < proposals.length; i++) {
    const proposal = proposals[i]!;
    if (proposal.type === EntryType.EntryNormal) continue;
    const change = tryDecode(proposal);
    if (change === undefined) return undefined;
    const refusal = refusalOf(raft, wantsLeaveJoint(asV2(change)));
    if (refusal !== undefined && !raft.config.disableConfChangeValidation) {
      raft.info(
        () =>
          `${raft.name} ignoring conf change ${describeConfChange(change)} ` +
          `at config ${describeConfiguration(raft.tracker.config)}: ${refusal}`,
      );
      checked ??= proposals.slice();
      checked[i] = { type: EntryType.EntryNormal, data: undefined };
    } else {
      raft.pendingConfIndex = raft.log.lastIndex() + i + 1;
    }
  }
  return checked ?? proposals;
}

/** Proposals come from other members too: what is no membership change is refused. */
function tryDecode(proposal: Proposal): AnyConfChange | undefined {
  const { EntryConfChange, EntryConfChangeV2 } = EntryType;
  if (proposal.type !== EntryConfChange && proposal.type !== EntryConfChangeV2) return undefined;
  try {
    return decodeConfChange(proposal.type, proposal.data ?? EMPTY_BYTES);
  } catch (error) {
    if (hasCode(error, ERROR_CODES.MALFORMED) || hasCode(error, ERROR_CODES.NUMBER_TOO_LARGE)) {
      return undefined;
    }
    throw error;
  }
}

/** Why a membership change may not be proposed now, in etcd's words; undefined if it may. */
function refusalOf(raft: Raft, leavesJoint: boolean): string | undefined {
  const { applied } = raft.log;
  if (raft.pendingConfIndex > applied) {
    return (
      `possible unapplied conf change at index ${raft.pendingConfIndex} ` +
      `(applied to ${applied})`
    );
  }
  const joint = isJoint(raft.tracker.config);
  if (joint && !leavesJoint) return 'must transition out of joint config first';
  if (!joint && leavesJoint) return 'not in joint state; refusing empty conf change';
  return undefined;
}
