import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesFromUtf8, goQuote, goUnquote, latin1FromBytes, takeGoString } from './index.ts';

test.each([
  ['', '""'],
  ['foo "bar" \\', '"foo \\"bar\\" \\\\"'],
  ['\x07\b\f\n\r\t\v', '"\\a\\b\\f\\n\\r\\t\\v"'],
  ['\0\x1f\x7f', '"\\x00\\x1f\\x7f"'],
  ['käse 世界 😀', '"käse 世界 😀"'],
  ['\u00a0\u200b\ufeff', '"\\u00a0\\u200b\\ufeff"'],
  ['\ufffd', '"\ufffd"'],
  ['\u{e0001}', '"\\U000e0001"'],
])('quotes %j', (text, expected) => {
  expect(goQuote(bytesFromUtf8(text))).toBe(expected);
});

test.each([
  [[0xff, 0x61], '"\\xffa"'],
  [[0xc3], '"\\xc3"'],
  [[0xc0, 0x80], '"\\xc0\\x80"'],
  [[0xe4, 0xb8], '"\\xe4\\xb8"'],
  [[0xed, 0xa0, 0x80], '"\\xed\\xa0\\x80"'],
  [[0xf5, 0x80, 0x80, 0x80], '"\\xf5\\x80\\x80\\x80"'],
])('quotes bytes that are no text: %j', (bytes, expected) => {
  expect(goQuote(new Uint8Array(bytes))).toBe(expected);
});

describe('quoted text', () => {
  test.each([
    ['plain', '"plain"'],
    ['a"b\\c', '"a\\"b\\\\c"'],
    ['\t\n\x07\x00\x7f', '"\\t\\n\\a\\x00\\x7f"'],
    ['é☃😀', '"é☃😀"'],
    ['\u200b\u00a0\u{e0001}', '"\\u200b\\u00a0\\U000e0001"'],
  ])('%j is printed as %s', (text, quoted) => {
    expect(goQuote(text)).toBe(quoted);
  });

  test('bytes that are no UTF-8 are printed one by one', () => {
    const bytes = Buffer.from([0x61, 0xff, 0xc3, 0xa9, 0xe2, 0x98, 0xed, 0xa0, 0x80]);
    expect(goQuote(bytes)).toBe('"a\\xffé\\xe2\\x98\\xed\\xa0\\x80"');
  });

  test('what was printed is read back', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const quoted = latin1FromBytes(Buffer.from(goQuote(bytes)));
        expect(takeGoString(`${quoted} rest`)).toEqual({
          word: latin1FromBytes(bytes),
          rest: ' rest',
        });
      }),
    );
  });

  test('escapes of every kind', () => {
    expect(goUnquote('\\x41\\101\\u00e9\\U0001F600\\v')).toBe(
      latin1FromBytes(Buffer.from('AAé😀\v')),
    );
    for (const bad of ['\\', '\\q', '\\x4', '\\400', '\\ud800', '\\U00110000', 'a"b', 'a\nb']) {
      expect(goUnquote(bad)).toBeUndefined();
    }
    expect(takeGoString('`raw \\n`x')).toEqual({ word: 'raw \\n', rest: 'x' });
    expect(takeGoString('"open')).toBeUndefined();
    expect(takeGoString('bare')).toBeUndefined();
  });
});
