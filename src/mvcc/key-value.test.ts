import fc from 'fast-check';
import { expect, test } from 'vitest';
import { latin1FromBytes } from '../base/index.ts';
import { mvccpb } from '../protocol/index.ts';
import {
  KeyValueScanner,
  sizeOfKeyOnly,
  sizeOfKeyValue,
  writeKeyOnly,
  writeKeyValue,
} from './key-value.ts';

const bytes = (max: number, min = 0) => fc.uint8Array({ minLength: min, maxLength: max });
const positive = fc.oneof(
  fc.integer({ min: 1, max: 200 }),
  fc.integer({ min: 1, max: 2 ** 53 - 1 }),
);
const lease = fc.oneof(fc.constant(0n), fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n));

test('writes what the codec writes, and finds its way in it', () => {
  const scanner = new KeyValueScanner();
  fc.assert(
    fc.property(bytes(300, 1), positive, positive, positive, bytes(300), lease, (...all) => {
      const [keyBytes, create, mod, version, value, leaseId] = all;
      const key = latin1FromBytes(keyBytes);
      const size = sizeOfKeyValue(key, create, mod, version, value.length, leaseId);
      const target = new Uint8Array(size + 10).fill(0xee);
      const end = writeKeyValue(
        key,
        create,
        mod,
        version,
        value,
        0,
        value.length,
        leaseId,
        target,
        5,
      );
      expect(end).toBe(5 + size);
      expect([...target.subarray(0, 5), ...target.subarray(end)]).toEqual(Array(10).fill(0xee));
      const kv = mvccpb.KeyValueCodec.create({
        key: keyBytes,
        createRevision: create,
        modRevision: mod,
        version,
        value,
        lease: leaseId,
      });
      expect([...target.subarray(5, end)]).toEqual([...mvccpb.KeyValueCodec.encode(kv)]);

      scanner.scan(target, 5, size);
      expect(scanner.key()).toBe(key);
      expect([scanner.createRevision, scanner.modRevision, scanner.version]).toEqual([
        create,
        mod,
        version,
      ]);
      expect(scanner.valueLength).toBe(value.length);
      const { valueOffset } = scanner;
      expect([...target.subarray(valueOffset, valueOffset + value.length)]).toEqual([...value]);
      expect(scanner.lease()).toBe(leaseId);
      expect(scanner.hasLease()).toBe(leaseId !== 0n);
    }),
  );
});

test('writes keys alone', () => {
  const size = sizeOfKeyOnly('k', 2, 300, 2);
  const target = new Uint8Array(size);
  expect(writeKeyOnly('k', 2, 300, 2, target, 0)).toBe(size);
  expect(Buffer.from(target).toString('hex')).toBe('0a016b100218ac022002');
});

test.each([
  ['0a026b', 'a key that ends early'],
  ['0a016b10', 'a number that is not there'],
  ['0a016b10ffffffffffffffffffff01', 'a number of eleven bytes'],
  ['0a016b10ffffffffffffffff7f', 'a number above 2^53-1'],
  ['0a016b2a05', 'a value that is not there'],
  ['0a016b0f', 'a wire type that does not exist'],
  ['0a016b0001', 'field 0'],
  ['0a016b39', 'a fixed number that is cut'],
])('%s is corrupt: %s', (hex) => {
  const value = Uint8Array.from(Buffer.from(hex, 'hex'));
  expect(() => new KeyValueScanner().scan(value, 0, value.length)).toThrowError(
    expect.objectContaining({ code: 'CORRUPT' }),
  );
});

test('steps over fields of later releases', () => {
  const value = Uint8Array.from(
    Buffer.from('380a0a016b42037879793d01020304410102030405060708', 'hex'),
  );
  const scanner = new KeyValueScanner();
  scanner.scan(value, 0, value.length);
  expect(scanner.key()).toBe('k');
});

test('random bytes are read or refused, never worse', () => {
  const scanner = new KeyValueScanner();
  fc.assert(
    fc.property(bytes(60), (value) => {
      try {
        scanner.scan(value, 0, value.length);
      } catch (error) {
        expect(error).toMatchObject({ code: 'CORRUPT' });
      }
    }),
    { numRuns: 2000 },
  );
});
