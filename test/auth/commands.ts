// What an administrator and users type at etcdctl, from the first user to the end of authentication.

/** `user` is put before as `--user`; without it nobody asks. */
export interface Step {
  readonly user?: string;
  readonly args: string;
}

const by = (user: string, ...commands: readonly string[]): Step[] =>
  commands.map((args) => ({ user, args }));
const nobody = (...commands: readonly string[]): Step[] => commands.map((args) => ({ args }));
const root = (...commands: readonly string[]): Step[] => by('root:root', ...commands);
const alice = (...commands: readonly string[]): Step[] => by('alice:a', ...commands);

export const STEPS: readonly Step[] = [
  ...nobody('user add root:root', 'user add root:again', 'role add r', 'role add r'),
  ...nobody('auth enable', 'auth disable'),
  ...root('auth disable', 'user grant-role root root', 'auth enable'),
  ...nobody(
    'put a 1',
    'get a',
    'user list',
    'auth enable',
    'auth disable',
    'member list -w simple',
  ),
  ...by('root:bad', 'put a 1'),
  ...by('nobody:bad', 'put a 1'),
  ...root('put a 1', 'get a', 'user add alice:a', 'user add bob --no-password', 'user list'),
  ...root('role grant-permission r readwrite k --prefix', 'role grant-permission r read a b'),
  ...root('role grant-permission r read z a', 'role grant-permission none read a', 'role get r'),
  ...root('user grant-role alice r', 'user grant-role alice none', 'user grant-role x r'),
  ...root(
    'user get alice',
    'user get bob',
    'user get x',
    'role list',
    'role get x',
    'role get root',
  ),
  ...alice(
    'put k1 v',
    'get k1',
    'get k --prefix',
    'get a',
    'put a 1',
    'get a c',
    'get z',
    'del k1',
  ),
  ...alice(
    'del a',
    'del k --prefix --prev-kv',
    'compact 3',
    'defrag',
    'alarm list',
    'alarm disarm',
  ),
  ...alice(
    'user list',
    'user get alice',
    'user get root',
    'role get r',
    'role get root',
    'role list',
  ),
  ...alice(
    'member list -w simple',
    'move-leader 1',
    'lease list',
    'user passwd alice',
    'get k -w json',
  ),
  ...by('bob:x', 'get k'),
  ...root('role revoke-permission r a b', 'role revoke-permission r a b', 'role get r'),
  ...alice('get a'),
  ...root('user revoke-role alice r', 'user revoke-role alice r', 'user get alice'),
  ...alice('get k1'),
  ...root('user delete root', 'role delete root', 'user revoke-role root root', 'role delete r'),
  ...root('role delete r', 'user delete alice', 'user delete alice'),
  ...alice('get k1'),
  ...root('auth status', 'auth disable', 'auth disable'),
  ...nobody('auth status', 'get a', 'user list', 'role list'),
];
