import { describe, expect, test } from 'vitest';
import { bytesFromLatin1 } from '../base/index.ts';
import {
  AuthRig,
  noHash,
  permissionOf,
  READ,
  READWRITE,
  utf8,
  WRITE,
} from './auth-state.fixture.ts';

/** How much the revision grows. */
function growth(rig: AuthRig, act: () => unknown): number {
  const before = rig.state.revision;
  act();
  return rig.state.revision - before;
}

describe('the revision', () => {
  test('begins at 1, and a database that has one keeps it', () => {
    const rig = new AuthRig();
    expect(rig.state.revision).toBe(1);
    expect(rig.rows.print()).toEqual(['auth/authRevision: 0000000000000001']);
    expect(rig.state.begin()).toEqual([]);
    rig.addUser('a');
    expect(rig.rows.restored().begin()).toEqual([]);
    expect(rig.rows.restored().revision).toBe(2);
  });

  test('grows by one with each change, and with nothing else', () => {
    const rig = new AuthRig();
    const steps: [number, () => unknown][] = [
      [0, () => rig.disable()],
      [1, () => rig.addUser('root')],
      [0, () => rig.addUser('root')],
      [0, () => rig.enable()],
      [1, () => rig.grantRole('root', 'root')],
      [0, () => rig.grantRole('root', 'root')],
      [1, () => rig.addRole('r')],
      [0, () => rig.addRole('r')],
      [1, () => rig.grant('r', READ, 'a')],
      [1, () => rig.grant('r', READ, 'a')],
      [1, () => rig.grantRole('root', 'r')],
      [1, () => rig.changePassword('root', 'y')],
      [0, () => rig.enable()],
      [0, () => rig.enable()],
      [0, () => rig.deleteUser('root')],
      [1, () => rig.revoke('r', 'a')],
      [0, () => rig.revoke('r', 'a')],
      [1, () => rig.revokeRole('root', 'r')],
      [0, () => rig.revokeRole('root', 'r')],
      [1, () => rig.deleteRole('r')],
      [0, () => rig.deleteRole('r')],
      [1, () => rig.disable()],
      [0, () => rig.disable()],
      [1, () => rig.deleteUser('root')],
    ];
    for (const [expected, act] of steps) expect(growth(rig, act), String(act)).toBe(expected);
  });
});

describe('turning authentication on', () => {
  test('needs the user root with the role root, which need not exist', () => {
    const rig = new AuthRig();
    expect(rig.enable()).toBe('ROOT_USER_NOT_EXIST');
    rig.addUser('root');
    expect(rig.enable()).toBe('ROOT_ROLE_NOT_EXIST');
    rig.addRole('rooter');
    rig.grantRole('root', 'rooter');
    expect(rig.enable()).toBe('ROOT_ROLE_NOT_EXIST');
    expect(rig.rows.print().join()).not.toContain('authEnabled');
    expect(rig.grantRole('root', 'root')).toBeUndefined();
    expect(rig.enable()).toBeUndefined();
    expect(rig.state.enabled).toBe(true);
    expect(rig.rows.print()).toContain('auth/authEnabled: 01');
    expect(rig.rows.restored().enabled).toBe(true);
    rig.disable();
    expect(rig.rows.print()).toContain('auth/authEnabled: 00');
    expect(rig.rows.restored().enabled).toBe(false);
  });

  test('keeps root from being lost', () => {
    const rig = new AuthRig().secure();
    rig.addRole('root');
    expect(rig.deleteUser('root')).toBe('INVALID_AUTH_MGMT');
    expect(rig.revokeRole('root', 'root')).toBe('INVALID_AUTH_MGMT');
    expect(rig.deleteRole('root')).toBe('INVALID_AUTH_MGMT');
    rig.disable();
    expect(rig.deleteRole('root')).toBeUndefined();
    expect(rig.enable()).toBe('ROOT_ROLE_NOT_EXIST');
    expect(rig.deleteUser('root')).toBeUndefined();
  });
});

describe('users', () => {
  test('are added once, under a name', () => {
    const rig = new AuthRig();
    expect(rig.addUser('')).toBe('USER_EMPTY');
    expect(rig.addUser('a')).toBeUndefined();
    expect(rig.addUser('a')).toBe('USER_ALREADY_EXIST');
    expect(rig.deleteUser('b')).toBe('USER_NOT_FOUND');
    expect(rig.changePassword('b', 'x')).toBe('USER_NOT_FOUND');
    expect(rig.grantRole('b', 'root')).toBe('USER_NOT_FOUND');
    expect(rig.revokeRole('b', 'root')).toBe('USER_NOT_FOUND');
    expect(() => rig.state.rolesOf('b')).toThrow('user name not found');
    expect(rig.deleteUser('a')).toBeUndefined();
    expect(rig.deleteUser('a')).toBe('USER_NOT_FOUND');
    expect(rig.state.userNames()).toEqual([]);
  });

  test('get roles that exist, listed in byte order', () => {
    const rig = new AuthRig();
    rig.addUser('a');
    expect(rig.grantRole('a', 'r')).toBe('ROLE_NOT_FOUND');
    // By UTF-16 the last two would come the other way round.
    for (const role of ['r', 'R', '\u{10000}', '\uffee', 'a']) {
      rig.addRole(role);
      expect(rig.grantRole('a', role)).toBeUndefined();
    }
    expect(rig.grantRole('a', 'root')).toBeUndefined();
    const sorted = ['R', 'a', 'r', 'root', '\uffee', '\u{10000}'];
    expect(rig.state.rolesOf('a')).toEqual(sorted);
    expect(rig.state.roleNames()).toEqual(sorted.filter((role) => role !== 'root'));
    expect(rig.revokeRole('a', 'r')).toBeUndefined();
    expect(rig.revokeRole('a', 'r')).toBe('ROLE_NOT_GRANTED');
    expect(rig.deleteRole('\uffee')).toBeUndefined();
    expect(rig.state.rolesOf('a')).toEqual(['R', 'a', 'root', '\u{10000}']);
    expect(rig.rows.restored().rolesOf('a')).toEqual(['R', 'a', 'root', '\u{10000}']);
  });

  test('keep the hash that the log has', () => {
    const rig = new AuthRig();
    const hash = (name: string) =>
      Buffer.from(rig.state.user(name)?.password ?? []).toString('latin1');
    rig.addUser('a', 'one');
    expect(hash('a')).toBe('one');
    rig.changePassword('a', 'two');
    expect(hash('a')).toBe('two');
    rig.addUser('none', 'one', true);
    expect(hash('none')).toBe('');
    expect(rig.changePassword('none', 'two')).toBeUndefined();
    expect(hash('none')).toBe('');
    // Line breaks are passed over, as Go does.
    const withBreaks = { name: 'a', password: 'plain', hashedPassword: 'dGhy\r\nZWU\n=' };
    rig.change((state) => state.changePassword(withBreaks, noHash));
    expect(hash('a')).toBe('three');
  });

  test.each(['!', 'YQ', 'YQ=', 'YQ===', 'Y Q=', 'YQ==YQ==', '_w==', '=', 'YWE=\0'])(
    'are refused a hash that is no base64: %j',
    (hashedPassword) => {
      const rig = new AuthRig();
      rig.addUser('old');
      const request = { name: 'a', password: '', options: undefined, hashedPassword };
      expect(rig.change((state) => state.addUser(request, noHash))).toBe('NO_PASSWORD_USER');
      const change = { name: 'old', password: '', hashedPassword };
      expect(rig.change((state) => state.changePassword(change, noHash))).toBe('NO_PASSWORD_USER');
      expect(rig.state.userNames()).toEqual(['old']);
    },
  );

  test('whose password a release up to 3.4 logged get it hashed, if there is one', () => {
    const rig = new AuthRig();
    const hash = (password: string) => bytesFromLatin1(`hash of ${password}`);
    const add = (name: string, password: string, noPassword = false) =>
      rig.change((state) =>
        state.addUser({ name, password, options: { noPassword }, hashedPassword: '' }, hash),
      );
    add('a', 'secret');
    add('b', '');
    add('c', 'secret', true);
    const stored = ['a', 'b', 'c'].map((name) => rig.state.user(name)!.password);
    expect(stored.map((bytes) => Buffer.from(bytes).toString())).toEqual([
      'hash of secret',
      '',
      '',
    ]);
  });
});

describe('roles', () => {
  test('are added once, under a name', () => {
    const rig = new AuthRig();
    expect(rig.addRole('')).toBe('ROLE_EMPTY');
    expect(rig.addRole('r')).toBeUndefined();
    expect(rig.addRole('r')).toBe('ROLE_ALREADY_EXIST');
    expect(rig.deleteRole('s')).toBe('ROLE_NOT_FOUND');
    expect(rig.grant('s', READ, 'a')).toBe('ROLE_NOT_FOUND');
    expect(rig.revoke('s', 'a')).toBe('ROLE_NOT_FOUND');
    expect(() => rig.state.permissionsOf('s')).toThrow('role name not found');
    expect(rig.revoke('r', 'a')).toBe('PERMISSION_NOT_GRANTED');
  });

  test('4da39e4b1: are given ranges that hold a key', () => {
    const rig = new AuthRig();
    rig.addRole('r');
    const refused: [string, string][] = [
      ['', ''],
      ['', '\0'],
      ['', 'a'],
      ['b', 'b'],
      ['b', 'a'],
      ['b\0', 'b'],
    ];
    for (const range of refused) expect(rig.grant('r', READ, ...range)).toBe('INVALID_AUTH_MGMT');
    // Whether the role exists is asked later.
    expect(rig.grant('s', READ, '')).toBe('INVALID_AUTH_MGMT');
    const none = { name: 'r', perm: undefined };
    expect(rig.change((state) => state.grantPermission(none))).toBe('PERMISSION_NOT_GIVEN');
    const taken: [string, string][] = [
      ['b', ''],
      ['b', '\0'],
      ['\0', '\0'],
      ['b', 'c'],
      ['b', 'b\0'],
      ['\xff', '\0'],
    ];
    for (const range of taken) expect(rig.grant('r', READ, ...range)).toBeUndefined();
  });

  test('list permissions by key; one of the same range takes the place of the first of its key', () => {
    const rig = new AuthRig();
    rig.addRole('r');
    const list = () =>
      rig.state
        .permissionsOf('r')
        .map(({ permType, key, rangeEnd }) =>
          `${permType} ${Buffer.from(key)} ${Buffer.from(rangeEnd)}`.trim(),
        );
    rig.grant('r', READ, 'b');
    rig.grant('r', READ, 'a', 'c');
    rig.grant('r', WRITE, 'b');
    expect(list()).toEqual(['0 a c', '1 b']);
    rig.grant('r', WRITE, 'b', 'd');
    rig.grant('r', READWRITE, 'b');
    expect(list()).toEqual(['0 a c', '2 b', '1 b d']);
    // It is not the first of its key: etcd adds another one, and so both count.
    rig.grant('r', READ, 'b', 'd');
    expect(list()).toEqual(['0 a c', '2 b', '1 b d', '0 b d']);
    rig.revoke('r', 'b', 'd');
    expect(list()).toEqual(['0 a c', '2 b']);
    // Of a kind that nobody knows: kept, and good for nothing.
    rig.grant('r', 7, 'z');
    expect(list()).toContain('7 z');
    rig.secure().addUser('u');
    rig.grantRole('u', 'r');
    expect(rig.may('u', 'z')).toBe('');
  });

  test('of the name root permits everything, whatever was granted to it', () => {
    const rig = new AuthRig();
    expect(() => rig.state.permissionsOf('root')).toThrow('role name not found');
    rig.addRole('root');
    rig.grant('root', READ, 'a');
    expect(rig.state.permissionsOf('root')).toEqual([permissionOf(READWRITE, '', '\0')]);
    rig.secure().addUser('u');
    rig.grantRole('u', 'root');
    expect(rig.may('u', 'z')).toBe('rw');
  });
});

describe('names', () => {
  test.each([
    '__proto__',
    'constructor',
    'toString',
    '\0',
    'a\0b',
    ' ',
    'ü',
    '\u{1f600}',
    '\ufffd',
  ])('%j is a name like others', (name) => {
    const rig = new AuthRig().secure();
    expect(rig.state.accessOf(rig.as(name)).readRefusal('a', '')).toBe('PERMISSION_DENIED');
    expect(rig.state.adminRefusal(rig.as(name))).toBe('USER_NOT_FOUND');
    expect(rig.addUser(name)).toBeUndefined();
    expect(rig.addUser(name)).toBe('USER_ALREADY_EXIST');
    expect(rig.addRole(name)).toBeUndefined();
    expect(rig.grantRole(name, name)).toBeUndefined();
    expect(rig.grant(name, READ, 'a')).toBeUndefined();
    expect(rig.may(name, 'a')).toBe('r');
    const again = rig.rows.restored();
    expect(again.userNames()).toEqual([name, 'root'].sort((a, b) => (utf8(a) < utf8(b) ? -1 : 1)));
    expect(again.rolesOf(name)).toEqual([name]);
    expect(again.accessOf(rig.as(name)).readRefusal('a', '')).toBeUndefined();
  });
});

describe('who may do what', () => {
  const rig = new AuthRig();
  rig.addUser('reader');
  rig.addRole('readers');
  rig.grant('readers', READ, 'a', 'c');
  rig.grant('readers', READ, 'c', 'e');
  rig.grantRole('reader', 'readers');
  const open = rig.rows.restored();
  rig.secure();
  const { state } = rig;
  const now = state.revision;

  test.each([
    ['nobody', undefined, 'USER_EMPTY', 'USER_EMPTY'],
    ['no revision', { username: 'root', authRevision: 0 }, 'USER_EMPTY', undefined],
    ['no name', { username: '', authRevision: now }, 'PERMISSION_DENIED', 'USER_EMPTY'],
    ['a stranger', { username: 'x', authRevision: now }, 'PERMISSION_DENIED', 'USER_NOT_FOUND'],
    ['a user', { username: 'reader', authRevision: now }, 'PERMISSION_DENIED', 'PERMISSION_DENIED'],
    [
      'an old user',
      { username: 'reader', authRevision: now - 1 },
      'AUTH_OLD_REVISION',
      'PERMISSION_DENIED',
    ],
    ['an old root', { username: 'root', authRevision: now - 1 }, 'AUTH_OLD_REVISION', undefined],
    ['root', { username: 'root', authRevision: now }, undefined, undefined],
    ['root of later', { username: 'root', authRevision: now + 5 }, undefined, undefined],
  ] as const)('%s', (_, info, toWrite, toAdminister) => {
    const access = state.accessOf(info);
    expect(access.writeRefusal('a', '')).toBe(toWrite);
    expect(access.isUnlimited).toBe(toWrite === undefined);
    expect(state.adminRefusal(info)).toBe(toAdminister);
    // While authentication is off, everybody may.
    expect(open.accessOf(info).isUnlimited).toBe(true);
    expect(open.adminRefusal(info)).toBeUndefined();
    expect(open.userGetRefusal(info, 'root')).toBeUndefined();
    expect(open.roleGetRefusal(info, 'readers')).toBeUndefined();
  });

  test('a user may be told of itself and of its roles', () => {
    const reader = rig.as('reader');
    expect(state.userGetRefusal(reader, 'reader')).toBeUndefined();
    expect(state.userGetRefusal(reader, 'root')).toBe('PERMISSION_DENIED');
    expect(state.roleGetRefusal(reader, 'readers')).toBeUndefined();
    expect(state.roleGetRefusal(reader, 'root')).toBe('PERMISSION_DENIED');
    expect(state.userGetRefusal(undefined, 'root')).toBe('USER_EMPTY');
    expect(state.userGetRefusal(undefined, '')).toBeUndefined();
    expect(state.roleGetRefusal(undefined, 'readers')).toBe('USER_EMPTY');
    expect(state.roleGetRefusal(rig.as('x'), 'readers')).toBe('USER_NOT_FOUND');
    expect(state.userGetRefusal(rig.as('root'), 'reader')).toBeUndefined();
    expect(state.roleGetRefusal(rig.as('root'), 'readers')).toBeUndefined();
  });

  // Exactly as a request has them.
  test.each([
    ['a', '', 'r'],
    ['d', '', 'r'],
    ['e', '', ''],
    ['', '', ''],
    ['', '\0', ''],
    ['\0', '\0', ''],
    ['a', '\0', ''],
    ['a', 'e', 'r'],
    ['a', 'e\0', ''],
    ['b\xff', 'c\0', 'r'],
    ['`', 'b', ''],
    ['a\0', 'a\0\0', 'r'],
    ['d', 'd', 'r'],
    ['e', 'e', ''],
    // Its walk turns back at the first range; see permission-tree.ts.
    ['d', 'a', ''],
    ['b', 'a', 'r'],
  ])('a range is permitted as a whole: %j to %j', (key, end, expected) => {
    expect(rig.may('reader', key, end)).toBe(expected);
  });

  test('a change counts from the next request on', () => {
    const later = new AuthRig().secure();
    later.addUser('u');
    later.addRole('r');
    later.grant('r', READ, 'a');
    expect(later.may('u', 'a')).toBe('');
    later.grantRole('u', 'r');
    expect(later.may('u', 'a')).toBe('r');
    later.grant('r', READWRITE, 'a', '\0');
    expect(later.may('u', 'b', '\0')).toBe('rw');
    later.revoke('r', 'a', '\0');
    expect(later.may('u', 'a')).toBe('r');
    later.revokeRole('u', 'r');
    expect(later.may('u', 'a')).toBe('');
    later.grantRole('u', 'r');
    later.deleteRole('r');
    expect(later.may('u', 'a')).toBe('');
    later.grantRole('u', 'root');
    expect(later.may('u', 'a')).toBe('rw');
    const before = later.as('u');
    later.deleteUser('u');
    expect(later.state.accessOf(before).readRefusal('a', '')).toBe('AUTH_OLD_REVISION');
    expect(later.may('u', 'a')).toBe('');
    later.disable();
    expect(later.may('u', 'a')).toBe('rw');
  });
});
