import { describe, expect, test } from 'vitest';
import {
  READ_RETRY_MS,
  READS_BYTES_MAX,
  READS_WAITING_MAX,
  REQUEST_TIMEOUT_BASE_MS,
} from '../limits.ts';
import { ReadIndexQueue } from './read-index-queue.ts';
import { RequestIds } from './request-ids.ts';

function rig() {
  const time = { nowMs: 0 };
  const state = { applied: 0, scheduled: 0 };
  const heard: string[] = [];
  const reads = new ReadIndexQueue({
    config: { electionMs: 1000 },
    env: { clock: { monotonicMs: () => time.nowMs, wallMs: () => 0 } },
    requestIds: new RequestIds(1n, 0),
    loop: { schedule: () => void state.scheduled++ },
    store: {
      machine: {
        get appliedIndex() {
          return state.applied;
        },
      },
    },
    slow: {
      get nowMs() {
        return time.nowMs;
      },
      endReadIndex: () => {},
    },
  });
  const ask = (name: string, bytes = 0) =>
    reads.request(
      {
        serve: () => heard.push(name),
        fail: (error) => heard.push(`${name} ${error}`),
      },
      bytes,
    );
  const answer = (index: number, context: Uint8Array | undefined) =>
    reads.acceptStates([{ index, context: context! }]);
  return { reads, time, state, heard, ask, answer };
}

test('reads that wait share a round, and are served once its index is applied', () => {
  const { reads, state, heard, ask, answer } = rig();
  ask('a');
  ask('b');
  expect(state.scheduled).toBeGreaterThan(0);
  const context = reads.nextContext();
  expect(reads.nextContext()).toBeUndefined();
  answer(5, context);
  expect(heard).toEqual([]);
  state.applied = 4;
  reads.acceptApplied();
  expect(heard).toEqual([]);
  state.applied = 5;
  reads.acceptApplied();
  expect(heard).toEqual(['a', 'b']);
  expect(reads.nextContext()).toBeUndefined();
});

test('a read never joins a round that was asked for before it arrived', () => {
  const { reads, state, heard, ask, answer } = rig();
  state.applied = 10;
  ask('early');
  const first = reads.nextContext();
  ask('late');
  answer(5, first);
  expect(heard).toEqual(['early']);
  const second = reads.nextContext();
  expect(second).toBeDefined();
  expect(second).not.toEqual(first);
  answer(6, second);
  expect(heard).toEqual(['early', 'late']);
});

test('rounds are served in order, though their indexes may be equal', () => {
  const { reads, state, heard, ask, answer } = rig();
  for (const [name, index] of [
    ['a', 3],
    ['b', 3],
    ['c', 7],
  ] as const) {
    ask(name);
    answer(index, reads.nextContext());
  }
  state.applied = 3;
  reads.acceptApplied();
  expect(heard).toEqual(['a', 'b']);
  state.applied = 9;
  reads.acceptApplied();
  expect(heard).toEqual(['a', 'b', 'c']);
});

test('an answer to another context, or a foreign one, changes nothing', () => {
  const { reads, state, heard, ask, answer } = rig();
  state.applied = 100;
  ask('a');
  const first = reads.nextContext();
  reads.acceptLeaderChange();
  ask('b');
  const second = reads.nextContext();
  answer(1, first);
  answer(1, new Uint8Array(3));
  answer(1, new Uint8Array(8));
  expect(heard).toEqual(['a LEADER_CHANGED']);
  answer(1, second);
  answer(1, second);
  expect(heard).toEqual(['a LEADER_CHANGED', 'b']);
});

test('a context that is not answered is asked again, then given up', () => {
  const { reads, time, state, heard, ask } = rig();
  ask('a');
  const context = reads.nextContext();
  time.nowMs = READ_RETRY_MS - 1;
  reads.tick();
  expect(reads.nextContext()).toBeUndefined();
  time.nowMs = READ_RETRY_MS;
  const scheduled = state.scheduled;
  reads.tick();
  expect(state.scheduled).toBe(scheduled + 1);
  const again = reads.nextContext();
  expect(again).toBeDefined();
  expect(again).not.toEqual(context);
  ask('b');
  time.nowMs = REQUEST_TIMEOUT_BASE_MS + 2000;
  reads.tick();
  expect(heard).toEqual(['a TIMEOUT']);
  expect(reads.failedCount).toBe(1);
  expect(reads.nextContext()).toBeDefined();
});

test.each([0, 1, 2])('any answer to a context that was asked three times will do: %i', (which) => {
  const { reads, time, state, heard, ask, answer } = rig();
  state.applied = 10;
  ask('a');
  const contexts = [reads.nextContext()];
  for (let i = 1; i < 3; i++) {
    time.nowMs += READ_RETRY_MS;
    contexts.push(reads.nextContext());
  }
  ask('b');
  answer(5, contexts[which]);
  expect(heard).toEqual(['a']);
  // The others come late, in the next round.
  reads.nextContext();
  for (const context of contexts) answer(5, context);
  expect(heard).toEqual(['a']);
});

test('a change of the leader does not touch what is confirmed', () => {
  const { reads, state, heard, ask, answer } = rig();
  ask('a');
  answer(3, reads.nextContext());
  reads.acceptLeaderChange();
  state.applied = 3;
  reads.acceptApplied();
  expect(heard).toEqual(['a']);
});

test('a read that is asked for while another is served waits for its own round', () => {
  const { reads, state, heard, ask, answer } = rig();
  state.applied = 5;
  reads.request({
    serve: () => {
      heard.push('a');
      ask('b');
    },
    fail: () => {},
  });
  answer(5, reads.nextContext());
  expect(heard).toEqual(['a']);
  answer(5, reads.nextContext());
  expect(heard).toEqual(['a', 'b']);
});

describe('bounds and the end', () => {
  test('so many may wait and no more', () => {
    const { heard, ask } = rig();
    for (let i = 0; i < READS_WAITING_MAX; i++) ask('');
    expect(heard).toEqual([]);
    ask('over');
    expect(heard).toEqual(['over REQUEST_TOO_MANY_REQUESTS']);
  });

  test('a read counts until it is served', () => {
    const { reads, state, heard, ask, answer } = rig();
    for (let i = 0; i < READS_WAITING_MAX; i++) ask('');
    answer(9, reads.nextContext());
    ask('over');
    expect(heard).toEqual(['over REQUEST_TOO_MANY_REQUESTS']);
    state.applied = 9;
    reads.acceptApplied();
    ask('again');
    reads.nextContext();
    reads.acceptLeaderChange();
    expect(heard.slice(-1)).toEqual(['again LEADER_CHANGED']);
    for (let i = 0; i < READS_WAITING_MAX; i++) ask('');
    expect(heard).toHaveLength(READS_WAITING_MAX + 2);
  });

  test('a member that stops tells all, waiting, asked for and confirmed', () => {
    const { reads, heard, ask, answer } = rig();
    ask('confirmed');
    answer(9, reads.nextContext());
    ask('asked');
    reads.nextContext();
    ask('waiting');
    reads.stop();
    ask('late');
    expect(heard.sort()).toEqual([
      'asked STOPPED',
      'confirmed STOPPED',
      'late STOPPED',
      'waiting STOPPED',
    ]);
  });
});

test('the bytes of requests that wait are bounded; one of any size is taken alone', () => {
  const { reads, state, heard, ask, answer, time } = rig();
  ask('huge', 2 * READS_BYTES_MAX);
  ask('small', 1);
  expect(heard).toEqual(['small REQUEST_TOO_MANY_REQUESTS']);
  answer(5, reads.nextContext());
  ask('not yet', 1);
  state.applied = 5;
  reads.acceptApplied();
  expect(heard.slice(1)).toEqual(['not yet REQUEST_TOO_MANY_REQUESTS', 'huge']);
  ask('half', READS_BYTES_MAX / 2);
  ask('other half', READS_BYTES_MAX / 2);
  ask('none', 1);
  expect(heard.slice(3)).toEqual(['none REQUEST_TOO_MANY_REQUESTS']);
  reads.nextContext();
  time.nowMs += 2 * REQUEST_TIMEOUT_BASE_MS;
  reads.tick();
  expect(heard.slice(4)).toEqual(['half TIMEOUT', 'other half TIMEOUT']);
  ask('again', READS_BYTES_MAX);
  ask('too much', 1);
  expect(heard.slice(6)).toEqual(['too much REQUEST_TOO_MANY_REQUESTS']);
});
