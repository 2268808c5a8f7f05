import { expect, test } from 'vitest';
import { type ConfigOptions, configFromOptions, parseConfig } from './index.ts';

const ABOUT = { packageVersion: '0', nodeVersion: 'v20.19.0', platform: 'linux', arch: 'x64' };

function fromFlags(...argv: string[]) {
  const parsed = parseConfig(argv, {}, ABOUT);
  if (parsed.kind !== 'run') throw new Error(JSON.stringify(parsed));
  return parsed.config;
}

const fromOptions = (options: ConfigOptions) => configFromOptions(options).config;

/** The text of the refusal; options may be what no type allows. */
function problemOf(options: object): string {
  try {
    configFromOptions(options);
  } catch (error) {
    expect(error).toMatchObject({ name: 'TetcdError', code: 'INVALID_ARGUMENT' });
    return (error as Error).message;
  }
  return 'none';
}

test('without options, the defaults of the command', () => {
  expect(fromOptions({})).toEqual(fromFlags());
  expect(fromOptions({ name: undefined, listenClientUrls: undefined })).toEqual(fromFlags());
});

test('an option is its flag', () => {
  const options: ConfigOptions = {
    name: 'a',
    dataDir: '/srv/a',
    listenClientUrls: ['http://127.0.0.1:1', 'unix:///run/a'],
    listenPeerUrls: ['http://10.0.0.1:2'],
    initialCluster: 'a=http://10.0.0.1:2,b=http://10.0.0.2:2',
    initialClusterState: 'existing',
    heartbeatInterval: 20,
    electionTimeout: 200,
    watchProgressNotifyInterval: 1500.5,
    raftReadTimeout: 0,
    quotaBackendBytes: -1,
    preVote: false,
    metrics: 'extensive',
    logOutputs: ['stdout', '/var/log/a'],
    featureGates: { LeaseCheckpoint: true, FastLeaseKeepAlive: false },
    maxClusterVersion: '3.5',
  };
  expect(fromOptions(options)).toEqual(
    fromFlags(
      ...['--name=a', '--data-dir=/srv/a', '--listen-client-urls=http://127.0.0.1:1,unix:///run/a'],
      ...['--advertise-client-urls=http://127.0.0.1:1,unix:///run/a'],
      ...[
        '--listen-peer-urls=http://10.0.0.1:2',
        '--initial-advertise-peer-urls=http://10.0.0.1:2',
      ],
      ...['--initial-cluster=a=http://10.0.0.1:2,b=http://10.0.0.2:2'],
      ...['--initial-cluster-state=existing', '--heartbeat-interval=20', '--election-timeout=200'],
      ...['--watch-progress-notify-interval=1.5005s', '--raft-read-timeout=0s'],
      ...['--quota-backend-bytes=-1', '--pre-vote=false', '--metrics=extensive'],
      ...['--log-outputs=stdout,/var/log/a', '--max-cluster-version=3.5'],
      '--feature-gates=LeaseCheckpoint=true,FastLeaseKeepAlive=false',
    ),
  );
});

test('what is not given follows what is', () => {
  const config = fromOptions({ listenPeerUrls: ['http://127.0.0.1:7'] });
  expect(config.advertisePeerUrls).toEqual(['http://127.0.0.1:7']);
  expect(config.initialCluster).toEqual([{ name: 'default', peerURLs: ['http://127.0.0.1:7'] }]);
  const everywhere = fromOptions({
    listenClientUrls: ['http://0.0.0.0:5'],
    advertiseClientUrls: ['http://10.0.0.1:5'],
  });
  expect(everywhere.advertiseClientUrls).toEqual(['http://10.0.0.1:5']);
  for (const url of ['http://0.0.0.0:5', 'http://[::]:5']) {
    expect(problemOf({ listenClientUrls: [url] })).toBe(
      'advertiseClientUrls is required when listenClientUrls is set explicitly',
    );
  }
});

test.each([
  [{ dataDirr: 'x' }, 'unknown option dataDirr'],
  [{ 'data-dir': 'x' }, 'unknown option data-dir'],
  [{ version: true }, 'unknown option version'],
  [{ dataDir: 5 }, 'option dataDir must be a string, not 5'],
  [{ snapshotCount: '5' }, 'option snapshotCount must be a number, not "5"'],
  [{ snapshotCount: 1.5 }, 'invalid value 1.5 for option snapshotCount: parse error'],
  [{ maxWals: -1 }, 'invalid value -1 for option maxWals: parse error'],
  [{ maxWals: Number.NaN }, 'invalid value NaN for option maxWals: parse error'],
  [
    { raftReadTimeout: Number.POSITIVE_INFINITY },
    'invalid value Infinity for option raftReadTimeout: parse error',
  ],
  [{ preVote: 'yes' }, 'option preVote must be true or false, not "yes"'],
  [
    { listenClientUrls: 'http://a' },
    'option listenClientUrls must be an array of strings, not "http://a"',
  ],
  [{ listenClientUrls: [] }, 'option listenClientUrls must be an array that is not empty, not []'],
  [
    { listenPeerUrls: ['http://127.0.0.1:1,http://127.0.0.1:2'] },
    'option listenPeerUrls must be an array of strings without commas, ' +
      'not ["http://127.0.0.1:1,http://127.0.0.1:2"]',
  ],
  [
    { listenPeerUrls: ['127.0.0.1:2380'] },
    'invalid value ["127.0.0.1:2380"] for option listenPeerUrls: ' +
      'parse "127.0.0.1:2380": first path segment in URL cannot contain colon',
  ],
  [
    { initialClusterState: 'old' },
    'invalid value "old" for option initialClusterState: invalid value',
  ],
  [
    { featureGates: { No: true } },
    'invalid value [object Object] for option featureGates: unrecognized feature gate: No',
  ],
  [
    { featureGates: 'x' },
    'option featureGates must be an object of names with true or false, not "x"',
  ],
  [
    { electionTimeout: 100 },
    'electionTimeout[100ms] should be at least as 5 times as heartbeatInterval[100ms]',
  ],
  [{ logLevel: 'loud' }, 'unrecognized level: "loud"'],
  [{ compactionBatchLimit: -1 }, 'compactionBatchLimit must not be negative'],
])('a refusal names the option: %j', (options, problem) => {
  expect(problemOf(options)).toBe(problem);
});

test('what was given is left as it is', () => {
  const options = Object.freeze({ listenClientUrls: Object.freeze(['http://127.0.0.1:1']) });
  expect(fromOptions(options).listenClientUrls).toMatchObject([{ port: 1 }]);
  expect(options).toEqual({ listenClientUrls: ['http://127.0.0.1:1'] });
});
