// The tour: what a user of etcdctl does, command by command. Run against two servers; the outputs
// must be the same once ids, times and sizes are replaced.

export interface Step {
  /** Arguments of etcdctl; `$name` is what an earlier step kept. */
  readonly args: readonly string[];
  readonly input?: string;
  /** For commands that do not end by themselves: stop after this many lines. */
  readonly lines?: number;
  /** Keeps the first group of the match in the output under a name. */
  readonly keep?: { readonly name: string; readonly pattern: RegExp };
}

const step = (line: string, more: Omit<Step, 'args'> = {}): Step => ({
  args: line.split(' ').filter((part) => part !== ''),
  ...more,
});

const PUT_AND_GET: readonly Step[] = [
  step('put a one'),
  step('put a two --prev-kv'),
  step('put a --ignore-value --prev-kv'),
  step('put a three --ignore-lease'),
  step('put absent --ignore-value'),
  step('put', {}),
  { args: ['put', '', 'v'] },
  { args: ['put', 'spaces in', 'the key\nand value'] },
  { args: ['put', 'stdin'], input: 'from the input\nin two lines' },
  { args: ['put', '--', '-dash', '-v'] },
  ...['1', '2', '3', '4', '5'].map((n) => step(`put n/${n} v${6 - Number(n)}`)),
  step('put n/3 changed -w json'),
  step('get a'),
  step('get a -w json'),
  step('get a -w simple --print-value-only'),
  step('get a -w fields'),
  step('get missing'),
  step('get missing -w json'),
  { args: ['get', ''] },
  step('get a n/3'),
  step('get n/2 n/4 -w json'),
  step('get n/ --prefix'),
  step('get n/ --prefix --keys-only'),
  step('get n/ --prefix --count-only'),
  step('get n/ --prefix --count-only -w json'),
  step('get n/ --prefix --limit=2 -w json'),
  step('get n/ --prefix --limit=9223372036854775807 --keys-only'),
  step('get n/3 --from-key'),
  { args: ['get', '', '--from-key', '--keys-only', '--limit', '3'] },
  { args: ['get', '', '--prefix', '--keys-only'] },
  ...['CREATE', 'KEY', 'MODIFY', 'VALUE', 'VERSION'].flatMap((by) =>
    ['ASCEND', 'DESCEND'].map((order) =>
      step(`get n/ --prefix --sort-by=${by} --order=${order} --keys-only`),
    ),
  ),
  step('get n/ --prefix --sort-by=VALUE --limit=2'),
  step('get a --rev=2'),
  step('get a --rev=3 -w json'),
  step('get a --rev=1000'),
  step('get a --rev=-1'),
  step('get a --consistency=s'),
  step('get a --consistency=l -w json'),
  step('get a --consistency=x'),
  step('get a --order=UP'),
  step('get a --prefix --from-key'),
  step('get a --hex'),
  step('del n/5'),
  step('del n/5'),
  step('del n/3 n/5 --prev-kv'),
  step('del n/ --prefix --prev-kv -w json'),
  step('del x --from-key'),
  step('del'),
];

const TXN: readonly Step[] = [
  step('txn', { input: 'value("a") = "three"\n\nput t/1 yes\nget a\n\nput t/1 no\n\n' }),
  step('txn', { input: 'value("a") = "other"\n\nput t/1 yes\n\nput t/2 no\nget t/1\n\n' }),
  step('txn -i', { input: 'mod("t/1") > "0"\n\nput t/1 again\ndel t/2\n\n\n' }),
  step('txn -w json', { input: 'ver("a") > "1"\ncreate("nothing") = "0"\n\nget a\n\n\n' }),
  step('txn', { input: 'lease("a") = "0"\nversion("t/1") < "5"\n\ndel t/ --prefix\n\n\n' }),
  step('txn', { input: '\nput same 1\nput same 2\n\n\n' }),
  step('txn', { input: '\nget a --rev=100000\n\n\n' }),
  step('txn', { input: 'bad("a") = "1"\n\n\n\n' }),
  step('txn', { input: 'value("a") ~ "1"\n\n\n\n' }),
  step('txn', { input: '\nfrobnicate a\n\n\n' }),
  step('txn', { input: '\n\n\n' }),
];

const WATCH: readonly Step[] = [
  step('put w/1 a'),
  step('put w/2 b'),
  step('put w/1 c'),
  step('del w/2'),
  step('watch w/1 --rev=2', { lines: 6 }),
  step('watch w/ --prefix --rev=2 --prev-kv', { lines: 16 }),
  step('watch w/ --prefix --rev=2 -w json', { lines: 1 }),
  step('watch w/1 w/3 --rev=2', { lines: 11 }),
  step('watch -i', { input: 'watch w/ --prefix --rev=2\n', lines: 11 }),
  step('watch -i', { input: 'watch w/9\nprogress\n', lines: 1 }),
  { args: ['watch', 'w/1', '--rev=2', '--', 'sh', '-c', 'env | grep WATCH | sort'], lines: 10 },
  step('watch w/1 --rev=-5', { lines: 0 }),
  step('watch'),
];

const LEASE: readonly Step[] = [
  step('lease grant 600', { keep: { name: 'lease', pattern: /lease (\w+) granted/ } }),
  step('put l/1 v --lease=$lease'),
  step('put l/1 w --lease=$lease -w json'),
  step('put l/3 v --lease=123'),
  step('put l/3 v --lease=zzz'),
  step('lease list'),
  step('lease timetolive $lease'),
  step('lease timetolive $lease --keys'),
  step('lease timetolive $lease --keys -w json'),
  step('lease timetolive 123'),
  step('lease keep-alive $lease --once'),
  step('lease grant 3', { keep: { name: 'short', pattern: /lease (\w+) granted/ } }),
  step('lease keep-alive $short', { lines: 2 }),
  step('lease keep-alive 123'),
  step('lease revoke $short'),
  step('lease revoke $lease'),
  step('lease revoke $lease'),
  step('lease timetolive $lease'),
  step('lease grant x'),
  step('lease grant 9000000001'),
  step('get l/ --prefix'),
  step('lease grant 60 -w json'),
];

const UPKEEP: readonly Step[] = [
  step('endpoint hashkv'),
  step('endpoint hashkv -w json'),
  step('endpoint hashkv --rev=5'),
  step('endpoint hashkv --rev=5000'),
  step('compaction 10'),
  step('compaction 10'),
  step('compaction 12 --physical'),
  step('compaction 5000'),
  step('compaction x'),
  step('get a --rev=5'),
  step('watch w/ --prefix --rev=5', { lines: 0 }),
  step('endpoint hashkv'),
  step('defrag'),
  step('defrag --cluster'),
  step('endpoint hashkv'),
  step('endpoint status'),
  step('endpoint status -w json'),
  step('endpoint status -w table'),
  step('endpoint status -w fields'),
  step('endpoint status --cluster'),
  step('endpoint health'),
  step('endpoint health --cluster'),
  step('member list'),
  step('member list -w json'),
  step('member list -w table'),
  step('version'),
  step('nonsense'),
];

// Leases come last: their ids are random, and part of what the hashes of UPKEEP cover.
export const TOUR: readonly Step[] = [...PUT_AND_GET, ...TXN, ...WATCH, ...UPKEEP, ...LEASE];
