import { describe, expect, test } from 'vitest';
import { EMPTY_BYTES, InvariantError } from '../../base/index.ts';
import { type Message, newEntry, newMessage } from '../../raft/index.ts';
import { APPLY_SLICE_MS } from '../limits.ts';
import { ApplyLoop, type EntryApplier } from './apply-loop.ts';

function messageOf(first: number, count: number): Message {
  const entries = Array.from({ length: count }, (_, i) => newEntry(0, 1, first + i, EMPTY_BYTES));
  return { ...newMessage(0, 0n), entries };
}

const SLOW_MS = 100;

/** A loop over an applier whose entries take as many steps and as much time as the test says. */
function rig() {
  const events: string[] = [];
  const observed: number[] = [];
  const failures: unknown[] = [];
  const turns: (() => void)[] = [];
  const state = {
    nowMs: 0,
    /** Time and further steps of each entry, by index. */
    costMs: (_index: number) => 0,
    steps: (_index: number) => 0,
    room: undefined as Promise<void> | undefined,
    onBegin: (_index: number): void => {},
  };
  let open = { index: 0, left: 0 };
  const applier = {
    appliedIndex: 0,
    begin: ({ index }: Message['entries'][number]) => {
      applier.appliedIndex = index;
      events.push(`begin ${index}`);
      state.nowMs += state.costMs(index);
      state.onBegin(index);
      open = { index, left: state.steps(index) };
      return open.left === 0;
    },
    step: () => {
      state.nowMs += state.costMs(open.index);
      open.left--;
      if (open.left === 0) events.push(`end ${open.index}`);
      return open.left === 0;
    },
    observe: (tookMs: number) => void observed.push(tookMs),
    whenReady: () => state.room,
    endTurn: () => events.push('turn'),
  } satisfies EntryApplier & { appliedIndex: number };
  const loop = new ApplyLoop({
    applier,
    clock: { monotonicMs: () => state.nowMs, wallMs: () => 0 },
    timers: {
      after: () => ({ cancel: () => {} }),
      atEndOfTurn: () => {},
      nextTurn: () => new Promise<void>((resolve) => turns.push(resolve)),
    },
    onEntryEnd: ({ index }, beganMs, endMs) => {
      if (endMs - beganMs > SLOW_MS) events.push(`slow ${index} ${endMs - beganMs}`);
    },
    onApplied: (message) => events.push(`applied ${message.entries.at(-1)?.index}`),
    onFailure: (error) => failures.push(error),
  });
  const nextTurn = async (): Promise<void> => {
    for (const resolve of turns.splice(0)) resolve();
    await settled();
  };
  return { loop, events, observed, failures, turns, state, nextTurn };
}

const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('entries', () => {
  test('of several messages are applied in order, in the turn in which they come', () => {
    const { loop, events } = rig();
    loop.deliver(messageOf(1, 2));
    loop.deliver(messageOf(3, 1));
    expect(events).toEqual([
      ...['begin 1', 'begin 2', 'applied 2', 'turn'],
      ...['begin 3', 'applied 3', 'turn'],
    ]);
    expect(loop.isIdle).toBe(true);
  });

  test('give the turn back when its time is over', async () => {
    const { loop, events, turns, state, nextTurn } = rig();
    state.costMs = () => APPLY_SLICE_MS / 2;
    loop.deliver(messageOf(1, 5));
    expect(events).toEqual(['begin 1', 'begin 2', 'turn']);
    loop.deliver(messageOf(6, 1));
    expect(turns.length).toBe(1);
    await nextTurn();
    expect(events.slice(3)).toEqual(['begin 3', 'begin 4', 'turn']);
    await nextTurn();
    expect(events.slice(6)).toEqual(['begin 5', 'applied 5', 'begin 6', 'applied 6', 'turn']);
    await nextTurn();
    expect(turns.length).toBe(0);
  });

  test('that are large end before the next begins', async () => {
    const { loop, events, observed, state, nextTurn } = rig();
    state.steps = (index) => (index === 2 ? 5 : 0);
    state.costMs = (index) => (index === 2 ? APPLY_SLICE_MS / 2 : 0);
    loop.deliver(messageOf(1, 3));
    for (let i = 0; i < 4; i++) await nextTurn();
    expect(events.filter((event) => event !== 'turn')).toEqual([
      ...['begin 1', 'begin 2', 'end 2', 'begin 3', 'applied 3'],
    ]);
    expect(observed).toEqual([0, 3 * APPLY_SLICE_MS, 0]);
  });

  test('wait while the backend has no room, and only then', async () => {
    const { loop, events, state } = rig();
    let makeRoom = () => {};
    state.room = new Promise((resolve) => {
      makeRoom = resolve;
    });
    loop.deliver(messageOf(1, 1));
    await settled();
    expect(events).toEqual(['turn']);
    state.room = undefined;
    makeRoom();
    await settled();
    expect(events).toEqual(['turn', 'begin 1', 'applied 1', 'turn']);
  });

  test('delivered while one is being applied wait for it', () => {
    const { loop, events, state } = rig();
    state.onBegin = (index) => {
      if (index === 1) loop.deliver(messageOf(2, 1));
    };
    loop.deliver(messageOf(1, 1));
    expect(events).toEqual(['begin 1', 'applied 1', 'begin 2', 'applied 2', 'turn']);
  });
});

test('an entry that takes long is reported, slices and all', async () => {
  const { loop, events, state, nextTurn } = rig();
  state.steps = (index) => (index === 2 ? 2 : 0);
  state.costMs = (index) => (index === 2 ? 40 : 0);
  loop.deliver(messageOf(1, 3));
  for (let i = 0; i < 3; i++) await nextTurn();
  expect(events.filter((event) => event.startsWith('slow'))).toEqual(['slow 2 120']);
});

describe('an entry that cannot be applied', () => {
  test('is reported once, and nothing follows it', async () => {
    const { loop, events, failures, state } = rig();
    const error = new InvariantError('no');
    state.onBegin = (index) => {
      if (index === 2) throw error;
    };
    loop.deliver(messageOf(1, 3));
    loop.deliver(messageOf(4, 1));
    expect(events).toEqual(['begin 1', 'begin 2']);
    expect(failures).toEqual([error]);
    await loop.stop();
  });
});

describe('stopping', () => {
  test('waits for the entry that is open, and begins no other', async () => {
    const { loop, events, state, nextTurn } = rig();
    state.steps = () => 3;
    state.costMs = () => APPLY_SLICE_MS;
    loop.deliver(messageOf(1, 2));
    let stopped = false;
    const stop = loop.stop().then(() => {
      stopped = true;
    });
    await nextTurn();
    expect(stopped).toBe(false);
    for (let i = 0; i < 5; i++) await nextTurn();
    await stop;
    loop.deliver(messageOf(3, 1));
    expect(events.filter((event) => event !== 'turn')).toEqual(['begin 1', 'end 1']);
  });

  test('does not wait for room', async () => {
    const { loop, events, state } = rig();
    state.room = new Promise(() => {});
    loop.deliver(messageOf(1, 1));
    await loop.stop();
    expect(events).toEqual(['turn']);
  });

  test('of an idle loop is done at once', async () => {
    const { loop } = rig();
    await loop.stop();
    await loop.stop();
  });
});

describe('holding', () => {
  const begun = (events: readonly string[]) => events.filter((event) => event !== 'turn');

  test('works from the call on: nothing that comes in the same turn is begun', async () => {
    const { loop, events } = rig();
    const held = loop.hold();
    loop.deliver(messageOf(1, 2));
    await held;
    expect(begun(events)).toEqual([]);
    loop.release();
    expect(begun(events)).toEqual(['begin 1', 'begin 2', 'applied 2']);
  });

  test('resolves when the entry that is open has ended', async () => {
    const { loop, events, state, nextTurn } = rig();
    state.costMs = () => APPLY_SLICE_MS;
    state.steps = () => 2;
    loop.deliver(messageOf(1, 2));
    let isHeld = false;
    const held = loop.hold().then(() => {
      isHeld = true;
    });
    await nextTurn();
    expect(isHeld).toBe(false);
    for (let i = 0; i < 3; i++) await nextTurn();
    await held;
    expect(begun(events)).toEqual(['begin 1', 'end 1']);
  });

  test('twice needs two releases', async () => {
    const { loop, events } = rig();
    await loop.hold();
    await loop.hold();
    loop.deliver(messageOf(1, 1));
    loop.release();
    expect(begun(events)).toEqual([]);
    loop.release();
    expect(begun(events)).toEqual(['begin 1', 'applied 1']);
    expect(() => loop.release()).toThrow(InvariantError);
  });
});
