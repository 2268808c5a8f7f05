// Users and tokens: one request for a token at a time, and no call lost or done twice for want of one.

import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { GrpcStatusError, STATUS } from '../../grpc/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import { isEtcdError, type Watcher } from '../index.ts';
import { ClientWorld, type FailedUnary, type SimEtcd } from '../sim-etcd.fixture.ts';
import { TokenSource } from './token.ts';

const AUTHENTICATE = etcdserverpb.AuthService.methods.authenticate.path;
const PUT = etcdserverpb.KVService.methods.put.path;
const PASSWORD = 'hardly a secret';
const auth = { user: 'root', password: PASSWORD };

const OLD_REVISION = refusal(STATUS.INVALID_ARGUMENT, 'etcdserver: revision of auth store is old');
const UNAVAILABLE = refusal(STATUS.UNAVAILABLE, 'etcdserver: no leader');
const NOT_ENABLED = refusal(
  STATUS.FAILED_PRECONDITION,
  'etcdserver: authentication is not enabled',
);
const WRONG_PASSWORD = refusal(
  STATUS.INVALID_ARGUMENT,
  'etcdserver: authentication failed, invalid user ID or password',
);

function refusal(status: FailedUnary['status'], text: string): FailedUnary {
  return { status, text, applied: false };
}

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('it succeeded');
}

/** The next `count` puts are refused. */
function refusePuts(etcd: SimEtcd, refused: FailedUnary, count: number): void {
  let left = count;
  etcd.beforeUnary = (path) => (path === PUT && left-- > 0 ? refused : undefined);
}

function read(watcher: Watcher): string[] {
  const seen: string[] = [];
  void (async () => {
    for await (const { kv } of watcher) seen.push(kv.keyText);
  })().catch((error) => seen.push(String(error)));
  return seen;
}

describe('a write that was refused before it was done', () => {
  test.each([
    [1, 1],
    [2, 2],
    [4, 4],
  ])('because users or roles have changed, %i times, is made again', async (times, tokens) => {
    const world = new ClientWorld();
    await world.run(async () => {
      const { etcd } = world;
      refusePuts(etcd, OLD_REVISION, times);
      await world.client({ auth }).kv.put('a', '1');
      // The first time with the same token.
      expect(etcd.counts.get(AUTHENTICATE)).toBe(tokens);
      expect(etcd.revision).toBe(2);
    });
  });

  test('is made again without a token where a certificate names the user', async () => {
    const world = new ClientWorld();
    await world.run(async () => {
      const { etcd } = world;
      refusePuts(etcd, OLD_REVISION, 3);
      await world.client().kv.put('a', '1');
      expect(etcd.counts.get(AUTHENTICATE)).toBeUndefined();
      expect(etcd.revision).toBe(2);
    });
  });

  test('is not made again without end, nor with a token that was given', async () => {
    const world = new ClientWorld();
    await world.run(async () => {
      const { etcd } = world;
      refusePuts(etcd, OLD_REVISION, Number.POSITIVE_INFINITY);
      const endless = await failureOf(world.client({ auth }).kv.put('a', '1'));
      expect(isEtcdError(endless, 'AUTH_OLD_REVISION')).toBe(true);
      expect(etcd.counts.get(PUT)).toBe(6);
      const once = await failureOf(world.client({ auth: { token: etcd.token! } }).kv.put('a', '1'));
      expect(isEtcdError(once, 'AUTH_OLD_REVISION')).toBe(true);
      expect(etcd.counts.get(PUT)).toBe(7);
      expect(etcd.revision).toBe(1);
    });
  });

  test.each([
    refusal(STATUS.INVALID_ARGUMENT, 'etcdserver: user name is empty'),
    // It takes the client for whom its certificate names.
    refusal(STATUS.PERMISSION_DENIED, 'etcdserver: permission denied'),
    refusal(STATUS.FAILED_PRECONDITION, 'etcdserver: user name not found'),
  ])('by a server whose authentication was enabled meanwhile: $text', async (refused) => {
    const world = new ClientWorld();
    await world.run(async () => {
      const { etcd } = world;
      etcd.tokenRefusals.push(NOT_ENABLED);
      const client = world.client({ auth });
      await client.kv.put('a', '1');
      refusePuts(etcd, refused, 1);
      await client.kv.put('a', '2');
      expect(etcd.counts.get(AUTHENTICATE)).toBe(2);
      expect(etcd.revision).toBe(3);
    });
  });
});

test('a refusal that is the answer stays it, where authentication is not enabled', async () => {
  const world = new ClientWorld();
  await world.run(async () => {
    const { etcd } = world;
    etcd.tokenRefusals.push(NOT_ENABLED, NOT_ENABLED);
    const unknown = refusal(STATUS.FAILED_PRECONDITION, 'etcdserver: user name not found');
    refusePuts(etcd, unknown, Number.POSITIVE_INFINITY);
    const error = await failureOf(world.client({ auth }).kv.put('a', '1'));
    expect(isEtcdError(error, 'USER_NOT_FOUND')).toBe(true);
    expect(etcd.counts.get(PUT)).toBe(2);
  });
});

describe('a server that cannot give a token at the moment', () => {
  test('is asked again', async () => {
    const world = new ClientWorld();
    await world.run(async () => {
      world.etcd.tokenRefusals.push(UNAVAILABLE, UNAVAILABLE, UNAVAILABLE);
      await world.client({ auth }).kv.put('a', '1');
      expect(world.etcd.counts.get(AUTHENTICATE)).toBe(4);
    });
  });

  test('ends no watch and loses no lease', async () => {
    const world = new ClientWorld();
    await world.run(async () => {
      const { etcd } = world;
      const client = world.client({ auth });
      const { id } = await client.lease.grant(30);
      const watcher = client.watch('a');
      const seen = read(watcher);
      await watcher.created;
      const keeper = client.lease.keepAlive(id);
      await keeper.next();
      etcd.token = 'the server was restarted';
      etcd.tokenRefusals.push(...Array.from({ length: 20 }, () => UNAVAILABLE));
      world.reset();
      etcd.apply({ key: 'a', value: '' });
      await world.sleep(20_000);
      expect(etcd.tokenRefusals).toEqual([]);
      expect(seen).toEqual(['a']);
      expect(keeper.kept).toBe(true);
    });
  });

  test('holds a call no longer than its own time, or its signal', async () => {
    const world = new ClientWorld();
    await world.run(async () => {
      const { etcd } = world;
      etcd.tokenRefusals.push('silence');
      const client = world.client({ auth });
      const controller = new AbortController();
      const { signal } = controller;
      const aborted = failureOf(client.kv.get('a', { signal }));
      const late = failureOf(client.kv.get('a', { timeoutMs: 200 }));
      await world.sleep(100);
      controller.abort(new Error('enough'));
      expect(await aborted).toMatchObject({ message: 'enough' });
      expect(await late).toMatchObject({ code: STATUS.DEADLINE_EXCEEDED });
      // Nobody waits for that answer any more.
      await client.kv.get('a', { timeoutMs: 200 });
      expect(etcd.counts.get(AUTHENTICATE)).toBe(2);
    });
  });

  test('is left for another one', async () => {
    const world = new ClientWorld(1, 2);
    await world.run(async () => {
      for (const etcd of world.etcds) etcd.tokenRefusals.push('silence');
      const client = world.client({ auth, connectTimeoutMs: 1_000 });
      await client.kv.put('a', '1', { timeoutMs: 10_000 });
      const asked = world.etcds.map(({ counts }) => counts.get(AUTHENTICATE) ?? 0);
      expect(asked[0]! + asked[1]!).toBe(3);
    });
  });
});

describe('a user who is refused', () => {
  test('is told by every call, in words without the password', async () => {
    const world = new ClientWorld();
    await world.run(async () => {
      const { etcd } = world;
      etcd.tokenRefusals.push(WRONG_PASSWORD, WRONG_PASSWORD, WRONG_PASSWORD);
      const client = world.client({ auth });
      const calls = [client.kv.get('a'), client.kv.get('b')].map(failureOf);
      for (const error of await Promise.all(calls)) {
        expect(isEtcdError(error, 'AUTH_FAILED')).toBe(true);
        expect(inspect(error, { depth: 9 })).not.toContain(PASSWORD);
      }
      await expect(client.watch('a').created).rejects.toMatchObject({ code: 'AUTH_FAILED' });
      const reason = await client.lease.keepAlive(1n).lost;
      expect(isEtcdError(reason, 'AUTH_FAILED')).toBe(true);
      expect(etcd.counts.get(AUTHENTICATE)).toBe(3);
      await client.kv.get('a');
      const shown = inspect(client, { depth: 9, showHidden: true }) + JSON.stringify(client);
      expect(shown).not.toContain(PASSWORD);
      expect(shown).not.toContain(etcd.token);
    });
  });
});

test('the text of an old stream counts as well', () => {
  const tokens = new TokenSource(auth, () => Promise.reject(new Error('not asked')));
  const error = new GrpcStatusError(STATUS.UNKNOWN, 'auth: invalid auth token');
  expect(tokens.refresh(error, 'used', true)).toBe(true);
});

test('a stream of answers begins again with another token', async () => {
  const world = new ClientWorld();
  await world.run(async () => {
    const client = world.client({ auth });
    await client.kv.get('a');
    world.etcd.token = 'the server was restarted';
    const blobs: string[] = [];
    for await (const blob of client.maintenance.snapshot())
      blobs.push(Buffer.from(blob).toString());
    expect(blobs).toEqual(['all']);
    expect(world.etcd.counts.get(AUTHENTICATE)).toBe(2);
    world.etcd.refusesTokens = true;
    const snapshot = client.maintenance.snapshot();
    expect(isEtcdError(await failureOf(snapshot.next()), 'INVALID_AUTH_TOKEN')).toBe(true);
  });
});
