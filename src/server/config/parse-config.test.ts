import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { describeWith, need, realEtcd, sharedData } from '../../../test/helpers/real-etcd.ts';
import { bootstrapProblem, mismatchText } from './bootstrap-check.ts';
import { environmentName } from './environment.ts';
import { FEATURE_GATES, type FeatureGates, parseFeatureGates } from './feature-gates.ts';
import { FLAGS, IGNORED_FLAGS } from './flags.ts';
import { type ParsedConfig, parseConfig } from './parse-config.ts';
import type { ServerConfig } from './server-config.ts';

const ABOUT = { packageVersion: '0.1.0', nodeVersion: 'v20.19.0', platform: 'linux', arch: 'x64' };

function parse(argv: readonly string[], env: Readonly<Record<string, string>> = {}): ParsedConfig {
  return parseConfig(argv, env, ABOUT);
}

function configOf(
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
): ServerConfig {
  const parsed = parse(argv, env);
  if (parsed.kind !== 'run') throw new Error(JSON.stringify(parsed));
  return parsed.config;
}

/** First line on stderr of a refusal by syntax, or the reason of a refusal by content. */
function problemOf(argv: readonly string[], env: Readonly<Record<string, string>> = {}): string {
  const parsed = parse(argv, env);
  if (parsed.kind === 'print') return `${parsed.exitCode}: ${parsed.stderr.split('\n')[0]}`;
  if (parsed.kind === 'run') return 'none';
  if (parsed.kind === 'file') return `file ${parsed.path}`;
  const last = parsed.notes.at(-1)!;
  return `${parsed.exitCode}: ${last.fields['error'] ?? last.msg}`;
}

test('without flags, the defaults of etcd', () => {
  const { notes, ...parsed } = parse([]) as Extract<ParsedConfig, { kind: 'run' }>;
  expect(parsed).toMatchObject({
    kind: 'run',
    config: {
      name: 'default',
      dataDir: 'default.etcd',
      walDir: '',
      listenPeerUrls: [
        { text: 'http://localhost:2380', scheme: 'http', host: 'localhost', port: 2380 },
      ],
      listenClientUrls: [{ text: 'http://localhost:2379', port: 2379 }],
      listenClientHttpUrls: [],
      listenMetricsUrls: [],
      advertisePeerUrls: ['http://localhost:2380'],
      advertiseClientUrls: ['http://localhost:2379'],
      initialCluster: [{ name: 'default', peerURLs: ['http://localhost:2380'] }],
      initialClusterState: 'new',
      initialClusterToken: 'etcd-cluster',
      strictReconfigCheck: true,
      maxLearners: 1,
      enableGrpcGateway: true,
      http: { hosts: ['*'], origins: ['*'] },
      heartbeatMs: 100,
      electionMs: 1000,
      initialElectionTickAdvance: true,
      preVote: true,
      snapshotCount: 10_000,
      snapshotCatchupEntries: 5_000,
      maxSnapshots: 5,
      maxWals: 5,
      unsafeNoFsync: false,
      quotaBackendBytes: 2 ** 31,
      backendBatchIntervalMs: 100,
      backendBatchLimit: 10_000,
      compactionBatchLimit: 1_000,
      compactionSleepIntervalMs: 10,
      maxTxnOps: 128,
      watchProgressNotifyIntervalMs: 600_000,
      warningApplyDurationMs: 100,
      warningUnaryRequestDurationMs: 300,
      grpc: {
        maxRequestBytes: 1_572_864,
        maxConcurrentStreams: 2 ** 32 - 1,
        keepaliveMinTimeMs: 5_000,
        keepaliveIntervalMs: 7_200_000,
        keepaliveTimeoutMs: 20_000,
      },
      metrics: 'basic',
      enablePprof: false,
      tracing: undefined,
      log: { level: 'info', format: 'json', outputs: ['stderr'] },
      maxClusterVersion: undefined,
    },
  });
  expect(notes.map(({ msg }) => msg.slice(0, 24))).toEqual([
    'Running http and grpc se',
    "it isn't recommended to ",
    "'data-dir' was empty; us",
  ]);
  expect(bootstrapProblem(configOf([]))).toBeUndefined();
});

test('all spellings of Go; the last of a repeated flag counts', () => {
  for (const argv of [['-name', 'x'], ['--name', 'x'], ['-name=x'], ['--name=x']]) {
    expect(configOf(argv).name).toBe('x');
  }
  expect(configOf(['--name=x', '-name', 'y=z']).name).toBe('y=z');
  expect(configOf(['--name', '--weird']).name).toBe('--weird');
  expect(configOf(['--name=', '--data-dir', 'd']).name).toBe('');
  expect(configOf(['--pre-vote=f']).preVote).toBe(false);
  expect(configOf(['--unsafe-no-fsync']).unsafeNoFsync).toBe(true);
  expect(configOf(['--snapshot-count', '0x10']).snapshotCount).toBe(16);
  expect(configOf(['--snapshot-count=1', '--']).snapshotCount).toBe(1);
});

test.each([
  [['--nosuch'], '2: flag provided but not defined: -nosuch'],
  [['-name'], '2: flag needs an argument: -name'],
  [['--=x'], '2: bad flag syntax: --=x'],
  [['---x'], '2: bad flag syntax: ---x'],
  [['--pre-vote=maybe'], '2: invalid boolean value "maybe" for -pre-vote: parse error'],
  [['--pre-vote', 'false'], '1: "false" is not a valid flag'],
  [['--snapshot-count=x'], '2: invalid value "x" for flag -snapshot-count: parse error'],
  [
    ['--max-concurrent-streams=4294967296'],
    '2: invalid value "4294967296" for flag -max-concurrent-streams: value out of range',
  ],
  [
    ['--backend-batch-interval=5'],
    '2: invalid value "5" for flag -backend-batch-interval: parse error',
  ],
  [
    ['--listen-client-urls=abc'],
    '2: invalid value "abc" for flag -listen-client-urls: URL scheme must be ' +
      'http, https, unix, or unixs: abc',
  ],
  [
    ['--listen-client-urls=127.0.0.1:2379'],
    '2: invalid value "127.0.0.1:2379" for flag -listen-client-urls: parse ' +
      '"127.0.0.1:2379": first path segment in URL cannot contain colon',
  ],
  [
    ['--listen-client-urls=http://a'],
    '2: invalid value "http://a" for flag -listen-client-urls: URL address ' +
      'does not have the form "host:port": http://a',
  ],
  [
    ['--listen-client-urls=http://127.0.0.1:1/x'],
    '2: invalid value "http://127.0.0.1:1/x" for flag -listen-client-urls: ' +
      'URL must not contain a path: http://127.0.0.1:1/x',
  ],
  [
    ['--listen-peer-urls=unix://'],
    '2: invalid value "unix://" for flag -listen-peer-urls: URL must name a ' +
      'socket, as in unix://path: unix://',
  ],
  [
    ['--initial-cluster-state=zzz'],
    '2: invalid value "zzz" for flag -initial-cluster-state: invalid value',
  ],
  [
    ['--v2-deprecation=gone,x'],
    '2: invalid value "gone,x" for flag -v2-deprecation: invalid value "x"',
  ],
  [
    ['--feature-gates=X=true'],
    '2: invalid value "X=true" for flag -feature-gates: unrecognized feature gate: X',
  ],
  [
    ['--feature-gates=AllAlpha'],
    '2: invalid value "AllAlpha" for flag -feature-gates: missing bool value for AllAlpha',
  ],
  [
    ['--max-cluster-version=3.8'],
    '2: invalid value "3.8" for flag -max-cluster-version: must be MAJOR.MINOR from 3.4 to 3.7',
  ],
  [
    ['--max-cluster-version=3'],
    '2: invalid value "3" for flag -max-cluster-version: must be MAJOR.MINOR from 3.4 to 3.7',
  ],
  [['--auto-compaction-mode=x'], '1: unknown auto-compaction-mode "x"'],
  [['--auto-compaction-mode='], '1: undefined auto-compaction-mode'],
  [
    ['--auto-compaction-retention=x'],
    '1: error parsing CompactionRetention: time: invalid duration "x"',
  ],
  [['foo'], '1: "foo" is not a valid flag'],
  [['--', '--name=x'], '1: "--name=x" is not a valid flag'],
  [['-'], '1: "-" is not a valid flag'],
  [['--heartbeat-interval=0'], '1: --heartbeat-interval must be >0 (set to 0ms)'],
  [['--election-timeout=0'], '1: --election-timeout must be >0 (set to 0ms)'],
  [
    ['--election-timeout=499'],
    '1: --election-timeout[499ms] should be at least as 5 times as --heartbeat-interval[100ms]',
  ],
  [
    ['--election-timeout=50001'],
    '1: --election-timeout[50001ms] is too long, and should be set less than 50000ms',
  ],
  [
    ['--listen-client-urls=http://127.0.0.1:1'],
    '1: --advertise-client-urls is required when --listen-client-urls is set explicitly',
  ],
  [
    ['--listen-client-urls=http://foo.bar:1', '--advertise-client-urls=http://x:1'],
    '1: expected IP in URL for binding (http://foo.bar:1)',
  ],
  [['--listen-metrics-urls=http://:1'], '1: expected IP in URL for binding (http://:1)'],
  [
    ['--initial-advertise-peer-urls=http://:1'],
    '1: --initial-advertise-peer-urls "http://:1" must be "host:port" ' +
      '(unexpected empty host (http://:1))',
  ],
  [
    ['--advertise-client-urls=http://:1'],
    '1: --advertise-client-urls "http://:1" must be in the format ' +
      '"host:port", "unix:/path/to/socket" or "unixs:/path/to/socket" ' +
      '(unexpected empty host (http://:1))',
  ],
  [
    ['--listen-client-http-urls=http://localhost:2379'],
    '1: cannot bind both --listen-client-urls and --listen-client-http-urls ' +
      'on the same url http://localhost:2379',
  ],
  [['--logger=capnslog'], '1: --logger=capnslog is removed in v3.5'],
  [['--logger=x'], '1: unknown logger option "x"'],
  [['--log-level=x'], '1: unrecognized level: "x"'],
  [['--log-format=x'], '1: unknown log format: x, supported values json, console'],
  [['--log-outputs=stderr,default'], '1: multi logoutput for "default" is not supported yet'],
  [
    ['--log-outputs=systemd/journal,stderr'],
    "1: running with systemd/journal but other '--log-outputs' values " +
      '(["stderr" "systemd/journal"]) are configured with \'default\'; override \'default\' ' +
      'value with something else',
  ],
  ...['', '--log-outputs=stdout', '--log-outputs=a.log,b.log'].map(
    (outputs) =>
      [
        ['--enable-log-rotation', outputs].filter((flag) => flag !== ''),
        '1: --log-outputs requires a single file path when --log-rotate-config-json is defined',
      ] as [string[], string],
  ),
  [
    ['--feature-gates=LeaseCheckpointPersist=true'],
    '1: enabling feature gate LeaseCheckpointPersist requires enabling ' +
      'feature gate LeaseCheckpoint',
  ],
  [
    ['--initial-cluster=a=b'],
    '1: error setting up initial cluster: URL scheme must be http, https, unix, or unixs: b',
  ],
  [['--backend-batch-limit=-1'], '1: --backend-batch-limit must not be negative'],
  [['--warning-apply-duration=-1s'], '1: --warning-apply-duration must not be negative'],
] as const)('%j', (argv, problem) => {
  expect(problemOf(argv)).toBe(problem);
});

test('values that stand for others', () => {
  expect(configOf(['--quota-backend-bytes=-1']).quotaBackendBytes).toBeUndefined();
  expect(configOf(['--quota-backend-bytes=9223372036854775807']).quotaBackendBytes).toBe(
    Number.MAX_SAFE_INTEGER,
  );
  expect(configOf(['--snapshot-count=0']).snapshotCount).toBe(10_000);
  expect(configOf(['--max-concurrent-streams=0']).grpc.maxConcurrentStreams).toBe(2 ** 32 - 1);
  expect(configOf(['--watch-progress-notify-interval=1ms']).watchProgressNotifyIntervalMs).toBe(
    100,
  );
  const negative = ['interval', 'min-time', 'timeout'].map(
    (name) => `--grpc-keepalive-${name}=-1s`,
  );
  expect(configOf(negative).grpc).toMatchObject({
    keepaliveIntervalMs: 0,
    keepaliveMinTimeMs: 0,
    keepaliveTimeoutMs: 0,
  });
  expect(configOf(['--watch-progress-notify-interval=-1s']).watchProgressNotifyIntervalMs).toBe(
    600_000,
  );
  expect(configOf(['--metrics=all']).metrics).toBe('basic');
  expect(configOf(['--log-outputs=stdout,a.log,stdout']).log.outputs).toEqual(['stdout', 'a.log']);
  expect(configOf(['--log-outputs=stdout,/dev/null']).log.outputs).toEqual(['/dev/null']);
  expect(configOf(['--log-outputs=systemd/journal']).log.outputs).toEqual(['systemd/journal']);
  expect(configOf(['--listen-metrics-urls=']).listenMetricsUrls).toEqual([]);
  expect(configOf(['--listen-peer-urls=']).listenPeerUrls).toHaveLength(1);
  expect(configOf(['--max-cluster-version=3.4']).maxClusterVersion).toEqual({ major: 3, minor: 4 });
  expect(configOf(['--name=n', '--data-dir=']).dataDir).toBe('n.etcd');
});

test('URL lists are sorted, without duplicates, and taken apart', () => {
  const urls = 'http://[::1]:2, unix://b.sock,HTTP://127.0.0.1:1,http://127.0.0.1:1,unix:///tmp/a';
  const config = configOf([`--listen-client-urls=${urls}`, '--advertise-client-urls=https://x:1']);
  expect(config.listenClientUrls).toEqual([
    { text: 'http://127.0.0.1:1', scheme: 'http', host: '127.0.0.1', port: 1, path: '' },
    { text: 'http://[::1]:2', scheme: 'http', host: '::1', port: 2, path: '' },
    { text: 'unix:///tmp/a', scheme: 'unix', host: '', port: 0, path: '/tmp/a' },
    { text: 'unix://b.sock', scheme: 'unix', host: '', port: 0, path: 'b.sock' },
  ]);
  expect(config.advertiseClientUrls).toEqual(['https://x:1']);
});

test('the initial cluster follows the name, or is what the flag says', () => {
  expect(configOf(['--name=n1']).initialCluster).toEqual([
    { name: 'n1', peerURLs: ['http://localhost:2380'] },
  ]);
  const given = configOf([
    '--name=b',
    '--initial-cluster=b=http://h:2,a=http://h:3,b=http://h:1,,',
    '--initial-advertise-peer-urls=http://h:1,http://h:2',
  ]);
  expect(given.initialCluster).toEqual([
    { name: 'a', peerURLs: ['http://h:3'] },
    { name: 'b', peerURLs: ['http://h:1', 'http://h:2'] },
  ]);
  expect(bootstrapProblem(given)).toBeUndefined();
});

test.each([
  [
    ['--initial-cluster='],
    'couldn\'t find local name "default" in the initial cluster configuration',
  ],
  [
    ['--name=c', '--initial-cluster=a=http://h:1'],
    `couldn't find local name "c" in the initial cluster configuration`,
  ],
  [
    ['--initial-cluster=default=http://localhost:2380,a=http://localhost:2380'],
    'initial cluster a=http://localhost:2380,default=http://localhost:2380 has duplicate url',
  ],
] as const)('a first start with %j', (argv, problem) => {
  expect(bootstrapProblem(configOf(argv))).toBe(problem);
});

test.each([
  [
    ['--initial-cluster=default=http://h:1'],
    '--initial-cluster has default=http://h:1 but missing from ' +
      '--initial-advertise-peer-urls=http://localhost:2380 (why)',
  ],
  [
    ['--initial-advertise-peer-urls=http://h:1,http://localhost:2380'],
    '--initial-advertise-peer-urls has http://h:1 but missing from ' +
      '--initial-cluster=default=http://h:1,default=http://localhost:2380',
  ],
] as const)('a first start whose peer URLs differ: %j', (argv, text) => {
  expect(mismatchText(configOf(argv), 'why')).toBe(text);
});

test('feature gates, one by one and by stage', () => {
  const gates = parseFeatureGates(
    'AllAlpha=true,LeaseCheckpoint=false,LeaseCheckpointPersist=0',
  ) as FeatureGates;
  expect(gates.enabled).toMatchObject({
    CompactHashCheck: true,
    LeaseCheckpoint: false,
    LeaseCheckpointPersist: false,
    FastLeaseKeepAlive: true,
  });
  expect(gates.text).toContain('AllAlpha=true,CompactHashCheck=true,');
  const off = configOf(['--feature-gates=AllBeta=false']).featureGates;
  expect(off.text).toBe(
    'AllBeta=false,FastLeaseKeepAlive=false,TxnModeWriteWithSharedBuffer=false',
  );
  expect(problemOf(['--feature-gates=LeaseCheckpoint=x'])).toContain(
    'invalid value of LeaseCheckpoint=x, err: strconv.ParseBool: parsing "x": invalid syntax',
  );
});

test('the environment fills what the command line leaves open', () => {
  const env = { ETCD_NAME: 'n1', ETCD_SNAPSHOT_COUNT: '7', ETCD_DATA_DIR: '', HOME: '/' };
  const parsed = parse(['--snapshot-catchup-entries=1'], env) as Extract<
    ParsedConfig,
    { kind: 'run' }
  >;
  expect(parsed.config).toMatchObject({ name: 'n1', snapshotCount: 7, dataDir: 'n1.etcd' });
  expect(parsed.notes.slice(0, 3)).toEqual([
    {
      level: 'info',
      msg: 'recognized and used environment variable',
      fields: { 'variable-name': 'ETCD_NAME', 'variable-value': 'n1' },
    },
    {
      level: 'info',
      msg: 'recognized and used environment variable',
      fields: { 'variable-name': 'ETCD_SNAPSHOT_COUNT', 'variable-value': '7' },
    },
    {
      level: 'warn',
      msg: 'unrecognized environment variable',
      fields: { 'environment-variable': 'ETCD_DATA_DIR=' },
    },
  ]);
});

test.each([
  [
    ['--name=y'],
    { ETCD_NAME: 'x' },
    '1: conflicting environment variable is shadowed by corresponding ' +
      'command-line flag (either unset environment variable or disable flag))',
  ],
  [
    ['--name=y'],
    { ETCD_NAME: '' },
    '1: conflicting environment variable is shadowed by corresponding ' +
      'command-line flag (either unset environment variable or disable flag))',
  ],
  [[], { ETCD_SNAPSHOT_COUNT: 'x' }, '1: invalid value "x" for ETCD_SNAPSHOT_COUNT: parse error'],
  [
    [],
    { ETCD_LISTEN_CLIENT_URLS: 'http://127.0.0.1:1' },
    '1: --advertise-client-urls is required when --listen-client-urls is set explicitly',
  ],
  [['--version', '--config-file=f'], { ETCD_NAME: 'x' }, '0: '],
] as const)('%j with %j', (argv, env, problem) => {
  expect(problemOf(argv, env)).toBe(problem);
});

test('names on their way out are taken with a warning', () => {
  const parsed = parse(['--vv', '-force=x', '--max-snapshots=3', '--v2-deprecation=gone'], {
    ETCD_SNAPSHOT: 'true',
    ETCD_VERSION: '3',
  });
  if (parsed.kind !== 'run') throw new Error(JSON.stringify(parsed));
  const text = parsed.notes.map(({ msg, fields }) => `${msg} ${Object.values(fields).join()}`);
  expect(text).toEqual(
    expect.arrayContaining([
      'cannot set special environment variable ETCD_VERSION,3',
      'flag is no longer supported - ignoring vv',
      'flag is no longer supported - ignoring force',
      'flag is no longer supported - ignoring snapshot',
      '--max-snapshots is deprecated in 3.6 and will be decommissioned in 3.8. ',
    ]),
  );
  expect(parsed.config.maxSnapshots).toBe(3);
});

test('help names every flag, usage goes to stderr; the version has four lines', () => {
  for (const argv of [['-h'], ['--h'], ['-help'], ['--name=x', '--help']]) {
    const parsed = parse(argv) as Extract<ParsedConfig, { kind: 'print' }>;
    expect(parsed).toMatchObject({ kind: 'print', exitCode: 0 });
    expect(parsed.stderr).toMatch(/^Usage:/);
    for (const name of Object.keys(FLAGS)) {
      expect(parsed.text).toMatch(new RegExp(`\n  --${name}\\s+'`));
    }
    for (const line of parsed.text.split('\n')) expect(line.length).toBeLessThanOrEqual(100);
  }
  expect(parse(['--version', '--name=x'])).toMatchObject({
    kind: 'print',
    exitCode: 0,
    text:
      'etcd Version: 3.7.1\nGit SHA: tetcd 0.1.0\n' +
      'Go Version: none (Node.js v20.19.0)\nGo OS/Arch: linux/amd64\n',
  });
});

test('the result is immutable', () => {
  expect(Object.isFrozen(configOf([]))).toBe(true);
});

interface FlagFact {
  readonly name: string;
  readonly type: string;
  readonly default: string | number | boolean;
  readonly env: string;
  readonly ignored?: boolean;
}

const reference = sharedData('reference');
describeWith('beside the reference', [reference], () => {
  const facts: {
    readonly flags: readonly FlagFact[];
    readonly feature_gates: readonly {
      name: string;
      default: boolean;
      stage: string;
      meta?: true;
    }[];
  } = JSON.parse(readFileSync(join(need(reference), 'flags.json'), 'utf8'));

  test('every flag of etcd is implemented, refused by name or ignored; one is ours', () => {
    const theirs = facts.flags.map(({ name }) => name).sort();
    const ours = [...Object.keys(FLAGS), ...IGNORED_FLAGS];
    const own = ['max-cluster-version'];
    expect(ours.filter((name) => !own.includes(name)).sort()).toEqual(theirs);
    const ignored = facts.flags.filter((fact) => fact.ignored).map(({ name }) => name);
    expect([...IGNORED_FLAGS].sort()).toEqual(ignored.sort());
  });

  const implemented = facts.flags.filter(({ name }) => Object.hasOwn(FLAGS, name));
  test.each(implemented.map((fact) => [fact.name, fact] as const))('--%s', (name, fact) => {
    const flag = FLAGS[name as keyof typeof FLAGS];
    expect(flag.isBool).toBe(fact.type === 'bool');
    expect(flag.defaultText).toBe(String(fact.default));
    expect(environmentName(name)).toBe(fact.env);
  });

  test('the feature gates', () => {
    const theirs = facts.feature_gates.filter((gate) => gate.meta === undefined);
    expect(
      Object.entries(FEATURE_GATES).map(([name, gate]) => [name, gate.byDefault, gate.stage]),
    ).toEqual(theirs.map((gate) => [gate.name, gate.default, gate.stage]));
  });
});

const real = realEtcd('3.5');
describeWith('beside a real etcd', [real], () => {
  /** As `problemOf`, of the real program. */
  function theirProblem(argv: readonly string[], env: Readonly<Record<string, string>>): string {
    const path = { PATH: process.env['PATH'] ?? '' };
    const run = spawnSync(need(real).etcd, argv, {
      encoding: 'utf8',
      timeout: 20_000,
      env: { ...path, ...env },
    });
    const lines = run.stderr.trimEnd().split('\n');
    if (run.status !== 1) return `${run.status}: ${lines[0]}`;
    const last = JSON.parse(lines.filter((line) => line.startsWith('{')).at(-1)!);
    return `1: ${last.error ?? last.msg}`;
  }

  // Only what 3.5 says in the words of 3.7.
  test.each([
    [['--nosuch'], {}],
    [['-name'], {}],
    [['--=x'], {}],
    [['---x'], {}],
    [['--pre-vote=maybe'], {}],
    [['--snapshot-count=x'], {}],
    [['--snapshot-count=99999999999999999999'], {}],
    [['--snapshot-count=-1'], {}],
    [['--backend-batch-interval=5'], {}],
    [['--listen-client-urls=abc'], {}],
    [['--listen-client-urls=127.0.0.1:2379'], {}],
    [['--listen-client-urls=localhost:2379'], {}],
    [['--listen-client-urls=http://a'], {}],
    [['--listen-client-urls=http://127.0.0.1:1/'], {}],
    [['--initial-cluster-state=zzz'], {}],
    [['--heartbeat-interval=0'], {}],
    [['--election-timeout=499'], {}],
    [['--election-timeout=50001'], {}],
    [['--listen-client-urls=http://foo.bar:1', '--advertise-client-urls=http://x:1'], {}],
    [['--initial-advertise-peer-urls=http://:1'], {}],
    [['--logger=capnslog'], {}],
    [['--log-outputs=stderr,default'], {}],
    [[], { ETCD_SNAPSHOT_COUNT: 'x' }],
    [['--name=y'], { ETCD_NAME: 'x' }],
  ] as const)('%j with %j is refused in the same words', (argv, env) => {
    expect(problemOf(argv, env)).toBe(theirProblem(argv, env));
  });
});

test.each([
  [['--cors=http://b:2,http://a:1'], { origins: ['http://a:1', 'http://b:2'] }],
  [['--cors=HTTPS://a:1'], { origins: ['https://a:1'] }],
  [['--cors=http://a:1', '--cors=*'], { origins: ['*', 'http://a:1'] }],
  [['--cors=http://a:1', '--cors=http://b:1'], { origins: ['http://b:1'] }],
  [['--host-whitelist=b,a,b'], { hosts: ['a', 'b'] }],
  // As in etcd, none but the empty name.
  [['--host-whitelist='], { hosts: [''] }],
] as const)('%j', (argv, http) => {
  expect(configOf(argv).http).toMatchObject(http);
});

test.each([
  ['--cors=', 'URL scheme must be http, https, unix, or unixs: '],
  ['--cors=http://a', 'URL address does not have the form "host:port": http://a'],
])('%s is no list of origins', (flag, reason) => {
  expect(problemOf([flag])).toBe(`2: invalid value "${flag.slice(7)}" for flag -cors: ${reason}`);
});

test('a configuration file takes the place of flags and environment', () => {
  expect(parse(['--name=', '--config-file=f', '--log-level=debug'])).toEqual({
    kind: 'file',
    path: 'f',
  });
  // Even of variables that are wrong.
  const env = { ETCD_CONFIG_FILE: 'x', ETCD_SNAPSHOT_COUNT: 'x' };
  expect(parse([], env)).toEqual({ kind: 'file', path: 'x' });
  expect(parse(['--config-file=f'], env)).toEqual({ kind: 'file', path: 'f' });
});
