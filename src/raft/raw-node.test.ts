import { describe, expect, test } from 'vitest';
import {
  bytesFromUtf8,
  EMPTY_BYTES,
  ERROR_CODES,
  hasCode,
  InvariantError,
  seededRandom,
  TetcdError,
} from '../base/index.ts';
import { encodeConfChange } from './confchange/index.ts';
import {
  type Config,
  emptyConfState,
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  MemoryStorage,
  type Message,
  RawNode,
  READ_ONLY_MODES,
  ROLES,
  STEP_RESULTS,
  type Storage,
  statusToJson,
} from './index.ts';
import { entriesOf, message, TestNode } from './node.fixture.ts';
import { ConfChangeType, EntryType, MessageType, newEntry } from './raftpb.ts';

const good: Config = {
  id: 1n,
  electionTicks: 10,
  heartbeatTicks: 1,
  storage: new MemoryStorage(),
  random: seededRandom(1),
  messageBytesMax: 1_000,
  inflightMessagesMax: 10,
};

function errorOf(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe('settings', () => {
  const cases: [Partial<Config>, string][] = [
    [{ id: 0n }, 'cannot use none as id'],
    [{ id: LOCAL_APPEND_THREAD }, 'cannot use local target as id'],
    [{ id: LOCAL_APPLY_THREAD }, 'cannot use local target as id'],
    [{ heartbeatTicks: 0 }, 'heartbeat tick must be greater than 0'],
    [{ electionTicks: 1 }, 'election tick must be greater than heartbeat tick'],
    [{ inflightMessagesMax: 0 }, 'max inflight messages must be greater than 0'],
    [{ inflightBytesMax: 999 }, 'max inflight bytes must be >= max message size'],
    [{ readOnlyMode: READ_ONLY_MODES.LEASE_BASED }, 'CheckQuorum must be enabled'],
    [{ applied: 1 }, 'applied(1) is out of range'],
  ];
  test.each(cases)('refuses %o', (setting, text) => {
    const error = errorOf(() => new RawNode({ ...good, ...setting }));
    expect(hasCode(error, ERROR_CODES.INVALID_ARGUMENT)).toBe(true);
    expect(String(error)).toContain(text);
  });

  test('storage that contradicts itself is corrupt', () => {
    const storage = new MemoryStorage();
    storage.append(entriesOf([1, 1]));
    storage.setHardState({ term: 1, vote: 0n, commit: 3 });
    const error = errorOf(() => new RawNode({ ...good, storage }));
    expect(hasCode(error, ERROR_CODES.CORRUPT)).toBe(true);
    expect(String(error)).toContain('state.commit 3 is out of range [0, 2]');
    const confState = { ...emptyConfState(), learners: [1n] };
    storage.applySnapshot({ data: EMPTY_BYTES, metadata: { confState, index: 4, term: 1 } });
    expect(
      hasCode(
        errorOf(() => new RawNode({ ...good, storage })),
        ERROR_CODES.CORRUPT,
      ),
    ).toBe(true);
  });
});

describe('step', () => {
  test('refuses what only a node says to itself', () => {
    const node = new TestNode();
    const types = [
      MessageType.MsgHup,
      MessageType.MsgBeat,
      MessageType.MsgUnreachable,
      MessageType.MsgSnapStatus,
      MessageType.MsgCheckQuorum,
      MessageType.MsgStorageAppend,
      MessageType.MsgStorageAppendResp,
      MessageType.MsgStorageApply,
      MessageType.MsgStorageApplyResp,
    ];
    for (const type of types) {
      expect(node.raw.step(message(type, { from: 2n }))).toBe(STEP_RESULTS.LOCAL_MESSAGE);
    }
    expect(node.take()).toEqual([]);
  });

  test('refuses answers from strangers', () => {
    const node = new TestNode();
    for (const type of [MessageType.MsgAppResp, MessageType.MsgVoteResp]) {
      const result = node.raw.step(message(type, { from: 9n, term: 1 }));
      expect(result).toBe(STEP_RESULTS.PEER_NOT_FOUND);
    }
  });

  const [entry] = entriesOf([1]);
  const malformed: [string, number, Partial<Message>][] = [
    ['a proposal of nothing', MessageType.MsgProp, {}],
    ['a read without context', MessageType.MsgReadIndex, {}],
    ['a vote without a term', MessageType.MsgVote, {}],
    ['a pre-vote without a term', MessageType.MsgPreVote, {}],
    ['an append without a term', MessageType.MsgApp, {}],
    ['a heartbeat without a term', MessageType.MsgHeartbeat, {}],
    ['a snapshot without a term', MessageType.MsgSnap, {}],
    ['an append with a gap', MessageType.MsgApp, { term: 2, entries: entriesOf([1], 5) }],
    ['an append whose terms fall', MessageType.MsgApp, { term: 2, entries: entriesOf([2, 1]) }],
    ['an append from the future', MessageType.MsgApp, { term: 1, entries: entriesOf([2]) }],
    ['an append below its base', MessageType.MsgApp, { term: 3, logTerm: 2, entries: [entry!] }],
  ];
  test.each(malformed)('refuses %s', (_, type, init) => {
    const node = new TestNode({ hardState: { term: 1 } });
    const result = node.raw.step(message(type, { from: 2n, to: 1n, ...init }));
    expect(result).toBe(STEP_RESULTS.MALFORMED);
    expect([node.term, node.take(), node.logTerms]).toEqual([1, [], []]);
  });

  test('a leader refuses answers about entries that it never had', () => {
    const node = new TestNode().elect(2n).establishFrom(2n);
    const index = node.raw.lastIndex() + 1;
    for (const reject of [false, true]) {
      const answer = message(MessageType.MsgAppResp, { from: 3n, term: node.term, index, reject });
      expect(node.raw.step(answer)).toBe(STEP_RESULTS.MALFORMED);
    }
    expect(node.raw.status().progress.get(3n)!.match).toBe(0);
  });

  test('a membership change that is none is refused, on the leader it reaches', () => {
    const node = new TestNode().elect(2n);
    for (const type of [EntryType.EntryConfChange, EntryType.EntryConfChangeV2]) {
      const data = new Uint8Array([0xff, 0xff]);
      const entries = [newEntry(type, 0, 0, data)];
      const result = node.raw.step(message(MessageType.MsgProp, { from: 2n, entries }));
      expect(result).toBe(STEP_RESULTS.MALFORMED);
    }
    // Of a type that nobody knows, it is none whatever it holds: this reads like an addition.
    const data = encodeConfChange({
      transition: 0,
      changes: [{ type: ConfChangeType.ConfChangeAddNode, nodeId: 7n }],
      context: new Uint8Array(0),
    }).data;
    const entries = [newEntry(99, 0, 0, data)];
    const result = node.raw.step(message(MessageType.MsgProp, { from: 2n, entries }));
    expect(result).toBe(STEP_RESULTS.MALFORMED);
    expect(node.raw.lastIndex()).toBe(1);
  });

  test('types from a later release are ignored', () => {
    const node = new TestNode();
    expect(node.raw.step(message(99, { from: 2n, term: 1 }))).toBe(STEP_RESULTS.OK);
    expect(node.raw.step(message(99, { from: 2n }))).toBe(STEP_RESULTS.OK);
  });
});

describe('proposals', () => {
  test('are dropped without a leader, while one is elected, and by a follower told to', () => {
    const node = new TestNode();
    expect(node.propose('x')).toBe(STEP_RESULTS.PROPOSAL_DROPPED);
    node.raw.campaign();
    expect(node.propose('x')).toBe(STEP_RESULTS.PROPOSAL_DROPPED);
    const proud = new TestNode({ config: { disableProposalForwarding: true } });
    proud.step(MessageType.MsgHeartbeat, { from: 2n, term: 1 });
    expect(proud.propose('x')).toBe(STEP_RESULTS.PROPOSAL_DROPPED);
  });

  test('go from a follower to the leader in one message', () => {
    const node = new TestNode();
    node.step(MessageType.MsgHeartbeat, { from: 2n, term: 1 });
    expect(node.propose('a', 'b')).toBe(STEP_RESULTS.OK);
    const sent = node.take();
    expect(sent).toHaveLength(1);
    expect(sent[0]).toMatchObject({ type: MessageType.MsgProp, to: 2n, from: 1n, term: 0 });
    expect(sent[0]!.entries.map(({ data }) => data)).toEqual([
      bytesFromUtf8('a'),
      bytesFromUtf8('b'),
    ]);
  });

  test('of nothing are malformed', () => {
    expect(new TestNode({ voters: [1n] }).elect().raw.proposeBatch([])).toBe(
      STEP_RESULTS.MALFORMED,
    );
  });

  test('of one batch stand next to each other', () => {
    const node = new TestNode({ voters: [1n] }).elect();
    node.propose('a', 'b', 'c');
    node.propose('d');
    node.take();
    expect(node.applied.map(({ index }) => index)).toEqual([1, 2, 3, 4, 5]);
    expect(node.appliedTexts).toEqual(['a', 'b', 'c', 'd']);
  });
});

describe('ready', () => {
  test('nothing to do is nothing', () => {
    const node = new TestNode({ voters: [1n], terms: [1], hardState: { term: 1, commit: 1 } });
    node.take();
    expect(node.raw.hasReady()).toBe(false);
    const ready = node.raw.ready();
    expect(ready).toMatchObject({ softState: undefined, hardState: undefined, mustSync: false });
    expect([ready.entries, ready.committedEntries, ready.messages]).toEqual([[], [], []]);
  });

  test('synchronous Readys need an advance each', () => {
    const node = new TestNode({ voters: [1n] }).elect();
    node.propose('x');
    node.raw.ready();
    expect(() => node.raw.ready()).toThrow(InvariantError);
  });

  test('advance is not for asynchronous writes', () => {
    const node = new TestNode({ config: { asyncStorageWrites: true } });
    expect(() => node.raw.advance()).toThrow(InvariantError);
  });

  test('a commit index alone needs no sync; votes, terms and entries do', () => {
    const node = new TestNode();
    node.raw.step(message(MessageType.MsgVote, { from: 2n, term: 1 }));
    expect(node.raw.ready().mustSync).toBe(true);
    node.raw.advance();
    node.raw.step(message(MessageType.MsgApp, { from: 2n, term: 1, entries: entriesOf([1]) }));
    expect(node.raw.ready().mustSync).toBe(true);
    node.storage.append(entriesOf([1]));
    node.raw.advance();
    node.raw.step(message(MessageType.MsgHeartbeat, { from: 2n, term: 1, commit: 1 }));
    const ready = node.raw.ready();
    expect([ready.mustSync, ready.hardState?.commit]).toEqual([false, 1]);
  });
});

describe('bootstrap', () => {
  const peers = [
    { id: 1n, context: bytesFromUtf8('one') },
    { id: 2n, context: EMPTY_BYTES },
  ];

  test('begins the log with one entry per peer, committed', () => {
    const storage = new MemoryStorage();
    const node = new RawNode({ ...good, storage });
    node.bootstrap(peers);
    const ready = node.ready();
    expect(ready.hardState).toEqual({ term: 1, vote: 0n, commit: 2 });
    expect(ready.entries.map(({ type, term, index }) => [type, term, index])).toEqual([
      [EntryType.EntryConfChange, 1, 1],
      [EntryType.EntryConfChange, 1, 2],
    ]);
    expect(ready.committedEntries).toEqual(ready.entries);
    expect(node.status().config.voters.incoming).toEqual([1n, 2n]);
  });

  test('needs peers and an empty storage', () => {
    const node = new RawNode({ ...good, storage: new MemoryStorage() });
    expect(String(errorOf(() => node.bootstrap([])))).toContain('at least one peer');
    const used = new MemoryStorage();
    used.append(entriesOf([1]));
    const other = new RawNode({ ...good, storage: used });
    expect(String(errorOf(() => other.bootstrap(peers)))).toContain("can't bootstrap");
  });
});

describe('a storage that fails', () => {
  function failing(): { node: RawNode; break: (error: Error) => void } {
    const inner = new TestNode({ terms: [1, 1, 1], hardState: { term: 1, commit: 2 } }).storage;
    let broken: Error | undefined;
    const checked = (): MemoryStorage => {
      if (broken !== undefined) throw broken;
      return inner;
    };
    const storage: Storage = {
      initialState: () => inner.initialState(),
      firstIndex: () => checked().firstIndex(),
      lastIndex: () => checked().lastIndex(),
      term: (index) => checked().term(index),
      entries: (from, to, sizeMax) => checked().entries(from, to, sizeMax),
      snapshot: () => checked().snapshot(),
    };
    const node = new RawNode({ ...good, storage, applied: 0 });
    const fails = (error: Error): void => {
      broken = error;
    };
    return { node, break: fails };
  }

  test('makes the node inoperable and says why', () => {
    const { node, break: breakIt } = failing();
    const error = new TetcdError(ERROR_CODES.DISK_FAILED, 'gone');
    breakIt(error);
    expect(node.campaign()).toBe(STEP_RESULTS.STORAGE_FAILED);
    expect(node.failure).toBe(error);
    const append = message(MessageType.MsgApp, { from: 2n, term: 2 });
    expect(node.step(append)).toBe(STEP_RESULTS.STORAGE_FAILED);
    expect(node.propose(EMPTY_BYTES)).toBe(STEP_RESULTS.STORAGE_FAILED);
    expect(node.hasReady()).toBe(false);
    expect(errorOf(() => node.ready())).toBe(error);
    node.tick();
    node.readIndex(EMPTY_BYTES);
    node.reportUnreachable(2n);
    expect(node.basicStatus().role).toBe(ROLES.FOLLOWER);
  });

  test('in ready throws there', () => {
    const { node, break: breakIt } = failing();
    breakIt(new Error('an error of the platform'));
    const error = errorOf(() => node.ready());
    expect(hasCode(error, ERROR_CODES.DISK_FAILED)).toBe(true);
    expect((error as TetcdError).cause).toBe(node.failure);
  });

  test('unless the failure is a mistake of ours, which nobody catches', () => {
    const { node, break: breakIt } = failing();
    breakIt(new InvariantError('wrong'));
    expect(errorOf(() => node.campaign())).toBeInstanceOf(InvariantError);
    expect(node.failure).toBeUndefined();
  });
});

test('status is a copy, and prints as etcd prints it', () => {
  const node = new TestNode().elect(2n, 3n);
  const status = node.raw.status();
  node.acknowledge(2n);
  expect(status.progress.get(2n)?.match).toBe(0);
  expect(node.raw.status().progress.get(2n)?.match).toBe(1);
  expect(JSON.parse(statusToJson(status))).toEqual({
    id: '1',
    term: 1,
    vote: '1',
    commit: 0,
    lead: '1',
    raftState: 'StateLeader',
    applied: 0,
    progress: {
      1: { match: 1, next: 2, state: 'StateReplicate' },
      2: { match: 0, next: 1, state: 'StateProbe' },
      3: { match: 0, next: 1, state: 'StateProbe' },
    },
    leadtransferee: '0',
  });
  expect(new TestNode().raw.status().progress.size).toBe(0);
});
