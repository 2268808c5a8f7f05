import { describe, expect, test } from 'vitest';
import { environmentName } from './environment.ts';
import { parseConfig } from './parse-config.ts';
import { TLS_FLAGS } from './tls-flags.ts';

const ABOUT = { packageVersion: '0.1.0', nodeVersion: 'v20.19.0', platform: 'linux', arch: 'x64' };
const CLIENT_URL = [
  '--listen-client-urls=https://127.0.0.1:1',
  '--advertise-client-urls=https://a:1',
];
const PEER_URL = ['--listen-peer-urls=https://127.0.0.1:2'];
const PAIR = ['--cert-file=c', '--key-file=k'];
const PEER_PAIR = ['--peer-cert-file=c', '--peer-key-file=k'];

function parse(argv: readonly string[], env: Readonly<Record<string, string>> = {}) {
  return parseConfig(argv, env, ABOUT);
}

function problemOf(argv: readonly string[]): unknown {
  const parsed = parse(argv);
  if (parsed.kind === 'print') return parsed.stderr.split('\n')[0];
  if (parsed.kind === 'file') return `file ${parsed.path}`;
  return parsed.kind === 'run' ? 'none' : parsed.notes.at(-1)!.fields['error'];
}

test('every flag, by name and by variable', () => {
  const values: Readonly<Record<string, string>> = {
    'cert-file': 'a',
    'key-file': 'b',
    'client-cert-auth': 'true',
    'client-cert-file': 'c',
    'client-key-file': 'd',
    'client-crl-file': 'e',
    'client-cert-allowed-hostname': 'f,g',
    'trusted-ca-file': 'h',
    'peer-cert-file': 'i',
    'peer-key-file': 'j',
    'peer-client-cert-auth': 'true',
    'peer-client-cert-file': 'k',
    'peer-client-key-file': 'l',
    'peer-trusted-ca-file': 'm',
    'peer-cert-allowed-cn': 'n,o',
    'peer-crl-file': 'p',
    'auto-tls': 'true',
    'peer-auto-tls': 'true',
    'self-signed-cert-validity': '3',
    'peer-skip-client-san-verification': 'true',
    'cipher-suites': 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256',
    'tls-min-version': 'TLS1.2',
    'tls-max-version': 'TLS1.3',
  };
  const other = 'peer-cert-allowed-hostname';
  expect([...Object.keys(values), other].sort()).toEqual(Object.keys(TLS_FLAGS).sort());
  const entries = Object.entries(values);
  const byFlag = parse(entries.map(([name, text]) => `--${name}=${text}`));
  const byVariable = parse(
    [],
    Object.fromEntries(entries.map(([name, text]) => [environmentName(name), text])),
  );
  for (const parsed of [byFlag, byVariable]) {
    expect(parsed).toMatchObject({
      kind: 'run',
      config: {
        clientTls: {
          ...{ certFile: 'a', keyFile: 'b', clientCertAuth: true, clientCertFile: 'c' },
          ...{ clientKeyFile: 'd', crlFile: 'e', trustedCaFile: 'h', skipsSanVerification: false },
          ...{ allowedHostnames: ['f', 'g'], allowedCommonNames: [] },
        },
        peerTls: {
          ...{ certFile: 'i', keyFile: 'j', clientCertAuth: true, clientCertFile: 'k' },
          ...{ clientKeyFile: 'l', crlFile: 'p', trustedCaFile: 'm', skipsSanVerification: true },
          ...{ allowedHostnames: [], allowedCommonNames: ['n', 'o'] },
        },
        tls: {
          cipherSuites: ['TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256'],
          ...{ minVersion: 'TLSv1.2', maxVersion: 'TLSv1.3', selfSignedYears: 3 },
        },
      },
    });
  }
});

test('without flags: TLS 1.2 and later, nobody is asked for a certificate', () => {
  expect(parse(['--peer-cert-allowed-hostname=', '--tls-min-version='])).toMatchObject({
    config: {
      tls: { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.3', cipherSuites: [] },
      clientTls: { certFile: '', clientCertAuth: false, allowedHostnames: [] },
      peerTls: { certFile: '', clientCertAuth: false, allowedHostnames: [] },
    },
  });
});

test('URLs of both kinds, at one address as well', () => {
  const both = '--listen-client-urls=http://127.0.0.1:1,https://127.0.0.1:1,unixs://s';
  expect(parse([both, '--advertise-client-urls=https://a:1', ...PAIR])).toMatchObject({
    config: {
      listenClientUrls: [
        { text: 'http://127.0.0.1:1', scheme: 'http', port: 1 },
        { text: 'https://127.0.0.1:1', scheme: 'https', port: 1 },
        { text: 'unixs://s', scheme: 'unixs', path: 's' },
      ],
    },
  });
});

describe('refused in the words of etcd', () => {
  test.each<[readonly string[], string]>([
    [
      CLIENT_URL,
      'TLS key/cert (--cert-file, --key-file) must be provided for client url ' +
        'https://127.0.0.1:1 with HTTPS scheme',
    ],
    [
      ['--listen-client-http-urls=https://127.0.0.1:9'],
      'TLS key/cert (--cert-file, --key-file) must be provided for client url ' +
        'https://127.0.0.1:9 with HTTPS scheme',
    ],
    [
      ['--listen-metrics-urls=https://127.0.0.1:9'],
      'client TLS key/cert (--cert-file, --key-file) must be provided for metrics secure url',
    ],
    [PEER_URL, 'cannot listen on TLS for 127.0.0.1:2: KeyFile and CertFile are not presented'],
    [[...CLIENT_URL, '--cert-file=c'], 'KeyFile and CertFile must both be present[key: , cert: c]'],
    [['--peer-key-file=k'], 'KeyFile and CertFile must both be present[key: k, cert: ]'],
    [
      [...CLIENT_URL, ...PAIR, '--client-cert-file=c'],
      'ClientKeyFile and ClientCertFile must both be present or both absent: key: , cert: c]',
    ],
    [
      [...PEER_PAIR, '--peer-cert-allowed-cn=a,b', '--peer-cert-allowed-hostname=c'],
      'AllowedCNs and AllowedHostnames are mutually exclusive (cns=["a" "b"], hostnames=["c"])',
    ],
    [['--cipher-suites=X'], 'unexpected TLS cipher suite "X"'],
    [
      [...CLIENT_URL, ...PAIR, '--cipher-suites=TLS_RSA_WITH_AES_128_CBC_SHA'],
      'http2: TLSConfig.CipherSuites is missing an HTTP/2-required AES_128_GCM_SHA256 cipher ' +
        '(need at least one of TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 or ' +
        'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256)',
    ],
    [
      ['--tls-min-version=TLS1.1'],
      'unexpected TLS version "TLS1.1" (must be one of: TLS1.2, TLS1.3)',
    ],
    [
      ['--tls-max-version=TLSv1.3'],
      'unexpected TLS version "TLSv1.3" (must be one of: TLS1.2, TLS1.3)',
    ],
    [
      ['--tls-min-version=TLS1.3', '--tls-max-version=TLS1.2'],
      'min version (TLS1.3) is greater than max version (TLS1.2)',
    ],
    [
      ['--tls-min-version=TLS1.3', '--cipher-suites=TLS_AES_128_GCM_SHA256'],
      'cipher suites cannot be configured when only TLS1.3 is enabled',
    ],
    [
      [...CLIENT_URL, '--auto-tls', '--self-signed-cert-validity=0'],
      'selfSignedCertValidity is invalid,it should be greater than 0',
    ],
    [
      [...PEER_URL, '--peer-auto-tls', '--self-signed-cert-validity=0'],
      'selfSignedCertValidity is invalid,it should be greater than 0',
    ],
  ])('%j', (argv, problem) => {
    expect(problemOf(argv)).toBe(problem);
  });
});

describe('certificates that a member makes', () => {
  test('stand in for files that are not given', () => {
    const parsed = parse([...CLIENT_URL, ...PEER_URL, '--auto-tls', '--peer-auto-tls']);
    expect(parsed).toMatchObject({
      config: { clientTls: { generates: true }, peerTls: { generates: true } },
    });
  });

  test('and are none beside files, which is said', () => {
    const auto = ['--auto-tls', '--peer-auto-tls'];
    const parsed = parse([...CLIENT_URL, ...PEER_URL, ...PAIR, ...PEER_PAIR, ...auto]);
    expect(parsed).toMatchObject({
      config: { clientTls: { generates: false }, peerTls: { generates: false } },
    });
    const texts = parsed.kind === 'run' ? parsed.notes.map(({ msg }) => msg) : [];
    expect(texts).toContain('ignoring peer auto TLS since certs given');
    expect(texts).toContain('ignoring client auto TLS since certs given');
  });

  test.each([
    '--peer-client-cert-auth',
    '--peer-trusted-ca-file=a',
    '--peer-crl-file=a',
    '--peer-cert-allowed-cn=a',
    '--peer-cert-allowed-hostname=a',
  ])('cannot be verified between members: %s', (flag) => {
    expect(problemOf([...PEER_URL, '--peer-auto-tls', flag])).toMatch(/^--peer-auto-tls makes/);
  });
});

test('as in etcd, files of client ports are no matter while nothing is encrypted there', () => {
  expect(problemOf(['--cert-file=c'])).toBe('none');
});

test('plaintext beside certificates is said to be so', () => {
  const parsed = parse([...PAIR, '--client-cert-auth', ...PEER_PAIR, '--peer-client-cert-auth']);
  const notes = parsed.kind === 'run' ? parsed.notes : [];
  expect(notes.filter(({ msg }) => msg.startsWith('scheme is'))).toEqual([
    {
      level: 'warn',
      msg: 'scheme is HTTP while key and cert files are present; ignoring key and cert files',
      fields: { 'peer-url': 'http://localhost:2380' },
    },
    {
      level: 'warn',
      msg:
        'scheme is HTTP while --peer-client-cert-auth is enabled; ' +
        'ignoring client cert auth for this URL',
      fields: { 'peer-url': 'http://localhost:2380' },
    },
    {
      level: 'warn',
      msg:
        'scheme is http or unix while key and cert files are present; ' +
        'ignoring key and cert files',
      fields: { 'client-url': 'http://localhost:2379' },
    },
    {
      level: 'warn',
      msg:
        'scheme is http or unix while --client-cert-auth is enabled; ' +
        'ignoring client cert auth for this URL',
      fields: { 'client-url': 'http://localhost:2379' },
    },
  ]);
});
