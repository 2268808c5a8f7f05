// What the cluster knows of one member. Raft attributes change through configuration changes,
// the others through the member's own publication after each start.

/** A member's or a cluster's identity: an unsigned 64-bit number, never rounded. 0 is no member. */
export type MemberId = bigint;

export interface RaftAttributes {
  /** Where the other members reach it; never empty, in the order in which they were proposed. */
  readonly peerURLs: readonly string[];
  /** A learner receives the log but does not vote. */
  readonly isLearner: boolean;
}

export interface Attributes {
  /** Empty until the member has started and published itself. */
  readonly name: string;
  /** Where clients reach it; empty until the member has published itself. */
  readonly clientURLs: readonly string[];
}

/** Immutable: a change makes a new object. */
export interface Member extends RaftAttributes, Attributes {
  readonly id: MemberId;
}

/** Whether the member has ever published itself (etcd's rule: it has a name). */
export function isStarted(member: Member): boolean {
  return member.name !== '';
}

/** The identity as etcd prints it and as bucket keys have it: lower hex, no padding. */
export function formatId(id: MemberId): string {
  return id.toString(16);
}
