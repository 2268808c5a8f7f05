import { describe, expect, test } from 'vitest';
import { etcdserverpb } from '../../client/index.ts';
import { argify } from './argify.ts';
import { goJson, jsonOfMessage } from './go-json.ts';
import { clampedNumber, goHex16, parseGoBool, parseGoDuration, parseGoInt } from './go-numbers.ts';

describe('numbers', () => {
  test.each([
    ['0', 0n],
    ['-12', -12n],
    ['+12', 12n],
    ['0x10', 16n],
    ['0X1F', 31n],
    ['010', 8n],
    ['0o17', 15n],
    ['0b101', 5n],
    ['1_000', 1000n],
    ['0x_ff', 255n],
    ['9223372036854775807', 2n ** 63n - 1n],
    ['-9223372036854775808', -(2n ** 63n)],
  ])('%s', (text, value) => {
    expect(parseGoInt(text, 0)).toEqual({ value });
  });

  test.each(['', '-', 'x', '1x', '0x', '08', '1__0', '_1', '1_', ' 1', '1.5', '0b2'])(
    '%j is none',
    (text) => {
      expect(parseGoInt(text, 0)).toEqual({
        reason: `strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`,
      });
    },
  );

  test('out of range, and of a fixed base', () => {
    expect(parseGoInt('9223372036854775808', 0).reason).toMatch(/value out of range$/);
    expect(parseGoInt('-9223372036854775809', 10).reason).toMatch(/value out of range$/);
    expect(parseGoInt('7fffffffffffffff', 16)).toEqual({ value: 2n ** 63n - 1n });
    expect(parseGoInt('010', 10)).toEqual({ value: 10n });
    expect(parseGoInt('0x1', 16).reason).toMatch(/invalid syntax$/);
    expect(clampedNumber(2n ** 63n - 1n)).toBe(2 ** 53);
    expect(clampedNumber(-(2n ** 63n))).toBe(-(2 ** 53));
    expect(goHex16(0x1234n)).toBe('0000000000001234');
    expect(goHex16(-1n)).toBe('-000000000000001');
  });

  test('truth values', () => {
    expect(parseGoBool('T')).toEqual({ value: true });
    expect(parseGoBool('False')).toEqual({ value: false });
    expect(parseGoBool('yes').reason).toBe('strconv.ParseBool: parsing "yes": invalid syntax');
  });

  test.each([
    ['5s', 5_000],
    ['1m30s', 90_000],
    ['1.5h', 5_400_000],
    ['-2ms', -2],
    ['100us', 0.1],
    ['1µs', 0.001],
    ['0', 0],
  ])('the duration %s', (text, ms) => {
    expect(parseGoDuration(text)).toEqual({ value: ms });
  });

  test.each([
    ['5', 'time: missing unit in duration "5"'],
    ['5x', 'time: unknown unit "x" in duration "5x"'],
    ['xs', 'time: invalid duration "xs"'],
    ['', 'time: invalid duration ""'],
    ['-', 'time: invalid duration "-"'],
    ['.s', 'time: invalid duration ".s"'],
    ['10000000000s', 'time: invalid duration "10000000000s"'],
  ])('%j is no duration', (text, reason) => {
    expect(parseGoDuration(text)).toEqual({ reason });
  });
});

describe('words', () => {
  test('a line is cut into words', () => {
    expect(argify('put "a b" \'c "d"\' e\\f "\\xff"')).toEqual([
      'put',
      'a b',
      'c "d"',
      'e\\f',
      '\xff',
    ]);
    expect(argify('   ')).toEqual([]);
    expect(() => argify('"\\q"')).toThrow(expect.objectContaining({ code: 3 }));
  });
});

describe('JSON', () => {
  test('is written as Go writes it', () => {
    expect(
      goJson({
        id: 18446744073709551615n,
        text: '<a>&"\u2028\n',
        bytes: Uint8Array.of(255, 0),
        none: null,
        left: undefined,
        list: [1, true],
      }),
    ).toBe(
      '{"id":18446744073709551615,"text":"\\u003ca\\u003e\\u0026\\"\\u2028\\n","bytes":"/wA=","none":null,"list":[1,true]}',
    );
  });

  test('of a message leaves zero values out', () => {
    const { RangeResponseCodec } = etcdserverpb;
    const message = RangeResponseCodec.create({
      header: etcdserverpb.ResponseHeaderCodec.create({ clusterId: 5n, revision: 2 }),
      count: 3,
    });
    expect(goJson(jsonOfMessage(RangeResponseCodec.descriptor, message))).toBe(
      '{"header":{"cluster_id":5,"revision":2},"count":3}',
    );
  });
});
