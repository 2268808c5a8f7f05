// Command lines that tetcdctl and a real etcdctl are both given, one after the other, each on a member
// of its own. Their exit codes and output must be equal.

export interface Step {
  /**
   * Words; `{1}` is the first lease that was granted, `{ep}` the member's endpoint, `{dir}` a directory with
   * a file `file` and a directory `directory`.
   */
  readonly args: readonly string[];
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Releases whose etcdctl does the same. Without it: all. */
  readonly like?: readonly Like[];
}

export type Like = '3.4' | '3.5' | '3.7';

/** Words without quoting; `''` is the empty word, `_` in a word a space. */
function words(line: string): string[] {
  return line.split(' ').map((word) => (word === "''" ? '' : word.replaceAll('_', ' ')));
}

function steps(like: readonly Like[] | undefined, text: string): Step[] {
  const lines = text.split('\n').map((line) => line.trim());
  return lines
    .filter((line) => line !== '')
    .map((line) => ({ args: words(line), ...(like === undefined ? {} : { like }) }));
}

const NEW: readonly Like[] = ['3.7'];
const NOT_34: readonly Like[] = ['3.5', '3.7'];

const KEYS: readonly Step[] = [
  ...steps(
    undefined,
    `put a 1
    put a 2 --prev-kv
    put b x_y
    put -- -dash -value
    put dash2 -- -v2
    get a
    get a -w json
    get a -w fields
    get a --write-out=json
    get -w=json a
    get -wfields a
    --write-out json get a
    get a --hex
    get a --hex -w json
    get '' --prefix
    get '' --from-key
    get a --from-key
    get a z
    get a --prefix --from-key
    get a z --prefix
    get a --keys-only
    get a --keys-only=false
    get '' --prefix --print-value-only
    get '' --prefix --print-value-only -w json
    get '' --prefix --limit 2 -w fields
    get '' --prefix --limit=9223372036854775807
    get '' --prefix --limit=-1
    get '' --prefix --limit 0x10
    get '' --prefix --order DESCEND
    get '' --prefix --order descend --sort-by VALUE
    get '' --prefix --sort-by MODIFY
    get '' --prefix --sort-by CREATE --order ASCEND
    get '' --prefix --sort-by version
    get '' --prefix --sort-by bogus
    get '' --prefix --order bogus
    get a --rev 2
    get a --rev 3
    get a --rev 100
    get a --rev 9223372036854775807
    get a --rev -5
    get a --consistency s
    get a --consistency x
    get
    get nothing
    get nothing -w json
    get nothing -w fields
    get nothing -w protobuf
    get a -w protobuf
    get a -w table
    get a -w bogus
    put
    put a
    put a b --lease zz
    put a b --lease 1234
    put a --ignore-value
    put a v --ignore-value
    put a 3 --ignore-lease
    put nokey 3 --ignore-lease
    put a 4 -w json
    put a 4 --prev-kv -w json
    put a 4 --prev-kv -w fields
    put a 4 --prev-kv --hex
    put a 4 -w protobuf
    put '' x
    put é ☃
    get é -w fields
    get é --hex
    del
    del a b c
    del nothing
    del a --prev-kv
    put a 1
    del a --prev-kv -w json
    put a 1
    del a --prev-kv -w fields
    del a -w protobuf
    put r1 1
    put r2 2
    del r --prefix --prev-kv
    del r z --prefix
    del r --prefix --from-key
    del zz --from-key
    get a --command-timeout 5s
    get a --command-timeout=1m30s
    get a --hex --debug=false
    get -- a b
    get a -
    ge a
    --endpoints={ep},{ep} get b`,
  ),
  ...steps(
    NEW,
    `version
    get a --hex=true -w fields
    get '' --prefix --count-only
    get '' --prefix --count-only -w fields
    get '' --prefix --count-only -w json
    get '' --prefix --limit 9223372036854775808
    get '' --prefix --limit ten
    get '' --prefix --min-mod-rev 3
    get '' --prefix --max-mod-rev 3
    get '' --prefix --min-mod-rev 5 --max-mod-rev 3
    get '' --prefix --min-create-rev 3 --max-create-rev 4
    get a --keys-only --count-only
    get --stream '' --prefix
    put r1 1
    put r3 3
    del r1 r3 --range --prev-kv
    put a 1 -w table
    del a -w table
    del a -w protobuf
    get a -x
    get a --no-such
    get a --limit
    get a -w
    get a --keys-only=maybe
    get a --=x
    get a ---x
    get a --command-timeout 5
    get a --command-timeout 5x
    get a --command-timeout xs`,
  ),
  { args: ['put', 'fromstdin'], input: 'value from stdin\n' },
  { args: ['get', 'fromstdin', '-w', 'json'] },
  { args: ['get', 'b'], env: { ETCDCTL_WRITE_OUT: 'json' } },
];

const LEASES: readonly Step[] = [
  ...steps(
    undefined,
    `lease grant 100
    lease grant
    lease grant abc
    lease grant 99999999999999999999
    lease grant 9223372036854775807
    lease grant 200 -w json
    lease grant 300 -w fields
    lease list
    lease list -w json
    lease list -w fields
    put lk lv --lease {1}
    lease timetolive {1}
    lease timetolive {1} --keys
    lease timetolive {1} --keys -w json
    lease timetolive {1} -w json
    lease timetolive {1} --keys -w fields
    get lk -w json
    lease timetolive
    lease timetolive xyz
    lease timetolive 5
    lease timetolive 5 -w json
    lease keep-alive --once {1}
    lease keep-alive --once {1} -w json
    lease keep-alive --once {1} -w fields
    lease keep-alive 5
    lease keep-alive
    lease revoke {1}
    lease revoke {1}
    lease revoke
    lease revoke zz
    lease revoke {2} -w json
    lease revoke {3} -w fields
    get lk`,
  ),
  ...steps(
    NEW,
    `lease grant -1
    lease list -w protobuf
    lease list -w table
    lease grant 100
    lease timetolive {4} -w protobuf
    lease timetolive {4} -w table
    lease keep-alive --once {4} -w protobuf
    lease keep-alive --once {4} -w table
    lease revoke 5 -w protobuf
    lease grant 100 -w protobuf
    lease grant 100 -w table
    lease revoke 5 -w table`,
  ),
];

const MAINTENANCE: readonly Step[] = [
  ...steps(
    undefined,
    `compaction
    compaction x
    compaction 5
    compaction 5
    compaction 1
    compaction 6 --physical
    compaction 100000
    get a --rev 2
    endpoint health -w json
    endpoint status -w json
    endpoint hashkv --rev 2
    endpoint hashkv --rev 100000
    member list
    member list -w json
    alarm list
    alarm list -w json
    alarm list x
    alarm disarm
    watch
    watch a --
    watch a b --prefix
    watch a --rev 2`,
  ),
  ...steps(NOT_34, 'endpoint health\nendpoint health --cluster'),
  ...steps(
    NEW,
    `endpoint health -w fields
    endpoint status
    endpoint status -w fields
    endpoint status -w table
    endpoint status --cluster
    endpoint hashkv
    endpoint hashkv -w json
    endpoint hashkv -w fields
    endpoint hashkv -w table
    endpoint --cluster status
    member list -w json --hex
    member list -w fields
    member list -w fields --hex
    member list -w table
    member list --consistency s
    defrag
    defrag x -w json
    defrag --cluster
    defrag --data-dir x
    defrag -w fields
    defrag -w table
    defrag -w protobuf
    endpoint hashkv -w protobuf
    endpoint health -w table
    endpoint health -w protobuf
    member promote 1234 -w table
    compaction 5 -w json
    compaction 5 -w fields
    compaction 5 -w table
    compaction 5 -w protobuf
    alarm list -w fields
    alarm list -w table
    alarm list -w protobuf
    alarm disarm -w table
    alarm disarm -w json
    alarm disarm -w fields
    alarm disarm -w protobuf
    watch a --rev 2 -w json
    watch a --rev 2 -w fields
    watch a --rev 2 -w protobuf
    watch a --rev 2 -w table
    watch a --rev 2 --prev-kv --progress-notify
    help get nothing
    help lease grant
    help nothing
    help -x
    options -w bogus extra
    completion
    completion tcsh
    completion bash zsh
    get b --auth-jwt-token=x
    get b --cacert=/nowhere/ca
    get b --cert=/nowhere/cert --key=/nowhere/key
    get b --insecure-skip-tls-verify=false
    get b --insecure-transport=true
    get b --keepalive-time=1s --keepalive-timeout=1s
    get b --keepalive-time=1x
    put big 0123456789012345678901234567890123456789 --max-request-bytes=10
    get b --max-recv-bytes=10
    get b --max-recv-bytes=x
    get b --user= --password=x
    get b --dial-timeout=1s`,
  ),
  ...steps(
    NEW,
    `downgrade validate
    downgrade enable
    downgrade validate ''
    downgrade enable 3.6 3.5
    downgrade validate 3.6
    downgrade validate 3.6.16
    downgrade validate 3.6 -w json
    downgrade validate 3.6 -w protobuf
    downgrade validate 3.6 -w fields
    downgrade validate 3.6 -w table
    downgrade validate 3.5
    downgrade enable 3.7
    downgrade enable 3.x
    downgrade enable v3.6
    downgrade cancel
    downgrade cancel 3.6
    downgrade cancel -w json
    downgrade cancel -w fields
    downgrade cancel -w table
    downgrade cancel -w protobuf
    downgrade enable 3.7 -w json
    downgrade enable 3.7 -w fields
    downgrade enable 3.7 -w table
    downgrade enable 3.7 -w protobuf`,
  ),
  { args: ['watch'], env: { ETCDCTL_WATCH_RANGE_END: 'x' } },
  { args: ['watch', 'a'], env: { ETCDCTL_WATCH_KEY: 'x' } },
  { args: ['watch', '-i'], input: 'foo\n\nwatch\nprogress x\n', like: NOT_34 },
  { args: ['watch', '--interactive'], input: '', like: NOT_34 },
];

const SNAPSHOTS: readonly Step[] = [
  ...steps(
    NOT_34,
    `--endpoints={ep},{ep} snapshot save {dir}/none
    snapshot save {dir}/missing/none
    snapshot save {dir}/file/none`,
  ),
  ...steps(
    NEW,
    `snapshot save
    snapshot save {dir}/a {dir}/b
    snapshot save {dir}/saved
    snapshot save {dir}/saved
    snapshot save {dir}/file
    snapshot save {dir}/directory
    snapshot save {dir}/json -w json
    snapshot save {dir}/fields -w fields
    snapshot save {dir}/table -w table
    snapshot save {dir}/protobuf -w protobuf --command-timeout=10s
    snapshot save {dir}/none -w bogus
    snapshot save {dir}/none --command-timeout=0
    --endpoints=127.0.0.1:1 snapshot save {dir}/none --command-timeout=300ms
    snapshot
    snapshot restore`,
  ),
];

/** Those that end by themselves; `long-running.test.ts` has the others. */
const QUEUES: readonly Step[] = [
  ...steps(
    NOT_34,
    `lock
    elect
    elect a b c
    elect a
    elect -l a b
    elect a b --listen
    lock l true
    lock l false
    lock l -- sh -c exit_7
    lock l -- sh -c kill_-9_$$
    lock l -- sh -c kill_$$
    lock l -- echo a b
    lock l nothing-of-this-name
    lock l /nowhere/program
    lock l {dir}/directory
    lock l {dir}/file
    lock '' true
    lock l --ttl=5 true
    lock l --ttl=-1 true
    lock l --ttl=99999999999 true
    lock l -w json true
    lock l -w fields false
    lock l -w table true
    lock l -w protobuf true
    lock l -w bogus true
    elect e p -w bogus
    elect a -w json
    elect a -w fields
    elect a -w table
    elect a -w protobuf`,
  ),
  ...steps(NEW, 'lock l --ttl=x true'),
];

const MIRROR_FLAGS =
  '--dest-cert= --dest-key= --dest-cacert= --dest-insecure-transport=true ' +
  '--dest-user=u --dest-password=p --max-txn-ops=1 --prefix=a --rev=1';

const MIRRORS_AND_CHECKS: readonly Step[] = steps(
  NEW,
  `make-mirror
  make-mirror {ep} {ep}
  make-mirror --dest-prefix x --no-dest-prefix {ep}
  make-mirror ${MIRROR_FLAGS} --dest-prefix x --no-dest-prefix {ep}
  make-mirror {ep} --dest-cert=/nowhere/cert --dest-key=/nowhere/key
  make-mirror {ep} --dest-cacert=/nowhere/ca
  make-mirror {ep} --dest-cert=/nowhere/cert
  make-mirror {ep} -w bogus
  make-mirror {ep} --max-txn-ops=-1
  make-mirror {ep} --max-txn-ops=x
  make-mirror {ep} --rev=x
  make-mirror -w json
  make-mirror -w fields
  make-mirror -w table
  make-mirror -w protobuf
  make-mirror {ep} --dest-user=u --dest-prefix x --no-dest-prefix
  check perf --load=huge
  check perf --load=huge -w json
  check perf --load=huge -w fields
  check perf --load=huge -w table
  check perf --load=huge -w protobuf
  put taken/1 1
  check perf --prefix=taken/ --load=small --auto-compact --auto-defrag
  check datascale --load=huge -w json
  check datascale --load=huge -w fields
  check datascale --load=huge -w table
  check datascale --load=huge -w protobuf
  check datascale --prefix=taken/
  check datascale --prefix=scale/ --load=s --auto-compact --auto-defrag
  get scale/ --prefix --count-only -w fields`,
);

/** Variables of the flags that every command takes. */
const VARIABLES: readonly Step[] = [
  { ETCDCTL_AUTH_JWT_TOKEN: 'x' },
  { ETCDCTL_CACERT: '/nowhere/ca' },
  { ETCDCTL_CERT: '/nowhere/cert', ETCDCTL_KEY: '/nowhere/key' },
  { ETCDCTL_COMMAND_TIMEOUT: '10s' },
  { ETCDCTL_COMMAND_TIMEOUT: 'soon' },
  { ETCDCTL_DEBUG: 'false' },
  { ETCDCTL_DIAL_TIMEOUT: '10s' },
  { ETCDCTL_ENDPOINTS: '127.0.0.1:1' },
  { ETCDCTL_HEX: 'true' },
  { ETCDCTL_HEX: 'maybe' },
  { ETCDCTL_INSECURE_SKIP_TLS_VERIFY: 'false' },
  { ETCDCTL_INSECURE_TRANSPORT: 'true' },
  { ETCDCTL_KEEPALIVE_TIME: '1s', ETCDCTL_KEEPALIVE_TIMEOUT: '1s' },
  { ETCDCTL_MAX_RECV_BYTES: '10' },
  { ETCDCTL_MAX_REQUEST_BYTES: '10' },
  { ETCDCTL_PASSWORD: 'x' },
  { ETCDCTL_USER: 'a:b' },
  { ETCDCTL_WRITE_OUT: 'fields' },
  { ETCDCTL_WRITE_OUT: 'bogus' },
].map((env) => ({ args: ['get', 'b'], env, like: NEW }));

/** Transactions, each printed in every form. */
const TRANSACTIONS: ReadonlyArray<readonly [input: string, like?: readonly Like[]]> = [
  ['ver("q") = "0"\nval("a") < "zz"\n\nput q "hello world"\nget l --prefix\n\nget x\n\n'],
  ['\nput q "hello \\xffworld" --prev-kv\nget q\n\n\n'],
  ['ver("q") = "10"\n\nput q "hello world" --prev-kv\nget q\n\n\n'],
  ['\ndel q --prev-kv\n\n\n'],
  ['mod("z") > "1"\nc("z") != "0"\nver("z") < "5"\n\nget z\nget z q --limit 1\n\nput z 2\n\n'],
  ['mod("z") > "100000"\n\nget z\n\nput z 2\nget "z"\n\n'],
  ['\nput s "\\u00e9\\U0001F600\\n\\"q\\""\nget s\n\n\n'],
  ['\n  put   s    spaced   \n\n\n'],
  ['val(`q`) = `5`\n\n\n\n'],
  ['val( "q") = "5"\n\n\n\n'],
  ['val("q") = "\\x41"\n\n\n\n'],
  ['\nput d 1\nput d 2\n\n\n'],
  ['foo\n\n\n\n'],
  ['foo("x") = "1"\n\n\n\n'],
  ['ver("q" = "0"\n\n\n\n'],
  ['ver(q) = "0"\n\n\n\n'],
  ['ver("q") = "x"\n\n\n\n'],
  ['val("q") = 5\n\n\n\n'],
  ['val("q")="5"\n\n\n\n'],
  ['val("q"\n\n\n'],
  ['\nfoo\n\n\n'],
  ['\nfoo bar\n\n\n'],
  ['\nput a\n\n\n'],
  ['\nget a --prefix --from-key\n\n\n'],
  ["\nput 'x y' \"a\\tb\"\nget 'x y'\n\n\n", NEW],
  ["\nput s 'it is'\n\n\n", NEW],
  ['\ndel a b --range\n\n\n', NEW],
  ['\n\n'],
  ['x'],
];

const INTERACTIVE: Readonly<Record<string, string[]>> = {
  simple: ['-i'],
  fields: ['--interactive'],
};

function transactions(): Step[] {
  return TRANSACTIONS.flatMap(([input, like]) =>
    ['simple', 'json', 'fields', 'table', 'protobuf'].map((form) => {
      // The names in 3.4's JSON are others.
      const likeForm = like ?? (form === 'json' ? NOT_34 : undefined);
      return {
        args: ['txn', '-w', form, ...(INTERACTIVE[form] ?? [])],
        input,
        ...(likeForm === undefined ? {} : { like: likeForm }),
      };
    }),
  );
}

export const STEPS: readonly Step[] = [
  ...KEYS,
  ...LEASES,
  ...MAINTENANCE,
  ...SNAPSHOTS,
  ...QUEUES,
  ...MIRRORS_AND_CHECKS,
  ...VARIABLES,
  ...transactions(),
];
