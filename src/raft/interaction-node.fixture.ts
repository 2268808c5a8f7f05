// A node of an interaction script together with its storage and its storage threads.

import { fail } from '../base/index.ts';
import {
  type Config,
  type ConfState,
  decodeConfChange,
  describeMessage,
  type Entry,
  emptyConfState,
  type HardState,
  isEmptySnapshot,
  LOCAL_APPEND_THREAD,
  MemoryStorage,
  type Message,
  NONE,
  type NodeId,
  RawNode,
  type Snapshot,
  STORAGE_OUTCOMES,
  type Storage,
  snapshotIndex,
} from './index.ts';
import type { Output } from './interaction-output.fixture.ts';
import { EntryType } from './raftpb.ts';

export class ScriptNode {
  readonly id: NodeId;
  readonly config: Config;
  readonly raw: RawNode;
  readonly storage = new MemoryStorage();
  readonly appendWork: Message[] = [];
  readonly applyWork: Message[] = [];
  /** One snapshot per applied entry; the newest is what the storage hands out. */
  readonly history: Snapshot[];

  constructor(config: Omit<Config, 'storage'>, snapshot: Snapshot, bootstrap: boolean) {
    this.id = config.id;
    this.history = [snapshot];
    if (bootstrap) this.storage.applySnapshot(snapshot);
    this.config = { ...config, storage: this.#storageWithNewestSnapshot() };
    this.raw = new RawNode(this.config);
  }

  newestSnapshot(): Snapshot {
    return this.history.at(-1) ?? fail('the history begins with a snapshot');
  }

  /** Writes; in this order, which only a script may use, as nothing crashes in it. */
  processAppend(work: { hardState?: HardState; entries: Entry[]; snapshot?: Snapshot }): void {
    const { hardState, entries, snapshot } = work;
    if (hardState !== undefined && !isZero(hardState)) this.storage.setHardState(hardState);
    if (snapshot === undefined || isEmptySnapshot(snapshot)) {
      this.storage.append(entries);
      return;
    }
    if (entries.length > 0) throw new Error("can't apply snapshot and entries at the same time");
    const outcome = this.storage.applySnapshot(snapshot);
    if (outcome !== STORAGE_OUTCOMES.DONE) throw new Error(outcome);
  }

  /** Applies to a state machine that appends all data to one string. */
  processApply(entries: readonly Entry[]): void {
    for (const entry of entries) {
      let update = entry.data;
      let confState: ConfState | undefined;
      if (entry.type !== EntryType.EntryNormal) {
        const change = decodeConfChange(entry.type, entry.data);
        update = change.context;
        confState = this.raw.applyConfChange(change);
      }
      const last = this.newestSnapshot();
      const data = new Uint8Array(last.data.length + update.length);
      data.set(last.data);
      data.set(update, last.data.length);
      confState ??= last.metadata?.confState ?? emptyConfState();
      this.history.push({ data, metadata: { confState, index: entry.index, term: entry.term } });
    }
  }

  /** Runs one piece of work of a storage thread; returns the responses to deliver. */
  processThread(thread: NodeId, output: Output): Message[] {
    const appends = thread === LOCAL_APPEND_THREAD;
    const message = (appends ? this.appendWork : this.applyWork).shift();
    if (message === undefined) {
      output.write(`no ${appends ? 'append' : 'apply'} work to perform`);
      return [];
    }
    const { responses } = message;
    output.write(`Processing:\n${describeMessage({ ...message, responses: [] })}\n`);
    if (appends) {
      const { term, vote, commit, entries, snapshot } = message;
      const work = { hardState: { term, vote, commit }, entries };
      this.processAppend(snapshot === undefined ? work : { ...work, snapshot });
    } else {
      this.processApply(message.entries);
    }
    output.write('Responses:\n');
    for (const response of responses) output.write(`${describeMessage(response)}\n`);
    return responses;
  }

  #storageWithNewestSnapshot(): Storage {
    const { storage } = this;
    return {
      initialState: () => storage.initialState(),
      firstIndex: () => storage.firstIndex(),
      lastIndex: () => storage.lastIndex(),
      term: (index) => storage.term(index),
      entries: (from, to, sizeMax) => storage.entries(from, to, sizeMax),
      snapshot: () => this.newestSnapshot(),
    };
  }
}

function isZero(state: HardState): boolean {
  return state.term === 0 && state.vote === NONE && state.commit === 0;
}

/** A snapshot of `index` at term 1, to begin with; index 0 for none. */
export function firstSnapshot(init: {
  index: number;
  voters: NodeId[];
  learners: NodeId[];
  data: Uint8Array;
}): { snapshot: Snapshot; bootstrap: boolean } {
  const { index, voters, learners, data } = init;
  const bootstrap = index > 0 || voters.length + learners.length + data.length > 0;
  const snapshot: Snapshot = {
    data,
    metadata: {
      confState: { ...emptyConfState(), voters, learners },
      index,
      term: bootstrap ? 1 : 0,
    },
  };
  if (bootstrap && snapshotIndex(snapshot) <= 1) {
    throw new Error('index must be specified as > 1 due to bootstrap');
  }
  return { snapshot, bootstrap };
}
