// The one place that orders effects.
//
//     inputs of a turn ──► propose, ask for reads ──► Ready ─┬─► send: messages to other members
//                                                            ├─► append: WAL write and sync ──► responses
//                                                            └─► apply: state machine ────────► responses
//
// Raft runs with asynchronous storage writes: any number of appends may be in progress, the WAL
// completes them in order, and only a completed append reports its entries stable, to this member
// and (votes, acknowledgements) to others. A member alone in its cluster therefore commits, applies
// and acknowledges only what its own disk has; a leader sends while its own disk writes.
//
// One Ready is taken at the end of the turn of the event loop for everything that arrived in it. After a
// completed append one is taken immediately: its entries have waited for the disk already.
//
// An append with a leader's snapshot has these steps (a crash between any two leaves a directory that
// boots, with the old state or the new one):
//
//     1 the database file is synced, before raft gets the message (`PeerHost.storeSnapshot`)
//     2 `.snap` written and synced
//     3 snapshot record in the log
//     4 hard state (commit ≥ the snapshot) and entries in the log, synced; appends behind it wait for 2
//     5 raft gets the response, the leader its acknowledgement, and the state machine is replaced

import { ERROR_CODES, failpoints, hasCode, invariant, verify } from '../../base/index.ts';
import type { Env } from '../../env/index.ts';
import type { Server } from '../../grpc/index.ts';
import { raftpb } from '../../protocol/index.ts';
import {
  type ConfChange,
  type HardState,
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  type MemoryStorage,
  type Message,
  NONE,
  type NodeId,
  newMessage,
  type RawNode,
  type ReadState,
  ROLES,
  SNAPSHOT_STATUSES,
  type Snapshot,
  type SoftState,
  STEP_RESULTS,
  STORAGE_OUTCOMES,
  type StepResult,
} from '../../raft/index.ts';
import type { Wal } from '../../wal/index.ts';
import { COMMIT_DELAY_MS } from '../limits.ts';
import type { CoarseClock } from '../telemetry/coarse-clock.ts';
import { Append } from './append.ts';
import { ForwardedProposals } from './forwarded-proposals.ts';
import { ProposalQueue, type Proposer } from './proposal-queue.ts';
import { hitBeforeSend } from './send-failpoint.ts';
import type { AppendTracing } from './tracing.ts';
import { verifyMessages } from './verify-messages.ts';

const { MsgProp } = raftpb.MessageType;

interface ReadyLoopParts {
  readonly node: RawNode;
  readonly storage: MemoryStorage;
  readonly wal: Pick<Wal, 'append'>;
  readonly env: Pick<Env, 'timers'>;
  readonly store: {
    /** Takes committed entries; the answer is {@link ReadyLoop.acceptApplied}. */
    deliver(message: Message): void;
    /** A leader's snapshot is durable: later entries follow it. */
    install(snapshot: Snapshot): void;
  };
  readonly peers: {
    /** Sends a message to another member, or drops it; encoded before it returns. */
    send(message: Message): void;
  };
  readonly snapshotter: {
    /** Writes the `.snap` file of a leader's snapshot and its record in the log. */
    saveReceived(snapshot: Snapshot): Promise<void>;
  };
  readonly reads: {
    /** The context of a read index to request now, if there is one; called once per turn. */
    nextContext(): Uint8Array | undefined;
    acceptStates(states: readonly ReadState[]): void;
  };
  readonly tracing?: AppendTracing | undefined;
  /** Told when an append has ended, which may have waited for the disk within the turn. */
  readonly turnClock: Pick<CoarseClock, 'lookAgain' | 'monotonicMs' | 'pin' | 'unpin'>;
  /** What the loop answers at the end of a turn is written there, not at the end of another one. */
  readonly grpc: Pick<Server, 'callsBegun' | 'cork' | 'uncork'>;
  readonly reports: {
    acceptSoftState(state: SoftState): void;
    acceptHardState(state: HardState): void;
  };
  readonly life: {
    /** The log can no longer be written, or raft has failed: the member must stop. */
    fail(error: unknown): void;
  };
}

/** An entry that only a leader may propose. */
interface LeaderProposal {
  readonly payload: Uint8Array;
  readonly drop: () => void;
}

export class ReadyLoop {
  readonly #parts: ReadyLoopParts;
  readonly #proposals = new ProposalQueue();
  /** Of other members. */
  readonly #forwarded = new ForwardedProposals();
  #confChanges: { readonly change: ConfChange; readonly sinceMs: number }[] = [];
  /** Leader proposals of this turn. */
  #leaderProposals: LeaderProposal[] = [];
  /** Whether a timer runs that sends the commit index to followers. */
  #sendsCommit = false;
  /** Since when followers lack a commit index, on the monotonic clock; undefined if they do not. */
  #commitSinceMs: number | undefined;
  /** Whether another member may wait for the commit index, to answer what it has forwarded. */
  #answersElsewhere = false;
  /** The newest hard state, unless it is in the log. */
  #unwritten: HardState | undefined;
  /** A snapshot's append, and the appends after it, which must not overtake it. */
  readonly #held: Append[] = [];
  /** Sequence of the newest append, and of the last one that the WAL has completed. */
  #appendsMade = 0;
  #appendsCompleted = 0;
  /** Calls that had begun at the newest append. */
  #callsSeen = 0;
  /** Whether the newest append of this run waited alone. */
  #wasAlone = false;
  #scheduled = false;
  #running = false;
  #stopped = false;
  #leader: NodeId = NONE;

  /** The parts are read while the loop runs; they may be set later. */
  constructor(parts: ReadyLoopParts) {
    this.#parts = parts;
  }

  /** Whether there is room for another proposal; else `etcdserver: too many requests`. */
  get hasRoom(): boolean {
    return this.#proposals.hasRoom(this.#confChanges.length);
  }

  /**
   * Proposes an entry with this payload, which the caller does not change afterwards, at the end of
   * the turn, or once there is a leader and room in its log.
   */
  propose(payload: Uint8Array, proposer: Proposer): void {
    invariant(this.hasRoom, 'the caller asks for room before it proposes');
    this.#proposals.add(payload, proposer);
    this.schedule();
  }

  /** Proposes a membership change, as {@link propose} does an entry; `sinceMs` is now. */
  proposeConfChange(change: ConfChange, sinceMs: number): void {
    invariant(this.hasRoom, 'the caller asks for room before it proposes');
    this.#confChanges.push({ change, sinceMs });
    this.schedule();
  }

  /**
   * Proposes at the end of the turn if this member then leads, or else calls `drop`: the entry is never
   * forwarded to another leader, for which it might be wrong.
   */
  proposeAsLeader(payload: Uint8Array, drop: () => void): void {
    this.#leaderProposals.push({ payload, drop });
    this.schedule();
  }

  /** Drops proposals made by then that raft has not taken: they have timed out. */
  expire(madeBefore: number): void {
    this.#proposals.expire(madeBefore);
    this.#forwarded.expire(madeBefore);
    while (this.#confChanges.length > 0 && this.#confChanges[0]!.sinceMs <= madeBefore) {
      this.#confChanges.shift();
    }
  }

  /** A message of another member, which the loop owns. */
  receive(message: Message): void {
    if (this.#stopped) return;
    // Other refusals (a stale term) are ignored: the sender retries.
    if (message.type === MsgProp) this.#answersElsewhere = true;
    if (this.#parts.node.step(message) === STEP_RESULTS.PROPOSAL_DROPPED) {
      this.#forwarded.hold(message, this.#parts.turnClock.monotonicMs());
    }
    this.schedule();
  }

  tick(): void {
    if (this.#stopped) return;
    this.#parts.node.tick();
    // Idle: persist the commit index on its own.
    this.writeCommit();
    this.schedule();
  }

  /** Starts an election. */
  campaign(): void {
    this.#parts.node.campaign();
    this.schedule();
  }

  /** Starts a leadership transfer. */
  transferLeader(to: NodeId): void {
    this.#parts.node.transferLeader(to);
    this.schedule();
  }

  /** A peer cannot be reached. */
  reportUnreachable(id: NodeId): void {
    this.#parts.node.reportUnreachable(id);
    this.schedule();
  }

  /** Outcome of a snapshot sent to `id`; each one that raft requested must be reported. */
  reportSnapshot(id: NodeId, arrived: boolean): void {
    const { node } = this.#parts;
    if (!arrived) node.reportUnreachable(id);
    node.reportSnapshot(id, arrived ? SNAPSHOT_STATUSES.FINISHED : SNAPSHOT_STATUSES.FAILED);
    this.schedule();
  }

  /** Schedules a Ready at the end of this turn. */
  schedule(): void {
    if (this.#scheduled || this.#stopped) return;
    this.#scheduled = true;
    this.#parts.env.timers.atEndOfTurn(this.#runScheduled);
  }

  /**
   * Appends the commit index to the log, if it is not there; durable with the next sync. A snapshot record
   * counts only after a commit index that covers it.
   */
  writeCommit(): void {
    const hardState = this.#unwritten;
    if (hardState === undefined || this.#stopped) return;
    this.#unwritten = undefined;
    const nothing = newMessage(raftpb.MessageType.MsgStorageAppend, LOCAL_APPEND_THREAD);
    this.#append(new Append(this, nothing, hardState, false));
  }

  get isStopped(): boolean {
    return this.#stopped;
  }

  /** Nothing is proposed, written or applied any more; appends in progress still complete on disk. */
  stop(): void {
    this.#stopped = true;
  }

  /**
   * Whether nothing else waits if the loop waits for an append of so many entries: it is one client's, and
   * no other call has come since the append before it.
   */
  isAlone(entries: number): boolean {
    const { callsBegun } = this.#parts.grpc;
    const calls = callsBegun - this.#callsSeen;
    this.#callsSeen = callsBegun;
    this.#wasAlone = entries <= 1 && calls <= 1;
    return this.#wasAlone;
  }

  /** Numbers the appends in the order in which they go to the log. */
  nextSequence(): number {
    this.#appendsMade++;
    invariant(this.#appendsMade > this.#appendsCompleted, 'an append is made before it ends');
    return this.#appendsMade;
  }

  /** The WAL has made an append durable, or has failed. */
  acceptAppend(append: Append, error: unknown): void {
    if (this.#stopped) return;
    if (error !== undefined) {
      this.#fail(error);
      return;
    }
    const { storage, store } = this.#parts;
    const { snapshot, entries, responses, to } = append.message;
    invariant(to === LOCAL_APPEND_THREAD, 'the log completes only what is for it');
    invariant(append.sequence === ++this.#appendsCompleted, 'the log completes appends in order');
    invariant(this.#appendsCompleted <= this.#appendsMade, 'an append is made before it ends');
    this.#parts.turnClock.lookAgain();
    this.#parts.tracing?.appendEnded(append.sequence);
    failpoints.active?.hit('raftAfterSave');
    if (snapshot !== undefined) {
      failpoints.active?.hit('raftBeforeApplySnap');
      const outcome = storage.applySnapshot(snapshot);
      invariant(
        outcome === STORAGE_OUTCOMES.DONE,
        'a received snapshot is newer than the stored one',
      );
      failpoints.active?.hit('raftAfterApplySnap');
      // Before raft gets the response, after which it delivers entries that follow the snapshot.
      store.install(snapshot);
    }
    storage.append(entries);
    invariant(
      entries.length === 0 || storage.lastIndex() === entries[entries.length - 1]!.index,
      'raft reads what the log has, and nothing behind it',
    );
    if (append.hardState !== undefined) storage.setHardState(append.hardState);
    if (failpoints.active !== undefined) hitBeforeSend(this.#parts.node, responses);
    failpoints.active?.hit('raftBeforeAdvance');
    this.#deliver(responses);
    this.#runToAnswers(append.isAlone);
  }

  /** The state machine has applied all entries of a message. */
  acceptApplied(message: Message): void {
    if (this.#stopped) return;
    invariant(message.to === LOCAL_APPLY_THREAD, 'the state machine applies only what is for it');
    this.#deliver(message.responses);
    // While it runs, the loop looks for another Ready; what waited for room is proposed in a next turn.
    const waiting = this.#proposals.length + this.#confChanges.length;
    if (!this.#running || waiting > 0) this.schedule();
  }

  readonly #runScheduled = (): void => {
    invariant(this.#scheduled, 'a Ready at the end of a turn was scheduled');
    this.#scheduled = false;
    this.#runToAnswers(false);
  };

  /**
   * Answers that wait for an append that is alone are written right after the run, since nothing else will be
   * answered in this turn; others at its end, with what comes until then.
   */
  #runToAnswers(isAlone: boolean): void {
    const { turnClock, grpc } = this.#parts;
    this.#wasAlone = isAlone;
    turnClock.pin();
    grpc.cork();
    this.#run();
    grpc.uncork(this.#wasAlone);
    turnClock.unpin();
  }

  #run(): void {
    if (this.#running || this.#stopped) return;
    this.#running = true;
    try {
      this.#feed();
      const { node } = this.#parts;
      while (node.hasReady() && !this.#stopped) this.#take();
      this.#maybeSendCommit();
      invariant(
        this.#held.length <= this.#appendsMade - this.#appendsCompleted,
        'appends that are held back are in progress',
      );
      if (node.failure !== undefined) this.#fail(node.failure);
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#running = false;
    }
  }

  /** Passes this turn's proposals and reads to raft. Without a leader, proposals wait, as in etcd. */
  #feed(): void {
    const { node, reads } = this.#parts;
    this.#proposeAsLeader();
    this.#proposals.dropUnwanted();
    if (this.#leader !== NONE) this.#propose();
    invariant(this.#leaderProposals.length === 0, 'a proposal of the leader is made or dropped');
    const context = reads.nextContext();
    if (context !== undefined) node.readIndex(context);
  }

  /**
   * Sends the commit index after COMMIT_DELAY_MS; under load the next entries carry it before. At once if
   * there are none, and a client of another member waits for it.
   */
  #maybeSendCommit(): void {
    const { node } = this.#parts;
    if (this.#answersElsewhere && node.hasUnsentCommit && !node.hasUncommitted) {
      this.#answersElsewhere = false;
      node.sendCommit();
      while (node.hasReady() && !this.#stopped) this.#take();
    }
    if (!node.hasUnsentCommit) this.#commitSinceMs = undefined;
    else if (this.#commitSinceMs === undefined) this.#sendCommitSoon();
  }

  #sendCommitSoon(): void {
    this.#commitSinceMs = this.#parts.turnClock.monotonicMs();
    if (this.#sendsCommit) return;
    this.#sendsCommit = true;
    this.#parts.env.timers.after(COMMIT_DELAY_MS, this.#sendCommit);
  }

  readonly #sendCommit = (): void => {
    this.#sendsCommit = false;
    if (this.#stopped || this.#commitSinceMs === undefined) return;
    const { env, node, turnClock } = this.#parts;
    turnClock.pin();
    const leftMs = this.#commitSinceMs + COMMIT_DELAY_MS - turnClock.monotonicMs();
    turnClock.unpin();
    if (leftMs <= 0) {
      node.sendCommit();
      this.#run();
      return;
    }
    // The one for which the timer was set has gone with entries.
    this.#sendsCommit = true;
    env.timers.after(leftMs, this.#sendCommit);
  };

  #propose(): void {
    const { node } = this.#parts;
    invariant(this.#leader !== NONE, 'without a leader proposals wait');
    this.#forwarded.offer(node);
    while (this.#proposals.length > 0) {
      const batch = this.#proposals.nextBatch();
      invariant(batch.length > 0, 'a batch has a proposal');
      const { length } = batch;
      if (!isTaken(node.proposeBatch(batch))) return;
      this.#proposals.shift(length);
    }
    while (this.#confChanges.length > 0) {
      if (!isTaken(node.proposeConfChange(this.#confChanges[0]!.change))) return;
      this.#confChanges.shift();
    }
  }

  #proposeAsLeader(): void {
    if (this.#leaderProposals.length === 0) return;
    const { node } = this.#parts;
    const proposals = this.#leaderProposals;
    this.#leaderProposals = [];
    // The loop's own soft state may be older than this turn's messages.
    const leads = node.basicStatus().role === ROLES.LEADER;
    if (leads && isTaken(node.proposeBatch(proposals.map(({ payload }) => payload)))) return;
    for (const { drop } of proposals) drop();
  }

  #take(): void {
    const { node, reads, reports } = this.#parts;
    const ready = node.ready();
    invariant(
      ready.snapshot === undefined || ready.committedEntries.length === 0,
      'nothing is applied beside a snapshot that is yet to be installed',
    );
    invariant(
      ready.entries.length === 0 || ready.mustSync,
      'entries are synced before they are acknowledged',
    );
    if (verify.all) verifyMessages(ready.messages);
    if (ready.hardState !== undefined) reports.acceptHardState(ready.hardState);
    if (ready.softState !== undefined) {
      const before = this.#leader;
      this.#leader = ready.softState.lead;
      reports.acceptSoftState(ready.softState);
      // What waited is proposed, though the old leader may have taken none for another reason.
      if (this.#leader !== before && this.#leader !== NONE) this.schedule();
    }
    if (failpoints.active !== undefined) hitBeforeSend(node, ready.messages);
    for (const message of ready.messages) this.#dispatch(message, ready.hardState, ready.mustSync);
    if (ready.readStates.length > 0) reads.acceptStates(ready.readStates);
  }

  #dispatch(message: Message, hardState: HardState | undefined, mustSync: boolean): void {
    if (message.to === LOCAL_APPEND_THREAD) {
      this.#prepareAppend(message, hardState, mustSync);
    } else if (message.to === LOCAL_APPLY_THREAD) {
      this.#parts.store.deliver(message);
    } else {
      invariant(message.to !== this.#parts.node.id, 'a member sends itself nothing');
      this.#parts.peers.send(message);
    }
  }

  /**
   * A hard state with only a new commit index waits for the next write: it only saves work after a restart,
   * and needs no separate write.
   */
  #prepareAppend(message: Message, hardState: HardState | undefined, mustSync: boolean): void {
    if (hardState !== undefined) this.#unwritten = hardState;
    const { entries, snapshot, responses } = message;
    invariant(
      hardState === undefined || snapshotCovered(hardState, snapshot),
      'the commit index that is written with a snapshot covers it',
    );
    const writes = mustSync || entries.length > 0 || snapshot !== undefined;
    if (!writes && responses.length === 0) return;
    const state = writes ? this.#unwritten : undefined;
    if (writes) this.#unwritten = undefined;
    invariant(snapshot === undefined || state !== undefined, 'a snapshot raises the commit index');
    // The record of a snapshot counts only with a commit index that covers it, and the response reports
    // the snapshot durable: with a snapshot the commit index must be synced.
    this.#append(new Append(this, message, state, mustSync || snapshot !== undefined));
  }

  #append(append: Append): void {
    this.#parts.tracing?.appendBegan(append.sequence, append.entries);
    if (this.#held.length === 0 && append.message.snapshot === undefined) {
      failpoints.active?.hit('raftBeforeSave');
      this.#parts.wal.append(append);
      return;
    }
    const before = this.#held.at(-1);
    invariant(
      before === undefined || before.sequence < append.sequence,
      'appends that are held back keep their order',
    );
    this.#held.push(append);
    if (this.#held.length === 1) void this.#appendHeld();
  }

  async #appendHeld(): Promise<void> {
    const { wal, snapshotter } = this.#parts;
    try {
      for (;;) {
        const append = this.#held[0];
        if (append === undefined || this.#stopped) return;
        const { snapshot } = append.message;
        if (snapshot !== undefined) await snapshotter.saveReceived(snapshot);
        if (this.#stopped) return;
        invariant(this.#held.shift() === append, 'an append waits until its snapshot is written');
        failpoints.active?.hit('raftBeforeSave');
        wal.append(append);
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Delivers responses of a storage thread, to this member and to others. */
  #deliver(responses: readonly Message[]): void {
    const { node, peers } = this.#parts;
    for (const response of responses) {
      if (response.to !== node.id) {
        peers.send(response);
        continue;
      }
      const result = node.step(response);
      invariant(
        result === STEP_RESULTS.OK || node.failure !== undefined,
        'raft takes what its own storage threads answer',
      );
    }
  }

  #fail(error: unknown): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#parts.life.fail(hasCode(error, ERROR_CODES.CLOSED) ? undefined : error);
  }
}

function snapshotCovered({ commit }: HardState, snapshot: Snapshot | undefined): boolean {
  return commit >= (snapshot?.metadata?.index ?? 0);
}

/** False if raft has no room or no leader any more: the proposals wait. */
function isTaken(result: StepResult): boolean {
  if (result === STEP_RESULTS.OK) return true;
  invariant(
    result === STEP_RESULTS.PROPOSAL_DROPPED || result === STEP_RESULTS.STORAGE_FAILED,
    'proposals are taken or dropped',
  );
  return false;
}
