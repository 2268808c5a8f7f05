// A cluster of real etcd with certificates on every port, users and roles becomes ours and real again,
// member by member over the same directories, while a user writes: nothing of it changes, nor who is
// refused and how.

import { generateKeyPairSync } from 'node:crypto';
import { afterAll, afterEach, expect, onTestFailed, test } from 'vitest';
import { type Issued, TestAuthority } from '../../src/net/testing/authority.fixture.ts';
import { authRows } from '../auth/rows.ts';
import { enableAuth, passwordOf, USERS } from '../auth/users.ts';
import { ApiClient, type Login, type Message, type Reply } from '../helpers/api.ts';
import { CertificateFiles } from '../helpers/certificate-files.ts';
import { httpsGet } from '../helpers/https-get.ts';
import { realProgram, serverUnderTest } from '../helpers/member.ts';
import { describeWith, need, type Release, realEtcd } from '../helpers/real-etcd.ts';
import { Cluster } from './cluster.ts';
import type { ClusterMember, Server, ServerTls } from './cluster-member.ts';
import { replaceInPlace } from './scenarios.ts';
import { snapshotsOften } from './snapshots-often.ts';

const TIMEOUT_MS = 180_000;
const LOOPBACK = { dns: ['localhost'], ip: [[127, 0, 0, 1]] } as const;

const files = new CertificateFiles();
afterAll(() => files.dispose());

const clusters: Cluster[] = [];
afterEach(async () => {
  for (const cluster of clusters.splice(0)) await cluster.dispose();
});

const { authority } = files;
const pairOf = ({ cert, key }: Issued) => ({ cert, key });
const client = pairOf(authority.issue({ commonName: 'client', ...LOOPBACK }));
const trusting = { ca: authority.cert, ...client };
const portFiles = { ...files.server(), clientAuthority: files.ca };
const tls: ServerTls = { files: portFiles, peerFiles: portFiles, client: trusting };

const loginOf = (name: string): Login => ({ name, password: passwordOf(name) });
const ROOT = loginOf('root');
const UMA = loginOf('uma');

/** Shown by whom; nothing, one of another authority, one that has expired. */
const WRONG_CERTIFICATES: readonly (readonly [who: string, tls: object])[] = [
  ['nobody', {}],
  ['a stranger', pairOf(new TestAuthority('elsewhere').issue({ commonName: 'root', ...LOOPBACK }))],
  [
    'a former client',
    pairOf(authority.issue({ commonName: 'root', ...LOOPBACK, notAfter: '210101000000Z' })),
  ],
];
const ELSEWHERE = pairOf(authority.issue({ dns: ['x.invalid'], ip: [[10, 9, 9, 9]] }));

/** Who may connect, to which port. */
async function expectStrangersRefused(member: ClusterMember): Promise<void> {
  const ports = [`https://${member.endpoint}`, member.peerUrl].map((url) =>
    Number(new URL(url).port),
  );
  const [clientPort, peerPort] = ports as [number, number];
  for (const port of ports) {
    expect((await httpsGet(port, '/version', trusting)).status).toBe(200);
    for (const [who, shown] of WRONG_CERTIFICATES) {
      const asked = httpsGet(port, '/version', { ca: authority.cert, ...shown });
      await expect(asked, `${who} at ${member.name}`).rejects.toThrow();
    }
  }
  const elsewhere = { ca: authority.cert, ...ELSEWHERE };
  expect((await httpsGet(clientPort, '/version', elsewhere)).status).toBe(200);
  await expect(httpsGet(peerPort, '/version', elsewhere)).rejects.toThrow();
}

/** Its outcome, without what changes from call to call. */
function plain({ code, details, message }: Reply): string {
  if (message === undefined) return `${code} ${details}`;
  const { header: _, ...rest } = message;
  return 'token' in rest ? 'a token' : JSON.stringify(rest);
}

const VISIBLE: readonly (readonly [rpc: string, request: Message])[] = [
  ['Auth/AuthStatus', {}],
  ['Auth/UserList', {}],
  ['Auth/RoleList', {}],
  ...USERS.map((name) => ['Auth/UserGet', { name }] as const),
  ['Auth/RoleGet', { role: 'k' }],
  ['KV/Range', { key: 'a' }],
];
/** By everybody but root; what is not allowed to anybody leaves all as it is. */
const TRIED: readonly (readonly [rpc: string, request: Message])[] = [
  ['KV/Range', { key: 'k1' }],
  ['KV/Range', { key: 'a' }],
  ['KV/Put', { key: 'a', value: 'overwritten' }],
  ['KV/DeleteRange', { key: '\0', range_end: '\0' }],
  ['Auth/UserList', {}],
  ['Auth/UserDelete', { name: 'nora' }],
];

/** What root sees of users and roles, and how others are refused: the same with every program. */
async function answers(member: ClusterMember, jwt: string | undefined): Promise<string[]> {
  const said: string[] = [];
  for (const [rpc, request] of VISIBLE) said.push(plain(await member.client.call(rpc, request)));
  const anonymous = new ApiClient(member.endpoint, trusting);
  for (const login of [
    ...USERS.map(loginOf),
    { name: 'root', password: 'wrong' },
    { name: 'nobody', password: 'any' },
  ]) {
    said.push(plain(await anonymous.call('Auth/Authenticate', { ...login })));
  }
  const [uma, nora] = [member.connect(UMA), member.connect(loginOf('nora'))];
  const made = 'abcdefghijklmnop.1';
  for (const [rpc, request] of TRIED) {
    for (const caller of [uma, nora, anonymous]) {
      said.push(`${rpc}: ${plain(await caller.call(rpc, request))}`);
    }
    said.push(plain(await anonymous.call(rpc, request, { token: made })));
    if (jwt !== undefined) said.push(plain(await anonymous.call(rpc, request, { token: jwt })));
  }
  for (const one of [anonymous, uma, nora]) one.close();
  return said;
}

function jwtFlag(): string {
  const pair = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    privateKeyEncoding: { type: 'sec1', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  const [key, pub] = [
    files.write('jwt.key', pair.privateKey),
    files.write('jwt.pub', pair.publicKey),
  ];
  return `--auth-token=jwt,sign-method=ES256,priv-key=${key},pub-key=${pub},ttl=1h`;
}

const ours = serverUnderTest();
const kinds: readonly (readonly [Release, 'simple' | 'jwt'])[] = [
  ['3.5', 'simple'],
  ['3.7', 'jwt'],
];
for (const [release, tokens] of kinds) {
  const real = realEtcd(release);
  describeWith(`a secured cluster of etcd ${release}, ${tokens} tokens`, [ours, real], () => {
    test('is replaced by ours and back, in place', { timeout: TIMEOUT_MS }, async () => {
      const held = release === '3.5' ? ['--max-cluster-version=3.5'] : [];
      const theirs: Server = snapshotsOften({ program: realProgram(need(real)), tls });
      const replacement: Server = snapshotsOften({ program: need(ours), tls, flags: held });
      const flags = ['--bcrypt-cost=4', tokens === 'jwt' ? jwtFlag() : '--auth-token=simple'];
      const cluster = await Cluster.start({ servers: [theirs, theirs, theirs], flags });
      clusters.push(cluster);
      onTestFailed(() => console.error(cluster.logs()));
      const [first] = cluster.members;
      for (const key of ['a', 'k1']) {
        await first!.client.must('KV/Put', { key, value: 'as it was' });
      }
      await enableAuth(first!.endpoint, tls.client);
      for (const member of cluster.members) member.logInAs(ROOT);

      const uma = first!.connect(UMA);
      const jwt = tokens === 'jwt' ? await uma.token() : undefined;
      uma.close();
      const before = await answers(first!, jwt);
      expect(before).toEqual(
        expect.arrayContaining([
          '{"users":["nora","root","uma"]}',
          '3 etcdserver: authentication failed, invalid user ID or password',
          'KV/Put: 7 etcdserver: permission denied',
          '16 etcdserver: invalid auth token',
        ]),
      );
      const rows = new Set<string>();
      await replaceInPlace(cluster, [replacement, theirs], {
        writer: UMA,
        down: async ({ directory }) => {
          rows.add((await authRows(directory)).join('\n'));
          expect(rows.size).toBe(1);
        },
        up: async () => {
          for (const member of cluster.members) {
            expect(await answers(member, jwt), member.name).toEqual(before);
            await expectStrangersRefused(member);
          }
        },
      });
    });
  });
}
