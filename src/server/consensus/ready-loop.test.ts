// The order of effects, with a log whose appends complete when the test says so.

import { describe, expect, test } from 'vitest';
import { bytesFromUtf8, hasCode, TetcdError } from '../../base/index.ts';
import { raftpb } from '../../protocol/index.ts';
import { emptyConfState, type Message, newMessage } from '../../raft/index.ts';
import { LOOP_BYTES_MAX, LOOP_PROPOSALS_MAX } from '../limits.ts';
import { Rig } from './ready-loop.fixture.ts';

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
