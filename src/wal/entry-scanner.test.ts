import fc from 'fast-check';
import { expect, test } from 'vitest';
import { raftpb } from '../protocol/index.ts';
import { EntryScanner } from './entry-scanner.ts';

const count = fc.oneof(fc.nat(300), fc.maxSafeNat());
const entries = fc.record({
  type: fc.constantFrom(0, 1, 2),
  term: count,
  index: count,
  data: fc.uint8Array({ maxLength: 300 }),
});

test('reads what the general codec writes', () => {
  fc.assert(
    fc.property(entries, fc.nat(20), (entry, before) => {
      const encoded = raftpb.EntryCodec.encode(entry);
      const bytes = new Uint8Array(before + encoded.length + 5).fill(0xaa);
      bytes.set(encoded, before);
      const scanner = new EntryScanner();
      expect(scanner.scan(bytes, before, before + encoded.length)).toBe(true);
      expect(scanner.entry()).toEqual(entry);
    }),
  );
});

test('fields that are written although they are zero', () => {
  const scanner = new EntryScanner();
  const bytes = Uint8Array.of(0x08, 0, 0x10, 2, 0x18, 3, 0x22, 0);
  expect(scanner.scan(bytes, 0, bytes.length)).toBe(true);
  expect(scanner.entry()).toEqual({ type: 0, term: 2, index: 3, data: new Uint8Array(0) });
});

test('bytes that are cut off or changed are refused, or read as the codec reads them', () => {
  fc.assert(
    fc.property(entries, fc.nat(), fc.nat(255), (entry, place, byte) => {
      const bytes = raftpb.EntryCodec.encode(entry);
      const scanner = new EntryScanner();
      const at = place % (bytes.length + 1);
      if (at < bytes.length) bytes[at] = byte;
      for (const end of [at, bytes.length]) {
        let expected: raftpb.Entry | undefined;
        try {
          expected = raftpb.EntryCodec.decode(bytes, 0, end);
        } catch {
          expected = undefined;
        }
        // An unknown type is refused here.
        if (expected !== undefined && (expected.type < 0 || expected.type > 2))
          expected = undefined;
        expect(scanner.scan(bytes, 0, end)).toBe(expected !== undefined);
        if (expected !== undefined) expect(scanner.entry()).toEqual(expected);
      }
    }),
    { numRuns: 1000 },
  );
});
