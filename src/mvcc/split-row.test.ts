import fc from 'fast-check';
import { expect, test } from 'vitest';
import { InvariantError, latin1FromBytes, verify } from '../base/index.ts';
import { mvccpb } from '../protocol/index.ts';
import { splitKeyValue } from './split-row.ts';

const bytes = (max: number, min = 0) => fc.uint8Array({ minLength: min, maxLength: max });
const positive = fc.integer({ min: 1, max: 2 ** 53 - 1 });
const lease = fc.oneof(fc.constant(0n), fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n));

test('is what the codec writes, in pieces and in one', () => {
  fc.assert(
    fc.property(bytes(300, 1), positive, positive, positive, bytes(300, 1), lease, (...all) => {
      const [key, createRevision, modRevision, version, value, leaseId] = all;
      const request = new Uint8Array([0xee, ...value, 0xee]);
      const row = splitKeyValue(
        latin1FromBytes(key),
        createRevision,
        modRevision,
        version,
        request,
        1,
        value.length,
        leaseId,
      );
      const numbers = { createRevision, modRevision, version };
      const pair = mvccpb.KeyValueCodec.create({ key, ...numbers, value, lease: leaseId });
      const expected = [...mvccpb.KeyValueCodec.encode(pair)];
      expect(row.pieces.flatMap((piece) => [...piece])).toEqual(expected);
      expect([...row.whole]).toEqual(expected);
      expect(row.length).toBe(expected.length);
      const target = new Uint8Array(row.length + 4).fill(0xee);
      expect(row.write(target, 2)).toBe(2 + row.length);
      expect([...target]).toEqual([0xee, 0xee, ...expected, 0xee, 0xee]);
      // The value itself, not a copy.
      const [, place] = row.pieces;
      expect([place!.buffer, place!.byteOffset]).toEqual([request.buffer, 1]);
    }),
  );
});

test('a request whose bytes change while they are a row is found out', () => {
  expect(verify.all).toBe(true);
  const request = new Uint8Array(100).fill(7);
  const row = splitKeyValue('k', 1, 1, 1, request, 10, 80, 0n);
  request[5] = 1;
  expect(row.whole.length).toBe(row.length);
  request[50] = 1;
  expect(() => row.pieces).toThrow(InvariantError);
});
