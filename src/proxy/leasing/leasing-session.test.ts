// When a session holds, told by a clock that only this test moves.

import { expect, test } from 'vitest';
import { bytesFromUtf8 } from '../../base/index.ts';
import type { Client } from '../../client/index.ts';
import type { Timer, Timers } from '../../env/index.ts';
import { EtcdError } from '../../protocol/index.ts';
import { LEASING_RETRY_MS, LEASING_TTL_S } from '../limits.ts';
import { LeasedKeys } from './leased-keys.ts';
import { LeasingKeys } from './leasing-keys.ts';
import { LeasingSession } from './leasing-session.ts';

const TTL_MS = LEASING_TTL_S * 1000;

interface Event {
  readonly type: 'put' | 'delete';
  readonly kv: Record<string, unknown>;
}

/** A cluster of one lease at a time, whose answers come when the test says so. */
function stage() {
  let nowMs = 0;
  let granted = 0n;
  const due: { readonly atMs: number; readonly run: () => void }[] = [];
  const renewals: { resolve: (ttl: number) => void; reject: (error: Error) => void }[] = [];
  const said: string[] = [];
  let tell: (event: Event | undefined) => void = () => {};
  const watch = () => {
    const events: (Event | undefined)[] = [];
    let wake = (): void => {};
    tell = (event) => {
      events.push(event);
      wake();
    };
    return {
      created: Promise.resolve(),
      close: () => tell(undefined),
      async *[Symbol.asyncIterator]() {
        for (;;) {
          while (events.length === 0) await new Promise<void>((resolve) => (wake = resolve));
          const event = events.shift();
          if (event === undefined) return;
          yield event;
        }
      },
    };
  };
  const client = {
    lease: {
      grant: async () => ({ id: ++granted, ttl: LEASING_TTL_S, header: { revision: 1 } }),
      keepAliveOnce: (id: bigint) =>
        new Promise((resolve, reject) => {
          renewals.push({ resolve: (ttl) => resolve({ id, ttl }), reject });
        }),
      revoke: async (id: bigint) => void said.push(`revoke ${id}`),
    },
    watch,
    call: async () => void said.push('give up'),
    close: () => {},
  };
  const timers = {
    after: (delayMs: number, run: () => void): Timer => {
      const entry = { atMs: nowMs + delayMs, run };
      due.push(entry);
      return { cancel: () => void due.splice(due.indexOf(entry), 1) } as Timer;
    },
  };
  const owned = new LeasedKeys({ nowMs: () => nowMs, giveUp: () => {} });
  const none = (): void => {};
  const session = new LeasingSession(
    {
      client: client as unknown as Client,
      timers: timers as unknown as Timers,
      clock: { monotonicMs: () => nowMs },
      log: { debug: none, info: none, warn: none, error: none },
      keys: new LeasingKeys(bytesFromUtf8('p/')),
    },
    owned,
  );
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  };
  return {
    session,
    owned,
    renewals,
    said,
    settle,
    tell: async (event: Event): Promise<void> => {
      tell(event);
      await settle();
    },
    pass: async (ms: number): Promise<void> => {
      nowMs += ms;
      for (const entry of due.filter(({ atMs }) => atMs <= nowMs)) {
        if (due.includes(entry)) due.splice(due.indexOf(entry), 1);
        entry.run();
      }
      await settle();
    },
  };
}

test('it holds for a TTL from when a renewal was sent, not from when it was answered', async () => {
  const { session, renewals, pass, settle } = stage();
  expect(session.lease).toBe(undefined);
  await settle();
  expect(session.lease).toBe(1n);
  await pass(TTL_MS / 3);
  expect(renewals).toHaveLength(1);
  // The answer takes half a TTL.
  await pass(TTL_MS / 2);
  renewals[0]!.resolve(LEASING_TTL_S);
  await settle();
  expect(session.lease).toBe(1n);
  await pass(TTL_MS / 2 - 1);
  expect(session.lease).toBe(1n);
  await pass(1);
  expect(session.lease).toBe(undefined);
});

test('a process that slept for longer than its lease owns nothing when it wakes', async () => {
  const { session, owned, renewals, said, pass, settle } = stage();
  await settle();
  owned.acquired(owned.beginAcquire('k')!, 2, undefined);
  const sleep = pass(TTL_MS);
  expect(session.lease).toBe(undefined);
  await sleep;
  renewals.at(-1)!.reject(new EtcdError('LEASE_NOT_FOUND'));
  await settle();
  expect([owned.size, said]).toEqual([0, ['revoke 1']]);
  await pass(LEASING_RETRY_MS);
  expect(session.lease).toBe(2n);
});

test('it hears who wants a key, and doubts its lease when a key of its own is gone', async () => {
  const { session, owned, renewals, said, settle, tell } = stage();
  await settle();
  const kv = { key: bytesFromUtf8('p/k'), value: bytesFromUtf8('REVOKE'), modRevision: 7 };
  owned.acquired(owned.beginAcquire('k')!, 2, undefined);
  await tell({ type: 'put', kv: { ...kv, lease: 9n } });
  expect([owned.size, said]).toEqual([1, []]);
  await tell({ type: 'put', kv: { ...kv, lease: 1n } });
  expect([owned.size, said]).toEqual([0, ['give up']]);
  const release = session.expectRelease('k');
  const released = release.after(7);
  await tell({ type: 'delete', kv: { ...kv, modRevision: 8 } });
  await released;
  await release.after(7);
  release.dispose();
  expect(renewals).toHaveLength(0);
  owned.acquired(owned.beginAcquire('other')!, 9, undefined);
  await tell({ type: 'delete', kv: { ...kv, key: bytesFromUtf8('p/other'), modRevision: 10 } });
  expect([owned.size, renewals.length]).toEqual([0, 1]);
  await session.stop();
});
