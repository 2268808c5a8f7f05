// A ready loop with a log whose appends complete when the test says so.

import { bytesFromUtf8, seededRandom, type TetcdError, utf8FromBytes } from '../../base/index.ts';
import { raftpb } from '../../protocol/index.ts';
import {
  emptyConfState,
  MemoryStorage,
  type Message,
  newEntry,
  newMessage,
  RawNode,
} from '../../raft/index.ts';
import type { WalAppend } from '../../wal/index.ts';
import type { Proposer } from './proposal-queue.ts';
import { ReadyLoop } from './ready-loop.ts';

/** Member 1, by default alone in its cluster, its loop, and what the loop does to the world. */
export class Rig {
  readonly storage = new MemoryStorage();
  readonly node: RawNode;
  readonly loop: ReadyLoop;
  /** Appends the log has taken and not completed. */
  readonly appends: WalAppend[] = [];
  readonly toApply: Message[] = [];
  /** Whether answers were written at once, for each time that they were let go. */
  readonly uncorked: boolean[] = [];
  readonly events: string[] = [];
  readonly failures: unknown[] = [];
  readonly grpc = {
    callsBegun: 0,
    corks: 0,
    cork: () => void this.grpc.corks++,
    uncork: (now: boolean) => {
      this.grpc.corks--;
      this.uncorked.push(now);
    },
  };
  context: Uint8Array | undefined;
  nowMs = 0;
  /** Timers that run, as the loop set them. */
  readonly timers: { readonly delayMs: number; readonly callback: () => void }[] = [];
  readonly #turns: (() => void)[] = [];

  constructor(uncommittedBytesMax = Number.MAX_SAFE_INTEGER, voters = [1n]) {
    const metadata = { confState: { ...emptyConfState(), voters }, index: 0, term: 0 };
    this.storage.applySnapshot({ data: new Uint8Array(0), metadata });
    this.node = new RawNode({
      id: 1n,
      electionTicks: 10,
      heartbeatTicks: 1,
      storage: this.storage,
      random: seededRandom(1),
      asyncStorageWrites: true,
      messageBytesMax: 1_000_000,
      inflightMessagesMax: 10,
      uncommittedBytesMax,
      preVote: true,
      checkQuorum: true,
      deferAppends: true,
    });
    this.loop = new ReadyLoop({
      node: this.node,
      storage: this.storage,
      wal: {
        append: (append) => {
          this.appends.push(append);
          this.events.push(`append ${append.entries.map(({ index }) => index).join()}`);
        },
      },
      env: {
        timers: {
          after: (delayMs, callback) => {
            this.timers.push({ delayMs, callback });
            return { cancel: () => {} };
          },
          atEndOfTurn: (callback) => this.#turns.push(callback),
          nextTurn: () => Promise.resolve(),
        },
      },
      turnClock: {
        ...{ lookAgain: () => {}, pin: () => {}, unpin: () => {} },
        monotonicMs: () => this.nowMs,
      },
      grpc: this.grpc,
      store: {
        deliver: (message) => {
          this.toApply.push(message);
          this.events.push(`apply ${message.entries.map(({ index }) => index).join()}`);
        },
        install: ({ metadata }) => this.events.push(`install ${metadata?.index}`),
      },
      peers: { send: ({ to, type }) => this.events.push(`send ${type} to ${to}`) },
      snapshotter: {
        saveReceived: async ({ metadata }) => void this.events.push(`save ${metadata?.index}`),
      },
      reads: {
        nextContext: () => {
          const { context } = this;
          this.context = undefined;
          return context;
        },
        acceptStates: (states) => {
          for (const { index } of states) this.events.push(`read ${index}`);
        },
      },
      reports: {
        acceptSoftState: ({ lead }) => this.events.push(`leader ${lead}`),
        acceptHardState: ({ term, commit }) => this.events.push(`hard ${term} ${commit}`),
      },
      life: { fail: (error) => this.failures.push(error) },
    });
  }

  endTurn(): void {
    for (const callback of this.#turns.splice(0)) callback();
  }

  /** The oldest append is on the disk, or has failed. */
  complete(error?: TetcdError): void {
    const append = this.appends.shift()!;
    append.complete(error);
  }

  completeAll(): void {
    while (this.appends.length > 0) this.complete();
  }

  /** What was handed over for applying is applied. */
  applied(): string[] {
    const datas: string[] = [];
    for (const message of this.toApply.splice(0)) {
      for (const { data } of message.entries) if (data.length > 0) datas.push(utf8FromBytes(data));
      this.loop.acceptApplied(message);
    }
    return datas;
  }

  /** Data of the entries on the disk. */
  log(): string[] {
    const { storage } = this;
    const entries = storage.entries(1, storage.lastIndex() + 1, Number.MAX_SAFE_INTEGER);
    if (!Array.isArray(entries)) throw new Error(String(entries));
    return entries.map(({ data }) => utf8FromBytes(data));
  }

  /** Leads, with its first entry applied. */
  lead(): this {
    this.node.campaign();
    this.loop.schedule();
    for (let i = 0; i < 6; i++) {
      this.endTurn();
      this.completeAll();
      this.applied();
    }
    this.endTurn();
    this.completeAll();
    this.events.length = 0;
    return this;
  }

  /** What member 2 sends to this one. */
  receive(type: number, parts: Partial<Message> = {}): void {
    this.loop.receive({ ...newMessage(type, 1n), from: 2n, ...parts });
  }

  /** Proposals that member 2 forwards, in one message. */
  forward(...texts: string[]): void {
    const entries = texts.map((text) => newEntry(0, 0, 0, bytesFromUtf8(text)));
    this.receive(raftpb.MessageType.MsgProp, { entries });
  }

  /** Leads two members, in term 1; the first entry is committed. */
  leadTwo(): this {
    const { MsgPreVoteResp, MsgVoteResp, MsgAppResp } = raftpb.MessageType;
    this.loop.campaign();
    for (const [type, index] of [
      [MsgPreVoteResp, 0],
      [MsgVoteResp, 0],
      [MsgAppResp, 1],
    ] as const) {
      this.endTurn();
      this.completeAll();
      this.receive(type, { term: 1, index });
    }
    this.endTurn();
    this.completeAll();
    this.applied();
    this.endTurn();
    this.events.length = 0;
    return this;
  }

  propose(...texts: string[]): void {
    for (const text of texts)
      this.loop.propose(
        bytesFromUtf8(text),
        this.proposer(() => true),
      );
  }

  proposer(isWanted: () => boolean): Proposer {
    return { sinceMs: this.nowMs, isWanted, drop: () => void this.events.push('drop') };
  }
}
