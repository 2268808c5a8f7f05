// Databases against their naive twin, driven by seeded operations. To repeat a failure:
// TETCD_SEED=<seed> npx vitest run src/bbolt/testing/model.test.ts

import { expect, test } from 'vitest';
import {
  bytesFromLatin1,
  hasCode,
  latin1FromBytes,
  type Random,
  seededRandom,
} from '../../base/index.ts';
import { createSimEnv } from '../../env/sim/index.ts';
import type {
  Database,
  DatabaseOptions,
  ReadTransaction,
  WriteBucket,
  WriteTransaction,
} from '../api.ts';
import { openDatabase } from '../file/open.ts';
import { cutAnywhere, expectEqual, TwinBucket } from './twin.fixture.ts';

interface Shape {
  readonly name: string;
  readonly options: DatabaseOptions;
  readonly keyCount: number;
  readonly valueMax: number;
  readonly rounds: number;
  readonly operations: number;
}

const SHAPES: readonly Shape[] = [
  {
    name: 'small pages, small values',
    options: { pageSize: 512 },
    keyCount: 400,
    valueMax: 60,
    rounds: 24,
    operations: 200,
  },
  {
    name: 'overflow values',
    options: { pageSize: 512, pageCacheBytes: 16_384 },
    keyCount: 60,
    valueMax: 5000,
    rounds: 18,
    operations: 40,
  },
  {
    name: 'pages of 4 KiB, written free list',
    options: { noFreelistSync: false },
    keyCount: 3000,
    valueMax: 300,
    rounds: 14,
    operations: 600,
  },
  {
    name: 'no cache at all',
    options: { pageSize: 1024, pageCacheBytes: 0 },
    keyCount: 300,
    valueMax: 200,
    rounds: 10,
    operations: 150,
  },
];

const SEED = Number(process.env['TETCD_SEED'] ?? 7);

class Run {
  readonly random: Random;
  readonly shape: Shape;
  twin = new TwinBucket();
  readers: { tx: ReadTransaction; twin: TwinBucket }[] = [];

  constructor(seed: number, shape: Shape) {
    this.random = seededRandom(seed);
    this.shape = shape;
  }

  key(): Uint8Array {
    const n = this.random.below(this.shape.keyCount);
    // Keys of many lengths, with shared prefixes, zero bytes and high bytes.
    const text = `${String.fromCharCode(n % 3 === 0 ? 0 : 250)}key-${n}${'x'.repeat(n % 37)}`;
    return bytesFromLatin1(text);
  }

  value(): Uint8Array {
    const length = this.random.below(this.shape.valueMax + 1);
    return new Uint8Array(length).fill(this.random.below(256));
  }

  name(): Uint8Array {
    return bytesFromLatin1(`bucket-${this.random.below(4)}`);
  }

  /** One operation on a bucket and its twin; both must answer alike. */
  operate(bucket: WriteBucket, twin: TwinBucket, depth: number): void {
    const dice = this.random.below(100);
    if (dice < 50) {
      this.put(bucket, twin);
    } else if (dice < 75) {
      const key = this.key();
      this.alike(
        () => bucket.delete(key),
        twin.entries.get(latin1FromBytes(key)) instanceof TwinBucket,
      );
      if (!(twin.entries.get(latin1FromBytes(key)) instanceof TwinBucket)) {
        twin.entries.delete(latin1FromBytes(key));
      }
    } else if (dice < 80) {
      this.deleteRange(bucket, twin);
    } else if (dice < 84) {
      expect(bucket.nextSequence()).toBe(++twin.sequence);
    } else if (dice < 97 && depth < 3) {
      this.nested(bucket, twin, depth);
    } else if (dice < 99) {
      this.deleteBucket(bucket, twin);
    } else {
      bucket.fillPercent = this.random.below(101) / 100;
    }
  }

  private put(bucket: WriteBucket, twin: TwinBucket): void {
    const key = this.key();
    const value = this.value();
    const text = latin1FromBytes(key);
    const isBucket = twin.entries.get(text) instanceof TwinBucket;
    if (this.random.below(2) === 0) this.alike(() => bucket.put(key, value), isBucket);
    else {
      const pieces = cutAnywhere(this.random, value);
      this.alike(() => bucket.putPieces(key, 0, key.length, pieces), isBucket);
    }
    if (!isBucket) twin.entries.set(text, value);
    // Not always: what is read is put together, and written in another way.
    if (!isBucket && this.random.below(2) === 0) {
      expect(Buffer.compare(bucket.get(key)!, value)).toBe(0);
    }
  }

  /** Deletes with a cursor, forward or backward, while it moves. */
  private deleteRange(bucket: WriteBucket, twin: TwinBucket): void {
    const cursor = bucket.cursor();
    const forward = this.random.below(2) === 0;
    let left = this.random.below(60);
    for (let on = cursor.seek(this.key()); on && left > 0; left--) {
      const text = latin1FromBytes(cursor.key());
      if (cursor.isBucket) {
        this.alike(() => cursor.delete(), true);
      } else if (this.random.below(4) > 0) {
        cursor.delete();
        twin.entries.delete(text);
      }
      on = forward ? cursor.next() : cursor.prev();
      const keys = twin.keys();
      const expected = forward
        ? keys.find((key) => key > text)
        : keys.reverse().find((key) => key < text);
      expect(on ? latin1FromBytes(cursor.key()) : undefined).toBe(expected);
    }
  }

  private nested(bucket: WriteBucket, twin: TwinBucket, depth: number): void {
    const name = this.name();
    const text = latin1FromBytes(name);
    let inner = twin.entries.get(text);
    if (!(inner instanceof TwinBucket)) {
      inner = new TwinBucket();
      twin.entries.set(text, inner);
      bucket.createBucket(name);
    }
    const child =
      this.random.below(2) === 0 ? bucket.bucket(name)! : bucket.createBucketIfNotExists(name);
    for (let i = this.random.below(30); i > 0; i--) this.operate(child, inner, depth + 1);
  }

  private deleteBucket(bucket: WriteBucket, twin: TwinBucket): void {
    const name = this.name();
    const text = latin1FromBytes(name);
    if (twin.entries.get(text) instanceof TwinBucket) {
      // A bucket with open buckets of its own, some changed, is the hard case.
      bucket.bucket(name)?.bucket(this.name())?.bucket(this.name())?.put(this.key(), this.value());
      bucket.deleteBucket(name);
      twin.entries.delete(text);
    } else {
      this.alike(() => bucket.deleteBucket(name), true);
    }
  }

  private alike(operation: () => void, fails: boolean): void {
    if (!fails) operation();
    else expect(operation).toThrow(/incompatible value|bucket not found/);
  }

  async round(database: Database): Promise<void> {
    const tx = await database.beginWrite();
    const twin = this.twin.copy();
    const top = bytesFromLatin1('top');
    const name = latin1FromBytes(top);
    if (!twin.entries.has(name)) twin.entries.set(name, new TwinBucket());
    const bucket = tx.createBucketIfNotExists(top);
    const inner = twin.entries.get(name) as TwinBucket;
    const count = this.random.below(this.shape.operations) + 1;
    for (let i = 0; i < count; i++) this.operate(bucket, inner, 0);
    if (this.random.below(4) === 0) expectEqual(tx, twin);
    await this.finish(database, tx, twin);
    if (this.random.below(3) === 0) {
      this.readers.push({ tx: database.beginRead(), twin: this.twin });
    }
    if (this.readers.length > 3 || this.random.below(4) === 0) {
      const reader = this.readers.splice(this.random.below(this.readers.length), 1)[0];
      if (reader === undefined) return;
      expectEqual(reader.tx, reader.twin);
      reader.tx.close();
    }
  }

  private async finish(database: Database, tx: WriteTransaction, twin: TwinBucket): Promise<void> {
    if (this.random.below(5) === 0) {
      tx.rollback();
    } else {
      await tx.commit();
      this.twin = twin;
    }
    const tail = database.beginRead();
    expectEqual(tail, this.twin);
    tail.close();
    expect(await database.check()).toEqual([]);
  }
}

for (const shape of SHAPES) {
  test(`equals its twin: ${shape.name}`, { timeout: 120_000 }, async () => {
    const env = createSimEnv({ seed: SEED });
    const run = new Run(SEED, shape);
    let database = await openDatabase(env, '/db', shape.options);
    for (let round = 0; round < shape.rounds; round++) {
      await run.round(database);
      if (run.random.below(8) > 0) continue;
      for (const { tx } of run.readers.splice(0)) tx.close();
      await database.close();
      database = await openDatabase(env, '/db', shape.options);
      expect(await database.check()).toEqual([]);
    }
    for (const { tx, twin } of run.readers) {
      expectEqual(tx, twin);
      tx.close();
    }
    await database.close();
    expect(hasCode(await database.beginWrite().catch((error: unknown) => error), 'CLOSED')).toBe(
      true,
    );
  });
}
