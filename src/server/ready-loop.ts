// The one place that orders effects.
//
//     inputs of a turn ──► propose, ask for reads ──► Ready ─┬─► append: WAL write and sync ──► responses
//                                                            └─► apply: state machine ────────► responses
//
// Raft runs with asynchronous storage writes: any number of appends may be under way, the WAL
// completes them in order, and only a completed append reports its entries stable. A member alone in
// its cluster therefore commits, applies and acknowledges only what its own disk has.
//
// One Ready is taken at the end of the turn of the event loop for everything that arrived in it. A
// completed append is answered at once: its entries have waited long enough.

import { hasCode, invariant, TetcdError } from '../base/index.ts';
import type { Timers } from '../env/index.ts';
import {
  type HardState,
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  type MemoryStorage,
  type Message,
  NONE,
  type NodeId,
  type RawNode,
  type ReadState,
  type SoftState,
  STEP_RESULTS,
} from '../raft/index.ts';
import type { Wal, WalAppend } from '../wal/index.ts';
import { LOOP_BYTES_MAX, LOOP_PROPOSALS_MAX } from './limits.ts';

export interface ReadyLoopOptions {
  readonly node: RawNode;
  readonly storage: MemoryStorage;
  readonly wal: Pick<Wal, 'append'>;
  readonly timers: Timers;
  /** Takes committed entries; it answers with {@link ReadyLoop.acceptApplied}. */
  readonly apply: (message: Message) => void;
  /** The context of a read index to ask for now, if any; asked once per turn. */
  readonly nextQuestion: () => Uint8Array | undefined;
  readonly onReadStates: (states: readonly ReadState[]) => void;
  readonly onSoftState: (state: SoftState) => void;
  readonly onHardState: (state: HardState) => void;
  /** The log can no longer be written, or raft has failed: the member must stop. */
  readonly onFailure: (error: unknown) => void;
}

/** One append under way: what the WAL writes, and what raft is told when it is durable. */
class Append implements WalAppend {
  readonly message: Message;
  readonly hardState: HardState | undefined;
  readonly mustSync: boolean;
  readonly #loop: ReadyLoop;

  constructor(
    loop: ReadyLoop,
    message: Message,
    hardState: HardState | undefined,
    mustSync: boolean,
  ) {
    this.#loop = loop;
    this.message = message;
    this.hardState = hardState;
    this.mustSync = mustSync;
  }

  get entries(): Message['entries'] {
    return this.message.entries;
  }

  complete(error: unknown): void {
    this.#loop.acceptAppend(this, error);
  }
}

export class ReadyLoop {
  readonly #options: ReadyLoopOptions;
  /** Proposed in this turn, or waiting for a leader or for room in raft's log. */
  #proposals: Uint8Array[] = [];
  #proposalBytes = 0;
  #scheduled = false;
  #running = false;
  #stopped = false;
  #leader: NodeId = NONE;

  constructor(options: ReadyLoopOptions) {
    this.#options = options;
  }

  /** The member that leads, 0n if none is known. */
  get leader(): NodeId {
    return this.#leader;
  }

  /** Whether another proposal may wait; beyond, `etcdserver: too many requests`. */
  get hasRoom(): boolean {
    return this.#proposals.length < LOOP_PROPOSALS_MAX && this.#proposalBytes < LOOP_BYTES_MAX;
  }

  /** Proposes an entry with this payload, which nobody changes afterwards, at the end of the turn. */
  propose(payload: Uint8Array): void {
    invariant(this.hasRoom, 'the caller asks for room before it proposes');
    this.#proposals.push(payload);
    this.#proposalBytes += payload.length;
    this.schedule();
  }

  tick(): void {
    if (this.#stopped) return;
    this.#options.node.tick();
    this.schedule();
  }

  /** Sees to it that a Ready is taken at the end of this turn. */
  schedule(): void {
    if (this.#scheduled || this.#stopped) return;
    this.#scheduled = true;
    this.#options.timers.atEndOfTurn(this.#runScheduled);
  }

  /** Nothing is proposed, written or applied any more; appends under way still complete on disk. */
  stop(): void {
    this.#stopped = true;
  }

  /** The WAL has made an append durable, or has failed. */
  acceptAppend(append: Append, error: unknown): void {
    if (this.#stopped) return;
    if (error !== undefined) {
      this.#fail(error);
      return;
    }
    const { node, storage } = this.#options;
    storage.append(append.message.entries);
    if (append.hardState !== undefined) storage.setHardState(append.hardState);
    this.#deliver(append.message.responses, node);
    this.#run();
  }

  /** The state machine has applied all entries of a message. */
  acceptApplied(message: Message): void {
    if (this.#stopped) return;
    this.#deliver(message.responses, this.#options.node);
    this.schedule();
  }

  readonly #runScheduled = (): void => {
    this.#scheduled = false;
    this.#run();
  };

  #run(): void {
    if (this.#running || this.#stopped) return;
    this.#running = true;
    try {
      this.#feed();
      const { node } = this.#options;
      while (node.hasReady() && !this.#stopped) this.#take();
      if (node.failure !== undefined) this.#fail(node.failure);
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#running = false;
    }
  }

  /** Hands raft what this turn brought. Without a leader, proposals wait, as etcd's do. */
  #feed(): void {
    const { node, nextQuestion } = this.#options;
    if (this.#proposals.length > 0 && this.#leader !== NONE) {
      const result = node.proposeBatch(this.#proposals);
      if (result === STEP_RESULTS.OK) {
        this.#proposals = [];
        this.#proposalBytes = 0;
      } else invariant(result === STEP_RESULTS.PROPOSAL_DROPPED, 'proposals are taken or dropped');
    }
    const question = nextQuestion();
    if (question !== undefined) node.readIndex(question);
  }

  #take(): void {
    const { node, onReadStates, onSoftState, onHardState } = this.#options;
    const ready = node.ready();
    if (ready.hardState !== undefined) onHardState(ready.hardState);
    if (ready.softState !== undefined) {
      const hadLeader = this.#leader !== NONE;
      this.#leader = ready.softState.lead;
      onSoftState(ready.softState);
      if (!hadLeader && this.#leader !== NONE) this.schedule();
    }
    for (const message of ready.messages) this.#dispatch(message, ready.hardState, ready.mustSync);
    if (ready.readStates.length > 0) onReadStates(ready.readStates);
  }

  #dispatch(message: Message, hardState: HardState | undefined, mustSync: boolean): void {
    if (message.to === LOCAL_APPEND_THREAD) {
      if (message.snapshot !== undefined) {
        throw new TetcdError('UNSUPPORTED', 'a snapshot from a leader cannot be received yet');
      }
      this.#options.wal.append(new Append(this, message, hardState, mustSync));
    } else if (message.to === LOCAL_APPLY_THREAD) {
      this.#options.apply(message);
    } else {
      throw new TetcdError('UNSUPPORTED', 'a member alone in its cluster has nobody to write to');
    }
  }

  #deliver(responses: readonly Message[], node: RawNode): void {
    for (const response of responses) {
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
    this.#options.onFailure(hasCode(error, 'CLOSED') ? undefined : error);
  }
}
