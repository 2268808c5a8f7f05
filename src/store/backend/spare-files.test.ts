// The files of exchanges, which are locked before they are needed, and what becomes of their names.

import { expect, test } from 'vitest';
import type { Database, ReadTransaction } from '../../bbolt/index.ts';
import { createSimEnv, type SimEnv } from '../../env/sim/index.ts';
import { Backend } from './backend.ts';
import { openTwin, TWIN_PATH } from './backend-twin.fixture.ts';

const NEW_PATH = `${TWIN_PATH}.new`;
const NAMES = { database: TWIN_PATH.slice(1), first: NEW_PATH.slice(1), second: '' };
NAMES.second = `${NAMES.first}.next`;
const ROWS = 30;

async function withBackend(body: (env: SimEnv, backend: Backend) => Promise<void>): Promise<void> {
  const env = createSimEnv({ seed: 7, autoRun: false });
  await env.run(async () => {
    const { backend } = await openTwin(env);
    for (let index = 1; index <= ROWS; index++) {
      backend.beginEntry();
      backend.appendRow(index, 0, false, new Uint8Array(10).fill(index), 0, 10);
      backend.endEntry(index, 1);
    }
    await backend.commit();
    await body(env, backend);
    await backend.close();
    expect(await env.disk.list('/')).toEqual([NAMES.database]);
    const again = await openTwin(env);
    expect(again.rows.size).toBe(ROWS);
    expect(await again.backend.database.check()).toEqual([]);
    await again.backend.close();
  });
}

/** Exchanges the file, and resolves to the name under which the new one was filled. */
async function exchange(env: SimEnv, backend: Backend, waits = true): Promise<string> {
  let path = '';
  const fill = async (commit: ReadTransaction, target: Database) => {
    path = target.path;
    await backend.database.compactInto(target, { commit });
  };
  await backend.exchange({ path: NEW_PATH, fill });
  // Until the old one is empty.
  if (waits) await new Promise<void>((resolve) => env.timers.after(100, resolve));
  return path.slice(1);
}

const locksIn = (env: SimEnv): number =>
  env.disk.trace.filter(({ kind }) => kind === 'lock').length;
const names = (env: SimEnv) => env.disk.list('/');

test('no exchange takes a lock once a file is prepared', async () => {
  await withBackend(async (env, backend) => {
    await backend.prepareExchange(NEW_PATH);
    const { database, first, second } = NAMES;
    expect(await names(env)).toEqual([database, first]);
    env.disk.startTrace();
    const filled: string[] = [];
    for (let i = 0; i < 4; i++) filled.push(await exchange(env, backend));
    expect(filled).toEqual([first, second, first, second]);
    expect(locksIn(env)).toBe(0);
    // The one that waits is locked, and takes no room.
    expect(await names(env)).toEqual([database, first]);
    const spare = await env.disk.open(NEW_PATH, 'write');
    await expect(spare.lock()).rejects.toMatchObject({ code: 'LOCKED' });
    expect(spare.size()).toBe(0);
    await spare.close();
    const held = await env.disk.open(TWIN_PATH, 'write');
    await expect(held.lock()).rejects.toMatchObject({ code: 'LOCKED' });
    await held.close();
  });
});

test('without one the first exchange locks its file, and later ones do not', async () => {
  await withBackend(async (env, backend) => {
    env.disk.startTrace();
    expect(await exchange(env, backend)).toBe(NAMES.first);
    expect(locksIn(env)).toBe(1);
    expect(await exchange(env, backend)).toBe(NAMES.second);
    expect(locksIn(env)).toBe(1);
  });
});

test('while the old file is read the next exchange makes one, and takes no name that is in use', async () => {
  await withBackend(async (env, backend) => {
    await backend.prepareExchange(NEW_PATH);
    const before = backend.pin();
    expect(await exchange(env, backend)).toBe(NAMES.first);
    const { database, first, second } = NAMES;
    expect(await names(env)).toEqual([database, second]);
    expect(await exchange(env, backend)).toBe(first);
    expect(await exchange(env, backend)).toBe(first);
    expect(await names(env)).toEqual([database, second]);
    before.release();
    await new Promise<void>((resolve) => env.timers.after(100, resolve));
    env.disk.startTrace();
    expect(await exchange(env, backend)).toBe(second);
    expect(locksIn(env)).toBe(0);
  });
});

test('where a file cannot have two names, each exchange makes its own', async () => {
  await withBackend(async (env, backend) => {
    env.disk.intercept = ({ kind }) => (kind === 'link' ? 'failed' : undefined);
    await backend.prepareExchange(NEW_PATH);
    for (let i = 0; i < 3; i++) expect(await exchange(env, backend)).toBe(NAMES.first);
    expect(await names(env)).toEqual([NAMES.database]);
  });
});

test('a prepared file that cannot be made is no failure', async () => {
  await withBackend(async (env, backend) => {
    env.disk.intercept = ({ kind }) => (kind === 'create' ? 'full' : undefined);
    await backend.prepareExchange(NEW_PATH);
    env.disk.intercept = undefined;
    expect(await names(env)).toEqual([NAMES.database]);
    expect(await exchange(env, backend)).toBe(NAMES.first);
  });
});

test('what a crash has left under the name is emptied', async () => {
  await withBackend(async (env, backend) => {
    const left = await env.disk.open(NEW_PATH, 'create');
    await left.write([new Uint8Array(100_000).fill(1)], 0);
    await left.close();
    await backend.prepareExchange(NEW_PATH);
    expect((await env.disk.stat(NEW_PATH))?.size).toBe(0);
    expect(await exchange(env, backend)).toBe(NAMES.first);
  });
});

test('a file that does not get the name costs the old one none', async () => {
  await withBackend(async (env, backend) => {
    await backend.prepareExchange(NEW_PATH);
    env.disk.intercept = ({ kind, path }) =>
      kind === 'rename' && path === NEW_PATH ? 'failed' : undefined;
    await expect(exchange(env, backend)).rejects.toMatchObject({ code: 'DISK_FAILED' });
    env.disk.intercept = undefined;
    expect(await names(env)).toEqual([NAMES.database]);
    expect(await exchange(env, backend)).toBe(NAMES.first);
  });
});

test.each([0, 1, 2])(
  'a backend that was replaced takes no name from its successor: %i',
  async (count) => {
    const env = createSimEnv({ seed: 8, autoRun: false });
    await env.run(async () => {
      const { backend: old } = await openTwin(env);
      await old.prepareExchange(NEW_PATH);
      for (let i = 0; i < count; i++) await exchange(env, old);
      const reader = old.pin();
      const options = { onFailure: () => expect.unreachable() };
      const rows = { row: () => undefined };
      const received = await Backend.open(env, '/received', options, rows, () => undefined);
      await received.rename(TWIN_PATH);
      const retired = old.retire();
      const fill = async (commit: ReadTransaction, target: Database) => {
        reader.release();
        await retired;
        await received.database.compactInto(target, { commit });
      };
      await received.exchange({ path: NEW_PATH, fill });
      expect(received.database.path).toBe(TWIN_PATH);
      await received.close();
      expect(await names(env)).toEqual([NAMES.database]);
    });
  },
);

test('a backend that closes while the old file is emptied leaves no name', async () => {
  await withBackend(async (env, backend) => {
    await backend.prepareExchange(NEW_PATH);
    env.disk.extraLatencyMs = ({ kind }) => (kind === 'truncate' ? 50 : 0);
    await exchange(env, backend, false);
    expect(await names(env)).toEqual([NAMES.database, NAMES.second]);
  });
});
