import { expect, test } from 'vitest';
import {
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  type MemoryStorage,
  type Message,
  type NodeId,
} from './index.ts';
import { entriesOf, message, TestNode } from './node.fixture.ts';
import { type Entry, MessageType } from './raftpb.ts';

const { MsgApp, MsgAppResp, MsgStorageAppendResp, MsgStorageApplyResp } = MessageType;

/** A follower with asynchronous storage writes whose threads the test drives. */
class Follower {
  readonly node = new TestNode({ id: 2n, config: { asyncStorageWrites: true } });
  readonly appends: Message[] = [];
  readonly applies: Message[] = [];

  get storage(): MemoryStorage {
    return this.node.storage;
  }

  append(from: NodeId, term: number, entries: Entry[], commit = 0): void {
    const prev = { index: entries[0]!.index - 1, logTerm: 0 };
    this.node.raw.step(message(MsgApp, { from, to: 2n, term, entries, commit, ...prev }));
    this.ready();
  }

  ready(): void {
    for (const sent of this.node.raw.ready().messages) {
      if (sent.to === LOCAL_APPEND_THREAD) this.appends.push(sent);
      if (sent.to === LOCAL_APPLY_THREAD) this.applies.push(sent);
    }
  }

  /** The append thread does its oldest work; returns what it has to deliver. */
  write(): Message[] {
    const work = this.appends.shift()!;
    this.storage.append(work.entries);
    return work.responses;
  }

  /** Delivers the responses that are for the node itself; returns the others. */
  report(responses: readonly Message[]): Message[] {
    for (const response of responses) if (response.to === 2n) this.node.raw.step(response);
    return responses.filter(({ to }) => to !== 2n);
  }
}

test('the overwritten write: steps 1 to 4 of storageAppendResponse', () => {
  const b = new Follower();
  const [x, y] = [entriesOf([1])[0]!, entriesOf([2])[0]!];
  b.append(1n, 1, [x]);
  b.append(3n, 2, [y]);
  // With one more entry, so that this is no mere repetition.
  b.append(1n, 3, [x, ...entriesOf([3], 2)], 2);
  expect(b.appends.map(({ entries }) => entries.map(({ term }) => term))).toEqual([
    [1],
    [2],
    [1, 3],
  ]);
  // The first write of x is reported while the storage is about to hold y.
  b.report(b.write());
  const second = b.write();
  expect(b.storage.term(1)).toBe(2);
  // Entry 1 is committed, and it is x: were it taken from the storage now, y would be applied.
  expect(b.node.raw.hasReady()).toBe(false);
  expect(b.applies).toEqual([]);
  b.report(second);
  expect(b.node.raw.hasReady()).toBe(false);
  b.report(b.write());
  b.ready();
  expect(b.applies.map(({ entries }) => entries)).toEqual([[x, ...entriesOf([3], 2)]]);
});

test('acknowledgements wait for the write that they vouch for', () => {
  const b = new Follower();
  b.append(1n, 1, entriesOf([1]));
  b.append(
    1n,
    1,
    entriesOf([1], 2).map((entry) => ({ ...entry, index: 1 })),
  );
  const [first] = b.report(b.write());
  expect(first).toMatchObject({ type: MsgAppResp, to: 1n, index: 1, reject: false });
});

test('a report that was ignored for its term is made up for by the next write of anything', () => {
  const b = new Follower();
  b.append(1n, 1, entriesOf([1]));
  const report = b.write();
  b.node.raw.step(message(MessageType.MsgHeartbeat, { from: 3n, to: 2n, term: 2, commit: 1 }));
  b.report(report);
  b.ready();
  expect(b.applies).toEqual([]);
  // The hard state of term 2 is the next write; it carries no entries, and reports entry 1.
  const [stored] = b.appends[0]!.responses;
  expect(stored).toMatchObject({ type: MsgStorageAppendResp, term: 2, index: 1, logTerm: 1 });
  b.report(b.write());
  b.ready();
  expect(b.applies).toHaveLength(1);
});

test('nothing is asked of the threads when there is nothing to do', () => {
  const b = new Follower();
  expect(b.node.raw.ready().messages).toEqual([]);
});

test('what to apply carries its own report, of no particular term', () => {
  const b = new Follower();
  b.append(1n, 1, entriesOf([1]), 1);
  b.report(b.write());
  b.ready();
  const [apply] = b.applies;
  expect(apply).toMatchObject({ term: 0, from: 2n, to: LOCAL_APPLY_THREAD });
  expect(apply!.responses).toMatchObject([
    { type: MsgStorageApplyResp, term: 0, from: LOCAL_APPLY_THREAD, to: 2n },
  ]);
  b.report(apply!.responses);
  expect(b.node.raw.basicStatus().applied).toBe(1);
});
