// A member of a random schedule: a node, what it has on disk, what it has applied, and the work
// that its storage threads have not done yet. A crash loses the node and the work, never the disk.

import { ERROR_CODES, fail, hasCode, type LogIndex, type Random } from '../base/index.ts';
import {
  type AnyConfChange,
  asV2,
  type ConfState,
  decodeConfChange,
  type Entry,
  emptyConfState,
  type HardState,
  isEmptySnapshot,
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  LOG_GAPS,
  MemoryStorage,
  type Message,
  type NodeId,
  type RaftLogger,
  RawNode,
  type Ready,
  type Snapshot,
  STEP_RESULTS,
  STORAGE_OUTCOMES,
  snapshotIndex,
  snapshotTerm,
} from './index.ts';
import { EntryType } from './raftpb.ts';

export interface MemberSettings {
  readonly id: NodeId;
  readonly random: Random;
  readonly confState: ConfState;
  readonly async: boolean;
  readonly preVote: boolean;
  readonly checkQuorum: boolean;
  readonly deferAppends: boolean;
  readonly messageBytesMax: number;
  readonly inflightMessagesMax: number;
  readonly logger: RaftLogger;
}

/** What the whole schedule wants to know. */
export interface Observer {
  sent(message: Message): void;
  applied(member: Member, entry: Entry): void;
  appliedSnapshot(member: Member, snapshot: Snapshot): void;
  mayRead(member: Member, index: LogIndex, context: Uint8Array): void;
}

/** The first index of every log; as if a snapshot had been taken before it. */
const FIRST_INDEX = 2;

export class Member {
  readonly id: NodeId;
  readonly settings: MemberSettings;
  readonly storage = new MemoryStorage();
  /** The log as the node sees it: on disk, being written, and handed out in a Ready. */
  log: { term: number; index: LogIndex }[] = [];
  /** Index of the entry before the first one in `log`, and its term. */
  base = { index: FIRST_INDEX, term: 1 };
  node: RawNode;
  up = true;
  /** Applied to the state machine since the last start. */
  applied: LogIndex = FIRST_INDEX;
  confState: ConfState;
  readonly #observer: Observer;
  #hardState: HardState = { term: 0, vote: 0n, commit: 0 };
  #appendWork: Message[] = [];
  #applyWork: Message[] = [];

  constructor(settings: MemberSettings, observer: Observer) {
    this.id = settings.id;
    this.settings = settings;
    this.#observer = observer;
    this.confState = settings.confState;
    const metadata = { confState: settings.confState, index: FIRST_INDEX, term: 1 };
    this.storage.applySnapshot({ data: new Uint8Array(0), metadata });
    this.node = this.#start();
  }

  get appendWorkCount(): number {
    return this.#appendWork.length;
  }

  get applyWorkCount(): number {
    return this.#applyWork.length;
  }

  /** The process dies; of the writes under way the first `written` reach the disk. */
  crash(written: number): void {
    for (let i = 0; i < written && this.#appendWork.length > 0; i++) {
      this.#write(this.#appendWork.shift()!);
    }
    this.#appendWork = [];
    this.#applyWork = [];
    this.up = false;
  }

  restart(): void {
    this.node = this.#start();
    this.up = true;
  }

  #start(): RawNode {
    const snapshot = this.storage.snapshot();
    this.base = { index: this.storage.firstIndex() - 1, term: 0 };
    const baseTerm = this.storage.term(this.base.index);
    this.base.term = baseTerm;
    this.log = this.#stored().map(({ term, index }) => ({ term, index }));
    this.applied = snapshotIndex(snapshot);
    this.confState = snapshot.metadata?.confState ?? emptyConfState();
    const { id, random, async, preVote, checkQuorum, deferAppends } = this.settings;
    return new RawNode({
      id,
      electionTicks: 10,
      heartbeatTicks: 2,
      storage: this.storage,
      random,
      applied: this.applied,
      asyncStorageWrites: async,
      messageBytesMax: this.settings.messageBytesMax,
      applyingBytesMax: 200,
      inflightMessagesMax: this.settings.inflightMessagesMax,
      uncommittedBytesMax: 2_000,
      preVote,
      checkQuorum,
      deferAppends,
      logger: this.settings.logger,
      stepDownOnRemoval: true,
    });
  }

  #stored(): Entry[] {
    const first = this.storage.firstIndex();
    const next = this.storage.lastIndex() + 1;
    const entries = first === next ? [] : this.storage.entries(first, next, Infinity);
    if (entries === LOG_GAPS.COMPACTED || entries === LOG_GAPS.UNAVAILABLE) fail('storage gap');
    return entries;
  }

  receive(message: Message): void {
    const result = this.node.step(message);
    // Wire formats and local kinds are respected here, so nothing else may come back.
    const expected =
      result === STEP_RESULTS.OK ||
      result === STEP_RESULTS.PROPOSAL_DROPPED ||
      result === STEP_RESULTS.PEER_NOT_FOUND;
    if (!expected) fail(`step returned ${result}`);
  }

  /**
   * Takes a Ready if there is one. `dies` (synchronous mode) crashes between writing and sending.
   */
  handleReady(dies: boolean): void {
    if (!this.node.hasReady()) return;
    const ready = this.node.ready();
    this.#noteLog(ready);
    for (const { index, context } of ready.readStates) {
      this.#observer.mayRead(this, index, context);
    }
    if (this.settings.async) this.#queueWork(ready);
    else this.#handleSynchronously(ready, dies);
  }

  /** Runs the oldest work of the append thread and delivers its responses. */
  processAppend(): void {
    const message = this.#appendWork.shift();
    if (message === undefined) return;
    this.#write(message);
    this.#respond(message);
  }

  /** Runs the oldest work of the apply thread and delivers its responses. */
  processApply(): void {
    const message = this.#applyWork.shift();
    if (message === undefined) return;
    this.#apply(message.entries);
    this.#respond(message);
  }

  /**
   * Makes a snapshot of what is applied, as far as the disk knows it committed, and drops the log.
   */
  compact(keep: number): void {
    const index = Math.min(this.applied, this.#hardState.commit);
    if (index <= snapshotIndex(this.storage.snapshot()) || index !== this.applied) return;
    const made = this.storage.createSnapshot(index, this.confState, new Uint8Array(0));
    if (made === STORAGE_OUTCOMES.SNAPSHOT_OUT_OF_DATE) fail('the snapshot is newer');
    const to = index - keep;
    if (to >= this.storage.firstIndex()) {
      const term = this.storage.term(to);
      this.storage.compact(to);
      // A snapshot from the leader may be on its way to the disk and be ahead of this already.
      if (to <= this.base.index) return;
      this.log = this.log.filter((entry) => entry.index > to);
      this.base = { index: to, term };
    }
  }

  propose(data: Uint8Array): void {
    this.node.propose(data);
  }

  proposeConfChange(change: AnyConfChange): void {
    this.node.proposeConfChange(change);
  }

  #handleSynchronously(ready: Ready, dies: boolean): void {
    const { hardState, entries, snapshot } = ready;
    if (hardState !== undefined) this.#setHardState(hardState);
    if (snapshot !== undefined) this.#applySnapshot(snapshot);
    this.storage.append(entries);
    if (dies) {
      this.crash(0);
      return;
    }
    for (const message of ready.messages) this.#observer.sent(message);
    this.#apply(ready.committedEntries);
    this.node.advance();
  }

  #queueWork(ready: Ready): void {
    for (const message of ready.messages) {
      if (message.to === LOCAL_APPEND_THREAD) this.#appendWork.push(message);
      else if (message.to === LOCAL_APPLY_THREAD) this.#applyWork.push(message);
      else this.#observer.sent(message);
    }
  }

  #write(message: Message): void {
    const { term, vote, commit, entries, snapshot } = message;
    if (term !== 0) this.#setHardState({ term, vote, commit });
    if (snapshot !== undefined && !isEmptySnapshot(snapshot)) this.#applySnapshot(snapshot);
    this.storage.append(entries);
  }

  #setHardState(state: HardState): void {
    const old = this.#hardState;
    if (state.term < old.term || state.commit < old.commit) fail('the hard state went back');
    if (state.term === old.term && old.vote !== 0n && state.vote !== old.vote) {
      fail('two votes in one term');
    }
    this.#hardState = state;
    this.storage.setHardState(state);
  }

  #applySnapshot(snapshot: Snapshot): void {
    const outcome = this.storage.applySnapshot(snapshot);
    if (outcome !== STORAGE_OUTCOMES.DONE) fail('raft asked for an old snapshot');
    this.applied = snapshotIndex(snapshot);
    this.confState = snapshot.metadata?.confState ?? emptyConfState();
    this.#observer.appliedSnapshot(this, snapshot);
  }

  #apply(entries: readonly Entry[]): void {
    for (const entry of entries) {
      // A snapshot overtook the apply thread.
      if (entry.index <= snapshotIndex(this.storage.snapshot())) continue;
      if (entry.index !== this.applied + 1) fail('entries are applied in order, each once');
      this.applied = entry.index;
      this.#observer.applied(this, entry);
      if (entry.type === EntryType.EntryNormal) continue;
      this.confState = this.#applyConfChange(entry);
    }
  }

  #applyConfChange(entry: Entry): ConfState {
    const change = decodeConfChange(entry.type, entry.data);
    try {
      return this.node.applyConfChange(change, entry.index);
    } catch (error) {
      if (!hasCode(error, ERROR_CODES.INVALID_ARGUMENT)) throw error;
      // As etcd does with a change that it will not make: apply it without its nodes.
      const nothing = asV2(change).changes.map(({ type }) => ({ type, nodeId: 0n }));
      return this.node.applyConfChange({ ...asV2(change), changes: nothing }, entry.index);
    }
  }

  #respond(message: Message): void {
    for (const response of message.responses) {
      if (response.to === this.id) this.receive(response);
      else this.#observer.sent(response);
    }
  }

  #noteLog(ready: Ready): void {
    const { snapshot } = ready;
    if (snapshot !== undefined) {
      this.log = [];
      this.base = { index: snapshotIndex(snapshot), term: snapshotTerm(snapshot) };
    }
    const [first] = ready.entries;
    if (first === undefined) return;
    this.log = this.log.filter((entry) => entry.index < first.index);
    const last = this.log.at(-1)?.index ?? this.base.index;
    if (first.index !== last + 1) fail('the log has a gap');
    for (const { term, index } of ready.entries) this.log.push({ term, index });
  }
}
