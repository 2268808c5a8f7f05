import { describe, expect, test } from 'vitest';
import { bytesFromLatin1, EMPTY_BYTES, InvariantError, latin1FromBytes } from '../../base/index.ts';
import { ByteSlice, revisionKey, SplitRow } from '../../mvcc/index.ts';
import { BUCKET } from '../schema/schema.ts';
import { ByteArena } from './byte-arena.ts';
import { Overlay } from './overlay.ts';
import { BackendRowCursor } from './row-cursor.ts';

function withRows(...rows: readonly (readonly [number, number, string])[]): Overlay {
  const overlay = new Overlay();
  for (const [main, sub, value] of rows) {
    const bytes = bytesFromLatin1(`..${value}..`);
    overlay.appendRow(main, sub, value === 't', bytes, 2, value.length);
  }
  return overlay;
}

function find(overlay: Overlay, main: number, sub: number): string | undefined {
  const slice = new ByteSlice();
  if (!overlay.findRow(main, sub, slice)) return undefined;
  return latin1FromBytes(slice.buffer, slice.offset, slice.offset + slice.length);
}

describe('rows of an overlay', () => {
  const overlay = withRows([4, 0, 'a'], [4, 1, 'bb'], [7, 0, 't'], [9, 3, '']);

  test('are found by revision, and no others', () => {
    expect(find(overlay, 4, 0)).toBe('a');
    expect(find(overlay, 4, 1)).toBe('bb');
    expect(find(overlay, 7, 0)).toBe('t');
    expect(find(overlay, 9, 3)).toBe('');
    for (const [main, sub] of [
      [3, 9],
      [4, 2],
      [5, 0],
      [7, 1],
      [9, 0],
      [9, 4],
      [10, 0],
    ] as const) {
      expect(find(overlay, main, sub)).toBeUndefined();
    }
  });

  test('the first at or after a revision', () => {
    const place = (main: number, sub = 0) => {
      const block = overlay.rows.blocks[overlay.rows.blockOf(main, sub)];
      return block === undefined ? -1 : block.lowerBound(main, sub);
    };
    expect([0, 4, 5, 7, 8, 10].map((main) => place(main))).toEqual([0, 0, 2, 2, 3, -1]);
    expect(place(4, 1)).toBe(1);
    expect(new Overlay().rows.blockOf(1, 1)).toBe(0);
  });

  test('are found in whichever block they are', () => {
    const many = new Overlay();
    const count = 10_000;
    const bytes = bytesFromLatin1('value');
    for (let i = 0; i < count; i++) many.appendRow(2 + (i >>> 2), 2 * (i & 3), false, bytes, 0, 5);
    expect(many.rows.size).toBe(count);
    expect(many.rows.blocks.length).toBeGreaterThan(2);
    const cursor = new BackendRowCursor(undefined, [many], 0, 0);
    for (let i = 0; i < count; i++) {
      const [main, sub] = [2 + (i >>> 2), 2 * (i & 3)];
      expect(find(many, main, sub)).toBe('value');
      expect(find(many, main, sub + 1)).toBeUndefined();
      expect(cursor.next()).toBe(true);
      expect([cursor.main, cursor.sub]).toEqual([main, sub]);
    }
    expect(cursor.next()).toBe(false);
    const later = new BackendRowCursor(undefined, [many], 1500, 3);
    expect(later.next()).toBe(true);
    expect([later.main, later.sub]).toEqual([1500, 4]);
  });

  test('arrive in revision order', () => {
    for (const [main, sub] of [
      [9, 3],
      [9, 2],
      [8, 9],
    ] as const) {
      expect(() => overlay.appendRow(main, sub, false, EMPTY_BYTES, 0, 0)).toThrow(InvariantError);
    }
  });
});

test('rows in pieces are found as any other, and written as they are', () => {
  const overlay = withRows([4, 0, 'a']);
  const row = new SplitRow(['he', 'va', 'lue'].map(bytesFromLatin1));
  overlay.appendSplitRow(5, 0, row);
  overlay.appendRow(5, 1, false, bytesFromLatin1('b'), 0, 1);
  expect(
    [
      [4, 0],
      [5, 0],
      [5, 1],
    ].map(([main, sub]) => find(overlay, main!, sub!)),
  ).toEqual(['a', 'hevalue', 'b']);
  const cursor = new BackendRowCursor(undefined, [overlay], 4, 1);
  expect(cursor.next()).toBe(true);
  const { buffer, offset, length } = cursor.value;
  expect(latin1FromBytes(buffer, offset, offset + length)).toBe('hevalue');
  expect(overlay.rows.blocks[0]!.splits?.get(1)).toBe(row);
  expect(overlay.byteCount).toBeGreaterThan(9);
  overlay.frozen = true;
  expect(() => overlay.appendSplitRow(6, 0, row)).toThrow(InvariantError);
});

test('an overlay counts changes, and what they will take in the file', () => {
  const overlay = withRows([2, 0, 'value']);
  expect(overlay.isEmpty).toBe(false);
  const bytes = overlay.byteCount;
  expect(bytes).toBeGreaterThan('value'.length + 17);
  overlay.set(BUCKET.LEASE, 'k', bytesFromLatin1('v'));
  overlay.set(BUCKET.LEASE, 'k', undefined);
  overlay.removeRow(revisionKey(1, 0));
  expect(overlay.changeCount).toBe(4);
  expect(overlay.byteCount).toBeGreaterThan(bytes);
  expect([...overlay.changes(BUCKET.LEASE)!]).toEqual([['k', undefined]]);
  expect(overlay.changes(BUCKET.META)).toBeUndefined();
});

test('a frozen overlay does not change', () => {
  const overlay = withRows([2, 0, 'a']);
  overlay.frozen = true;
  expect(() => overlay.appendRow(3, 0, false, EMPTY_BYTES, 0, 0)).toThrow(InvariantError);
  expect(() => overlay.set(BUCKET.META, 'k', EMPTY_BYTES)).toThrow(InvariantError);
  expect(() => overlay.removeRow(revisionKey(1, 0))).toThrow(InvariantError);
});

test('rows of the key bucket are not set as those of the others', () => {
  expect(() => new Overlay().set(BUCKET.KEY, 'k', EMPTY_BYTES)).toThrow(InvariantError);
});

describe('the arena', () => {
  test('gives places that do not overlap, in shared slabs', () => {
    const arena = new ByteArena();
    const places: { slab: Uint8Array; offset: number; length: number }[] = [];
    for (let i = 0; i < 3000; i++) {
      const length = (i * 7919) % 1500;
      arena.reserve(length);
      places.push({ slab: arena.slab, offset: arena.offset, length });
      arena.slab.fill(i % 256, arena.offset, arena.offset + length);
    }
    for (const [i, { slab, offset, length }] of places.entries()) {
      expect(offset + length).toBeLessThanOrEqual(slab.length);
      expect(slab.subarray(offset, offset + length).every((byte) => byte === i % 256)).toBe(true);
    }
    expect(new Set(places.map(({ slab }) => slab)).size).toBeLessThan(6);
  });

  test('gives a large row a slab of its own, and goes on in the shared one', () => {
    const arena = new ByteArena();
    arena.reserve(10);
    const shared = arena.slab;
    arena.reserve(5_000_000);
    expect(arena.slab.length).toBe(5_000_000);
    expect(arena.offset).toBe(0);
    arena.reserve(10);
    expect(arena.slab).toBe(shared);
    expect(arena.offset).toBe(10);
  });
});

test('rows to be removed take memory, but nothing in the file', () => {
  const overlay = new Overlay();
  for (let i = 1; i <= 1000; i++) overlay.removeRow(revisionKey(i, 0));
  expect(overlay.byteCount).toBe(0);
  expect(overlay.heldBytes).toBeGreaterThan(50_000);
});
