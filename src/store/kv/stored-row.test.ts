import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hasCode, latin1FromBytes, seededRandom } from '../../base/index.ts';
import { mvccpb } from '../../protocol/index.ts';
import { mutated } from '../../protocol/wire/mutation.fixture.ts';
import { readStoredRow, StoredRow } from './stored-row.ts';

const { KeyValueCodec } = mvccpb;

function read(bytes: Uint8Array, start = 0, end = bytes.length): StoredRow {
  const row = new StoredRow();
  readStoredRow(bytes, start, end, row);
  return row;
}

const count = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const keyValue = fc.record({
  key: fc.uint8Array({ maxLength: 40 }),
  createRevision: count,
  modRevision: count,
  version: count,
  value: fc.uint8Array({ maxLength: 300 }),
  lease: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
});

test('reads what the codec of KeyValue writes, wherever it lies', () => {
  fc.assert(
    fc.property(keyValue, fc.nat(9), (pair, before) => {
      const encoded = KeyValueCodec.encode(pair);
      const bytes = new Uint8Array(before + encoded.length + 5).fill(0xff);
      bytes.set(encoded, before);
      const row = read(bytes, before, before + encoded.length);
      expect(row.key).toBe(latin1FromBytes(pair.key));
      expect(row.createRevision).toBe(pair.createRevision);
      expect(row.version).toBe(pair.version);
      expect(row.leaseId()).toBe(pair.lease);
      expect(row.leaseLow === 0 && row.leaseHigh === 0).toBe(pair.lease === 0n);
    }),
  );
});

test('says of any bytes what the codec says, or less', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      let row: StoredRow;
      try {
        row = read(bytes);
      } catch (error) {
        expect(hasCode(error, 'CORRUPT') || hasCode(error, 'NUMBER_TOO_LARGE')).toBe(true);
        return;
      }
      expect(row.key.length).toBeLessThanOrEqual(bytes.length);
    }),
  );
});

test('reads what no release writes as the codec does', () => {
  fc.assert(
    fc.property(keyValue, fc.nat(), (pair, seed) => {
      const bytes = mutated(KeyValueCodec.encode(pair), seededRandom(seed), { invalid: true });
      let expected: mvccpb.KeyValue;
      try {
        expected = KeyValueCodec.decode(bytes);
      } catch {
        expect(() => read(bytes)).toThrow();
        return;
      }
      const row = read(bytes);
      expect(row.key).toBe(latin1FromBytes(expected.key));
      expect(row.createRevision).toBe(expected.createRevision);
      expect(row.version).toBe(expected.version);
      expect(row.leaseId()).toBe(expected.lease);
    }),
    { numRuns: 2000 },
  );
});

test('forgets the row before', () => {
  const row = new StoredRow();
  const full = { createRevision: 3, modRevision: 4, version: 2, lease: 9n };
  const key = Uint8Array.of(1, 2);
  const first = KeyValueCodec.encode(KeyValueCodec.create({ key, ...full }));
  readStoredRow(first, 0, first.length, row);
  const tombstone = KeyValueCodec.encode(KeyValueCodec.create({ key: Uint8Array.of(7) }));
  readStoredRow(tombstone, 0, tombstone.length, row);
  expect({ ...row }).toEqual({
    ...{ key: '\x07', createRevision: 0, version: 0, leaseLow: 0, leaseHigh: 0 },
  });
});

describe('refuses', () => {
  const whole = KeyValueCodec.encode(
    KeyValueCodec.create({ key: Uint8Array.of(1, 2, 3), createRevision: 300, version: 1 }),
  );

  test('a row that is cut inside a field', () => {
    const cuts = [...whole.keys()].slice(1).filter((end) => {
      try {
        KeyValueCodec.decode(whole, 0, end);
        return false;
      } catch {
        return true;
      }
    });
    expect(cuts.length).toBeGreaterThan(5);
    for (const end of cuts) expect(() => read(whole, 0, end)).toThrow(/is no mvccpb.KeyValue/);
  });

  test.each([
    ['a group without an end', [0x0b], /truncated/],
    ['a field number of zero', [0x00, 1], /bad field number/],
    ['a length beyond the end', [0x0a, 5, 1], /past the end/],
    ['an endless number', [0x10, ...new Array<number>(11).fill(0xff)], /more than ten bytes/],
  ])('%s', (_, bytes, text) => {
    expect(() => read(Uint8Array.from(bytes))).toThrow(text);
  });

  test('a count above 2^53-1', () => {
    const bytes = Uint8Array.of(0x20, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10);
    expect(() => read(bytes)).toThrow(/above 2\^53-1/);
    bytes[0] = 0x30; // A lease may be that large.
    expect(read(bytes).leaseId()).toBe(2n ** 53n);
  });
});
