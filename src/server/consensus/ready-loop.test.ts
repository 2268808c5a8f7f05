// The order of effects, with a log whose appends complete when the test says so.

import { describe, expect, test } from 'vitest';
import {
  bytesFromUtf8,
  hasCode,
  seededRandom,
  TetcdError,
  utf8FromBytes,
} from '../../base/index.ts';
import { raftpb } from '../../protocol/index.ts';
import {
  emptyConfState,
  MemoryStorage,
  type Message,
  newMessage,
  RawNode,
} from '../../raft/index.ts';
import type { WalAppend } from '../../wal/index.ts';
import { LOOP_BYTES_MAX, LOOP_PROPOSALS_MAX } from '../limits.ts';
import { type Proposer, ReadyLoop } from './ready-loop.ts';

/** A member alone in its cluster, its loop, and what the loop does to the world. */
class Rig {
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
  readonly #turns: (() => void)[] = [];

  constructor(uncommittedBytesMax = Number.MAX_SAFE_INTEGER) {
    const metadata = { confState: { ...emptyConfState(), voters: [1n] }, index: 0, term: 0 };
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
          after: () => ({ cancel: () => {} }),
          atEndOfTurn: (callback) => this.#turns.push(callback),
          nextTurn: () => Promise.resolve(),
        },
      },
      turnClock: { lookAgain: () => {}, pin: () => {}, unpin: () => {} },
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

test('nothing is committed, and so applied, before it is on the disk', () => {
  const rig = new Rig().lead();
  rig.propose('a');
  expect(rig.events).toEqual([]);
  rig.endTurn();
  expect(rig.events).toEqual(['append 2']);
  rig.endTurn();
  expect(rig.toApply).toEqual([]);
  rig.complete();
  expect(rig.applied()).toEqual(['a']);
});

test('what a turn brings is one append', () => {
  const rig = new Rig().lead();
  rig.propose('a', 'b', 'c');
  rig.endTurn();
  expect(rig.events).toEqual(['append 2,3,4']);
  rig.completeAll();
  expect(rig.applied()).toEqual(['a', 'b', 'c']);
});

describe('an append', () => {
  test('is alone if it is one call and no other has begun since the one before', () => {
    const rig = new Rig().lead();
    const isAlone = (calls: number, ...texts: string[]): boolean | undefined => {
      rig.grpc.callsBegun += calls;
      rig.propose(...texts);
      rig.endTurn();
      const alone = rig.appends.at(-1)!.isAlone;
      rig.completeAll();
      rig.applied();
      return alone;
    };
    expect(isAlone(1, 'a')).toBe(true);
    expect(isAlone(0, 'forwarded')).toBe(true);
    expect(isAlone(2, 'a', 'b')).toBe(false);
    expect(isAlone(2, 'beside a range')).toBe(false);
    expect(isAlone(0, 'a', 'b')).toBe(false);
    expect(isAlone(1, 'a')).toBe(true);
  });

  test('that is alone has its answers written when it is applied, others at the end of the turn', () => {
    const rig = new Rig().lead();
    rig.grpc.callsBegun++;
    rig.propose('a');
    rig.endTurn();
    rig.complete();
    expect(rig.uncorked.at(-1)).toBe(true);
    rig.grpc.callsBegun += 2;
    rig.uncorked.length = 0;
    rig.propose('b', 'c');
    rig.endTurn();
    rig.complete();
    expect(rig.uncorked).toEqual([false, false]);
    // A run without an append, for what was read.
    rig.loop.schedule();
    rig.endTurn();
    expect(rig.uncorked).toEqual([false, false, false]);
    expect(rig.grpc.corks).toBe(0);
    expect(rig.applied()).toEqual(['a', 'b', 'c']);
  });
});

test('any number of appends may be under way; each commits what it covers', () => {
  const rig = new Rig().lead();
  for (const text of ['a', 'b', 'c']) {
    rig.propose(text);
    rig.endTurn();
  }
  expect(rig.appends.length).toBe(3);
  expect(rig.appends.every(({ mustSync }) => mustSync)).toBe(true);
  rig.complete();
  expect(rig.applied()).toEqual(['a']);
  rig.completeAll();
  rig.endTurn();
  rig.completeAll();
  expect(rig.applied()).toEqual(['b', 'c']);
});

describe('the commit index', () => {
  test('goes into the log with the next entries', () => {
    const rig = new Rig().lead();
    rig.propose('a');
    rig.endTurn();
    rig.complete();
    expect(rig.events.at(-1)).toBe('apply 2');
    expect(rig.appends).toEqual([]);
    rig.propose('b');
    rig.endTurn();
    expect(rig.appends[0]!.hardState?.commit).toBe(2);
  });

  test('goes there with the next tick, if nothing else is written', () => {
    const rig = new Rig().lead();
    rig.propose('a');
    rig.endTurn();
    rig.complete();
    rig.loop.tick();
    expect(rig.appends[0]!.hardState?.commit).toBe(2);
  });

  test('goes there when it is asked for, once: before the record of a snapshot', () => {
    const rig = new Rig().lead();
    rig.propose('a');
    rig.endTurn();
    rig.complete();
    rig.loop.writeCommit();
    rig.loop.writeCommit();
    expect(rig.appends).toHaveLength(1);
    expect(rig.appends[0]!.hardState?.commit).toBe(2);
    expect(rig.appends[0]!.mustSync).toBe(false);
  });
});

test('an entry is in the storage only when it is on the disk', () => {
  const rig = new Rig().lead();
  rig.propose('a');
  rig.endTurn();
  expect(rig.storage.lastIndex()).toBe(1);
  rig.complete();
  expect(rig.storage.lastIndex()).toBe(2);
});

describe('reads', () => {
  test('are asked for once per turn, after its proposals', () => {
    const rig = new Rig().lead();
    rig.propose('a');
    rig.context = Uint8Array.of(1);
    rig.loop.schedule();
    rig.endTurn();
    expect(rig.events).toEqual(['append 2', 'read 1']);
    rig.completeAll();
    rig.applied();
    rig.context = Uint8Array.of(2);
    rig.loop.schedule();
    rig.endTurn();
    expect(rig.events.at(-1)).toBe('read 2');
  });
});

describe('without a leader', () => {
  test('proposals wait for one', () => {
    const rig = new Rig();
    rig.propose('a');
    rig.endTurn();
    expect(rig.events).toEqual([]);
    rig.lead();
    rig.completeAll();
    rig.endTurn();
    rig.completeAll();
    rig.applied();
    expect(rig.storage.lastIndex()).toBe(2);
  });

  test('those that nobody wants any more leave room at the end of the turn', () => {
    const rig = new Rig();
    const texts = Array.from({ length: LOOP_PROPOSALS_MAX }, (_, i) => `${i}`);
    let wanted = true;
    for (const text of texts) {
      const isWanted = () => wanted || text === '7' || text === '9';
      rig.loop.propose(bytesFromUtf8(text), rig.proposer(isWanted));
    }
    expect(rig.loop.hasRoom).toBe(false);
    rig.endTurn();
    wanted = false;
    rig.loop.tick();
    rig.endTurn();
    expect(rig.events).toEqual(new Array(LOOP_PROPOSALS_MAX - 2).fill('drop'));
    expect(rig.loop.hasRoom).toBe(true);
    rig.lead();
    rig.endTurn();
    rig.completeAll();
    rig.endTurn();
    rig.applied();
    expect(rig.storage.lastIndex()).toBe(3);
  });

  test('those that nobody waits for any more are never proposed', () => {
    const rig = new Rig();
    const change = { type: 0, nodeId: 9n, context: new Uint8Array(0) };
    for (const text of ['a', 'b', 'c']) {
      rig.propose(text);
      rig.loop.proposeConfChange({ ...change, id: BigInt(rig.nowMs) }, rig.nowMs);
      rig.nowMs += 10;
    }
    rig.loop.expire(10);
    rig.lead();
    rig.endTurn();
    rig.completeAll();
    // The leader's own, and one of each.
    expect(rig.storage.lastIndex()).toBe(3);
    expect(rig.loop.hasRoom).toBe(true);
  });

  test('what only a leader may say is dropped', () => {
    const rig = new Rig();
    rig.loop.proposeAsLeader(bytesFromUtf8('mine'), () => rig.events.push('dropped'));
    rig.endTurn();
    expect(rig.events).toEqual(['dropped']);
    rig.lead();
    rig.loop.proposeAsLeader(bytesFromUtf8('mine'), () => rig.events.push('dropped'));
    rig.endTurn();
    rig.completeAll();
    expect(rig.applied()).toEqual(['mine']);
    expect(rig.events).not.toContain('dropped');
  });

  test('so many may wait and no more', () => {
    const rig = new Rig();
    for (let i = 0; i < LOOP_PROPOSALS_MAX; i++) {
      expect(rig.loop.hasRoom).toBe(true);
      rig.propose('x');
    }
    expect(rig.loop.hasRoom).toBe(false);
    expect(() => rig.propose('y')).toThrow('asks for room');
  });

  test('so many bytes may wait and no more', () => {
    const rig = new Rig();
    rig.loop.propose(
      new Uint8Array(LOOP_BYTES_MAX - 1),
      rig.proposer(() => true),
    );
    expect(rig.loop.hasRoom).toBe(true);
    rig.propose('x');
    expect(rig.loop.hasRoom).toBe(false);
    expect(() => rig.propose('y')).toThrow('asks for room');
  });
});

test('while the disk stands still raft takes no more than its bound, and the rest waits', () => {
  const rig = new Rig(8).lead();
  rig.propose('123456');
  rig.endTurn();
  rig.propose('abc');
  rig.endTurn();
  rig.endTurn();
  expect(rig.events).toEqual(['append 2']);
  rig.completeAll();
  expect(rig.applied()).toEqual(['123456']);
  rig.endTurn();
  rig.completeAll();
  expect(rig.applied()).toEqual(['abc']);
  expect(rig.failures).toEqual([]);
});

describe('the log fails', () => {
  const error = new TetcdError('DISK_FAILED', 'sync: broken');

  test('the member is told once, and nothing of it or after it is committed', () => {
    const rig = new Rig().lead();
    rig.propose('a');
    rig.endTurn();
    rig.propose('b');
    rig.endTurn();
    rig.complete(error);
    rig.complete(error);
    rig.propose('c');
    rig.loop.tick();
    rig.endTurn();
    expect(rig.failures).toEqual([error]);
    expect(rig.toApply).toEqual([]);
    expect(rig.appends).toEqual([]);
    expect(rig.storage.lastIndex()).toBe(1);
  });

  test('an append that is refused at once counts as well', () => {
    const rig = new Rig().lead();
    rig.propose('a');
    const full = new TetcdError('LIMIT_EXCEEDED', 'too many');
    rig.appends.push = () => {
      throw full;
    };
    rig.endTurn();
    expect(rig.failures.map((failure) => hasCode(failure, 'LIMIT_EXCEEDED'))).toEqual([true]);
  });
});

test('a stopped loop does nothing more, whatever completes', () => {
  const rig = new Rig().lead();
  rig.propose('a');
  rig.endTurn();
  rig.loop.stop();
  rig.complete();
  rig.loop.tick();
  rig.endTurn();
  expect(rig.toApply).toEqual([]);
  expect(rig.failures).toEqual([]);
});

// With a term that is known already, raft asks for no sync of the hard state.
test('a snapshot is durable together with the commit index that makes it count', async () => {
  const { MsgHeartbeat, MsgSnap } = raftpb.MessageType;
  const rig = new Rig();
  const receive = (type: number, parts: Partial<Message>) => {
    rig.loop.receive({ ...newMessage(type, 1n), from: 2n, term: 1, ...parts });
    rig.endTurn();
  };
  receive(MsgHeartbeat, {});
  rig.completeAll();
  const confState = { ...emptyConfState(), voters: [1n, 2n] };
  const metadata = { confState, index: 9, term: 1 };
  receive(MsgSnap, { snapshot: { data: new Uint8Array(0), metadata } });
  await Promise.resolve();
  expect(rig.appends.map(({ hardState, mustSync }) => [hardState?.commit, mustSync])).toEqual([
    [9, true],
  ]);
});
