// Permissions that change while somebody reads, watches or writes: on a whole member, in a simulated world.

import { expect, test } from 'vitest';
import { bytesFromLatin1, latin1FromBytes } from '../../base/index.ts';
import { createSimEnv, type SimEnv } from '../../env/sim/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import type { LocalStream } from '../../rpc/index.ts';
import { CONTEXT, call } from '../testing/local-client.fixture.ts';
import { SimMember } from '../testing/sim-member.fixture.ts';
import { auth, type Caller, kv, secure, shown, tokenOf, withToken } from './auth-calls.fixture.ts';

const { WatchService, WatchRequestCodec, WatchResponseCodec, RangeRequestCodec } = etcdserverpb;
const OLD = 'revision of auth store is old';
const DENIED = 'rpc error: code = PermissionDenied desc = etcdserver: permission denied';
const READWRITE = 2;

interface Secured {
  readonly sim: SimMember;
  readonly env: SimEnv;
  readonly root: Caller;
  readonly uma: Caller;
}

async function withUsers(
  body: (secured: Secured) => Promise<void>,
  fill: (sim: SimMember) => Promise<void> = async () => {},
): Promise<void> {
  const env = createSimEnv({ seed: 1, autoRun: false });
  await env.run(async () => {
    const sim = await SimMember.start(env);
    await fill(sim);
    await secure(sim.member);
    const [root, uma] = [await tokenOf(sim.member, 'root'), await tokenOf(sim.member, 'uma')];
    await body({ sim, env, root: withToken(root), uma: withToken(uma) });
    expect(sim.fatal).toEqual([]);
    await sim.stop();
  });
}

const put = (key: string, more: object = {}) => ({ key: bytesFromLatin1(key), ...more });

/** A watch stream of a caller: what it is told. */
class Watching {
  readonly told: string[] = [];
  readonly #stream: LocalStream;
  #ids = 0;

  constructor({ sim }: Secured, caller: Caller) {
    const listener = {
      onMessage: (bytes: Uint8Array) => this.#note(WatchResponseCodec.decode(bytes)),
      onEnd: (status: number) => this.told.push(`end ${status}`),
    };
    const { path } = WatchService.methods.watch;
    this.#stream = sim.member.parts.localCalls.stream(path, listener, { ...CONTEXT, ...caller });
  }

  watch(key: string, rangeEnd = '', more: object = {}): void {
    this.#ids++;
    const range = { key: bytesFromLatin1(key), rangeEnd: bytesFromLatin1(rangeEnd) };
    const value = etcdserverpb.WatchCreateRequestCodec.create({
      ...{ ...range, watchId: BigInt(this.#ids), prevKv: true, startRevision: 1, ...more },
    });
    this.#send({ case: 'createRequest', value });
  }

  askProgress(): void {
    this.#send({ case: 'progressRequest', value: {} });
  }

  cancel(): void {
    this.#stream.cancel();
  }

  #send(requestUnion: etcdserverpb.WatchRequest['requestUnion']): void {
    this.#stream.send(WatchRequestCodec.encode({ requestUnion }));
  }

  #note(response: etcdserverpb.WatchResponse): void {
    const { watchId, created, canceled, cancelReason, events } = response;
    if (canceled) this.told.push(`${watchId} canceled: ${cancelReason}`);
    else if (created) this.told.push(`${watchId} created`);
    else if (events.length === 0) this.told.push(`${watchId} progress`);
    for (const { kv: pair, prevKv } of events) {
      const before = prevKv === undefined ? '' : ` after ${latin1FromBytes(prevKv.key)}`;
      this.told.push(`${watchId} ${latin1FromBytes(pair!.key)}${before}`);
    }
  }
}

test('GHSA-xg4h-6gfc-h4m8 (afeaa624d): a watch sees no key beyond its permission', async () => {
  await withUsers(async (secured) => {
    const { sim, env, root, uma } = secured;
    const { member } = sim;
    for (const key of ['a', 'k', 'k1', 'l', 'z']) {
      for (let i = 0; i < 2; i++) await call(member, kv.put, put(key), root);
    }
    const watching = new Watching(secured, uma);
    // On the stream of one that is permitted, from the past, and with filters.
    watching.watch('k');
    const asked = [
      ['k', '\0'],
      ['\0', '\0'],
      ['', ''],
      ['', '\0'],
      ['k', 'l\0'],
      ['a', 'l'],
      ['k\0', '\0'],
      ['l', ''],
    ] as const;
    for (const [key, rangeEnd] of asked) watching.watch(key, rangeEnd);
    watching.watch('k', 'l', { filters: [0, 1], progressNotify: true });
    await env.timers.nextTurn();
    for (const key of ['a', 'k', 'k1', 'l', 'z']) await call(member, kv.put, put(key), root);
    watching.askProgress();
    await new Promise<void>((resolve) => env.timers.after(1_000, resolve));
    const refused = watching.told.filter((text) => text.includes('canceled'));
    expect(refused).toEqual(asked.map(() => `-1 canceled: ${DENIED}`));
    const seen = watching.told.filter((text) => !text.includes('canceled'));
    expect(seen.sort()).toEqual(
      ['-1 progress', '1 created', '1 k', '1 k after k', '1 k after k', '10 created'].sort(),
    );
    watching.cancel();
  });
});

test('a watch that is created after the permission was taken away is refused, on any stream', async () => {
  await withUsers(async (secured) => {
    const { sim, env, root, uma } = secured;
    const watching = new Watching(secured, uma);
    watching.watch('k', 'l');
    await env.timers.nextTurn();
    await call(sim.member, auth.userRevokeRole, { name: 'uma', role: 'k' }, root);
    watching.watch('k', 'l');
    watching.watch('k');
    await call(sim.member, kv.put, put('k'), root);
    await new Promise<void>((resolve) => env.timers.after(1_000, resolve));
    // As in etcd, the one that was there goes on until its stream ends.
    expect(watching.told).toEqual([
      ...['1 created', `-1 canceled: ${DENIED}`, `-1 canceled: ${DENIED}`, '1 k'],
    ]);
    watching.cancel();
  });
});

async function fillLarge(sim: SimMember): Promise<void> {
  const value = 'x'.repeat(400_000);
  for (let i = 0; i < 16; i++) await sim.put(`k${i}`, value);
}

/** More keys than a range takes in its first turn. */
async function fillMany(sim: SimMember): Promise<void> {
  const all = Array.from({ length: 17_000 }, (_, i) => ({ key: `k${i}`, value: 'v' }));
  for (let i = 0; i < all.length; i += 250) await sim.txn(all.slice(i, i + 250));
}

test('a range stream ends as outdated when users change before its last piece', async () => {
  await withUsers(async ({ sim, env, root, uma }) => {
    const { member } = sim;
    const received: Uint8Array[] = [];
    let end: readonly [number, string] | undefined;
    const stream = member.parts.localCalls.stream(
      kv.rangeStream.path,
      {
        onMessage: (bytes) => received.push(bytes),
        onEnd: (status, message) => {
          end = [status, message];
        },
      },
      { ...CONTEXT, ...uma },
    );
    stream.pause();
    const request = { key: bytesFromLatin1('k'), rangeEnd: bytesFromLatin1('l') };
    stream.send(RangeRequestCodec.encode(RangeRequestCodec.create(request)));
    stream.end();
    await new Promise<void>((resolve) => env.timers.after(1_000, resolve));
    expect([received.length, end]).toEqual([0, undefined]);
    await call(member, auth.userRevokeRole, { name: 'uma', role: 'k' }, root);
    stream.resume();
    await new Promise<void>((resolve) => env.timers.after(1_000, resolve));
    expect(end).toEqual([3, `etcdserver: ${OLD}`]);
    expect(received.length).toBeGreaterThan(0);
  }, fillLarge);
});

test('a read of many turns fails as outdated when users change meanwhile', async () => {
  await withUsers(async ({ sim, uma }) => {
    const { member } = sim;
    const range = {
      ...{ key: bytesFromLatin1('k'), rangeEnd: bytesFromLatin1('l'), serializable: true },
    };
    expect(shown(await call(member, kv.range, range, uma))).toBe('OK');
    const reading = call(member, kv.range, range, uma);
    // Between two turns of the read.
    member.parts.store.machine.auth.state.addRole({ name: 'new' });
    expect(shown(await reading)).toBe(OLD);
    expect(shown(await call(member, kv.range, range, uma))).toBe('OK');
  }, fillMany);
});

test('a write that was permitted when it was proposed is refused when users changed before it', async () => {
  await withUsers(async ({ sim, root, uma }) => {
    const { member } = sim;
    const changing = call(member, auth.userRevokeRole, { name: 'uma', role: 'k' }, root);
    // Authenticated against the revision of now, and behind the change in the log.
    const writes = [
      call(member, kv.put, put('k'), uma),
      call(member, kv.deleteRange, put('k'), uma),
      call(member, kv.txn, { success: [] }, uma),
      call(member, kv.put, put('k'), root),
    ];
    expect(shown(await changing)).toBe('OK');
    const answers = (await Promise.all(writes)).map(shown);
    expect(answers).toEqual([OLD, OLD, 'OK', OLD]);
    expect(sim.pairs()).toEqual([]);
    expect(shown(await call(member, kv.put, put('k'), root))).toBe('OK');
  });
});

test('4da39e4b1, 65eeb7ff1: a role that is granted in parts permits what is between, and no more', async () => {
  await withUsers(async ({ sim, root, uma }) => {
    const { member } = sim;
    for (const [key, rangeEnd] of [
      ['a', 'b'],
      ['b', 'c'],
      ['d', ''],
    ] as const) {
      const range = { key: bytesFromLatin1(key), rangeEnd: bytesFromLatin1(rangeEnd) };
      const perm = { permType: READWRITE, ...range };
      await call(member, auth.roleGrantPermission, { name: 'k', perm }, root);
    }
    const ask = async (key: string, rangeEnd: string) => {
      const range = { key: bytesFromLatin1(key), rangeEnd: bytesFromLatin1(rangeEnd) };
      return shown(await call(member, kv.range, { ...range, serializable: true }, uma));
    };
    expect(await ask('a', 'c')).toBe('OK');
    expect(await ask('a', 'c\0')).toBe('permission denied');
    expect(await ask('c', '')).toBe('permission denied');
    expect(await ask('d', '')).toBe('OK');
    expect(await ask('d', 'd\0\0')).toBe('permission denied');
  });
});
