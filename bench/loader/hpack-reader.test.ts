import { describe, expect, test } from 'vitest';
import { HpackReader } from './hpack-reader.ts';

const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex');

function read(reader: HpackReader, hex: string) {
  const block = bytes(hex);
  return { ...reader.read(block, 0, block.length) };
}

describe('the header blocks of responses', () => {
  test('RFC 7541 C.6: three responses with Huffman coding and eviction', () => {
    const reader = new HpackReader();
    const first =
      '4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6' +
      '2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3';
    expect(read(reader, first).httpStatus).toBe(302);
    expect(read(reader, '4883 640e ffc1 c0bf').httpStatus).toBe(307);
  });

  test('a trailer, written out and then from the table', () => {
    const reader = new HpackReader();
    // "grpc-status" and "grpc-message" plain, as literals that enter the table.
    const name = Buffer.from('grpc-status').toString('hex');
    const text = Buffer.from('grpc-message').toString('hex');
    const block = `40 0b ${name} 01 35 40 0c ${text} 02 6e 6f`;
    const expected = { httpStatus: -1, grpcStatus: 5, grpcMessage: 'no' };
    expect(read(reader, block)).toEqual(expected);
    expect(read(reader, 'bf be')).toEqual(expected);
    expect(read(reader, '88')).toEqual({ httpStatus: 200, grpcStatus: -1, grpcMessage: '' });
  });

  test('an index beyond the table is refused', () => {
    expect(() => read(new HpackReader(), 'be')).toThrow(/index 62/);
  });
});
