import { expect, test } from 'vitest';
import { realProgram } from '../../../test/helpers/member.ts';
import { describeWith, need, realEtcd } from '../../../test/helpers/real-etcd.ts';
import { run } from '../../../test/helpers/run.ts';
import { bootstrapProblem } from './bootstrap-check.ts';
import { parseConfig, parseConfigFile } from './parse-config.ts';
import type { ServerConfig } from './server-config.ts';

const ABOUT = { packageVersion: '0.1.0', nodeVersion: 'v20.19.0', platform: 'linux', arch: 'x64' };

function configOf(...argv: readonly string[]): ServerConfig {
  const parsed = parseConfig(argv, {}, ABOUT);
  if (parsed.kind !== 'run') throw new Error(JSON.stringify(parsed));
  return parsed.config;
}

const CONFLICT =
  'multiple discovery or bootstrap flags are set. Choose one of "initial-cluster", ' +
  '"discovery-endpoints" or "discovery-srv"';
const BOTH = 'both --discovery-token and --discovery-endpoints must be set';

/** Refused in the same words by real etcd. */
const REFUSED: readonly (readonly [readonly string[], string])[] = [
  [['--discovery-srv=a', '--initial-cluster=default=http://localhost:2380'], CONFLICT],
  [['--discovery-endpoints=a', '--initial-cluster=default=http://localhost:2380'], CONFLICT],
  [['--discovery-endpoints=a', '--discovery-srv=b'], CONFLICT],
  [['--discovery-token=t'], BOTH],
  [['--discovery-endpoints=a:1'], BOTH],
  [['--discovery-endpoints='], BOTH],
  [
    ['--discovery-endpoints=', '--discovery-token=t'],
    '--discovery-endpoints must not contain empty endpoints',
  ],
  [
    ['--discovery-endpoints=a, ', '--discovery-token=t'],
    '--discovery-endpoints must not contain empty endpoints',
  ],
  [
    ['--discovery-fallback=proxy'],
    `v2 proxy is deprecated, and --discovery-fallback can't be configured as "proxy"`,
  ],
  [['--discovery-srv=a', '--discovery-token=t'], BOTH],
];

test.each(REFUSED)('%j is refused', (argv, error) => {
  const parsed = parseConfig(argv, {}, ABOUT);
  expect(parsed.kind === 'fail' && parsed.notes.at(-1)!.fields).toEqual({ error });
});

const real = realEtcd('3.7');
describeWith('real etcd 3.7', [real], () => {
  test('refuses the same in the same words', { timeout: 60_000 }, async () => {
    const { command } = realProgram(need(real));
    for (const [argv, error] of REFUSED) {
      const { code, stderr } = await run([...command, ...argv]);
      const last = JSON.parse(stderr.trim().split('\n').at(-1)!) as { readonly error: string };
      expect([argv, last.error, code]).toEqual([argv, error, 1]);
    }
  });
});

test('records of the DNS take the place of the cluster', () => {
  const config = configOf('--name=m1', '--discovery-srv=example.com', '--discovery-srv-name=blue');
  expect(config).toMatchObject({
    initialCluster: [],
    initialClusterToken: 'etcd-cluster',
    srvDiscovery: { domain: 'example.com', serviceName: 'blue' },
    serviceDiscovery: undefined,
  });
});

test('a service takes its place, with defaults', () => {
  const config = configOf('--discovery-endpoints=b:1,a:1,b:1', '--discovery-token=t');
  expect(config).toMatchObject({
    initialCluster: [{ name: 'default', peerURLs: ['http://localhost:2380'] }],
    initialClusterToken: 't',
    serviceDiscovery: {
      token: 't',
      endpoints: ['a:1', 'b:1'],
      dialTimeoutMs: 2_000,
      requestTimeoutMs: 5_000,
      keepaliveTimeMs: 2_000,
      keepaliveTimeoutMs: 6_000,
      tls: { insecureTransport: true, insecureSkipVerify: false, certFile: '' },
      auth: undefined,
    },
  });
  expect(bootstrapProblem(config)).toBeUndefined();
  expect(bootstrapProblem({ ...config, initialClusterState: 'existing' })).toBe(
    'discovery URL should not be set when joining existing initial cluster',
  );
});

test.each([
  [['--discovery-user=u', '--discovery-password=p'], { user: 'u', password: 'p' }],
  // As in etcd, which reads no password out of the name.
  [['--discovery-user=u:p'], undefined],
  [['--discovery-password=p'], undefined],
])('%j', (argv, auth) => {
  const config = configOf('--discovery-endpoints=a:1', '--discovery-token=t', ...argv);
  expect(config.serviceDiscovery?.auth).toEqual(auth);
});

test('all of it in a configuration file, and what only a file can say', () => {
  const document = {
    'discovery-config': {
      token: 't',
      client: {
        endpoints: ['https://a:1'],
        'request-timeout': 7_000_000_000n,
        'dial-timeout': 1_000_000_000n,
        'keepalive-time': 20_000_000_000n,
        'keepalive-timeout': 3_000_000_000n,
        'max-request-bytes': 1000n,
        'max-recv-bytes': 2000n,
        secure: {
          cert: 'c',
          key: 'k',
          cacert: 'a',
          'server-name': 's',
          'insecure-transport': false,
          'insecure-skip-tls-verify': true,
        },
        auth: { token: 'x' },
      },
    },
  };
  const parsed = parseConfigFile('/f', { document });
  if (parsed.kind !== 'run') throw new Error(JSON.stringify(parsed));
  expect(parsed.config.serviceDiscovery).toEqual({
    token: 't',
    endpoints: ['https://a:1'],
    dialTimeoutMs: 1_000,
    requestTimeoutMs: 7_000,
    keepaliveTimeMs: 20_000,
    keepaliveTimeoutMs: 3_000,
    sendBytesMax: 1000,
    receiveBytesMax: 2000,
    tls: {
      insecureTransport: false,
      insecureSkipVerify: true,
      certFile: 'c',
      keyFile: 'k',
      trustedCaFile: 'a',
      serverName: 's',
    },
    auth: { token: 'x' },
  });
});
