// A node under test with its storage, in synchronous mode: messages in, messages out.

import { bytesFromUtf8, type LogIndex, seededRandom, utf8FromBytes } from '../base/index.ts';
import {
  type Config,
  decodeConfChange,
  type Entry,
  emptyConfState,
  type HardState,
  MemoryStorage,
  type Message,
  type NodeId,
  newEntry,
  newMessage,
  RawNode,
  type ReadState,
  ROLES,
  STORAGE_OUTCOMES,
} from './index.ts';
import { EntryType, MessageType } from './raftpb.ts';

export const ELECTION_TICKS = 10;

export interface NodeInit {
  readonly id?: NodeId;
  readonly voters?: readonly NodeId[];
  readonly learners?: readonly NodeId[];
  /** Terms of the entries 1, 2, ... in the log. */
  readonly terms?: readonly number[];
  readonly hardState?: Partial<HardState>;
  readonly config?: Partial<Config>;
  readonly seed?: number;
}

export class TestNode {
  readonly id: NodeId;
  readonly storage = new MemoryStorage();
  readonly raw: RawNode;
  /** All that was applied, in order. */
  readonly applied: Entry[] = [];
  readonly reads: ReadState[] = [];

  constructor(init: NodeInit = {}) {
    const { id = 1n, voters = [1n, 2n, 3n], learners = [], terms = [], config = {} } = init;
    this.id = id;
    const confState = { ...emptyConfState(), voters: [...voters], learners: [...learners] };
    const metadata = { confState, index: 0, term: 0 };
    this.storage.applySnapshot({ data: new Uint8Array(0), metadata });
    this.storage.append(entriesOf(terms));
    if (init.hardState !== undefined || terms.length > 0) {
      const term = terms.at(-1) ?? 0;
      this.storage.setHardState({ term, vote: 0n, commit: 0, ...init.hardState });
    }
    this.raw = new RawNode({
      id,
      electionTicks: ELECTION_TICKS,
      heartbeatTicks: 1,
      storage: this.storage,
      random: seededRandom(init.seed ?? Number(id)),
      messageBytesMax: Number.POSITIVE_INFINITY,
      inflightMessagesMax: 256,
      ...config,
    });
  }

  get role(): string {
    return this.raw.basicStatus().role;
  }

  get term(): number {
    return this.raw.basicStatus().term;
  }

  get commit(): LogIndex {
    return this.raw.basicStatus().commit;
  }

  get lead(): NodeId {
    return this.raw.basicStatus().lead;
  }

  /** The data of applied entries that have any. */
  get appliedTexts(): string[] {
    return this.applied
      .filter(({ type, data }) => type === EntryType.EntryNormal && data.length > 0)
      .map(({ data }) => utf8FromBytes(data));
  }

  /** Terms of the whole log. */
  get logTerms(): number[] {
    this.take();
    const terms: number[] = [];
    for (let i = this.storage.firstIndex(); i <= this.storage.lastIndex(); i++) {
      terms.push(this.storage.term(i));
    }
    return terms;
  }

  /** Does the work of all Readys; returns the messages to others. */
  take(): Message[] {
    const messages: Message[] = [];
    while (this.raw.hasReady()) {
      const ready = this.raw.ready();
      if (ready.hardState !== undefined) this.storage.setHardState(ready.hardState);
      if (ready.snapshot !== undefined) {
        const outcome = this.storage.applySnapshot(ready.snapshot);
        if (outcome !== STORAGE_OUTCOMES.DONE) throw new Error(outcome);
      }
      this.storage.append(ready.entries);
      messages.push(...ready.messages);
      this.reads.push(...ready.readStates);
      for (const entry of ready.committedEntries) this.#apply(entry);
      this.raw.advance();
    }
    return messages;
  }

  /** Steps `message` to this node and returns what it sends then. */
  step(type: number, init: Partial<Message>): Message[] {
    this.raw.step(message(type, { to: this.id, ...init }));
    return this.take();
  }

  propose(...texts: string[]): string {
    return this.raw.proposeBatch(texts.map((text) => bytesFromUtf8(text)));
  }

  tick(times: number): Message[] {
    const messages: Message[] = [];
    for (let i = 0; i < times; i++) {
      this.raw.tick();
      messages.push(...this.take());
    }
    return messages;
  }

  /** Wins an election by the votes of `voters`. */
  elect(...voters: NodeId[]): this {
    this.raw.campaign();
    this.take();
    const { term } = this;
    for (const from of voters) this.step(MessageType.MsgVoteResp, { from, term });
    if (this.role !== ROLES.LEADER) throw new Error(`${this.id} was not elected`);
    return this;
  }

  /** `followers` acknowledge everything there is. */
  establishFrom(...followers: NodeId[]): this {
    for (const from of followers) this.acknowledge(from);
    return this;
  }

  /** `from` acknowledges everything, or everything up to `index`. */
  acknowledge(from: NodeId, index: LogIndex = this.raw.lastIndex()): Message[] {
    return this.step(MessageType.MsgAppResp, { from, term: this.term, index });
  }

  #apply(entry: Entry): void {
    this.applied.push(entry);
    if (entry.type === EntryType.EntryNormal) return;
    this.raw.applyConfChange(decodeConfChange(entry.type, entry.data));
  }
}

export function message(type: number, init: Partial<Message>): Message {
  return { ...newMessage(type, 0n), ...init };
}

/** Entries 1, 2, ... of these terms; from another first index if given. */
export function entriesOf(terms: readonly number[], first = 1): Entry[] {
  return terms.map((term, i) =>
    newEntry(EntryType.EntryNormal, term, first + i, bytesFromUtf8(`${term}.${first + i}`)),
  );
}

/** Nodes that reach each other, except where a link is cut. */
export class Network {
  readonly nodes: readonly TestNode[];
  readonly #cut = new Set<NodeId>();
  /** Types of message that are lost. */
  readonly lost = new Set<number>();

  constructor(...nodes: TestNode[]) {
    this.nodes = nodes;
  }

  node(id: NodeId): TestNode {
    const found = this.nodes.find((node) => node.id === id);
    if (found === undefined) throw new Error(`no node ${id}`);
    return found;
  }

  isolate(...ids: NodeId[]): void {
    for (const id of ids) this.#cut.add(id);
  }

  recover(): void {
    this.#cut.clear();
    this.lost.clear();
  }

  /** Delivers everything until no node has anything to send. */
  settle(): void {
    for (let busy = true; busy; ) {
      busy = false;
      for (const node of this.nodes) {
        for (const sent of node.take()) {
          busy = true;
          const isCut = this.#cut.has(sent.from) || this.#cut.has(sent.to);
          if (!isCut && !this.lost.has(sent.type)) this.node(sent.to).raw.step(sent);
        }
      }
    }
  }

  campaign(id: NodeId): void {
    this.node(id).raw.campaign();
    this.settle();
  }

  /** Ticks every node that is not isolated. */
  tick(times: number): void {
    for (let i = 0; i < times; i++) {
      for (const node of this.nodes) if (!this.#cut.has(node.id)) node.raw.tick();
      this.settle();
    }
  }
}

/** Voters 1 to `count`, all in one network. */
export function group(count: number, config: Partial<Config> = {}): Network {
  const voters = Array.from({ length: count }, (_, i) => BigInt(i + 1));
  return new Network(...voters.map((id) => new TestNode({ id, voters, config })));
}
