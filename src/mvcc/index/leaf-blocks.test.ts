import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bytesFromLatin1, type Random, seededRandom } from '../../base/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import { MemoryStore } from '../eval/memory-store.fixture.ts';
import { evaluateRange, RangeRun } from '../eval/range.ts';
import { RangeResult } from '../eval/range-result.ts';
import { TAG_RANGE_KVS } from '../key-value.ts';
import { BLOCK_BYTES_MAX } from '../limits.ts';
import { ByteSlice } from '../types.ts';
import { LeafBlocks, skipKeys } from './leaf-blocks.ts';

const { RangeRequestCodec, RangeResponseCodec } = etcdserverpb;

const keyOf = (i: number): string => `key-${String(i).padStart(4, '0')}`;

/** The pairs of an answer, decoded by the schema. */
function pairsOf({ buffers, offsets, lengths, runs }: RangeResult) {
  const fields: Uint8Array[] = [];
  for (const [i, buffer] of buffers.entries()) {
    const piece = buffer.subarray(offsets[i]!, offsets[i]! + lengths[i]!);
    fields.push(runs[i] === 0 ? field(piece) : piece);
  }
  return RangeResponseCodec.decode(Buffer.concat(fields)).kvs.map((kv) => ({
    ...kv,
    key: Buffer.from(kv.key).toString('latin1'),
    value: Buffer.from(kv.value).toString('latin1'),
  }));
}

function field(pair: Uint8Array): Uint8Array {
  const length = [pair.length];
  while (length.at(-1)! >= 128) {
    const rest = length.pop()!;
    length.push((rest & 127) | 128, rest >>> 7);
  }
  return Uint8Array.from([TAG_RANGE_KVS, ...length, ...pair]);
}

class Twins {
  readonly store = new MemoryStore();
  readonly random: Random;
  readonly run = new RangeRun();
  readonly plain = new RangeResult();
  readonly blocked = new RangeResult(true);
  /** Keys that came in runs. */
  inRuns = 0;
  deletion: ReturnType<MemoryStore['index']['startRangeTombstone']> | undefined;

  constructor(seed: number) {
    this.random = seededRandom(seed);
    this.store.grant(7n);
    this.store.write((txn) => {
      for (let i = 0; i < 1000; i += 2) this.#put(txn, i);
    });
  }

  #put(txn: MemoryStore['txn'], i: number): void {
    const value = bytesFromLatin1('v'.repeat(this.random.below(200)));
    // Keys of the second half have no lease: a deletion as a whole needs that.
    const lease = i < 500 ? this.store.leaseIds[this.random.below(2)]! : 0n;
    txn.put(keyOf(i), value, 0, value.length, lease);
  }

  change(): void {
    const { random, store } = this;
    const kind = random.below(8);
    if (kind === 0 && this.deletion === undefined) {
      const from = 500 + random.below(400);
      const range = [keyOf(from), keyOf(from + 1 + random.below(200))] as const;
      this.deletion = store.index.startRangeTombstone(...range, ++store.currentRev);
    } else if (kind === 1 && this.deletion === undefined) store.compact(store.currentRev);
    else if (this.deletion !== undefined) {
      if (this.deletion.step(20, () => {})) this.deletion = undefined;
    }
    store.write((txn) => {
      for (let n = random.below(4); n > 0; n--) {
        const i = random.below(1000);
        if (random.below(2) === 0) this.#put(txn, i);
        else if (store.index.count(keyOf(i), '', txn.currentRev) === 1) txn.delete(keyOf(i));
      }
    });
  }

  range(): void {
    const { random, store } = this;
    const from = random.below(1100);
    const [key, rangeEnd] = [
      keyOf(from),
      random.below(3) === 0 ? '\0' : keyOf(from + random.below(900)),
    ];
    const recent = store.currentRev - random.below(4);
    const wanted = RangeRequestCodec.create({
      ...{ key: bytesFromLatin1(key), rangeEnd: bytesFromLatin1(rangeEnd) },
      limit: random.below(3) === 0 ? 1 + random.below(400) : 0,
      revision: random.below(3) === 0 ? Math.max(recent, store.compactedRev, 1) : 0,
    });
    evaluateRange(this.run, store, wanted, this.plain);
    this.run.start(store, wanted, this.blocked);
    while (!this.run.step(1 + random.below(40)));
    const { plain, blocked } = this;
    expect(pairsOf(blocked)).toEqual(pairsOf(plain));
    expect([blocked.size, blocked.count, blocked.more]).toEqual([
      plain.size,
      plain.count,
      plain.more,
    ]);
    for (const keys of blocked.runs) this.inRuns += keys;
  }
}

test('a range that takes runs answers as one that does not, whatever changes in between', () => {
  let inRuns = 0;
  fc.assert(
    fc.property(fc.nat(), (seed) => {
      const twins = new Twins(seed);
      for (let i = 0; i < 150; i++) {
        if (twins.random.below(8) === 0) twins.change();
        twins.range();
      }
      inRuns += twins.inRuns;
    }),
    { numRuns: 15 },
  );
  expect(inRuns).toBeGreaterThan(10_000);
});

test('the ring gives up its oldest blocks, and what was handed out stays', () => {
  const store = new MemoryStore();
  const value = new Uint8Array(1000).fill(0x76);
  store.write((txn) => {
    for (let i = 0; i < 128 * 30; i++) txn.put(keyOf(i), value, 0, value.length, 0n);
  });
  const blocks = new LeafBlocks(1);
  const slice = new ByteSlice();
  const first = store.index.tree.firstLeaf;
  expect(blocks.make(first, store.currentRev - 1, store)).toBe(false);
  expect(blocks.make(first, store.currentRev, store)).toBe(true);
  expect(blocks.find(first, store.currentRev - 1, store, slice)).toBe(false);
  expect(blocks.find(first, store.currentRev, store, slice)).toBe(true);
  const { buffer, offset, length } = slice;
  const before = Uint8Array.from(buffer.subarray(offset, offset + length));
  expect(skipKeys(buffer, offset, first.live)).toBe(offset + length);
  let kept = 0;
  for (let leaf = first.next; leaf !== undefined; leaf = leaf.next) {
    if (blocks.find(first, store.currentRev, store, slice)) kept++;
    expect(blocks.make(leaf, store.currentRev, store)).toBe(true);
  }
  expect(kept).toBeGreaterThan(3);
  expect(blocks.find(first, store.currentRev, store, slice)).toBe(false);
  expect(first.block).toBeUndefined();
  expect(buffer.subarray(offset, offset + length)).toEqual(before);
  blocks.clear();
  for (let leaf = first.next; leaf !== undefined; leaf = leaf.next) {
    expect(blocks.find(leaf, store.currentRev, store, slice)).toBe(false);
  }
});

test('a leaf whose rows are large has no block', () => {
  const store = new MemoryStore();
  const value = new Uint8Array(BLOCK_BYTES_MAX / 2);
  for (let i = 0; i < 3; i++) {
    store.write((txn) => txn.put(keyOf(i), value, 0, value.length, 0n));
  }
  const blocks = new LeafBlocks();
  expect(blocks.make(store.index.tree.firstLeaf, store.currentRev, store)).toBe(false);
  expect(store.index.tree.firstLeaf.block).toBeUndefined();
});
