import { describe, expect, test } from 'vitest';
import { COUNT_MAX, readUint64, uint64At, writeUint64 } from './index.ts';

const NUMBERS = [0, 1, 0xff, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 52, COUNT_MAX];

describe('64-bit numbers, big endian', () => {
  test.each(NUMBERS)('%i is read as it was written', (value) => {
    const bytes = new Uint8Array(10).fill(0xaa);
    expect(writeUint64(value, bytes, 1)).toBe(9);
    expect(new DataView(bytes.buffer).getBigUint64(1)).toBe(BigInt(value));
    expect([bytes[0], bytes[9]]).toEqual([0xaa, 0xaa]);
    expect(uint64At(bytes, 1)).toBe(value);
    expect(readUint64(bytes, 1, 'it')).toBe(value);
  });

  test('above 2^53-1 a checked read names what it read', () => {
    const bytes = Uint8Array.from([0, 0x20, 0, 0, 0, 0, 0, 0]);
    expect(uint64At(bytes, 0)).toBe(2 ** 53);
    expect(() => readUint64(bytes, 0, 'a length')).toThrow('a length: above 2^53-1');
    expect(() => readUint64(bytes.fill(0xff), 0, 'a length')).toThrow('a length: above 2^53-1');
  });
});
