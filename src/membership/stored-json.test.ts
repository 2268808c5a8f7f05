import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Fields, parseStoredJson, type StoredJson, writeString } from './stored-json.ts';

test('strings are escaped as etcd escapes them', () => {
  const separators = String.fromCharCode(0x2028, 0x2029);
  expect(writeString('a<b>&c')).toBe('"a\\u003cb\\u003e\\u0026c"');
  expect(writeString(`"\\\n\r\t\u0001\u007f${separators}`)).toBe(
    '"\\"\\\\\\n\\r\\t\\u0001\u007f\\u2028\\u2029"',
  );
  expect(writeString('é😀')).toBe('"é😀"');
  expect(writeString('\ud800x')).toBe('"\\ufffdx"');
});

test('every text written is read back, by us and by others', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const written = writeString(text);
      const wellFormed = Buffer.from(text).toString();
      expect(JSON.parse(written)).toBe(wellFormed);
      expect(parseStoredJson(written, 'x')).toBe(wellFormed);
    }),
  );
});

/** What the runtime's own JSON makes of a value without integers above 2^53. */
function plain(value: StoredJson): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map(plain);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
}

test('reads what the runtime reads, whatever the white space', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), fc.constantFrom(0, 1, '\t'), (value, indent) => {
      const text = JSON.stringify(value, null, indent);
      expect(plain(parseStoredJson(text, 'x'))).toEqual(JSON.parse(text));
    }),
  );
});

test('refuses what the runtime refuses, at every cut and with every byte changed', () => {
  const text = '{"id":123,"urls":["a\\u00e9",null,true],"o":{"x":-1.5e3,"y":{}}}';
  const accepts = (candidate: string, read: (text: string) => unknown): boolean => {
    try {
      read(candidate);
      return true;
    } catch {
      return false;
    }
  };
  for (let at = 0; at < text.length; at++) {
    const candidates = [text.slice(0, at)];
    for (const other of ['"', '}', ',', '0', ' ', '\u0000', '\\']) {
      candidates.push(text.slice(0, at) + other + text.slice(at + 1));
    }
    for (const candidate of candidates) {
      const theirs = accepts(candidate, JSON.parse);
      expect(accepts(candidate, (each) => parseStoredJson(each, 'x'))).toBe(theirs);
    }
  }
});

test('integers keep every digit', () => {
  const object = new Fields(
    parseStoredJson('{"id":18446744073709551615,"n":9007199254740993}', 'x'),
    'x',
  );
  expect(object.uint64('id')).toBe(2n ** 64n - 1n);
  expect(() => object.count('n')).toThrow('x: JSON: n is 9007199254740993');
});

test.each([
  ['{"a":1,"a":2}', 'key "a" given twice'],
  ['{"__proto__":{"a":1}}x', 'more text than one value'],
  [`${'['.repeat(100)}${']'.repeat(100)}`, 'nested too deeply'],
  ['[1,]', 'expected a value'],
  ['{1:2}', 'expected a string'],
  ['"a', 'broken string'],
  ['"\\x"', 'broken string'],
  ['{"a" 2}', 'expected ":"'],
  ['[1 2]', 'expected "," or "]"'],
  ['{"a":1 "b":2}', 'expected "," or "}"'],
  ['01', 'more text than one value'],
])('refuses %s', (text, reason) => {
  expect(() => parseStoredJson(text, 'the row')).toThrow(`the row: JSON: ${reason}`);
});

test('fields are read by type; missing and null are empty; unknown ones are refused', () => {
  const fields = (text: string) => new Fields(parseStoredJson(text, 'x'), 'x');
  const empty = fields('{"s":null}');
  expect([empty.string('s'), empty.boolean('b'), empty.strings('l'), empty.uint64('u')]).toEqual([
    '',
    false,
    [],
    0n,
  ]);
  empty.onlyThese();
  for (const read of [
    (f: Fields) => f.string('v'),
    (f: Fields) => f.boolean('v'),
    (f: Fields) => f.strings('v'),
    (f: Fields) => f.uint64('v'),
    (f: Fields) => f.object('v'),
  ]) {
    expect(() => read(fields('{"v":-1}'))).toThrow('x');
  }
  expect(() => fields('{"v":["a",1]}').strings('v')).toThrow('array of strings');
  expect(() => fields('{"new":1}').onlyThese()).toThrow('"new" is not known to this release');
  expect(() => new Fields([], 'x')).toThrow('expected an object');
});
