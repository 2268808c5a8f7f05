import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TetcdError } from '../../base/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import { encodeEnvelope, REQUEST_KIND, RequestEnvelope, readEnvelope } from './request-envelope.ts';

const kinds = Object.values(REQUEST_KIND).filter((kind) => kind !== REQUEST_KIND.NONE);

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** The same message, written by hand from the wire rules with bigint arithmetic. */
function plainEnvelope(kind: number, id: bigint, body: Uint8Array): string {
  const varint = (value: bigint): number[] =>
    value < 128n ? [Number(value)] : [Number(value % 128n) | 128, ...varint(value / 128n)];
  const field = (number: number, content: number[]): number[] => [
    ...varint(BigInt(number * 8 + 2)),
    ...varint(BigInt(content.length)),
    ...content,
  ];
  const header = field(100, [8, ...varint(id)]);
  const operation = field(kind, [...body]);
  const parts = kind < 100 ? [...operation, ...header] : [...header, ...operation];
  return Buffer.from(parts).toString('hex');
}

test('what is written is canonical and reads back', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...kinds),
      fc.integer({ min: 0, max: 0xffff }),
      fc.oneof(fc.nat(300), fc.integer({ min: 0, max: 2 ** 48 - 1 })),
      fc.uint8Array({ maxLength: 300 }),
      (kind, idHigh, idLow, body) => {
        const payload = encodeEnvelope(kind, idHigh, idLow, body);
        const id = BigInt(idHigh) * 2n ** 48n + BigInt(idLow);
        expect(hex(payload)).toBe(plainEnvelope(kind, id, body));
        const envelope = new RequestEnvelope();
        readEnvelope(payload, envelope);
        expect(envelope).toMatchObject({ kind, idHigh, idLow });
        expect(hex(payload.subarray(envelope.bodyStart, envelope.bodyEnd))).toBe(hex(body));
      },
    ),
    { numRuns: 2000 },
  );
});

describe('what cannot be applied is refused, never skipped', () => {
  const refused: readonly [string, string, string][] = [
    ['an unknown operation', '620101', 'unknown field 12'],
    ['no operation', 'a206020801', 'no operation'],
    ['an empty message', '', 'no operation'],
    ['an operation that is a number', '2001', 'unknown field 4'],
    ['a field past the end', '220501', 'exceeds the 1 bytes left'],
    ['a cut varint', '2280', 'truncated'],
    ['a varint of eleven bytes', '08ffffffffffffffffffff01', 'exceeds 64 bits'],
  ];
  test.each(refused)('%s', (_, payload, text) => {
    const bytes = new Uint8Array(Buffer.from(payload, 'hex'));
    expect(() => readEnvelope(bytes, new RequestEnvelope())).toThrow(text);
  });
});

// Each with the operation that etcd 3.7.1 applies, and its request.
test.each([
  [
    'an unknown field of each wire type',
    '6001 6100000000000000 00 620101 6b6c 6500000000 22030a016b',
    4,
    '0a016b',
  ],
  ['a known field of another wire type', '3801 290000000000000000 22030a016b', 4, '0a016b'],
  ['the id as bytes', '0a0101 22030a016b', 4, '0a016b'],
  ['the header as a number', 'a00601 22030a016b', 4, '0a016b'],
  ['a group in the header', 'a206040b0c0807 22030a016b', 4, '0a016b'],
  ['an operation in two parts', '22030a016b 3a00 2203120176', 4, '0a016b120176'],
  ['two operations', '2a030a0161 22030a016b', 4, '0a016b'],
  ['an operation and one of the membership', '22030a016b a25102 0a00', 1300, '0a00'],
  ['a lease checkpoint and an alarm', '5200 5a00', 11, ''],
  ['a v2 request beside another', '22030a016b 1200', 4, '0a016b'],
  ['a tag in three bytes', 'a28000 030a016b', 4, '0a016b'],
] as const)('what etcd applies is applied: %s', (_, payload, kind, body) => {
  const envelope = new RequestEnvelope();
  readEnvelope(new Uint8Array(Buffer.from(payload.replaceAll(' ', ''), 'hex')), envelope);
  expect(envelope.kind).toBe(kind);
  expect(hex(envelope.body.subarray(envelope.bodyStart, envelope.bodyEnd))).toBe(body);
});

test('the id is found in whatever shape its header has', () => {
  for (const payload of [
    'a206040b0c0807 2200',
    'a2060208 05 a20602 0807 2200',
    '0807 a206020809 3801 2200',
  ]) {
    const envelope = new RequestEnvelope();
    readEnvelope(new Uint8Array(Buffer.from(payload.replaceAll(' ', ''), 'hex')), envelope);
    expect(envelope).toMatchObject({ kind: REQUEST_KIND.PUT, idHigh: 0, idLow: 7 });
  }
});

test('garbage gives a TetcdError or an envelope within the payload', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (payload) => {
      const envelope = new RequestEnvelope();
      try {
        readEnvelope(payload, envelope);
      } catch (error) {
        expect(error).toBeInstanceOf(TetcdError);
        return;
      }
      expect(envelope.bodyStart).toBeLessThanOrEqual(envelope.bodyEnd);
      expect(envelope.bodyEnd).toBeLessThanOrEqual(envelope.body.length);
    }),
    { numRuns: 5000 },
  );
});

test('the id outside the header, as 3.0 wrote it, is read too', () => {
  const envelope = new RequestEnvelope();
  readEnvelope(new Uint8Array(Buffer.from('08071a00', 'hex')), envelope);
  expect(envelope).toMatchObject({ kind: REQUEST_KIND.RANGE, idHigh: 0, idLow: 7 });
});

describe('the user in whose name a request is made', () => {
  const users = fc.record({
    username: fc.oneof(fc.string({ unit: 'grapheme', maxLength: 200 }), fc.constant('')),
    authRevision: fc.oneof(fc.constant(0), fc.nat(300), fc.maxSafeNat()),
  });
  const { InternalRaftRequestCodec, PutRequestCodec } = etcdserverpb;

  test('stands in the header, as the schema has it', () => {
    fc.assert(
      fc.property(users, fc.bigInt(1n, 2n ** 48n - 1n), (user, id) => {
        const put = PutRequestCodec.create({ lease: 7n });
        const payload = encodeEnvelope(
          REQUEST_KIND.PUT,
          0,
          Number(id),
          PutRequestCodec.encode(put),
          0,
          undefined,
          user,
        );
        const header = { id, username: user.username, authRevision: BigInt(user.authRevision) };
        const whole = InternalRaftRequestCodec.create({ header, put });
        expect(hex(payload)).toBe(hex(InternalRaftRequestCodec.encode(whole)));
        const envelope = new RequestEnvelope();
        readEnvelope(payload, envelope);
        expect(envelope).toMatchObject({ kind: REQUEST_KIND.PUT, idLow: Number(id), ...user });
      }),
    );
  });

  // Header fields: id 08, user name 12, auth revision 18.
  test.each([
    ['beside an unknown field', 'a20609 0807 120161 18032000 2200', 'a', 3],
    [
      'in two headers, of which the later counts',
      'a20605 1201611803 a20605 1201622005 2200',
      'b',
      3,
    ],
    ['in a header with a group', 'a20609 0b0c 0807 120161 1803 2200', 'a', 3],
    ['in two headers, one with a group', 'a20607 0b0c 1201611803 a20603 120162 2200', 'b', 3],
    ['a revision beyond all that are counted', 'a2060b 18ffffffffffffffffff01 2200', '', 2 ** 64],
    ['the same beside a group', 'a2060d 0b0c 18ffffffffffffffffff01 2200', '', 2 ** 64],
    ['a name with U+FFFD', 'a20606 1204efbfbd61 2200', '\ufffda', 0],
    ['the same beside a group', 'a20608 0b0c 1204efbfbd61 2200', '\ufffda', 0],
    ['a name of another wire type', 'a20602 1005 2200', '', 0],
    ['no header', '2200', '', 0],
  ])('is read where a member logged it otherwise: %s', (_, payload, username, authRevision) => {
    const envelope = new RequestEnvelope();
    // Of an entry before.
    envelope.username = 'left';
    envelope.authRevision = 9;
    readEnvelope(new Uint8Array(Buffer.from(payload.replaceAll(' ', ''), 'hex')), envelope);
    expect(envelope).toMatchObject({ kind: REQUEST_KIND.PUT, username, authRevision });
  });

  test.each([
    ['alone', 'a20604 1202ff61 2200'],
    ['beside a group', 'a20606 0b0c 1202ff61 2200'],
  ])('is refused if its name is no UTF-8, %s', (_, payload) => {
    const bytes = new Uint8Array(Buffer.from(payload.replaceAll(' ', ''), 'hex'));
    expect(() => readEnvelope(bytes, new RequestEnvelope())).toThrow('RequestHeader.username');
  });
});
