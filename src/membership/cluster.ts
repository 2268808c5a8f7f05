// The members of one cluster as the applied log entries make them: who belongs, who was removed
// (permanently), which version all speak. Pure: a change returns the backend rows to write in the
// same turn; the owner of the backend writes them.
//
// Replay. Every change carries the raft index of its entry. State loaded "as of index C" already
// holds everything up to C, so changes at or below it are answered with `replayed` and do nothing:
// applying them again would not be harmless (a change that was refused the first time may look
// legal against later state).

import {
  compareUint64,
  ERROR_CODES,
  invariant,
  type LogIndex,
  TetcdError,
  utf8FromBytes,
} from '../base/index.ts';
import { type Attributes, formatId, isStarted, type Member, type MemberId } from './member.ts';
import { parseConfChangeContext, parseMember } from './member-json.ts';
import {
  type DowngradeInfo,
  downgradeRow,
  memberDeletion,
  memberRow,
  NO_DOWNGRADE,
  type Row,
  type RowChange,
  type RowContents,
  removedRow,
  versionRow,
} from './rows.ts';
import { type ClusterVersion, compareVersions, formatVersion, SERVER_VERSION } from './version.ts';

/** raftpb.ConfChangeType. */
export const CONF_CHANGE = { ADD_NODE: 0, REMOVE_NODE: 1, UPDATE_NODE: 2, ADD_LEARNER: 3 } as const;

/** The parts of raftpb.ConfChange that concern the membership. */
export interface ConfChangeInput {
  readonly type: number;
  readonly nodeId: MemberId;
  /** JSON of a member or of a promotion; empty for a removal. */
  readonly context: Uint8Array;
}

/** Why a configuration change does nothing, with etcd's text for it. */
export const MEMBERSHIP_REFUSALS = {
  ID_REMOVED: 'membership: ID removed',
  ID_EXISTS: 'membership: ID exists',
  ID_NOT_FOUND: 'membership: ID not found',
  PEER_URL_EXISTS: 'membership: peerURL exists',
  MEMBER_NOT_LEARNER: 'membership: can only promote a learner member',
  TOO_MANY_LEARNERS: 'membership: too many learner members in cluster',
} as const;
export type MembershipRefusal = keyof typeof MEMBERSHIP_REFUSALS;

/** What a configuration change did. Only `refused` and `replayed` leave everything as it was. */
type ConfChangeOutcome =
  | { readonly kind: 'refused'; readonly refusal: MembershipRefusal }
  | { readonly kind: 'replayed' }
  | {
      readonly kind: 'added' | 'promoted' | 'updated' | 'removed';
      /** As it is now; for `removed`, as it was. */
      readonly member: Member;
      readonly rows: readonly RowChange[];
    };

/** What the loaded or bootstrapped state says, and as of which entry. */
export interface ClusterState extends RowContents {
  /** The raft index whose entry is the last one that the state covers; 0 before any. */
  readonly appliedIndex: LogIndex;
}

export interface ClusterOptions {
  readonly clusterId: bigint;
  readonly maxLearners: number;
}

const NO_ROWS: readonly RowChange[] = [];

/** Single-owner mutable state; the `Member` objects it hands out are immutable. */
export class Cluster {
  readonly id: bigint;
  readonly #maxLearners: number;
  #members: Map<MemberId, Member>;
  #removed: Set<MemberId>;
  #version: ClusterVersion | undefined;
  #downgrade: DowngradeInfo;
  #appliedIndex: LogIndex;

  constructor(state: ClusterState, options: ClusterOptions) {
    this.id = options.clusterId;
    this.#maxLearners = options.maxLearners;
    this.#members = new Map(state.members.map((member) => [member.id, member]));
    this.#removed = new Set(state.removed);
    this.#version = undefined;
    this.#downgrade = state.downgrade;
    this.#appliedIndex = state.appliedIndex;
    if (state.version !== undefined) this.#takeVersion(state.version);
    checkIds(state);
  }

  /** The raft index of the last change taken, or as of which the state was loaded. */
  get appliedIndex(): LogIndex {
    return this.#appliedIndex;
  }

  /** Undefined until the cluster has agreed on one. */
  get version(): ClusterVersion | undefined {
    return this.#version;
  }

  get downgrade(): DowngradeInfo {
    return this.#downgrade;
  }

  /** Sorted by id; a fresh array. */
  members(): Member[] {
    return [...this.#members.values()].sort((a, b) => compareUint64(a.id, b.id));
  }

  votingMembers(): Member[] {
    return this.members().filter((member) => !member.isLearner);
  }

  member(id: MemberId): Member | undefined {
    return this.#members.get(id);
  }

  /** Removed ids, ascending; they never come back. */
  removedIds(): MemberId[] {
    return [...this.#removed].sort(compareUint64);
  }

  isRemoved(id: MemberId): boolean {
    return this.#removed.has(id);
  }

  state(): ClusterState {
    return {
      members: this.members(),
      removed: this.removedIds(),
      version: this.#version,
      downgrade: this.#downgrade,
      appliedIndex: this.#appliedIndex,
    };
  }

  /** Why the change would do nothing against the present state; undefined if it would do it. */
  refusalOf(change: ConfChangeInput): MembershipRefusal | undefined {
    if (this.#removed.has(change.nodeId)) return 'ID_REMOVED';
    const existing = this.#members.get(change.nodeId);
    switch (change.type) {
      case CONF_CHANGE.ADD_NODE:
      case CONF_CHANGE.ADD_LEARNER:
        return this.#refusalOfAddition(change, existing);
      case CONF_CHANGE.REMOVE_NODE:
        return existing === undefined ? 'ID_NOT_FOUND' : undefined;
      case CONF_CHANGE.UPDATE_NODE:
        if (existing === undefined) return 'ID_NOT_FOUND';
        return this.#urlsTaken(memberOf(change).peerURLs, change.nodeId)
          ? 'PEER_URL_EXISTS'
          : undefined;
      default:
        throw unknownType(change);
    }
  }

  #refusalOfAddition(
    change: ConfChangeInput,
    existing: Member | undefined,
  ): MembershipRefusal | undefined {
    const { member, isPromote } = contextOf(change);
    if (isPromote) {
      if (existing === undefined) return 'ID_NOT_FOUND';
      return existing.isLearner ? undefined : 'MEMBER_NOT_LEARNER';
    }
    if (existing !== undefined) return 'ID_EXISTS';
    if (this.#urlsTaken(member.peerURLs, undefined)) return 'PEER_URL_EXISTS';
    const addsLearner = member.isLearner && change.type === CONF_CHANGE.ADD_LEARNER;
    const learners = this.members().filter((other) => other.isLearner).length;
    return addsLearner && learners >= this.#maxLearners ? 'TOO_MANY_LEARNERS' : undefined;
  }

  #urlsTaken(urls: readonly string[], exceptBy: MemberId | undefined): boolean {
    return this.members().some(
      (member) => member.id !== exceptBy && member.peerURLs.some((url) => urls.includes(url)),
    );
  }

  /**
   * Applies the configuration change of the entry at `index`. MALFORMED, CORRUPT or UNSUPPORTED if
   * its context cannot be understood or names another member: the log is then not to be trusted.
   */
  applyConfChange(index: LogIndex, change: ConfChangeInput): ConfChangeOutcome {
    if (!this.#accept(index)) return { kind: 'replayed' };
    const refusal = this.refusalOf(change);
    if (refusal !== undefined) return { kind: 'refused', refusal };
    if (change.type === CONF_CHANGE.REMOVE_NODE) return this.#remove(change.nodeId);
    if (change.type === CONF_CHANGE.UPDATE_NODE) {
      return this.#replace('updated', {
        ...this.#mustHave(change.nodeId),
        peerURLs: memberOf(change).peerURLs,
      });
    }
    const { member, isPromote } = contextOf(change);
    if (!isPromote) return this.#replace('added', member);
    return this.#replace('promoted', { ...this.#mustHave(change.nodeId), isLearner: false });
  }

  #replace(kind: 'added' | 'promoted' | 'updated', member: Member): ConfChangeOutcome {
    this.#members.set(member.id, member);
    this.#check();
    return { kind, member, rows: [memberRow(member)] };
  }

  #remove(id: MemberId): ConfChangeOutcome {
    const member = this.#mustHave(id);
    this.#members.delete(id);
    this.#removed.add(id);
    this.#check();
    return { kind: 'removed', member, rows: [memberDeletion(id), removedRow(id)] };
  }

  /**
   * A member published its name and client URLs. Nothing happens for a removed member; CORRUPT for
   * one that never existed. Returns the rows to write.
   */
  setAttributes(index: LogIndex, id: MemberId, attributes: Attributes): readonly RowChange[] {
    if (!this.#accept(index)) return NO_ROWS;
    const member = this.#members.get(id);
    if (member === undefined) {
      if (this.#removed.has(id)) return NO_ROWS;
      throw new TetcdError(
        ERROR_CODES.CORRUPT,
        `the log sets attributes of ${formatId(id)}, which never was a ` +
          `member of cluster ${formatId(this.id)}`,
      );
    }
    const { name, clientURLs } = attributes;
    const changed = { ...member, name, clientURLs };
    this.#members.set(id, changed);
    return [memberRow(changed)];
  }

  /** UNSUPPORTED if the version is newer than this release. Returns the rows to write. */
  setVersion(index: LogIndex, version: ClusterVersion): readonly RowChange[] {
    if (!this.#accept(index)) return NO_ROWS;
    this.#takeVersion(version);
    return [versionRow(version)];
  }

  setDowngrade(index: LogIndex, info: DowngradeInfo): readonly RowChange[] {
    if (!this.#accept(index)) return NO_ROWS;
    this.#downgrade = info;
    return [downgradeRow(info)];
  }

  /**
   * All rows as they should be, and deletions of those in `existing` that should not be: what to
   * write after taking over a directory whose buckets may be stale.
   */
  rewriteRows(existing: Iterable<Pick<Row, 'bucket' | 'key'>>): RowChange[] {
    const rows: RowChange[] = this.members().map(memberRow);
    rows.push(...this.removedIds().map(removedRow));
    if (this.#version !== undefined) rows.push(versionRow(this.#version));
    if (this.#downgrade !== NO_DOWNGRADE) rows.push(downgradeRow(this.#downgrade));
    const wanted = new Set(rows.map((row) => `${row.bucket}/${row.key}`));
    for (const { bucket, key } of existing) {
      if (!wanted.has(`${bucket}/${key}`)) rows.push({ bucket, key, value: undefined });
    }
    return rows;
  }

  /** Whether the quorum survives one more voter that has not started. */
  isReadyToAddVoter(): boolean {
    const voters = this.votingMembers();
    const started = voters.filter(isStarted).length;
    // One member growing to two may always be tried: it is how a lost cluster is rebuilt.
    if (started === 1 && voters.length === 1) return true;
    return started >= quorumOf(voters.length + 1);
  }

  isReadyToRemoveVoter(id: MemberId): boolean {
    const others = this.votingMembers().filter((member) => member.id !== id);
    return others.filter(isStarted).length >= quorumOf(others.length);
  }

  /** The learner to be promoted counts as a started voter. */
  isReadyToPromote(): boolean {
    const voters = this.votingMembers();
    return voters.filter(isStarted).length + 1 >= quorumOf(voters.length + 1);
  }

  /** False for an entry that the state already covers. */
  #accept(index: LogIndex): boolean {
    if (index <= this.#appliedIndex) return false;
    this.#appliedIndex = index;
    return true;
  }

  #takeVersion(version: ClusterVersion): void {
    if (compareVersions(version, SERVER_VERSION) > 0) {
      throw new TetcdError(
        ERROR_CODES.UNSUPPORTED,
        `invalid downgrade; server version ${formatVersion(SERVER_VERSION)} is lower than ` +
          `determined cluster version ${formatVersion(version)}`,
      );
    }
    this.#version = version;
  }

  #mustHave(id: MemberId): Member {
    const member = this.#members.get(id);
    invariant(member !== undefined, 'a change that passed its checks has its member');
    return member;
  }

  #check(): void {
    for (const id of this.#removed) {
      invariant(!this.#members.has(id), 'a removed id is no member');
    }
    invariant(!this.#members.has(0n), 'no member has the id 0');
  }
}

/** What was read from disk or came from another member. CORRUPT if it contradicts itself. */
function checkIds({ members, removed }: ClusterState): void {
  const gone = new Set(removed);
  for (const { id } of members) {
    if (id === 0n) throw new TetcdError(ERROR_CODES.CORRUPT, 'a member has the id 0');
    if (!gone.has(id)) continue;
    throw new TetcdError(ERROR_CODES.CORRUPT, `${formatId(id)} is a member and was removed`);
  }
}

export function emptyState(appliedIndex: LogIndex): ClusterState {
  return { members: [], removed: [], version: undefined, downgrade: NO_DOWNGRADE, appliedIndex };
}

/** How many of so many members are a majority. */
export function quorumOf(voters: number): number {
  return Math.floor(voters / 2) + 1;
}

function contextOf(change: ConfChangeInput): ReturnType<typeof parseConfChangeContext> {
  const context = parseConfChangeContext(utf8FromBytes(change.context), describe(change));
  checkId(change, context.member.id);
  return context;
}

function memberOf(change: ConfChangeInput): Member {
  const member = parseMember(utf8FromBytes(change.context), describe(change));
  checkId(change, member.id);
  return member;
}

function checkId(change: ConfChangeInput, id: MemberId): void {
  if (id === change.nodeId) return;
  throw new TetcdError(
    ERROR_CODES.CORRUPT,
    `${describe(change)}: its context names ${formatId(id)}`,
  );
}

function describe(change: ConfChangeInput): string {
  return `configuration change of member ${formatId(change.nodeId)}`;
}

function unknownType(change: ConfChangeInput): TetcdError {
  return new TetcdError(
    ERROR_CODES.UNSUPPORTED,
    `${describe(change)}: unknown type ${change.type}`,
  );
}
