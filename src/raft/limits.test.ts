// What happens at each bound.

import { describe, expect, test } from 'vitest';
import { bytesFromUtf8 } from '../base/index.ts';
import {
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  type Message,
  PENDING_READS_MAX,
  ROLES,
  STEP_RESULTS,
} from './index.ts';
import { entriesSize, entrySize } from './log/index.ts';
import { entriesOf, group, TestNode } from './node.fixture.ts';
import { MessageType } from './raftpb.ts';

const { MsgApp, MsgHeartbeatResp } = MessageType;

/** Leads 2, which has acknowledged everything and so is in state `REPLICATE`. */
function leaderOfTwo(config: ConstructorParameters<typeof TestNode>[0] = {}): TestNode {
  return new TestNode({ voters: [1n, 2n], ...config }).elect(2n).establishFrom(2n);
}

function appends(messages: readonly Message[]): number[][] {
  return messages
    .filter(({ type }) => type === MsgApp)
    .map(({ entries }) => entries.map(({ index }) => index));
}

describe('appends under way', () => {
  const config = { inflightMessagesMax: 3 };

  function filled(): TestNode {
    const node = leaderOfTwo({ config });
    for (const index of [2, 3, 4]) {
      node.propose('x');
      expect(appends(node.take())).toEqual([[index]]);
    }
    return node;
  }

  test('stop at their number', () => {
    const node = filled();
    for (let i = 0; i < 5; i++) {
      node.propose('x');
      expect(node.take()).toEqual([]);
    }
    expect(node.raw.status().progress.get(2n)?.describe()).toContain('inflight=3[full]');
  });

  test('go on as they are acknowledged, all that waits in one message', () => {
    const node = filled();
    for (let i = 0; i < 5; i++) node.propose('x');
    node.take();
    expect(appends(node.acknowledge(2n, 2))).toEqual([[5, 6, 7, 8, 9]]);
    // Stale, so that it frees nothing.
    expect(appends(node.acknowledge(2n, 2))).toEqual([]);
    node.propose('x');
    expect(appends(node.take())).toEqual([]);
  });

  test('a heartbeat answer lets one empty append through, which a loss would have rejected', () => {
    const node = filled();
    for (let i = 0; i < 3; i++) {
      const sent = node.step(MsgHeartbeatResp, { from: 2n, term: 1 });
      expect(appends(sent)).toEqual([[]]);
      node.propose('x');
      expect(appends(node.take())).toEqual([]);
    }
  });

  test('stop at their bytes', () => {
    const limits = { inflightMessagesMax: 100, inflightBytesMax: 10, messageBytesMax: 10 };
    const node = leaderOfTwo({ config: limits });
    node.propose('12345');
    expect(appends(node.take())).toEqual([[2]]);
    // Crosses the bound, which only the next one meets.
    node.propose('678901234567890');
    expect(appends(node.take())).toEqual([[3]]);
    node.propose('x');
    expect(appends(node.take())).toEqual([]);
    expect(appends(node.acknowledge(2n, 3))).toEqual([[4]]);
  });
});

describe('the bytes of a message', () => {
  const size = entrySize(entriesOf([1], 2)[0]!);

  test.each([
    [0, [[2], [3], [4]]],
    [size * 2, [[2, 3], [4]]],
    [Number.POSITIVE_INFINITY, [[2, 3, 4]]],
  ])('with at most %i', (messageBytesMax, expected) => {
    const node = leaderOfTwo({ config: { messageBytesMax } });
    node.step(MessageType.MsgHeartbeatResp, { from: 2n, term: 1 });
    node.raw.reportUnreachable(2n);
    node.propose('1.2', '1.3', '1.4');
    // In `probe` one message; its acknowledgement brings the rest.
    const first = appends(node.take());
    const rest = appends(node.acknowledge(2n, first[0]!.at(-1)));
    expect([...first, ...rest].filter((indexes) => indexes.length > 0)).toEqual(expected);
  });
});

describe('uncommitted bytes', () => {
  const config = { uncommittedBytesMax: 10 };

  test('beyond them proposals are dropped until something is applied', () => {
    const node = leaderOfTwo({ config });
    expect(node.propose('12345678')).toBe(STEP_RESULTS.OK);
    expect(node.propose('12')).toBe(STEP_RESULTS.OK);
    expect(node.propose('1')).toBe(STEP_RESULTS.PROPOSAL_DROPPED);
    node.take();
    expect(node.propose('1')).toBe(STEP_RESULTS.PROPOSAL_DROPPED);
    node.acknowledge(2n);
    expect(node.propose('1')).toBe(STEP_RESULTS.OK);
  });

  test('a batch goes in whole or not at all', () => {
    const node = leaderOfTwo({ config });
    expect(node.propose('12345')).toBe(STEP_RESULTS.OK);
    expect(node.propose('1234', '12')).toBe(STEP_RESULTS.PROPOSAL_DROPPED);
    expect(node.raw.lastIndex()).toBe(2);
    expect(node.propose('1234', '1')).toBe(STEP_RESULTS.OK);
  });

  test('one proposal of any size is taken when there is nothing else', () => {
    const node = leaderOfTwo({ config });
    expect(node.propose('x'.repeat(1_000))).toBe(STEP_RESULTS.OK);
    expect(node.propose('x')).toBe(STEP_RESULTS.PROPOSAL_DROPPED);
  });

  test('something without payload is never refused', () => {
    const node = leaderOfTwo({ config });
    node.propose('1234567890');
    expect(node.propose('')).toBe(STEP_RESULTS.OK);
  });

  test('a new leader counts from zero', () => {
    const network = group(3, config);
    network.campaign(1n);
    network.isolate(1n);
    network.node(1n).propose('1234567890');
    network.campaign(2n);
    expect(network.node(2n).role).toBe(ROLES.LEADER);
    expect(network.node(2n).propose('1234567890')).toBe(STEP_RESULTS.OK);
  });
});

describe('bytes handed out for application', () => {
  const terms = [1, 1, 1, 1, 1];
  const size = entriesSize(entriesOf([1]));
  const init = { voters: [1n], terms, hardState: { term: 1, commit: 5 } };

  test('in synchronous mode each Ready has as many as fit', () => {
    const node = new TestNode({ ...init, config: { applyingBytesMax: size * 2 } });
    const runs: number[] = [];
    while (node.raw.hasReady()) {
      runs.push(node.raw.ready().committedEntries.length);
      node.raw.advance();
    }
    expect(runs).toEqual([2, 2, 1]);
  });

  test('with asynchronous writes what is outstanding counts, over any number of Readys', () => {
    const config = { applyingBytesMax: size * 2, asyncStorageWrites: true };
    const { raw } = new TestNode({ ...init, config });
    const applications = (): Message[] =>
      raw.hasReady() ? raw.ready().messages.filter(({ to }) => to === LOCAL_APPLY_THREAD) : [];
    const [first] = applications();
    expect(first?.entries.map(({ index }) => index)).toEqual([1, 2]);
    expect(applications()).toEqual([]);
    raw.step(first!.responses[0]!);
    expect(applications().map(({ entries }) => entries.length)).toEqual([2]);
  });

  test('a single entry goes whatever its size', () => {
    const node = new TestNode({ ...init, config: { applyingBytesMax: 1 } });
    node.take();
    expect(node.applied.map(({ index }) => index)).toEqual([1, 2, 3, 4, 5]);
  });
});

test('reads that nobody confirms are dropped at their bound', () => {
  const node = leaderOfTwo();
  for (let i = 0; i < PENDING_READS_MAX + 10; i++) node.raw.readIndex(bytesFromUtf8(`${i}`));
  const beats = node.take().filter(({ type }) => type === MessageType.MsgHeartbeat);
  expect(beats).toHaveLength(PENDING_READS_MAX);
  const { context } = beats.at(-1)!;
  node.step(MsgHeartbeatResp, { from: 2n, term: 1, context });
  expect(node.reads).toHaveLength(PENDING_READS_MAX);
});

test('appends to the disk are not bounded here: any number of them may be under way', () => {
  const config = { asyncStorageWrites: true };
  const { raw } = new TestNode({ voters: [1n], config });
  raw.campaign();
  const vote = raw.ready().messages.find(({ to }) => to === LOCAL_APPEND_THREAD);
  for (const response of vote!.responses) raw.step(response);
  for (let i = 0; i < 100; i++) {
    raw.propose(bytesFromUtf8('x'));
    const [append] = raw.ready().messages;
    expect([append?.to, append?.entries.length]).toEqual([LOCAL_APPEND_THREAD, i === 0 ? 2 : 1]);
  }
});
