import { describe, expect, test } from 'vitest';
import { bytesFromLatin1, hasCode } from '../base/index.ts';
import { AuthRig, READ, READWRITE, Rows, WRITE } from './auth-state.fixture.ts';
import type { AuthBucket } from './rows.ts';

test('are byte for byte as documented', () => {
  const rig = new AuthRig();
  rig.addUser('root', '$2a');
  rig.addUser('cert', '', true);
  rig.addRole('r');
  rig.grant('r', READWRITE, 'k', '\0');
  rig.grant('r', READ, 'a');
  rig.grant('r', WRITE, 'b', 'c');
  rig.grantRole('root', 'root');
  rig.grantRole('root', 'r');
  rig.enable();
  expect(rig.rows.print()).toEqual([
    'auth/authEnabled: 01',
    'auth/authRevision: 0000000000000009',
    // name, permissions: type, key, end. READ, as 0, is left out.
    'authRoles/r: 0a0172' +
      '1203120161' +
      '1208080112016' +
      '21a0163' +
      '120808021201' +
      '6b1a0100',
    // name, options with no_password.
    'authUsers/cert: 0a0463657274' + '22020801',
    // name, password, two roles, options that say nothing.
    'authUsers/root: 0a04726f6f74' + '1203243261' + '1a0172' + '1a04726f6f74' + '2200',
  ]);
});

test('of a user that 3.3 wrote stay without options', () => {
  const rows = new Rows();
  const alice = bytesFromLatin1('\n\x05alice\x12\x01x');
  rows.apply([{ bucket: 'authUsers', key: 'alice', value: alice }]);
  const state = rows.restored();
  expect(state.user('alice')?.options).toBeUndefined();
  rows.apply(state.grantRole({ user: 'alice', role: 'root' }));
  expect(rows.print()).toContain('authUsers/alice: 0a05616c6963651201781a04726f6f74');
});

test('with names that are no text are kept apart', () => {
  const rows = new Rows();
  for (const name of ['\xff', '\xfe']) {
    const value = bytesFromLatin1(`\n\x01${name}`);
    rows.apply([{ bucket: 'authUsers', key: name, value }]);
    rows.apply([{ bucket: 'authRoles', key: name, value }]);
  }
  const state = rows.restored();
  expect(state.userNames()).toEqual(['\ufffd', '\ufffd']);
  // As etcd lists them: what begins with the last byte is left out.
  expect(state.roleNames()).toEqual(['\ufffd']);
  expect(() => state.rolesOf('\ufffd')).toThrow('user name not found');
});

describe('are refused, with their place', () => {
  test.each<[string, AuthBucket, string, string, string]>([
    ['a lock that is damaged', 'auth', 'authEnabled', '\x02', 'CORRUPT'],
    ['a lock that is gone', 'auth', 'authEnabled', '', 'CORRUPT'],
    ['a short revision', 'auth', 'authRevision', '\0\0\0\x01', 'CORRUPT'],
    ['a huge revision', 'auth', 'authRevision', '\xff'.repeat(8), 'NUMBER_TOO_LARGE'],
    ['a row of unknown meaning', 'auth', 'authNovelty', '\x01', 'UNSUPPORTED'],
    ['a user that is none', 'authUsers', 'a', '\n\x09', 'MALFORMED'],
    ['a user under another key', 'authUsers', 'a', '\n\x01b', 'CORRUPT'],
    ['a user without a name', 'authUsers', 'a', '', 'CORRUPT'],
    ['a user with a role that is no text', 'authUsers', 'a', '\n\x01a\x1a\x01\xff', 'MALFORMED'],
    ['a role that is none', 'authRoles', 'a', '\n\x01a\x12\x05\n', 'MALFORMED'],
    ['a role under another key', 'authRoles', 'a', '\n\x01b', 'CORRUPT'],
  ])('%s', (_, bucket, key, value, code) => {
    const rows = new Rows();
    rows.apply([{ bucket, key, value: bytesFromLatin1(value) }]);
    let thrown: unknown;
    try {
      rows.restored();
    } catch (error) {
      thrown = error;
    }
    expect(hasCode(thrown, code as never), String(thrown)).toBe(true);
    expect(String(thrown)).toContain(`${bucket}, "${key}": `);
  });

  test('but not a role of a user that is U+FFFD', () => {
    const rows = new Rows();
    const value = bytesFromLatin1('\n\x01a\x1a\x03\xef\xbf\xbd');
    rows.apply([{ bucket: 'authUsers', key: 'a', value }]);
    expect(rows.restored().rolesOf('a')).toEqual(['\ufffd']);
  });
});
