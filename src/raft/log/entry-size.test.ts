import fc from 'fast-check';
import { expect, test } from 'vitest';
import { raftpb } from '../../protocol/index.ts';
import { newEntry } from '../raftpb.ts';
import { entriesSize, entrySize, payloadsSize } from './entry-size.ts';

test('the size of an entry is that of its encoding', () => {
  const count = fc.oneof(
    fc.nat(300),
    fc.integer({ min: 0, max: 53 }).map((bits) => Math.min(2 ** bits, Number.MAX_SAFE_INTEGER)),
    fc.maxSafeNat(),
  );
  fc.assert(
    fc.property(fc.nat(2), count, count, fc.nat(20_000), (type, term, index, length) => {
      const entry = newEntry(type, term, index, new Uint8Array(length));
      expect(entrySize(entry)).toBe(raftpb.EntryCodec.size(entry));
    }),
    { numRuns: 2_000 },
  );
});

test('payloads count data only', () => {
  const entries = [newEntry(0, 1, 1, new Uint8Array(3)), newEntry(0, 1, 2, new Uint8Array(0))];
  expect(payloadsSize(entries)).toBe(3);
  expect(entriesSize(entries)).toBe(4 + 2 + 3 + 4);
  expect(entriesSize([])).toBe(0);
});
