// Command lines that tetcdutl and the real etcdutl are both given, each in a directory of its own with the
// same files: what they print, their exit codes, and the errors must be equal.

export interface Row {
  readonly args: readonly string[];
  /** Why the text of the error is ours; then only that there is one is compared. */
  readonly ownText?: string;
  /** Why the exit code is ours too, and what etcdutl exits with. */
  readonly theirCode?: number;
}

function words(line: string): string[] {
  return line.split(' ').map((word) => (word === "''" ? '' : word));
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
 * Files: `new.db` and `old.db` are snapshots of etcd 3.7 and 3.5, `new` and `old` their data directories,
 * `half.db` a part of `new.db`, `bad.db` has one byte of it changed, `text` is none, `empty` has no bytes.
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
  ...noPanic(`
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
].map((line) => (line === '' ? [] : words(line)));

/** Scripts are our own; that there is one is compared. */
export const SCRIPTS: readonly (readonly string[])[] = [
  'completion bash',
  'completion zsh',
  'completion fish',
  'completion powershell',
].map(words);
