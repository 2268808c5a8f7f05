import { expect, test } from 'vitest';
import { HiddenLine } from './hidden-line.ts';

test.each([
  ['secret\r', 'secret', ''],
  ['secret\n', 'secret', ''],
  ['one\rtwo\r', 'one', 'two\r'],
  ['sex\x7fcret\b\bet\r', 'secret', ''],
  ['\x7f\x7fa\r', 'a', ''],
  ['wrong\x15right\r', 'right', ''],
  ['two words  \x17\x17one\r', 'one', ''],
  ['ü☃\x7f😀\x7f\r', 'ü', ''],
  ['half\x04', 'half', ''],
  ['\x04', '', ''],
  ['\r', '', ''],
])('%j', (typed, text, rest) => {
  const line = new HiddenLine();
  expect(line.type(typed)).toBe(rest);
  expect(line).toMatchObject({ text, ending: 'entered' });
});

test('a line goes on until it is entered or interrupted', () => {
  const line = new HiddenLine();
  expect(line.type('sec')).toBe('');
  expect(line.ending).toBeUndefined();
  expect(line.type('ret\x03more')).toBe('more');
  expect(line.ending).toBe('interrupted');
});
