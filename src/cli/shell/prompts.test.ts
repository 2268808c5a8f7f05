import { describe, expect, test } from 'vitest';
import { MemoryIo } from './memory-io.fixture.ts';
import { askNewPassword, askPassword, readPassword } from './prompts.ts';

test('a password is asked for, and blanks around it are none of it', async () => {
  const io = new MemoryIo({ input: ' \u0085 pass word \t\r\nthe rest' });
  expect(await askPassword(io, 'Password: ')).toBe('pass word');
  expect(io.outText).toBe('Password: \n');
  expect(Buffer.from(await io.readAll()).toString()).toBe('the rest');
});

describe('a new password', () => {
  test('is asked for twice', async () => {
    const io = new MemoryIo({ input: 'x\nx' });
    expect(await askNewPassword(io, 'u')).toBe('x');
    expect(io.outText).toBe('Password of u: \nType password of u again for confirmation: \n');
  });

  test.each([
    ['', 'empty password'],
    ['\nx\n', 'empty password'],
    ['x\n', 'given passwords are different'],
    ['x\ny\n', 'given passwords are different'],
  ])('after %j is none: %s', async (input, text) => {
    const asked = askNewPassword(new MemoryIo({ input }), 'u');
    await expect(asked).rejects.toMatchObject({ code: 128, message: text });
  });
});

test.each([
  ['x y\n', 'x'],
  ['  x', 'x'],
  ['x\r\n', 'x'],
  ['\nx\n', ''],
  ['', ''],
])('without a prompt, %j is %j', async (input, password) => {
  expect(await readPassword(new MemoryIo({ input }))).toBe(password);
});
