// RFC 7541: the vectors of appendix C, what must be refused, and the encoder against the decoder.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ERROR_CODES, hasCode, seededRandom } from '../../base/index.ts';
import { HpackDecoder } from './decoder.ts';
import { encodedFieldMax, HpackEncoder, INDEXING, type Indexing } from './encoder.ts';
import { huffmanDecode, huffmanDecodedMax, huffmanEncode, huffmanLength } from './huffman.ts';
import { RepeatedBlock } from './repeated-block.ts';

const hex = (text: string) => Uint8Array.from(Buffer.from(text.replace(/\s/g, ''), 'hex'));
type Fields = Array<[name: string, value: string]>;

function decode(decoder: HpackDecoder, bytes: Uint8Array): Fields {
  decoder.decode(bytes, 0, bytes.length);
  return decoder.fields.map((field) => [field.name, field.value]);
}

function encode(
  encoder: HpackEncoder,
  fields: Fields,
  indexing: (i: number) => Indexing = () => INDEXING.YES,
): Uint8Array {
  let room = 16;
  for (const [name, value] of fields) room += encodedFieldMax(name, value);
  const target = new Uint8Array(room);
  let at = encoder.begin(target, 0);
  fields.forEach(([name, value], i) => {
    at = encoder.field(name, value, indexing(i), target, at);
  });
  return target.slice(0, at);
}

const REQUESTS: Fields[] = [
  [
    [':method', 'GET'],
    [':scheme', 'http'],
    [':path', '/'],
    [':authority', 'www.example.com'],
  ],
  [
    [':method', 'GET'],
    [':scheme', 'http'],
    [':path', '/'],
    [':authority', 'www.example.com'],
    ['cache-control', 'no-cache'],
  ],
  [
    [':method', 'GET'],
    [':scheme', 'https'],
    [':path', '/index.html'],
    [':authority', 'www.example.com'],
    ['custom-key', 'custom-value'],
  ],
];

const RESPONSES: Fields[] = [
  [
    [':status', '302'],
    ['cache-control', 'private'],
    ['date', 'Mon, 21 Oct 2013 20:13:21 GMT'],
    ['location', 'https://www.example.com'],
  ],
  [
    [':status', '307'],
    ['cache-control', 'private'],
    ['date', 'Mon, 21 Oct 2013 20:13:21 GMT'],
    ['location', 'https://www.example.com'],
  ],
  [
    [':status', '200'],
    ['cache-control', 'private'],
    ['date', 'Mon, 21 Oct 2013 20:13:22 GMT'],
    ['location', 'https://www.example.com'],
    ['content-encoding', 'gzip'],
    ['set-cookie', 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1'],
  ],
];

describe('appendix C', () => {
  test.each<[string, string, Fields]>([
    [
      'C.2.1 literal with indexing',
      '400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572',
      [['custom-key', 'custom-header']],
    ],
    [
      'C.2.2 literal without indexing',
      '040c 2f73 616d 706c 652f 7061 7468',
      [[':path', '/sample/path']],
    ],
    [
      'C.2.3 literal never indexed',
      '1008 7061 7373 776f 7264 0673 6563 7265 74',
      [['password', 'secret']],
    ],
    ['C.2.4 indexed', '82', [[':method', 'GET']]],
  ])('%s', (_name, bytes, fields) => {
    expect(decode(new HpackDecoder(4096, 65_536), hex(bytes))).toEqual(fields);
  });

  test.each<[string, number, string[], Fields[]]>([
    [
      'C.3 requests',
      4096,
      [
        '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
        '8286 84be 5808 6e6f 2d63 6163 6865',
        '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
      ],
      REQUESTS,
    ],
    [
      'C.4 requests, Huffman',
      4096,
      [
        '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
        '8286 84be 5886 a8eb 1064 9cbf',
        '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
      ],
      REQUESTS,
    ],
    [
      'C.5 responses, evicting',
      256,
      [
        `4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133
         2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70
         6c65 2e63 6f6d`,
        '4803 3330 37c1 c0bf',
        `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d
         54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049
         5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e
         3d31`,
      ],
      RESPONSES,
    ],
    [
      'C.6 responses, Huffman, evicting',
      256,
      [
        `4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6
         2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3`,
        '4883 640e ffc1 c0bf',
        `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab
         77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f
         9587 3160 65c0 03ed 4ee5 b106 3d50 07`,
      ],
      RESPONSES,
    ],
  ])('%s', (_name, tableBytes, blocks, lists) => {
    const decoder = new HpackDecoder(tableBytes, 65_536);
    blocks.forEach((bytes, i) => {
      expect(decode(decoder, hex(bytes))).toEqual(lists[i]);
    });
  });

  test('our encoder writes C.4 and C.6 byte for byte', () => {
    const encoder = new HpackEncoder();
    expect(REQUESTS.map((list) => Buffer.from(encode(encoder, list)).toString('hex'))).toEqual([
      '828684418cf1e3c2e5f23a6ba0ab90f4ff',
      '828684be5886a8eb10649cbf',
      '828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf',
    ]);
  });
});

describe('what is refused', () => {
  const large = `${'ff'.repeat(5)}7f`;
  test.each([
    ['index 0', '80'],
    ['an index beyond the tables', 'be'],
    ['a name index beyond the tables', '7e 01 61'],
    ['an integer that is cut', 'ff 80'],
    ['an integer without end', `ff ${'80'.repeat(40)}`],
    ['an integer too large', large],
    ['a string that is cut', '00 05 61'],
    ['a value that is missing', '00 01 61'],
    ['a string longer than the block', `00 7f ${large}`],
    ['a table size above the advertised', '3f e2 1f'],
    ['a table size update after a field', '82 20'],
    ['EOS in a string', '00 84 ff ff ff fc 00'],
    ['padding of zeros', '00 81 18 00'],
    ['padding of a whole byte', '00 82 1f ff 00'],
  ])('%s', (_name, bytes) => {
    const decoder = new HpackDecoder(4096, 65_536);
    let error: unknown;
    try {
      decode(decoder, hex(bytes));
    } catch (caught) {
      error = caught;
    }
    expect(hasCode(error, ERROR_CODES.MALFORMED)).toBe(true);
  });

  test('two table size updates at the beginning are fine', () => {
    expect(decode(new HpackDecoder(4096, 65_536), hex('20 3f e1 1f 82'))).toEqual([
      [':method', 'GET'],
    ]);
  });

  test('a list above the limit is counted, not kept, and the table follows', () => {
    const decoder = new HpackDecoder(4096, 100);
    const bytes = encode(new HpackEncoder(), [
      ['a', 'x'.repeat(40)],
      ['b', 'y'.repeat(40)],
    ]);
    expect(decode(decoder, bytes)).toHaveLength(1);
    expect(decoder.tooLarge).toBe(true);
    // Index 62 is the newest, the one that was not kept.
    expect(decode(decoder, hex('be'))).toEqual([['b', 'y'.repeat(40)]]);
    expect(decoder.tooLarge).toBe(false);
  });
});

describe('Huffman', () => {
  const latin1 = fc.uint8Array({ maxLength: 300 }).map((b) => Buffer.from(b).toString('latin1'));

  test('decodes what it encodes', () => {
    fc.assert(
      fc.property(latin1, (text) => {
        const target = new Uint8Array(huffmanLength(text));
        expect(huffmanEncode(text, target, 0)).toBe(target.length);
        const back = new Uint8Array(huffmanDecodedMax(target.length));
        const length = huffmanDecode(target, 0, target.length, back);
        expect(Buffer.from(back.subarray(0, length)).toString('latin1')).toBe(text);
      }),
    );
  });

  test('takes anything without harm', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const back = new Uint8Array(huffmanDecodedMax(bytes.length));
        try {
          const length = huffmanDecode(bytes, 0, bytes.length, back);
          // What is accepted is exactly what would be written.
          const text = Buffer.from(back.subarray(0, length)).toString('latin1');
          const again = new Uint8Array(huffmanLength(text));
          huffmanEncode(text, again, 0);
          expect(again).toEqual(Uint8Array.from(bytes));
        } catch (error) {
          expect(hasCode(error, ERROR_CODES.MALFORMED)).toBe(true);
        }
      }),
    );
  });
});

describe('the encoder and the decoder', () => {
  const name = fc.constantFrom(':path', 'content-type', 'x-a', 'x-b', 'x-c', 'grpc-timeout');
  const value = fc.oneof(
    fc.constantFrom('', 'a', 'application/grpc', '/a.B/C'),
    fc.string({ maxLength: 60, unit: 'binary-ascii' }),
    fc.nat(2000).map((n) => 'v'.repeat(n)),
  );
  const indexing = fc.constantFrom(INDEXING.YES, INDEXING.NO, INDEXING.NEVER);
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.array(fc.tuple(name, value, indexing), { maxLength: 8 }) },
    { weight: 1, arbitrary: fc.nat(5000) },
  );

  test('agree about every list, whatever the table sizes', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const encoder = new HpackEncoder();
        const decoder = new HpackDecoder(5000, 1 << 20);
        for (const one of steps) {
          if (typeof one === 'number') {
            encoder.setTableSize(one);
            continue;
          }
          const fields = one.map(([n, v]) => [n, v] as [string, string]);
          const bytes = encode(encoder, fields, (i) => one[i]![2]);
          expect(decode(decoder, bytes)).toEqual(fields);
        }
      }),
    );
  });

  test('a repeated block is settled from the second time on, until the table moves', () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder(4096, 65_536);
    const fields: Fields = [
      [':status', '200'],
      ['content-type', 'application/grpc'],
    ];
    const block = new RepeatedBlock(fields);
    const target = new Uint8Array(block.sizeMax);
    const send = () => {
      const end = block.write(encoder, target, 0);
      expect(decode(decoder, target.slice(0, end))).toEqual(fields);
      return end;
    };
    expect(block.settled(encoder)).toBe(false);
    send();
    expect(block.settled(encoder)).toBe(false);
    expect(send()).toBe(2);
    expect(block.settled(encoder)).toBe(true);
    expect(send()).toBe(2);
    decode(decoder, encode(encoder, [['x-other', 'field']]));
    expect(block.settled(encoder)).toBe(false);
    send();
    encoder.setTableSize(0);
    send();
    expect(send()).toBeGreaterThan(2);
  });
});

test('seeded fuzz: any bytes are decoded or refused, and nothing else', () => {
  const seed = Number(process.env['TETCD_SEED'] ?? Date.now() % 1_000_000);
  const random = seededRandom(seed);
  const corpus = [...REQUESTS, ...RESPONSES].map((list) => encode(new HpackEncoder(), list));
  for (let round = 0; round < 20_000; round++) {
    const decoder = new HpackDecoder(4096, 4096);
    for (let i = 0; i < 3; i++) {
      const bytes = Uint8Array.from(corpus[random.below(corpus.length)]!);
      for (let n = random.below(6); n > 0; n--)
        bytes[random.below(bytes.length)] = random.below(256);
      try {
        decoder.decode(bytes, 0, random.below(bytes.length + 1));
      } catch (error) {
        expect(hasCode(error, ERROR_CODES.MALFORMED), `TETCD_SEED=${seed}`).toBe(true);
        break;
      }
    }
  }
});
