import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ConnectionOptions, PeerCertificate, TlsOptions } from 'node:tls';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { socketConnect } from '../connect.ts';
import type { PeerIdentity } from '../identity.ts';
import { listen } from '../listener.ts';
import { TestAuthority } from '../testing/authority.fixture.ts';
import { type ClientTls, fixedTls } from '../tls.ts';
import { CertificateFiles, type CertificateFilesOptions } from './certificate-files.ts';
import { createSelfSigned } from './self-signed.ts';

const LOOPBACK = { dns: ['localhost'], ip: [[127, 0, 0, 1]] };
const authority = new TestAuthority('authority');
const server = authority.issue({ commonName: 'server', ...LOOPBACK });
const client = authority.issue({ commonName: 'client', ...LOOPBACK });

let root: string;
const closers: (() => unknown)[] = [];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tetcd-certificates-'));
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  rmSync(root, { recursive: true });
});

function put(name: string, text: string | Uint8Array): string {
  const path = join(root, name);
  writeFileSync(path, text);
  return path;
}

/** As what is replaced without a gap. */
function replace(path: string, text: string): void {
  renameSync(put('new', text), path);
}

function filesOf(options: Partial<CertificateFilesOptions> = {}): CertificateFiles {
  return new CertificateFiles({
    ...options,
    paths: {
      cert: put('server.crt', server.cert),
      key: put('server.key', server.key),
      trustedCa: put('ca.crt', authority.cert),
      ...options.paths,
    },
  });
}

function settingsOf(files: CertificateFiles): TlsOptions {
  return files.serverTls({ checkAddress: false }).current();
}

interface Served {
  readonly port: number;
  readonly peers: PeerIdentity[];
  readonly failures: string[];
}

async function serve(files: CertificateFiles, checkAddress = false): Promise<Served> {
  const served: Served = { port: 0, peers: [], failures: [] };
  const listener = await listen({
    address: { host: '127.0.0.1', port: 0 },
    tls: files.serverTls({ checkAddress }),
    onHandshakeFailure: ({ error }) => served.failures.push(error.message),
    http2: {
      accept: (stream, { peer }) => {
        // As it is when the connection begins: the certificate is read while there is one.
        const { address, encrypted, certificate } = peer;
        served.peers.push({ address, encrypted, certificate });
        stream.handler = {
          onData: (bytes) => void stream.write(Uint8Array.from(bytes)),
          onDrain: () => {},
          onEnd: () => stream.end(),
          onClose: () => {},
        };
      },
    },
  });
  closers.push(() => listener.close());
  return { ...served, port: listener.address.port };
}

/** Resolves to true when the port answers, to false when it hangs up; rejects if this side refuses. */
async function reaches(port: number, tls: ClientTls, host = 'localhost'): Promise<boolean> {
  const stream = await socketConnect({ tls, protocol: 'h2' })({ host, port }, 5000);
  return new Promise((resolve) => {
    let answered = false;
    stream.handler = {
      onData: () => {
        answered = true;
        stream.destroy();
      },
      onDrain: () => {},
      onEnd: () => stream.destroy(),
      onClose: () => resolve(answered),
    };
    stream.write(Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'));
  });
}

const trusting = (tls: ConnectionOptions = client): ClientTls =>
  fixedTls({ ca: authority.cert, ...tls });

describe('refused at the start, by file and reason', () => {
  const chain = (paths: CertificateFilesOptions['paths']) => () => filesOf({ paths });

  test('files that are missing', () => {
    const missing = join(root, 'none');
    const text = `open ${missing}: no such file or directory`;
    expect(chain({ cert: missing })).toThrow(text);
    expect(chain({ key: missing })).toThrow(text);
    expect(chain({ trustedCa: missing })).toThrow(text);
    expect(chain({ revocationList: missing })).toThrow(text);
    expect(chain({ clientCert: missing, clientKey: missing })).toThrow(text);
    expect(chain({ cert: root })).toThrow(`open ${root}: is a directory`);
  });

  test.skipIf(process.platform === 'win32')('a named pipe', () => {
    const pipe = join(root, 'pipe');
    execFileSync('mkfifo', [pipe]);
    expect(chain({ cert: pipe })).toThrow(`open ${pipe}: not a regular file`);
  });

  test.each([
    ['', 'tls: failed to find any PEM data in certificate input'],
    [server.key, 'but did find a private key; PEM inputs may have been switched'],
    [authority.revoke(), 'after skipping PEM blocks of the following types: [X509 CRL]'],
    [server.cert.replace(/M/g, 'A'), 'x509: malformed certificate'],
  ])('a certificate that is none (%#)', (text, reason) => {
    const cert = put('bad', text);
    expect(chain({ cert })).toThrow(`${cert}: `);
    expect(chain({ cert })).toThrow(reason);
  });

  test.each([
    ['', 'tls: failed to find any PEM data in key input'],
    [server.cert, 'tls: found a certificate rather than a key in the PEM for the private key'],
    [authority.revoke(), 'after skipping PEM blocks of the following types: [X509 CRL]'],
    [server.key.replace(/M/g, 'A'), 'tls: failed to parse private key'],
    [client.key, 'tls: private key does not match public key'],
  ])('a key that is none, or another one (%#)', (text, reason) => {
    const key = put('bad', text);
    expect(chain({ key })).toThrow(`${key}: ${reason.startsWith('after') ? '' : reason}`);
    expect(chain({ key })).toThrow(reason);
  });

  test('authorities and lists', () => {
    const bad = put('bad', 'nothing');
    expect(chain({ trustedCa: bad })).toThrow(`${bad}: x509: no certificate among the PEM blocks`);
    expect(chain({ revocationList: bad })).toThrow(`${bad}: x509: malformed revocation list`);
  });

  test('a certificate signed with SHA-1', () => {
    const weak = authority.issue({ commonName: 'weak', ...LOOPBACK, digest: 'sha1' });
    const cert = put('weak.crt', weak.cert);
    const key = put('weak.key', weak.key);
    expect(chain({ cert, key })).toThrow(/^.*weak\.crt: .*md too weak/);
  });

  test('as INVALID_ARGUMENT', () => {
    expect(chain({ cert: 'none' })).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });
});

describe('files that change', () => {
  test('are read again, and the same settings stay one object', async () => {
    const files = filesOf();
    const { port, peers } = await serve(files);
    const first = settingsOf(files);
    expect(await reaches(port, trusting())).toBe(true);
    expect(settingsOf(files)).toBe(first);
    expect(files.clientTls.current()).toBe(files.clientTls.current());

    const other = new TestAuthority('other');
    replace(join(root, 'ca.crt'), other.cert);
    expect(await reaches(port, trusting())).toBe(false);
    expect(await reaches(port, trusting(other.issue({ commonName: 'b' })))).toBe(true);
    expect(settingsOf(files)).not.toBe(first);
    expect(peers.map(({ certificate }) => certificate?.commonName)).toEqual(['client', 'b']);
  });

  test('a certificate without its key is not used, and said once', async () => {
    const problems: string[] = [];
    let reloads = 0;
    const files = filesOf({
      onProblem: (error) => problems.push(error.message),
      onReload: () => reloads++,
    });
    const { port } = await serve(files);
    const next = authority.issue({ commonName: 'next', ...LOOPBACK });
    const key = join(root, 'server.key');
    replace(join(root, 'server.crt'), next.cert);
    for (let i = 0; i < 3; i++) expect(await reaches(port, trusting())).toBe(true);
    expect(problems).toEqual([`${key}: tls: private key does not match public key`]);
    expect(reloads).toBe(0);
    replace(key, next.key);
    expect(await reaches(port, trusting())).toBe(true);
    expect(reloads).toBe(1);
    rmSync(key);
    expect(await reaches(port, trusting())).toBe(true);
    expect(problems.slice(1)).toEqual([`open ${key}: no such file or directory`]);
  });

  test('a link that is pointed elsewhere, as Kubernetes replaces secrets', () => {
    const next = authority.issue({ commonName: 'next', ...LOOPBACK });
    for (const [name, issued] of [['old', server] as const, ['new', next] as const]) {
      mkdirSync(join(root, name));
      put(`${name}/tls.crt`, issued.cert);
      put(`${name}/tls.key`, issued.key);
    }
    symlinkSync('old', join(root, 'data'));
    const paths = { cert: join(root, 'data/tls.crt'), key: join(root, 'data/tls.key') };
    const files = filesOf({ paths });
    const first = settingsOf(files);
    symlinkSync('new', join(root, 'data2'));
    renameSync(join(root, 'data2'), join(root, 'data'));
    expect(settingsOf(files).cert).not.toEqual(first.cert);
  });
});

describe('who may connect', () => {
  test('only who has a certificate of a trusted authority', async () => {
    const { port, failures, peers } = await serve(filesOf());
    expect(await reaches(port, trusting())).toBe(true);
    expect(await reaches(port, trusting({}))).toBe(false);
    const stranger = new TestAuthority('elsewhere').issue({ commonName: 'client' });
    expect(await reaches(port, trusting(stranger))).toBe(false);
    const old = authority.issue({ commonName: 'old', notAfter: '210101000000Z' });
    expect(await reaches(port, trusting(old))).toBe(false);
    const wrong = authority.issue({ commonName: 'a server', usage: 'server' });
    expect(await reaches(port, trusting(wrong))).toBe(false);
    const weak = authority.issue({ commonName: 'weak', digest: 'sha1' });
    await expect(async () => reaches(port, trusting(weak))).rejects.toThrow(/too weak/);
    expect(failures).toEqual([
      "tls: client didn't provide a certificate",
      'tls: failed to verify certificate: x509: certificate signed by unknown authority',
      'tls: failed to verify certificate: x509: certificate has expired or is not yet valid',
      'tls: failed to verify certificate: x509: certificate specifies an incompatible key usage',
    ]);
    expect(peers).toHaveLength(1);
  });

  test('without authorities nobody is asked for one', async () => {
    const { port, peers } = await serve(filesOf({ paths: { trustedCa: undefined } }));
    expect(await reaches(port, trusting())).toBe(true);
    expect(peers[0]!.certificate).toBeUndefined();
  });

  test('unless that is asked for: then the authorities of the system count', async () => {
    const files = filesOf({ paths: { trustedCa: undefined }, requireClientCertificate: true });
    const { port, failures } = await serve(files);
    expect(await reaches(port, trusting({}))).toBe(false);
    expect(await reaches(port, trusting())).toBe(false);
    expect(failures).toHaveLength(2);
  });

  test('an authority below another one is trusted by itself', async () => {
    const below = new TestAuthority('below', authority);
    const { port } = await serve(filesOf({ paths: { trustedCa: put('below', below.cert) } }));
    expect(await reaches(port, trusting(below.issue({ commonName: 'a' })))).toBe(true);
    expect(await reaches(port, trusting())).toBe(false);
  });

  test('common names', async () => {
    const { port, failures } = await serve(filesOf({ allowedCommonNames: ['member', 'other'] }));
    expect(await reaches(port, trusting(authority.issue({ commonName: 'other' })))).toBe(true);
    expect(await reaches(port, trusting())).toBe(false);
    expect(await reaches(port, trusting(authority.issue({})))).toBe(false);
    const text = 'client certificate authentication failed';
    expect(failures).toEqual([text, text]);
  });

  test('host names and addresses', async () => {
    const files = filesOf({ allowedHostnames: ['member.example', '10.0.0.1'] });
    const { port, failures } = await serve(files);
    const [wild, address] = [
      authority.issue({ dns: ['*.example'] }),
      authority.issue({ ip: [[10, 0, 0, 1]] }),
    ];
    expect(await reaches(port, trusting(wild))).toBe(true);
    expect(await reaches(port, trusting(address))).toBe(true);
    expect(await reaches(port, trusting())).toBe(false);
    const named = authority.issue({ commonName: 'member.example' });
    expect(await reaches(port, trusting(named))).toBe(false);
    expect(failures).toHaveLength(2);
  });

  test('whose names lead to where it comes from', async () => {
    const lookup = { namesOf: async () => ['member.example.'], addressesOf: async () => [] };
    const { port, failures } = await serve(filesOf({ lookup }), true);
    expect(await reaches(port, trusting())).toBe(true);
    expect(await reaches(port, trusting(authority.issue({ dns: ['member.example'] })))).toBe(true);
    expect(await reaches(port, trusting(authority.issue({ ip: [[10, 0, 0, 1]] })))).toBe(false);
    expect(await reaches(port, trusting(authority.issue({ dns: ['a.example'] })))).toBe(false);
    expect(failures).toEqual([
      'x509: certificate is valid for 10.0.0.1, not 127.0.0.1',
      'tls: "127.0.0.1" does not match any of DNSNames ["a.example"]',
    ]);
  });

  test('who is not revoked, nor an authority in its chain, also by a list that has changed', async () => {
    const below = new TestAuthority('below', authority);
    const chained = below.issue({ commonName: 'chained' });
    const withChain = { key: chained.key, cert: chained.cert + below.cert };
    const list = put('list', authority.revoke());
    const { port, failures } = await serve(filesOf({ paths: { revocationList: list } }));
    expect(await reaches(port, trusting())).toBe(true);
    expect(await reaches(port, trusting(withChain))).toBe(true);
    replace(list, authority.revoke(client));
    expect(await reaches(port, trusting())).toBe(false);
    expect(await reaches(port, trusting(withChain))).toBe(true);
    replace(list, authority.revoke(below));
    expect(await reaches(port, trusting(withChain))).toBe(false);
    replace(list, 'nothing');
    expect(await reaches(port, trusting(withChain))).toBe(false);
    const serials = [client, below].map(({ serialNumber }) => serialNumber.toLowerCase());
    expect(failures).toEqual([
      `transport: certificate serial ${serials[0]} revoked`,
      `transport: certificate serial ${serials[1]} revoked`,
      `transport: certificate serial ${serials[1]} revoked`,
    ]);
  });
});

describe('whom to connect to', () => {
  /** A server with `issued` and no questions, and the files of who connects to it. */
  async function meet(issued: { readonly cert: string; readonly key: string }) {
    const paths = { cert: put('its.crt', issued.cert), key: put('its.key', issued.key) };
    return serve(filesOf({ paths: { ...paths, trustedCa: undefined } }));
  }

  test('a server whose certificate names its host', async () => {
    const { port } = await meet(server);
    const { clientTls: tls } = filesOf();
    expect(await reaches(port, tls)).toBe(true);
    expect(await reaches(port, tls, '127.0.0.1')).toBe(true);
    const { port: other } = await meet(authority.issue({ dns: ['other.example'] }));
    await expect(reaches(other, tls)).rejects.toThrow(
      'x509: certificate is valid for other.example, not localhost',
    );
    const { port: legacy } = await meet(authority.issue({ commonName: 'localhost' }));
    await expect(reaches(legacy, tls)).rejects.toThrow('legacy Common Name');
  });

  test('of a trusted authority, unless told otherwise', async () => {
    const stranger = new TestAuthority('elsewhere').issue({ ...LOOPBACK });
    const { port } = await meet(stranger);
    await expect(reaches(port, filesOf().clientTls)).rejects.toThrow(
      'x509: certificate signed by unknown authority',
    );
    expect(await reaches(port, filesOf({ insecure: true }).clientTls)).toBe(true);
    const alone = new CertificateFiles({ paths: {} });
    await expect(reaches(port, alone.clientTls)).rejects.toThrow('unknown authority');
    expect(() => settingsOf(alone)).toThrow('there is no certificate to serve with');
  });

  test('that is allowed, and not revoked', async () => {
    const { port } = await meet(server);
    const named = filesOf({ allowedCommonNames: ['member'] });
    await expect(reaches(port, named.clientTls)).rejects.toThrow('authentication failed');
    const list = put('list', authority.revoke(server));
    const listed = filesOf({ paths: { revocationList: list } });
    await expect(reaches(port, listed.clientTls)).rejects.toThrow(/serial [\da-f]+ revoked/);
  });

  test('with the certificate for clients where there is one', async () => {
    const { port, peers } = await serve(filesOf());
    const own = { clientCert: put('c.crt', client.cert), clientKey: put('c.key', client.key) };
    await reaches(port, filesOf({ paths: own }).clientTls);
    await reaches(port, filesOf().clientTls);
    expect(peers.map(({ certificate }) => certificate?.commonName)).toEqual(['client', 'server']);
  });

  test('a certificate whose names cannot be read is none', () => {
    const options = filesOf().clientTls.current();
    const certificate = { serialNumber: '01', subject: {}, subjectaltname: 'DNS:"localhost' };
    expect(
      options.checkServerIdentity!('localhost', certificate as unknown as PeerCertificate)?.message,
    ).toBe('tls: the certificate cannot be read');
  });
});

describe('what is shown', () => {
  const shown = (options: Partial<CertificateFilesOptions> = {}): string[] =>
    String(settingsOf(filesOf(options)).cert).match(
      /-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g,
    )!;
  const pem = (...certificates: readonly string[]) => certificates.map((text) => text.trim());

  test('of a certificate alone in its file, the issuers that are trusted too', () => {
    const below = new TestAuthority('below', authority);
    const { cert, key } = below.issue({ commonName: 'server', ...LOOPBACK });
    const paths = {
      ...{ cert: put('below.crt', cert), key: put('below.key', key) },
      trustedCa: put('both', `${authority.cert}${below.cert}`),
    };
    expect(shown({ paths })).toEqual(pem(cert, below.cert, authority.cert));
    expect(shown()).toEqual(pem(server.cert, authority.cert));
  });

  test('no authority that has the name and not the key of the issuer', () => {
    const namesake = new TestAuthority('authority');
    const both = put('both', `${namesake.cert}${authority.cert}`);
    expect(shown({ paths: { trustedCa: both } })).toEqual(pem(server.cert, authority.cert));
    expect(shown({ paths: { trustedCa: put('one', namesake.cert) } })).toEqual(pem(server.cert));
  });

  test('of a file with several, these', () => {
    const other = new TestAuthority('other');
    const cert = put('chain.crt', `${server.cert}${other.cert}`);
    expect(shown({ paths: { cert } })).toEqual(pem(server.cert, other.cert));
  });

  test('of one that vouches for itself, nothing else', async () => {
    const { cert, key } = await createSelfSigned({
      ...{ hosts: ['localhost'], serialNumber: new Uint8Array(16) },
      ...{ notBeforeMs: Date.UTC(2020, 0, 1), notAfterMs: Date.UTC(2049, 0, 1) },
    });
    const paths = { cert: put('self.crt', cert), key: put('self.key', key) };
    expect(shown({ paths: { ...paths, trustedCa: put('self', cert) } })).toEqual(pem(cert));
  });
});

test('a suite that this runtime was built without', () => {
  expect(() => filesOf({ cipherSuites: ['TLS_RSA_WITH_RC4_128_SHA'] })).toThrow('too weak');
});

test('versions and suites', async () => {
  const files = filesOf({
    maxVersion: 'TLSv1.2',
    cipherSuites: ['TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384'],
  });
  const { port } = await serve(files);
  expect(await reaches(port, trusting())).toBe(true);
  await expect(reaches(port, trusting({ minVersion: 'TLSv1.3' }))).rejects.toThrow();
  const other = trusting({ ...client, ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' });
  await expect(reaches(port, other)).rejects.toThrow('handshake failure');
  const newest = await serve(filesOf({ minVersion: 'TLSv1.3' }));
  await expect(reaches(newest.port, trusting({ maxVersion: 'TLSv1.2' }))).rejects.toThrow(
    'protocol version',
  );
});

test('until when what is loaded is valid', () => {
  const short = authority.issue({ ...LOOPBACK, notAfter: '300101000000Z' });
  const paths = {
    cert: put('short.crt', short.cert + authority.cert),
    key: put('short.key', short.key),
    revocationList: put('list', authority.revoke()),
  };
  const files = filesOf({ paths });
  const end = Date.UTC(2049, 11, 31, 23, 59, 59);
  expect(files.loaded).toEqual([
    { path: paths.cert, notAfterMs: Date.UTC(2030, 0, 1) },
    { path: join(root, 'ca.crt'), notAfterMs: end },
    { path: paths.revocationList, notAfterMs: end },
  ]);
});
