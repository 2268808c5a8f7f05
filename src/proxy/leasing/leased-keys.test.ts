// What may be answered from owned keys, moment by moment.

import { expect, test } from 'vitest';
import { bytesFromUtf8, utf8FromBytes } from '../../base/index.ts';
import { etcdserverpb, mvccpb } from '../../protocol/index.ts';
import { LEASED_KEYS_MAX, LEASED_VALUE_BYTES_MAX, REVOKED_PAUSE_MS } from '../limits.ts';
import { LeasedKeys } from './leased-keys.ts';
import { targetsOf } from './txn-targets.ts';

const { PutRequestCodec, DeleteRangeRequestCodec, RequestOpCodec } = etcdserverpb;

function stage() {
  const givenUp: string[] = [];
  let nowMs = 0;
  const keys = new LeasedKeys({
    nowMs: () => nowMs,
    giveUp: (key, revision) => givenUp.push(`${key}@${revision}`),
  });
  return {
    keys,
    givenUp,
    pass: (ms: number) => {
      nowMs += ms;
    },
    own: (key: string, revision: number, value?: string) => {
      const kv =
        value === undefined
          ? undefined
          : mvccpb.KeyValueCodec.create({
              key: bytesFromUtf8(key),
              value: bytesFromUtf8(value),
              createRevision: 2,
              modRevision: 3,
              version: 2,
            });
      keys.acquired(keys.beginAcquire(key)!, revision, kv);
    },
    write: (...ops: etcdserverpb.RequestOp[]) =>
      keys.beginWrite(targetsOf(ops), (key) => `leasing/${key}`),
    read: (key: string) => {
      const leased = keys.readable(key);
      if (leased === undefined) return 'ask';
      const { state } = leased;
      return state && `${utf8FromBytes(state.value)} v${state.version} r${state.modRevision}`;
    },
  };
}

function put(key: string, value: string, fields: etcdserverpb.PutRequestInit = {}) {
  const init = { key: bytesFromUtf8(key), value: bytesFromUtf8(value), ...fields };
  return RequestOpCodec.create({
    request: { case: 'requestPut', value: PutRequestCodec.create(init) },
  });
}

function remove(key: string, end = '') {
  const value = DeleteRangeRequestCodec.create({
    key: bytesFromUtf8(key),
    rangeEnd: bytesFromUtf8(end),
  });
  return RequestOpCodec.create({ request: { case: 'requestDeleteRange', value } });
}

const done = ({ request }: etcdserverpb.RequestOp) => [request as never];

test('a key is read here from when it is acquired, and not while it is written', () => {
  const { keys, own, write, read, givenUp } = stage();
  expect(read('k')).toBe('ask');
  own('k', 5, 'a');
  expect(read('k')).toBe('a v2 r3');
  const writing = write(put('k', 'b'));
  expect(read('k')).toBe('ask');
  writing.done(done(put('k', 'b')), 7);
  expect(read('k')).toBe('b v3 r7');
  write(remove('k', 'l')).done(done(remove('k', 'l')), 8);
  expect(read('k')).toBe(undefined);
  write(put('k', 'c')).done(done(put('k', 'c')), 9);
  expect(read('k')).toBe('c v1 r9');
  write(put('k', '', { ignoreValue: true })).done(done(put('k', '', { ignoreValue: true })), 10);
  expect(read('k')).toBe('c v2 r10');
  write(put('k', 'x')).refused();
  expect(read('k')).toBe('c v2 r10');
  expect([keys.size, givenUp]).toEqual([1, []]);
});

test('it is given up when nobody knows its value, or it may change without a write', () => {
  const ends: [string, (at: ReturnType<typeof stage>) => void][] = [
    ['a lost answer', ({ write }) => write(put('k', 'b')).lost()],
    [
      'two writes at once',
      ({ write }) => {
        const [one, two] = [write(put('k', 'b')), write(put('k', 'c'))];
        two.done(done(put('k', 'c')), 8);
        one.done(done(put('k', 'b')), 7);
      },
    ],
    [
      'a lease of its own',
      ({ write }) => write(put('k', 'b')).done(done(put('k', 'b', { lease: 1n })), 7),
    ],
    [
      'its leasing key deleted',
      ({ write }) => write(remove('a', '\0')).done(done(remove('a', '\0')), 7),
    ],
    [
      'a large value',
      ({ write }) => {
        const large = put('k', 'x'.repeat(LEASED_VALUE_BYTES_MAX));
        write(large).done(done(large), 7);
      },
    ],
  ];
  for (const [what, end] of ends) {
    const at = stage();
    at.own('k', 5, 'a');
    end(at);
    expect([at.read('k'), at.givenUp, at.keys.size], what).toEqual(['ask', ['k@5'], 0]);
    expect(at.keys.beginAcquire('k'), what).toBe(undefined);
    at.pass(REVOKED_PAUSE_MS);
    expect(at.keys.beginAcquire('k'), what).toBeDefined();
  }
});

test('whoever wants it gets it, also while it is being acquired or written', () => {
  const { keys, own, write, read, givenUp } = stage();
  own('k', 5, 'a');
  expect(keys.revoke('k', 5)).toBe(false);
  const writing = write(put('k', 'b'));
  expect(keys.revoke('k', 6)).toBe(true);
  own('k', 9, 'c');
  writing.done(done(put('k', 'b')), 7);
  expect(read('k')).toBe('c v2 r3');
  const acquiring = keys.beginAcquire('other')!;
  expect(keys.beginAcquire('other')).toBe(undefined);
  keys.revoke('other', 12);
  keys.acquired(acquiring, 11, undefined);
  expect(read('other')).toBe('ask');
  // An event of before: of the owner before us.
  const again = keys.beginAcquire('other')!;
  keys.revoke('other', 12);
  keys.acquired(again, 13, undefined);
  expect(read('other')).toBe(undefined);
  const late = keys.beginAcquire('late')!;
  keys.clear();
  keys.acquired(late, 14, undefined);
  expect([keys.size, givenUp]).toEqual([0, []]);
});

test('there are never too many: the least recently used one goes', () => {
  const { keys, own, read, givenUp } = stage();
  for (let at = 0; at < LEASED_KEYS_MAX; at++) own(`${at}`, 5);
  read('0');
  own('one more', 6);
  expect([keys.size, givenUp]).toEqual([LEASED_KEYS_MAX, ['1@5']]);
});
