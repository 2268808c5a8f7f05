import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TetcdError } from '../base/index.ts';
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
    ['two operations', '22001a00', 'two operations 4 and 3'],
    ['no operation', 'a206020801', 'no operation'],
    ['an empty message', '', 'no operation'],
    ['a field past the end', '220501', 'past the end'],
    ['a cut varint', '2280', 'past the end'],
    ['an operation that is a number', '2001', 'wire type 0'],
    ['a varint of 65 bits', '08ffffffffffffffffff02', 'more than 64 bits'],
  ];
  test.each(refused)('%s', (_, payload, text) => {
    const bytes = new Uint8Array(Buffer.from(payload, 'hex'));
    expect(() => readEnvelope(bytes, new RequestEnvelope())).toThrow(text);
  });
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
      expect(envelope.bodyEnd).toBeLessThanOrEqual(payload.length);
    }),
    { numRuns: 5000 },
  );
});

test('the id outside the header, as 3.0 wrote it, is read too', () => {
  const envelope = new RequestEnvelope();
  readEnvelope(new Uint8Array(Buffer.from('08071a00', 'hex')), envelope);
  expect(envelope).toMatchObject({ kind: REQUEST_KIND.RANGE, idHigh: 0, idLow: 7 });
});
