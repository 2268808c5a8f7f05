// Command lines that tetcdutl and the real etcdutl are both given, each in a directory of its own with the
// same files: what they print, their exit codes, and the errors must be equal.

export interface Row {
  readonly args: readonly string[];
  /** Why the text of the error is ours; then only that there is one is compared. */
  readonly ownText?: string;
  /** Why the exit code is ours too, and what etcdutl exits with. */
  readonly theirCode?: number;
}

/** Stands for the beginning of a line. */
const RESTORE = 'snapshot restore new.db --data-dir out';

function words(line: string): string[] {
  const whole = line.replace('{restore}', RESTORE);
  return whole.split(' ').map((word) => (word === "''" ? '' : word));
}

function rows(text: string): Row[] {
  const lines = text.split('\n').map((line) => line.trim());
  return lines.filter((line) => line !== '').map((line) => ({ args: words(line) }));
}

/** With errors in our words: they say more. */
function own(text: string, ownText: string): Row[] {
  return rows(text).map((row) => ({ ...row, ownText }));
}

/** Where etcdutl ends with a stack trace, and ours with an error. */
function noPanic(text: string): Row[] {
  const ownText = 'etcdutl panics';
  return rows(text).map((row) => ({ ...row, ownText, theirCode: 2 }));
}

/**
 * Files: `new.db` and `old.db` are snapshots of etcd 3.7 and 3.5, `new` and `old` their data
 * directories, `half.db` a part of `new.db`, `bad.db` has some bytes of it changed, `text` is none,
 * `empty` has no bytes. `nolog` is `new` without its log, `wrong` with another database.
 */
export const ROWS: readonly Row[] = [
  ...rows(`
    version
    version word
    version -w json
    snapshot status new.db
    snapshot status new.db -w simple
    snapshot status new.db -w table
    snapshot status new.db -w json
    snapshot status new.db -w fields
    snapshot status new.db -w protobuf
    snapshot status new.db -w yaml
    snapshot status new.db --write-out=json
    snapshot status old.db
    snapshot status old.db -w table
    snapshot status old.db -w fields
    snapshot status old.db -w json
    snapshot status new/member/snap/db
    snapshot status new/member/snap/db --timeout 1s
    snap stat new.db
    snapshot status
    snapshot status one two
    snapshot status nowhere
    snapshot status nowhere -w yaml
    snapshot status ''
    hashkv new.db
    hashkv new.db -w simple
    hashkv new.db -w table
    hashkv new.db -w json
    hashkv new.db -w fields
    hashkv new.db -w protobuf
    hashkv new.db -w yaml
    hashkv old.db
    hashkv old/member/snap/db --rev 20
    hashkv new.db --rev 0
    hashkv new.db --rev 12
    hashkv new.db --rev 15
    hashkv new.db --rev 11
    hashkv new.db --rev 1
    hashkv new.db --rev 1000
    hashkv new.db --rev -1
    hashkv new.db --rev 9223372036854775807
    hashkv new.db --rev 9223372036854775808
    hashkv new.db --rev x
    hashkv new.db --rev
    hashkv new.db --timeout 0
    hashkv new.db --timeout 1x
    hashkv
    hashkv one two
    hashkv nowhere
    defrag
    defrag --data-dir
    defrag --data-dir nowhere
    defrag --data-dir new
    defrag --data-dir old --timeout 5s
    defrag --data-dir=new word
    completion
    completion ksh
    completion bash zsh
    snapshot restore
    snapshot restore one two
    snapshot restore nowhere --data-dir out
    snapshot restore new.db
    snapshot restore new.db --data-dir out
    snapshot restore new.db --data-dir=out --wal-dir=log
    snapshot restore new.db --data-dir new
    snapshot restore new.db --data-dir text
    snapshot restore new.db --data-dir out --wal-dir new
    snapshot restore new.db --data-dir out --wal-dir text
    snapshot restore new.db --name m1
    snapshot restore new.db --name m1 --initial-cluster m1=http://localhost:2380
    snapshot restore new.db --name ''
    {restore} --initial-cluster-token other
    {restore} --initial-cluster default=http://10.1.1.1:2380
    {restore} --initial-cluster default=http://[::1]:1 --initial-advertise-peer-urls http://[0::1]:1
    {restore} --initial-advertise-peer-urls http://10.1.1.1:2380
    {restore} --initial-advertise-peer-urls http://localhost:2380,http://10.1.1.1:1
    {restore} --initial-advertise-peer-urls word
    {restore} --initial-advertise-peer-urls ''
    {restore} --initial-advertise-peer-urls http://10.1.1.1
    {restore} --initial-cluster word
    {restore} --initial-cluster ''
    {restore} --initial-cluster default=localhost:2380
    {restore} --initial-cluster default=http://localhost:2380,b=http://localhost:2380
    {restore} --initial-cluster default=http://localhost:2380,b=http://localhost:2390
    {restore} --initial-cluster b=http://localhost:2390
    snapshot restore new.db --data-dir out --bump-revision 10
    snapshot restore new.db --data-dir out --mark-compacted
    snapshot restore new.db --data-dir out --mark-compacted --bump-revision 10
    snapshot restore new.db --data-dir out --mark-compacted --bump-revision 0x10
    snapshot restore new.db --data-dir out --bump-revision -1
    snapshot restore new.db --data-dir out --bump-revision 18446744073709551616
    {restore} --initial-memory-map-size 0
    {restore} --initial-memory-map-size x
    snapshot restore new.db --data-dir out --skip-hash-check
    snapshot restore new.db --data-dir out --skip-hash-check=x
    snapshot restore old.db --data-dir out
    snapshot restore new/member/snap/db --data-dir out
    snapshot restore new/member/snap/db --data-dir out --skip-hash-check
    snapshot restore half.db --data-dir out
    snapshot restore text --data-dir out
    snapshot restore bad.db --data-dir out
    snapshot restore new --data-dir out
    migrate
    migrate --data-dir new
    migrate --target-version 3.6
    migrate --data-dir nowhere --target-version 3.6
    migrate --data-dir new --target-version 3.7
    migrate --data-dir new --target-version 3.6
    migrate --data-dir new --target-version 3.5
    migrate --data-dir new --target-version 3.5 --force
    migrate --data-dir new --target-version 3.8
    migrate --data-dir new --target-version 3.8 --force
    migrate --data-dir new --target-version 4.0
    migrate --data-dir new --target-version 3.4
    migrate --data-dir new --target-version 2.9
    migrate --data-dir new --target-version 3
    migrate --data-dir new --target-version 3.7.0
    migrate --data-dir new --target-version x.y
    migrate --data-dir new --target-version 3.y
    migrate --data-dir new --target-version 3.6-a
    migrate --data-dir new --target-version 3.6+a
    migrate --data-dir new --target-version -3.6
    migrate --data-dir new --target-version ''
    migrate --data-dir new --target-version 3.99999999999999999999
    migrate --data-dir old --target-version 3.5
    migrate --data-dir old --target-version 3.6
    migrate --data-dir old --target-version 3.7 --timeout 3s
    word
    --word
    -x
  `),
  ...own(
    `
    snapshot status text
    snapshot status empty
    snapshot status bad.db
    snapshot status new
  `,
    'ours names file and page',
  ),
  ...own('defrag --data-dir text', 'for both there is no such file'),
  ...own('snapshot restore empty --data-dir out --skip-hash-check', 'ours says what is wrong'),
  ...own('migrate --data-dir nolog --target-version 3.6', 'ours says what is missing'),
  ...noPanic(`
    snapshot restore half.db --data-dir out --skip-hash-check
    snapshot restore text --data-dir out --skip-hash-check
    migrate --data-dir wrong --target-version 3.6
    snapshot status half.db
    hashkv text
    hashkv half.db
    hashkv new
  `),
];

/** Help is in our own words: the exit code is compared, and which commands and flags are named. */
export const HELP: readonly (readonly string[])[] = [
  '',
  '--help',
  '-h',
  'help',
  'help hashkv',
  'help snapshot',
  'snapshot',
  'snapshot word',
  'snapshot --help',
  'snapshot status --help',
  'hashkv --help',
  'version --help',
  'defrag --help',
  'completion --help',
  'migrate --help',
  'snapshot restore --help',
].map((line) => (line === '' ? [] : words(line)));

/** Scripts are our own; that there is one is compared. */
export const SCRIPTS: readonly (readonly string[])[] = [
  'completion bash',
  'completion zsh',
  'completion fish',
  'completion powershell',
].map(words);
