// Command lines about certificates, users and roles, each given to tetcdctl and to a real etcdctl on a
// member of its own that serves TLS.

import type { Like } from './steps.ts';

/**
 * In words, `{ep}` is the member's `host:port`, `{port}` its port, `{url}` its URL, `{name}` a file of
 * the test. Without `--endpoints` the URL is the endpoint, and without `--cacert` `{ca}` is given.
 */
export interface AuthStep {
  readonly args: readonly string[];
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Releases whose etcdctl does the same. Without it: all. */
  readonly like?: readonly Like[];
  /** No authority is given. */
  readonly bare?: boolean;
}

const NEW: readonly Like[] = ['3.7'];

/** `''` is the empty word, `_` in a word a space; a line that begins with `!` is bare. */
function steps(like: readonly Like[] | undefined, text: string): AuthStep[] {
  const lines = text.split('\n').map((line) => line.trim());
  return lines
    .filter((line) => line !== '')
    .map((line) => {
      const bare = line.startsWith('!');
      const words = (bare ? line.slice(1) : line).split(' ');
      const args = words.map((word) => (word === "''" ? '' : word.replaceAll('_', ' ')));
      return { args, bare, ...(like === undefined ? {} : { like }) };
    });
}

const CERTIFICATES: readonly AuthStep[] = [
  ...steps(
    undefined,
    `put a 1
    get a
    --endpoints={ep} get a
    --endpoints=https://localhost:{port} get a
    --endpoints={url},{url} get a
    member list
    endpoint health -w json
    endpoint health --cluster -w json
    endpoint status --cluster -w json
    !get a --command-timeout 300ms
    !--endpoints={ep} get a --command-timeout 300ms
    !--endpoints={ep} --insecure-transport=false get a --command-timeout 300ms
    --endpoints={ep} --insecure-transport=false get a
    --endpoints=http://{ep} get a --command-timeout 300ms
    !--cacert={other-ca} get a --command-timeout 300ms
    !--cacert={other-ca} endpoint health --command-timeout 300ms
    !--cacert={other-ca} endpoint status --command-timeout 300ms
    !--cacert={other-ca} endpoint hashkv --command-timeout 300ms
    !--cacert={other-ca} put a 2 --command-timeout 300ms
    !--cacert={none} get a
    !--cacert={directory} get a
    !--cacert= get a
    --cert= get a
    --key= get a
    --cert={client.cert} get a
    --key={client.key} get a
    --cert={none} --key={client.key} get a
    --cert={client.cert} --key={none} get a
    --cert={client.cert} --key={other.key} get a
    --cert={client.cert} --key={rsa.key} get a
    --cert={empty} --key={client.key} get a
    --cert={client.cert} --key={empty} get a
    --cert={client.key} --key={client.key} get a
    --cert={client.cert} --key={client.cert} get a
    --cert={client.cert} --key={client.key} get a
    !--endpoints=http://{ep} --cert={none} --key={none} get a
    -w bogus --cert={none} get a
    -w bogus --cert= get a`,
  ),
  { args: ['get', 'a'], env: { ETCDCTL_CACERT: '{ca}' }, bare: true },
  {
    args: ['get', 'a', '-w', 'json'],
    env: { ETCDCTL_CACERT: '{ca}', ETCDCTL_CERT: '{client.cert}', ETCDCTL_KEY: '{client.key}' },
    bare: true,
  },
  // Alone, 3.5 takes it for nothing.
  ...steps(
    NEW,
    `!--insecure-skip-tls-verify get a
    !--endpoints={ep} --insecure-skip-tls-verify get a`,
  ),
  { args: ['get', 'a'], env: { ETCDCTL_INSECURE_SKIP_TLS_VERIFY: '1' }, bare: true, like: NEW },
  { args: ['get', 'a'], env: { ETCDCTL_CERT: '{client.cert}' } },
];

const USERS_AND_ROLES: readonly AuthStep[] = [
  ...steps(
    undefined,
    `auth enable now
    auth disable now
    auth status now
    auth status
    auth status -w json
    auth status -w protobuf
    auth status -w fields
    auth status -w table
    auth enable
    user add
    user add a b
    user add :x
    user add root:rootpw
    user add root:rootpw
    user add json:x -w json
    user add fields:x -w fields
    user add protobuf:x -w protobuf
    user add table:x -w table
    user add a:b:c
    user add nameless --no-password
    user add x:y --no-password
    user add z:z --new-user-password z
    user add '' --no-password
    user list
    user list x
    user list -w json
    user list -w protobuf
    user list -w fields
    user delete
    user delete json -w json
    user delete json
    user delete fields -w fields
    user delete protobuf -w protobuf
    user delete x:y
    user get
    user get nobody
    user get root
    user get root -w json
    user get root -w fields
    user get root --detail
    role add
    role add r1
    role add r1
    role add r2 -w json
    role add r3 -w fields
    role add ''
    role list
    role list x
    role list -w json
    role list -w fields
    role list -w protobuf
    role list -w table
    role delete
    role delete r3 -w fields
    role delete r3
    role get
    role get r3
    role get r1
    role get r1 -w json
    role grant-permission
    role grant-permission r1
    role grant-permission r1 read
    role grant-permission r1 execute a
    role grant-permission r1 read foo
    role grant-permission r1 READWRITE a/ --prefix
    role grant-permission r1 write b c
    role grant-permission r1 Write b d e
    role grant-permission r1 read z --from-key
    role grant-permission r1 read '' --prefix
    role grant-permission r1 read '' --from-key
    role grant-permission r1 read ''
    role grant-permission r1 read '' b
    role grant-permission r1 read a b --prefix
    role grant-permission r1 read a b --from-key
    role grant-permission r1 read a --prefix --from-key
    role grant-permission r1 read a b --prefix --from-key
    role grant-permission r1 read '' --prefix --from-key
    role grant-permission nobody read a
    role grant-permission r1 read foo -w json
    role get r1
    role get r1 -w json
    role get r1 -w fields
    role get r1 -w table
    role get r1 -w protobuf
    user grant-role
    user grant-role root
    user grant-role root nothing
    user grant-role nobody r1
    user grant-role root r1
    user grant-role root r1
    user grant-role a r2 -w json
    user grant-role a r1 -w fields
    user get root
    user get root --detail
    user get root --detail -w json
    user get root --detail -w fields
    user get a -w protobuf
    user revoke-role
    user revoke-role root nothing
    user revoke-role root r1
    user revoke-role root r1
    user revoke-role a r2 -w json
    role revoke-permission
    role revoke-permission r1
    role revoke-permission r1 foo
    role revoke-permission r1 foo
    role revoke-permission r1 b c
    role revoke-permission r1 a/ --prefix
    role revoke-permission r1 z --from-key
    role revoke-permission r1 '' --prefix
    role revoke-permission r1 ''
    role revoke-permission r1 a b --prefix
    role revoke-permission nobody a
    role get r1`,
  ),
  ...steps(
    NEW,
    `role add r4 -w protobuf
    role add r5 -w table
    role grant-permission r1 read k -w fields
    role grant-permission r1 read k -w protobuf
    role grant-permission r1 read k -w table
    role revoke-permission r1 k -w json
    role grant-permission r1 read k
    role revoke-permission r1 k -w fields
    role grant-permission r1 read k
    role revoke-permission r1 k -w protobuf
    role grant-permission r1 read k
    role revoke-permission r1 k -w table
    role delete r4 -w json
    role delete r5 -w protobuf
    role delete r1x -w table
    user delete nobody -w table
    user get root -w protobuf
    user get root -w table
    user list -w table
    user grant-role a r1 -w protobuf
    user grant-role a r1 -w table
    user revoke-role a r1 -w fields
    user revoke-role a r1 -w protobuf
    user revoke-role a r1 -w table
    user passwd root -w table --interactive=false
    user passwd root -w fields --interactive=false
    user passwd root -w protobuf --interactive=false
    auth disable -w json
    auth disable -w fields
    auth disable -w table
    auth disable -w protobuf
    auth enable -w json
    --user root:rootpw auth disable -w json
    auth enable -w fields
    --user root:rootpw auth disable -w fields
    auth enable -w protobuf
    --user root:rootpw auth disable -w protobuf
    auth enable -w table
    --user root:rootpw auth disable -w table
    role grant-permission r1 read k -w bogus
    user add other --interactive=maybe
    user add \\xff:x`,
  ),
  { args: ['user', 'add', 'typed'], input: 'one\none\n' },
  { args: ['user', 'add', 'typed2'], input: ' two  \ntwo' },
  { args: ['user', 'add', 'typed3'], input: 'one\ntwo\n' },
  { args: ['user', 'add', 'typed4'], input: '\n' },
  { args: ['user', 'add', 'typed5'], input: '' },
  { args: ['user', 'add', 'read', '--interactive=false'], input: 'one two\n' },
  { args: ['user', 'add', 'read2', '--interactive=false'], input: '  one' },
  { args: ['user', 'passwd', 'typed'], input: 'three\nthree\n' },
  { args: ['user', 'passwd', 'typed'], input: 'three\nfour\n' },
  { args: ['user', 'passwd', 'typed', '-w', 'json'], input: 'three\nthree\n' },
  { args: ['user', 'passwd', 'read', '--interactive=false'], input: 'five\n' },
  { args: ['user', 'passwd', 'nobody', '--interactive=false'], input: 'five\n' },
  { args: ['get', 'a', '--user', 'root'], input: 'not asked\n' },
  { args: ['get', 'a', '--user', 'root:x'] },
];

const SECURED: readonly AuthStep[] = [
  ...steps(
    undefined,
    `auth enable
    auth enable
    auth status
    user list
    get a
    put a 1
    member list
    endpoint health
    endpoint health -w json
    endpoint hashkv
    --user root:rootpw auth status -w json
    --user root:rootpw user list
    --user root --password rootpw role list
    --user root --password wrong role list
    --user root:wrong get a
    --user nobody:x get a
    --user :rootpw get a
    --user root: get a
    --user root:rootpw --password other get a
    --user root:rootpw user get root
    --user root:rootpw endpoint health
    --user root:rootpw endpoint health --cluster -w json
    --user root:rootpw endpoint status -w json
    --user root:wrong endpoint health
    --user root:wrong endpoint health -w json
    --user root:wrong endpoint status
    --user root:wrong endpoint hashkv
    --user root:wrong move-leader 1
    --user root:rootpw put a 2
    --user root:rootpw get a
    --user root:rootpw member list
    --user root:rootpw lease list
    --user root:rootpw compaction 2
    --user root:rootpw role grant-permission r1 readwrite own/ --prefix
    --user root:rootpw user grant-role a r1
    --user a:b:c put own/1 x
    --user a:b:c get own/ --prefix
    --user a:b:c get a
    --user a:b:c put a 3
    --user a:b:c del own/1
    --user a:b:c user list
    --user a:b:c user get a
    --user a:b:c endpoint health
    --user a:b:c auth disable
    --user typed:three get own/1
    !--cacert={other-ca} --user root:rootpw get a --dial-timeout 300ms
    !--cacert={other-ca} --user root:rootpw endpoint health --dial-timeout 300ms
    !--cacert={other-ca} --user root:rootpw endpoint status --dial-timeout 300ms
    --user root:rootpw -w bogus get a
    --user root:wrong -w bogus get a`,
  ),
  ...steps(
    NEW,
    `endpoint status
    --user root:rootpw role get root
    --user root:rootpw user get root --detail
    --user root:rootpw endpoint hashkv --cluster
    --user root:wrong endpoint status --cluster
    --user root:wrong endpoint health --cluster
    lock own/l true
    --user a:b:c lock l true
    --user a:b:c lock own/l true
    --user a:b:c elect e p
    --user root:rootpw lock l -- sh -c exit_3
    --user root:wrong lock l true
    --user a:b:c snapshot save {directory}/saved
    --user root:wrong snapshot save {directory}/saved
    snapshot save {directory}/saved
    --user root:wrong make-mirror {url} --dest-cacert={ca}
    --user root:rootpw make-mirror {url} --dest-cacert={ca} --dest-user=root:wrong
    --user root:rootpw make-mirror {url} --dest-cacert={ca} --dest-user=root --dest-password=wrong
    --user root:rootpw make-mirror {url} --dest-cacert={none}
    --user a:b:c make-mirror {url} --dest-cacert={ca} --dest-user=root:rootpw
    --user a:b:c check perf
    --user a:b:c check datascale
    --auth-jwt-token bogus get own/1
    --auth-jwt-token bogus --user root:rootpw get own/1
    !--cacert={other-ca} --user root:rootpw endpoint status --cluster --dial-timeout 300ms`,
  ),
  { args: ['get', 'own/1'], env: { ETCDCTL_AUTH_JWT_TOKEN: 'bogus' }, like: NEW },
  { args: ['--user', 'root', 'get', 'a'], input: 'rootpw\n' },
  {
    args: ['make-mirror', '{url}', '--dest-cacert={ca}', '--dest-user=root'],
    input: 'wrong\n',
    like: NEW,
  },
  { args: ['--user', 'root', 'get', 'a'], input: ' rootpw \nmore' },
  { args: ['--user', 'root', 'get', 'a'], input: 'wrong\n' },
  { args: ['--user', 'root', 'get', 'a'], input: '' },
  { args: ['--user', 'root', 'put', 'a'], input: 'rootpw\nvalue' },
  { args: ['--user', 'root', '-w', 'bogus', 'get', 'a'], input: 'rootpw\n' },
  { args: ['--user', 'root', '--cert', '', 'get', 'a'], input: 'rootpw\n' },
  { args: ['--user', 'root', '--cert', '{none}', 'get', 'a'], input: 'rootpw\n' },
  { args: ['--user', 'root', 'user', 'passwd', 'typed'], input: 'six\nsix\nrootpw\n' },
  { args: ['--user', 'root', 'endpoint', 'health', '-w', 'json'], input: 'rootpw\n' },
  { args: ['user', 'list'], env: { ETCDCTL_USER: 'root:rootpw' } },
  { args: ['user', 'list'], env: { ETCDCTL_USER: 'root', ETCDCTL_PASSWORD: 'rootpw' } },
  {
    args: ['txn', '--user', 'a:b:c'],
    input: '\nput own/2 x\nget own/2\n\n\n',
  },
  { args: ['txn', '--user', 'a:b:c'], input: '\nput a x\n\n\n' },
  ...steps(
    undefined,
    `--user root:rootpw auth disable
    auth disable
    auth status
    get a`,
  ),
];

export const AUTH_STEPS: readonly AuthStep[] = [...CERTIFICATES, ...USERS_AND_ROLES, ...SECURED];
