// The node as its shell uses it: inputs in, a `Ready` of work out. No clock, no I/O, no callback.

import { ERROR_CODES, invariant, type LogIndex, TetcdError, verify } from '../base/index.ts';
import { type AnyConfChange, encodeConfChange } from './confchange/index.ts';
import { type Config, type ResolvedConfig, resolveConfig } from './config.ts';
import { onSnapshotReport, onUnreachable } from './core/append-response.ts';
import { bootRaft, bootstrap, type Peer } from './core/boot.ts';
import { checkState } from './core/check-state.ts';
import { standForElection } from './core/election.ts';
import { applyConfChange } from './core/membership.ts';
import { type Proposal, proposeAsLeader } from './core/proposal.ts';
import { type Raft, ROLES, type SoftState } from './core/raft.ts';
import { flushDeferredAppends, sendPendingAppends } from './core/replication.ts';
import { step } from './core/step.ts';
import { STEP_RESULTS, type StepResult } from './core/step-results.ts';
import { tick } from './core/tick.ts';
import { isLocalTarget, NONE, type NodeId } from './ids.ts';
import { StorageLatch, snapshotIndex } from './log/index.ts';
import { isLocalMessage, isResponseMessage } from './message-kinds.ts';
import {
  type ConfState,
  type Entry,
  EntryType,
  type HardState,
  type Message,
  MessageType,
  newEntry,
  newMessage,
} from './raftpb.ts';
import type { Ready } from './ready.ts';
import { type BasicStatus, basicStatusOf, type Status, statusOf } from './status.ts';
import {
  storageAppend,
  storageAppendResponse,
  storageApply,
  storageApplyResponse,
} from './storage-messages.ts';

/** Outcome of sending a snapshot, reported by the transport to {@link RawNode.reportSnapshot}. */
export const SNAPSHOT_STATUSES = { FINISHED: 'finished', FAILED: 'failed' } as const;

/** One of {@link SNAPSHOT_STATUSES}. */
export type SnapshotStatus = (typeof SNAPSHOT_STATUSES)[keyof typeof SNAPSHOT_STATUSES];

const EMPTY_HARD_STATE: HardState = { term: 0, vote: NONE, commit: 0 };

/**
 * One member of a raft group. Not re-entrant: one owner calls one method at a time, and afterwards
 * asks `hasReady`.
 *
 * If the storage throws, the node is inoperable from then on: `failure` is the error, `ready` and
 * `applyConfChange` throw it, everything else returns STORAGE_FAILED or does nothing.
 */
export class RawNode {
  readonly #raft: Raft;
  readonly #async: boolean;
  readonly #latch: StorageLatch;
  /** Soft and hard state of the last Ready that had them. */
  #softState: SoftState;
  #hardState: HardState;
  /** What `advance` has to step, in synchronous mode. */
  #stepsOnAdvance: Message[] = [];

  /**
   * Reads the storage and becomes a follower. INVALID_ARGUMENT for a bad setting, CORRUPT if what
   * the storage holds contradicts itself, and any error that the storage throws.
   */
  constructor(config: Config) {
    const resolved: ResolvedConfig = resolveConfig(config);
    this.#latch = new StorageLatch(resolved.storage);
    this.#raft = bootRaft({ ...resolved, storage: this.#latch });
    this.#async = resolved.asyncStorageWrites;
    this.#softState = this.#raft.softState();
    this.#hardState = this.#raft.hardState();
  }

  get id(): NodeId {
    return this.#raft.id;
  }

  /** What the storage threw; undefined while the node works. */
  get failure(): Error | undefined {
    return this.#latch.failure;
  }

  /**
   * Begins a new group of `peers` with an empty storage. INVALID_ARGUMENT without peers or if the
   * storage is not empty.
   */
  bootstrap(peers: readonly Peer[]): void {
    bootstrap(this.#raft, peers);
    // The first Ready must contain the hard state.
    this.#hardState = EMPTY_HARD_STATE;
  }

  /** One tick has passed. */
  tick(): void {
    if (this.failure !== undefined) return;
    try {
      tick(this.#raft);
      this.#check();
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Stands for election now. */
  campaign(): StepResult {
    if (this.failure !== undefined) return STEP_RESULTS.STORAGE_FAILED;
    try {
      standForElection(this.#raft);
      this.#check();
      return STEP_RESULTS.OK;
    } catch (error) {
      return this.#failed(error);
    }
  }

  /**
   * Proposes an entry with `data`, which the caller may not change afterwards. OK does not mean that it
   * will be committed, only that it is in the leader's log or on the way there.
   */
  propose(data: Uint8Array): StepResult {
    return this.proposeEntries([{ type: EntryType.EntryNormal, data }]);
  }

  /** Proposes one entry for each of `datas`, all or none, next to each other and in this order. */
  proposeBatch(datas: readonly Uint8Array[]): StepResult {
    return this.proposeEntries(datas.map((data) => ({ type: EntryType.EntryNormal, data })));
  }

  /** As `proposeBatch`, for entries of any type; MALFORMED if there are none. */
  proposeEntries(proposals: readonly Proposal[]): StepResult {
    if (this.failure !== undefined) return STEP_RESULTS.STORAGE_FAILED;
    try {
      if (this.#raft.role === ROLES.LEADER) {
        const result = proposeAsLeader(this.#raft, proposals);
        this.#check();
        return result;
      }
      const message = newMessage(MessageType.MsgProp, NONE);
      message.from = this.#raft.id;
      message.entries = proposals.map((proposal) => proposedEntry(proposal));
      return step(this.#raft, message);
    } catch (error) {
      return this.#failed(error);
    }
  }

  /**
   * Proposes a membership change; an empty ConfChangeV2 ends a joint configuration. One that cannot
   * be made now becomes an empty entry, with a log line.
   */
  proposeConfChange(change: AnyConfChange): StepResult {
    return this.proposeEntries([encodeConfChange(change)]);
  }

  /**
   * The shell applies a committed membership change. It must call this for each one, before the
   * entry is reported applied, with node 0 in place of a change that it decided not to make.
   * Returns the configuration that results. INVALID_ARGUMENT, and nothing changes, if the change
   * does not fit the configuration.
   *
   * `index` is that of its entry. With asynchronous storage writes it must be given: a snapshot may
   * overtake the apply thread, and a change that the snapshot contains is then left alone. (Entries
   * that a snapshot contains must not be applied to the state machine either.)
   */
  applyConfChange(change: AnyConfChange, index?: LogIndex): ConfState {
    this.#throwFailure();
    try {
      const confState = applyConfChange(this.#raft, change, index);
      this.#check();
      return confState;
    } catch (error) {
      if (this.failure === undefined) throw error;
      throw this.#failureError();
    }
  }

  /**
   * A message has arrived: from another node, or a response from a storage thread. Takes over the
   * message, its entries and their bytes.
   */
  step(message: Message): StepResult {
    if (this.failure !== undefined) return STEP_RESULTS.STORAGE_FAILED;
    const fromThread = isLocalTarget(message.from);
    if (!fromThread) {
      if (isLocalMessage(message.type)) return STEP_RESULTS.LOCAL_MESSAGE;
      const unknown = this.#raft.tracker.progress(message.from) === undefined;
      if (unknown && isResponseMessage(message.type)) return STEP_RESULTS.PEER_NOT_FOUND;
    }
    try {
      const result = step(this.#raft, message);
      this.#check();
      return result;
    } catch (error) {
      return this.#failed(error);
    }
  }

  /** Whether `ready` would return anything. */
  hasReady(): boolean {
    const raft = this.#raft;
    if (this.failure !== undefined) return false;
    return (
      raft.messages.length > 0 ||
      raft.messagesAfterAppend.length > 0 ||
      raft.log.unstable.hasEntriesToWrite() ||
      raft.log.hasEntriesToApply(!this.#async) ||
      raft.readStates.length > 0 ||
      this.#hardStateChanged() ||
      this.#softStateChanged() ||
      raft.log.unstable.snapshotToWrite() !== undefined
    );
  }

  /**
   * Takes all outstanding work. In synchronous mode the next call must be `advance`, once the work
   * is done. Throws `failure` if the storage fails.
   */
  ready(): Ready {
    this.#throwFailure();
    invariant(
      this.#stepsOnAdvance.length === 0,
      'two accepted Ready structs without call to Advance',
    );
    try {
      return this.#takeReady();
    } catch (error) {
      if (this.failure === undefined) throw error;
      throw this.#failureError();
    }
  }

  /** Synchronous mode: the work of the last Ready is done, all of it. */
  advance(): void {
    invariant(!this.#async, 'Advance must not be called when using AsyncStorageWrites');
    const steps = this.#stepsOnAdvance;
    this.#stepsOnAdvance = [];
    if (this.failure !== undefined) return;
    try {
      for (const message of steps) step(this.#raft, message);
      this.#check();
    } catch (error) {
      this.#failed(error);
    }
  }

  /**
   * With `deferAppends`: whether this leader has a commit index that it has not sent to its followers.
   * The next append or heartbeat carries it; {@link sendCommit} sends it without waiting for one.
   */
  get hasUnsentCommit(): boolean {
    return this.#raft.commitDeferred;
  }

  /** Whether the log has entries that, as far as this node knows, are not committed. */
  get hasUncommitted(): boolean {
    const { log } = this.#raft;
    return log.lastIndex() > log.committed;
  }

  /** Sends the commit index to the followers that may lack it; nothing without {@link hasUnsentCommit}. */
  sendCommit(): void {
    if (this.failure !== undefined || !this.#raft.commitDeferred) return;
    try {
      sendPendingAppends(this.#raft);
    } catch (error) {
      this.#failed(error);
    }
  }

  /**
   * Asks for a linearizable read: a ReadState with `context` follows in some Ready, or never if
   * there is no leader or a message is lost.
   */
  readIndex(context: Uint8Array): void {
    const message = newMessage(MessageType.MsgReadIndex, NONE);
    message.entries = [newEntry(EntryType.EntryNormal, 0, 0, context)];
    this.#stepOwn(message);
  }

  /** Asks the leader, this node or another, to hand leadership over to `to`. */
  transferLeader(to: NodeId): void {
    const message = newMessage(MessageType.MsgTransferLeader, NONE);
    message.from = to;
    this.#stepOwn(message);
  }

  /** A follower forgets its leader, and may vote in the same term if it has not voted yet. */
  forgetLeader(): void {
    this.#stepOwn(newMessage(MessageType.MsgForgetLeader, NONE));
  }

  /** The last message to `id` could not be delivered. */
  reportUnreachable(id: NodeId): void {
    if (this.failure === undefined) onUnreachable(this.#raft, id);
  }

  /** Outcome of the MsgSnap that was last sent to `id`; each one must be reported. */
  reportSnapshot(id: NodeId, status: SnapshotStatus): void {
    if (this.failure !== undefined) return;
    onSnapshotReport(this.#raft, id, status === SNAPSHOT_STATUSES.FAILED);
  }

  basicStatus(): BasicStatus {
    return basicStatusOf(this.#raft);
  }

  status(): Status {
    return statusOf(this.#raft);
  }

  /** Index of the last entry in the log, stable or not. */
  lastIndex(): LogIndex {
    return this.#raft.log.lastIndex();
  }

  /**
   * For tests and simulation: the ticks after which this node stands for election, until redrawn.
   */
  setRandomizedElectionTimeout(ticks: number): void {
    this.#raft.randomizedElectionTimeout = ticks;
  }

  #takeReady(): Ready {
    const raft = this.#raft;
    flushDeferredAppends(raft);
    const allowUnstable = !this.#async;
    const entries = raft.log.unstable.entriesToWrite();
    const committedEntries = raft.log.entriesToApply(allowUnstable);
    const softState = this.#softStateChanged() ? raft.softState() : undefined;
    const hardState = this.#hardStateChanged() ? raft.hardState() : undefined;
    const snapshot = raft.log.unstable.snapshotToWrite();
    const mustSync =
      entries.length > 0 ||
      raft.term !== this.#hardState.term ||
      raft.vote !== this.#hardState.vote;
    invariant(
      entries.length === 0 || entries[entries.length - 1]!.index === raft.log.lastIndex(),
      'what is written reaches the end of the log',
    );
    invariant(
      committedEntries.length === 0 ||
        committedEntries[committedEntries.length - 1]!.index <= raft.log.committed,
      'only committed entries are applied',
    );
    const { messages, readStates } = raft;
    if (this.#async) {
      const append = storageAppend(raft, { entries, hardState, snapshot });
      if (append !== undefined) messages.push(append);
      if (committedEntries.length > 0) messages.push(storageApply(raft, committedEntries));
    } else {
      this.#planAdvance(messages, committedEntries, snapshot);
    }
    invariant(
      snapshot === undefined || entries.length === 0 || entries[0]!.index > snapshotIndex(snapshot),
      'entries follow the snapshot that is written with them',
    );
    if (softState !== undefined) this.#softState = softState;
    if (hardState !== undefined) this.#adoptHardState(hardState);
    raft.messages = [];
    raft.messagesAfterAppend = [];
    if (readStates.length > 0) raft.readStates = [];
    raft.log.unstable.acceptInProgress();
    if (committedEntries.length > 0) raft.log.acceptApplying(committedEntries, allowUnstable);
    invariant(!raft.log.unstable.hasEntriesToWrite(), 'a Ready takes every entry to write');
    invariant(raft.log.unstable.snapshotToWrite() === undefined, 'a Ready takes the snapshot');
    this.#check();
    return {
      softState,
      hardState,
      readStates,
      entries,
      snapshot,
      committedEntries,
      messages,
      mustSync,
    };
  }

  /**
   * Synchronous mode: messages to others that wait for the disk are handed out with the rest, as
   * all are sent after the write; those to this node itself are for `advance`.
   */
  #planAdvance(messages: Message[], committed: Entry[], snapshot: Ready['snapshot']): void {
    const raft = this.#raft;
    for (const message of raft.messagesAfterAppend) {
      if (message.to === raft.id) this.#stepsOnAdvance.push(message);
      else messages.push(message);
    }
    const stored = storageAppendResponse(raft, snapshot);
    if (stored !== undefined) this.#stepsOnAdvance.push(stored);
    if (committed.length > 0) this.#stepsOnAdvance.push(storageApplyResponse(raft, committed));
  }

  #softStateChanged(): boolean {
    return this.#raft.lead !== this.#softState.lead || this.#raft.role !== this.#softState.role;
  }

  #hardStateChanged(): boolean {
    return (
      this.#raft.log.committed !== this.#hardState.commit ||
      this.#raft.term !== this.#hardState.term ||
      this.#raft.vote !== this.#hardState.vote
    );
  }

  /** What a node may promise to a disk: no earlier term, no second vote in a term, no commit undone. */
  #adoptHardState(next: HardState): void {
    const last = this.#hardState;
    invariant(next.term >= last.term, 'the term never goes back');
    invariant(next.commit >= last.commit, 'the commit index never goes back');
    invariant(
      next.term > last.term || last.vote === NONE || next.vote === last.vote,
      'one vote per term',
    );
    this.#hardState = next;
  }

  #stepOwn(message: Message): void {
    if (this.failure !== undefined) return;
    try {
      step(this.#raft, message);
      this.#check();
    } catch (error) {
      this.#failed(error);
    }
  }

  #check(): void {
    if (verify.all) checkState(this.#raft);
  }

  /** A storage failure becomes STORAGE_FAILED; any other error is thrown on. */
  #failed(error: unknown): StepResult {
    if (this.failure === undefined) throw error;
    return STEP_RESULTS.STORAGE_FAILED;
  }

  #throwFailure(): void {
    if (this.failure !== undefined) throw this.#failureError();
  }

  #failureError(): TetcdError {
    const cause = this.failure;
    if (cause instanceof TetcdError) return cause;
    return new TetcdError(ERROR_CODES.DISK_FAILED, 'the raft storage failed', { cause });
  }
}

/** A proposal on its way to the leader, which gives it term and index. */
function proposedEntry(proposal: Proposal): Entry {
  return newEntry(proposal.type, 0, 0, proposal.data ?? new Uint8Array(0));
}
