// The two stored forms of a membership change and what they ask for.

import { fail } from '../../base/index.ts';
import {
  type ConfChange,
  ConfChangeCodec,
  type ConfChangeSingle,
  ConfChangeTransition,
  ConfChangeType,
  type ConfChangeV2,
  ConfChangeV2Codec,
  EntryType,
} from '../raftpb.ts';

/** One change of the older form, or any number of the newer. */
export type AnyConfChange = ConfChange | ConfChangeV2;

export function isV2(change: AnyConfChange): change is ConfChangeV2 {
  return 'changes' in change;
}

/** The newer form of the same change. */
export function asV2(change: AnyConfChange): ConfChangeV2 {
  if (isV2(change)) return change;
  return {
    transition: ConfChangeTransition.ConfChangeTransitionAuto,
    changes: [{ type: change.type, nodeId: change.nodeId }],
    context: change.context,
  };
}

/** Whether the change ends a joint configuration: it asks for nothing, context aside. */
export function wantsLeaveJoint(change: ConfChangeV2): boolean {
  return (
    change.transition === ConfChangeTransition.ConfChangeTransitionAuto &&
    change.changes.length === 0
  );
}

export type JointWish = 'none' | 'leave automatically' | 'leave explicitly';

/**
 * Whether the change goes through a joint configuration. Several changes always do, though some
 * combinations would qualify for the simple way: which ones depends on the configuration that they
 * meet, and the plain rule is safe.
 */
export function wantsJoint(change: ConfChangeV2): JointWish {
  switch (change.transition) {
    case ConfChangeTransition.ConfChangeTransitionAuto:
      return change.changes.length > 1 ? 'leave automatically' : 'none';
    case ConfChangeTransition.ConfChangeTransitionJointImplicit:
      return 'leave automatically';
    case ConfChangeTransition.ConfChangeTransitionJointExplicit:
      return 'leave explicitly';
    default:
      return fail(`unknown transition: ${String(change.transition)}`);
  }
}

const LETTER_BY_TYPE: ReadonlyMap<number, string> = new Map([
  [ConfChangeType.ConfChangeAddNode, 'v'],
  [ConfChangeType.ConfChangeAddLearnerNode, 'l'],
  [ConfChangeType.ConfChangeRemoveNode, 'r'],
  [ConfChangeType.ConfChangeUpdateNode, 'u'],
]);

/** Such as `v1 l2 r3 u4`: make 1 a voter, 2 a learner, remove 3, update 4. Ids are decimal. */
export function describeChanges(changes: readonly ConfChangeSingle[]): string {
  return changes
    .map((change) => `${LETTER_BY_TYPE.get(change.type) ?? 'unknown'}${change.nodeId}`)
    .join(' ');
}

/** The change that an entry of type EntryConfChange or EntryConfChangeV2 holds; MALFORMED. */
export function decodeConfChange(entryType: number, data: Uint8Array): AnyConfChange {
  return entryType === EntryType.EntryConfChange
    ? ConfChangeCodec.decode(data)
    : ConfChangeV2Codec.decode(data);
}

/** Type and data of the entry that proposes `change`. */
export function encodeConfChange(change: AnyConfChange): {
  readonly type: number;
  readonly data: Uint8Array;
} {
  return isV2(change)
    ? { type: EntryType.EntryConfChangeV2, data: ConfChangeV2Codec.encode(change) }
    : { type: EntryType.EntryConfChange, data: ConfChangeCodec.encode(change) };
}
