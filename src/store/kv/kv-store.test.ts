// What boot makes of the rows, leases and marks of a file, and what it refuses.

import { describe, expect, test } from 'vitest';
import { bytesFromLatin1, bytesFromUtf8, equalBytes, InvariantError } from '../../base/index.ts';
import { openDatabase, type WriteTransaction } from '../../bbolt/index.ts';
import { createSimEnv, type SimEnv } from '../../env/sim/index.ts';
import { revisionKey } from '../../mvcc/index.ts';
import { leasepb, mvccpb } from '../../protocol/index.ts';
import { leaseKey } from '../schema/schema.ts';
import { DATABASE, StoreRig } from '../testing/store.fixture.ts';

async function on(seed: number, body: (env: SimEnv) => Promise<void>): Promise<void> {
  const env = createSimEnv({ seed, autoRun: false });
  await env.run(() => body(env));
}

/** A file with these rows, as whoever wrote them. */
async function write(env: SimEnv, fill: (into: WriteTransaction) => void): Promise<void> {
  const db = await openDatabase(env, DATABASE);
  const transaction = await db.beginWrite();
  fill(transaction);
  await transaction.commit();
  await db.close();
}

function put(
  into: WriteTransaction,
  bucket: string,
  key: Uint8Array | string,
  value: Uint8Array | string,
): void {
  const bytes = (from: Uint8Array | string) =>
    typeof from === 'string' ? bytesFromUtf8(from) : from;
  into.createBucketIfNotExists(bytesFromLatin1(bucket)).put(bytes(key), bytes(value));
}

function pair(key: string, create: number, mod: number, version: number, lease = 0n): Uint8Array {
  return mvccpb.KeyValueCodec.encode(
    mvccpb.KeyValueCodec.create({
      key: bytesFromLatin1(key),
      value: bytesFromLatin1('v'),
      createRevision: create,
      modRevision: mod,
      version,
      lease,
    }),
  );
}

function lease(id: bigint, ttl = 100, remainingTTL = 0): Uint8Array {
  return leasepb.LeaseCodec.encode({ id, ttl, remainingTTL });
}

test('everything is as it was', async () => {
  await on(1, async (env) => {
    const rig = await StoreRig.open(env);
    rig.grant(5n, 100);
    rig.grant(6n, 50);
    rig.put('a', '1', 5n);
    rig.put('a', '2');
    rig.put('b', '1', 5n);
    rig.put('c', '1', 5n);
    rig.put('c', '2', 6n);
    rig.delete('b');
    rig.put('\x00\xff', 'binary', 6n);
    rig.alarm(1, 9n, 1);
    const { currentRev } = rig.kv;
    const pairs = [2, 4, 6, 8].map((rev) => rig.pairs(rev));
    await rig.close();

    const again = await StoreRig.open(env);
    expect(again.kv.currentRev).toBe(currentRev);
    expect([2, 4, 6, 8].map((rev) => again.pairs(rev))).toEqual(pairs);
    const { lessor } = again.machine.leases;
    const held = lessor.list().map(({ id, ttlSec, keys }) => [id, ttlSec, keys.sorted()]);
    // A key is attached to the lease of its newest revision only.
    expect(held).toEqual([
      [5n, 100, []],
      [6n, 50, ['\x00\xff', 'c']],
    ]);
    expect(lessor.check()).toEqual([]);
    expect(again.machine.alarms.list(0)).toEqual([{ memberID: 9n, alarm: 1 }]);
    expect(await again.violations()).toEqual([]);
    again.revoke(6n);
    expect(again.pairs().map((text) => text.split('=')[0])).toEqual(['a']);
    await again.close();
  });
});

test('a large value is the bytes of its entry until it is in the file', async () => {
  await on(12, async (env) => {
    const rig = await StoreRig.open(env);
    rig.grant(5n, 100);
    const large = 'x'.repeat(100_000);
    rig.put('a', large, 5n);
    rig.put('a', `${large}y`);
    rig.txn([
      ['b', `${large}z`],
      ['c', 'small'],
    ]);
    const pin = rig.kv.pin();
    const revisions = [2, 3, 4];
    const pairs = revisions.map((rev) => rig.pairs(rev));
    expect(pairs[2]).toEqual([`a=${large}y@2.3.2`, `b=${large}z@4.4.1`, 'c=small@4.4.1']);
    await rig.backend.commit();
    expect(revisions.map((rev) => rig.pairs(rev))).toEqual(pairs);
    expect(rig.pairs(4, pin)).toEqual(pairs[2]);
    pin.release();
    await rig.close();
    const again = await StoreRig.open(env);
    expect(revisions.map((rev) => again.pairs(rev))).toEqual(pairs);
    expect(await again.violations()).toEqual([]);
    await again.close();
  });
});

describe('leases', () => {
  test('that are gone leave their keys alone', async () => {
    await on(2, async (env) => {
      await write(env, (into) => {
        put(into, 'key', revisionKey(2, 0), pair('a', 2, 2, 1, 77n));
        put(into, 'lease', bytesFromLatin1(leaseKey(78n)), lease(78n));
      });
      const rig = await StoreRig.open(env);
      expect(rig.pairs()).toEqual(['a=v@2.2.1/77']);
      expect(rig.machine.leases.lessor.lookup(77n)).toBeUndefined();
      rig.put('a', 'w', 78n);
      expect(rig.machine.leases.lessor.lookup(78n)?.keys.sorted()).toEqual(['a']);
      await rig.close();
    });
  });

  test('of any id, with a TTL that is at least the shortest, and a checkpointed rest', async () => {
    await on(3, async (env) => {
      const ids = [1n, 2n ** 63n - 1n, -(2n ** 63n), -1n];
      await write(env, (into) => {
        for (const id of ids) put(into, 'lease', bytesFromLatin1(leaseKey(id)), lease(id, 1, 9));
        put(into, 'key', revisionKey(2, 0), pair('a', 2, 2, 1, -1n));
      });
      const rig = await StoreRig.open(env);
      const { lessor } = rig.machine.leases;
      expect(ids.map((id) => [lessor.lookup(id)?.ttlSec, lessor.lookup(id)?.remainingSec])).toEqual(
        new Array(4).fill([2, 9]),
      );
      expect(lessor.lookup(-1n)?.keys.sorted()).toEqual(['a']);
      await rig.close();
    });
  });
});

describe('revisions', () => {
  test('a store without rows begins at 1', async () => {
    await on(4, async (env) => {
      const rig = await StoreRig.open(env);
      expect([rig.kv.currentRev, rig.kv.compactedRev]).toEqual([1, -1]);
      expect(rig.put('a', '1').revision).toBe(2);
      await rig.close();
    });
  });

  test('are known from a compaction that left no row', async () => {
    await on(5, async (env) => {
      await write(env, (into) => {
        put(into, 'key', revisionKey(3, 0), pair('a', 2, 3, 2));
        put(into, 'meta', 'finishedCompactRev', revisionKey(7, 0));
        put(into, 'meta', 'scheduledCompactRev', revisionKey(9, 0));
      });
      const rig = await StoreRig.open(env);
      // Until the compaction is resumed too: it may have removed rows already.
      expect([rig.kv.currentRev, rig.kv.compactedRev]).toEqual([9, 9]);
      expect(rig.pairs()).toEqual(['a=v@2.3.2']);
      await rig.machine.compactor.resume(9);
      expect(rig.kv.compactedRev).toBe(9);
      expect(rig.put('a', '1').revision).toBe(10);
      await rig.close();
    });
  });

  test('that an interrupted compaction has half removed are restored', async () => {
    await on(6, async (env) => {
      await write(env, (into) => {
        // Of a: 2, 3 and 4 are gone; of b the put that its tombstone ends.
        put(into, 'key', revisionKey(5, 0), pair('a', 2, 5, 4));
        const key = bytesFromLatin1('b');
        const tombstone = mvccpb.KeyValueCodec.encode(mvccpb.KeyValueCodec.create({ key }));
        put(into, 'key', revisionKey(6, 0, true), tombstone);
        put(into, 'key', revisionKey(7, 0), pair('a', 2, 7, 5));
        put(into, 'meta', 'scheduledCompactRev', revisionKey(7, 0));
      });
      const rig = await StoreRig.open(env);
      expect(rig.pairs()).toEqual(['a=v@2.7.5']);
      expect(rig.kv.index.check()).toEqual([]);
      await rig.machine.compactor.resume(7);
      await rig.backend.commit();
      expect(rig.rowNames()).toEqual(['7.0']);
      expect(await rig.violations()).toEqual([]);
      await rig.close();
    });
  });
});

describe('what is refused, by name', () => {
  test.each<[string, (into: WriteTransaction) => void, string | RegExp]>([
    [
      'a bucket of unknown meaning',
      (into) => put(into, 'novelty', 'a', 'b'),
      'a bucket "novelty" of unknown meaning',
    ],
    [
      'authentication that is neither on nor off',
      (into) => put(into, 'auth', 'authEnabled', Uint8Array.of(2)),
      /^\/db: page \d+ \(offset \d+\): bucket auth, key "authEnabled": whether auth/,
    ],
    [
      'a lease under another key',
      (into) => put(into, 'lease', bytesFromLatin1(leaseKey(4n)), lease(5n)),
      /^\/db: page \d+ \(offset \d+\): bucket lease, key 0{15}4: the row of lease 5 has another/,
    ],
    [
      'a lease that is no lease',
      (into) => put(into, 'lease', bytesFromLatin1(leaseKey(4n)), Uint8Array.of(0x08)),
      'leasepb.Lease',
    ],
    [
      'a row that is no pair',
      (into) => put(into, 'key', revisionKey(2, 0), Uint8Array.of(0x0a, 9)),
      /^\/db: page \d+ \(offset \d+\): bucket key, key (00){7}025f(00){8}: a value is no mvccpb/,
    ],
    [
      'a row whose key is no revision',
      (into) => put(into, 'key', 'abc', pair('a', 2, 2, 1)),
      /^\/db: page \d+ \(offset \d+\): bucket key, key "abc": a key of 3 bytes is not a revision/,
    ],
    [
      'a compaction mark that is no revision',
      (into) => put(into, 'meta', 'finishedCompactRev', 'x'),
      /^\/db: page \d+ \(offset \d+\): bucket meta, key "finishedCompactRev": a key of 1 byte/,
    ],
    [
      'an index above 2^53-1',
      (into) => put(into, 'meta', 'consistent_index', new Uint8Array(8).fill(255)),
      /^\/db: page \d+ \(offset \d+\): bucket meta, key "consistent_index": 8 bytes/,
    ],
  ])('%s', async (_, fill, text) => {
    await on(7, async (env) => {
      await write(env, fill);
      const before = env.disk.contentOf(DATABASE);
      await expect(StoreRig.open(env)).rejects.toThrow(text);
      expect(equalBytes(env.disk.contentOf(DATABASE), before)).toBe(true);
      // The lock is given back.
      const db = await openDatabase(env, DATABASE);
      await db.close();
    });
  });
});

describe('a pinned view', () => {
  test('shows its revision whatever is written, committed and compacted later', async () => {
    await on(9, async (env) => {
      const rig = await StoreRig.open(env, { batchIntervalMs: 2 });
      for (let i = 0; i < 20; i++) rig.put(`k${i % 5}`, `${i}`);
      const then = rig.pairs();
      const pin = rig.kv.pin();
      for (let i = 0; i < 20; i++) {
        rig.put(`k${i % 5}`, `later ${i}`);
        if (i % 5 === 0) await rig.backend.commit();
      }
      rig.delete('k0');
      await rig.compact(21).physical;
      expect(rig.pairs(0, pin)).toEqual(then);
      expect(pin.currentRev).toBe(21);
      pin.release();
      pin.release();
      await rig.close();
    });
  });

  test('is not below what the index has', async () => {
    await on(10, async (env) => {
      const rig = await StoreRig.open(env);
      for (let i = 0; i < 5; i++) rig.put('a', `${i}`);
      await rig.compact(4).physical;
      expect(() => rig.kv.pin(3)).toThrow(InvariantError);
      rig.kv.pin(4).release();
      await rig.close();
    });
  });
});
