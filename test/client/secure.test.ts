// Our client on real members that want certificates and users: tokens that expire, passwords and roles
// that change, authentication that is enabled and disabled under it.

import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  Client,
  type ClientOptions,
  connect,
  etcdserverpb,
  isEtcdError,
  STATUS,
  statusOf,
  type TlsOptions,
  type Watcher,
} from '../../src/client/index.ts';
import { TestAuthority } from '../../src/net/testing/authority.fixture.ts';
import { pause, until } from '../cluster/until.ts';
import { CertificateFiles } from '../helpers/certificate-files.ts';
import { Member, realProgram } from '../helpers/member.ts';
import { describeWith, type Found, need, type RealEtcd, realEtcd } from '../helpers/real-etcd.ts';
import { freePort } from '../helpers/server-process.ts';

const ROOT = { user: 'root', password: 'of root' };
const APP = { user: 'app', password: 'of app' };

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => {
      throw new Error('it succeeded');
    },
    (error: unknown) => error,
  );
}

/** Value of a watch's first event; ends the watch. */
async function firstOf(watch: Watcher): Promise<string> {
  for await (const { kv } of watch) return kv.valueText;
  throw new Error('the watch has ended');
}

function secured(found: Found<RealEtcd>): void {
  const files = new CertificateFiles();
  const clients: Client[] = [];
  let member: Member;
  let metricsUrl: string;
  let root: Client;

  beforeAll(async () => {
    metricsUrl = `http://127.0.0.1:${await freePort()}`;
    member = await Member.start(realProgram(need(found)), {
      tls: { ...files.server(), clientAuthority: files.ca },
      // Tokens that are not used for a second are forgotten.
      flags: ['--auth-token-ttl=1', '--log-level=debug', `--listen-metrics-urls=${metricsUrl}`],
    });
    root = newClient({ auth: ROOT });
    const { auth } = root;
    await auth.userAdd(ROOT.user, ROOT.password);
    await auth.roleAdd('root');
    await auth.userGrantRole('root', 'root');
    await auth.roleAdd('app');
    await auth.roleGrantPermission('app', 'readwrite', 'app/', { prefix: true });
    await auth.userAdd(APP.user, APP.password);
    await auth.userGrantRole('app', 'app');
  });

  afterAll(async () => {
    for (const client of clients) client.close();
    await member.dispose();
    files.dispose();
  });

  function tlsOf(commonName: string): TlsOptions {
    const { cert, key } = files.authority.issue({ commonName });
    return { ca: files.authority.cert, cert, key };
  }

  function newClient(options: Partial<ClientOptions>): Client {
    const tls = tlsOf('nobody');
    const client = new Client({ endpoints: member.clientUrl, tls, timeoutMs: 20_000, ...options });
    clients.push(client);
    return client;
  }

  /** How many tokens were given out. */
  async function tokensGiven(): Promise<number> {
    const text = await (await fetch(`${metricsUrl}/metrics`)).text();
    const given = /grpc_server_handled_total\{grpc_code="OK",grpc_method="Authenticate".*\} (\d+)/;
    return Number(given.exec(text)?.[1] ?? 0);
  }

  /** Until the tokens that were used before are forgotten: so is one that was given after them. */
  async function expiry(): Promise<void> {
    const token = await newToken();
    const line = new RegExp(`deleted a simple token.*${token}`);
    await until('expired tokens', () => (line.test(member.log()) ? true : undefined));
  }

  async function newToken(): Promise<string> {
    const { authenticate } = etcdserverpb.AuthService.methods;
    const { user: name, password } = APP;
    return (await newClient({}).call(authenticate, { name, password })).token;
  }

  const versionOf = async (key: string): Promise<number | undefined> =>
    (await root.kv.get(key)).kv?.version;

  test('a client without a certificate is told that one is wanted', async () => {
    const tls = { ca: files.authority.cert };
    const failure = await failureOf(connect({ endpoints: member.clientUrl, tls, retriesMax: 0 }));
    expect(statusOf(failure)).toBe(STATUS.UNAVAILABLE);
    expect(String(failure)).toContain(`connection with ${member.endpoint}: `);
    expect(String(failure)).toContain('remote error: tls: certificate required');
  });

  test('a client whose authority the member does not know is told so', async () => {
    const { cert, key } = new TestAuthority('another authority').issue({ commonName: 'x' });
    const tls = { ca: files.authority.cert, cert, key };
    const failure = await failureOf(connect({ endpoints: member.clientUrl, tls, retriesMax: 0 }));
    expect(String(failure)).toMatch(
      /remote error: tls: (?:unknown certificate authority|bad certificate)/,
    );
  });

  test('a client goes on when authentication is enabled, disabled, and enabled again', async () => {
    const app = newClient({ auth: APP });
    await app.kv.put('app/switched', '1');
    await root.auth.enable();
    await app.kv.put('app/switched', '2');
    await root.auth.disable();
    await app.kv.put('app/switched', '3');
    await root.auth.enable();
    await app.kv.put('app/switched', '4');
    expect(await versionOf('app/switched')).toBe(4);
    expect((await root.auth.status()).enabled).toBe(true);
  });

  test('a token that has expired is renewed once for all calls, none of which is done twice', async () => {
    const app = newClient({ auth: APP });
    await app.kv.put('app/expired', '0');
    await expiry();
    const before = await tokensGiven();
    await Promise.all(Array.from({ length: 50 }, (_, i) => app.kv.put('app/expired', `${i}`)));
    expect(await tokensGiven()).toBe(before + 1);
    expect(await versionOf('app/expired')).toBe(51);
  });

  test('a snapshot begins with another token', async () => {
    await root.kv.get('app/');
    await expiry();
    let bytes = 0;
    for await (const blob of root.maintenance.snapshot()) bytes += blob.length;
    expect(bytes).toBeGreaterThan(0);
  });

  test('watches and leases outlive their token and the member that gave it', async () => {
    const app = newClient({ auth: APP });
    const { id } = await app.lease.grant(60);
    await app.kv.put('app/leased', '', { lease: id });
    const keeper = app.lease.keepAlive(id);
    await keeper.next();
    const watch = app.watch('app/', { prefix: true });
    await watch.created;
    await expiry();
    // On the stream that is open: the token it was opened with is gone.
    const another = app.watch('app/another');
    await another.created;
    await member.kill();
    await member.restart();
    await root.kv.put('app/another', 'after the restart');
    for (const each of [watch, another]) expect(await firstOf(each)).toBe('after the restart');
    await keeper.next();
    expect(keeper.kept).toBe(true);
    keeper.close();
  });

  /** Changes roles again and again until `body` is over. */
  async function whileRolesChange(body: () => Promise<void>): Promise<void> {
    let done = false;
    const changing = (async () => {
      let count = 0;
      for (; !done; count++) {
        await root.auth.roleAdd('passing');
        await root.auth.roleDelete('passing');
        // A token is given only if nothing changes while a password is checked.
        if (count % 10 === 9) await pause(200);
      }
      return count;
    })();
    try {
      await body();
    } finally {
      done = true;
      expect(await changing).toBeGreaterThan(0);
    }
  }

  test('changes of users and roles under load lose no write and double none', async () => {
    const app = newClient({ auth: APP });
    await whileRolesChange(async () => {
      const writers = Array.from({ length: 4 }, async (_, writer) => {
        for (let i = 0; i < 100; i++) await app.kv.put(`app/load${writer}`, `${i}`);
      });
      await Promise.all(writers);
    });
    const { kvs } = await root.kv.get('app/load', { prefix: true });
    expect(kvs.map(({ version }) => version)).toEqual([100, 100, 100, 100]);
  });

  test('a role counts as it is at the moment', async () => {
    const app = newClient({ auth: APP });
    const watched = app.watch('other/', { prefix: true }).created;
    expect(isEtcdError(await failureOf(watched), 'PERMISSION_DENIED')).toBe(true);
    await root.auth.roleGrantPermission('app', 'write', 'other/', { prefix: true });
    await app.kv.put('other/a', '1');
    const read = await failureOf(app.kv.get('other/a'));
    expect(isEtcdError(read, 'PERMISSION_DENIED')).toBe(true);
    const { permissions } = await root.auth.roleGet('app');
    expect(permissions.map(({ type, keyText, isPrefix }) => [type, keyText, isPrefix])).toEqual([
      ['readwrite', 'app/', true],
      ['write', 'other/', true],
    ]);
    await root.auth.roleRevokePermission('app', 'other/', { prefix: true });
    const written = await failureOf(app.kv.put('other/a', '2'));
    expect(isEtcdError(written, 'PERMISSION_DENIED')).toBe(true);
    await root.auth.userRevokeRole('app', 'app');
    const late = await failureOf(app.kv.put('app/a', '2'));
    expect(isEtcdError(late, 'PERMISSION_DENIED')).toBe(true);
    await root.auth.userGrantRole('app', 'app');
    await app.kv.put('app/a', '3');
  });

  test('a password that was changed ends with AUTH_FAILED; the new one is taken', async () => {
    const app = newClient({ auth: APP });
    await app.kv.put('app/password', '1');
    const watch = app.watch('app/password');
    await watch.created;
    await root.auth.userChangePassword(APP.user, 'another');
    const refused = await failureOf(app.kv.put('app/password', '2'));
    expect(isEtcdError(refused, 'AUTH_FAILED')).toBe(true);
    expect(String(refused)).not.toContain(APP.password);
    const other = newClient({ auth: { ...APP, password: 'another' } });
    await other.kv.put('app/password', '3');
    // What was allowed goes on, as in etcd.
    expect(await firstOf(watch)).toBe('3');
    await root.auth.userChangePassword(APP.user, APP.password);
    await app.kv.put('app/password', '4');
    await root.auth.userDelete(APP.user);
    const gone = await failureOf(app.kv.put('app/password', '5'));
    expect(isEtcdError(gone, 'AUTH_FAILED')).toBe(true);
    await root.auth.userAdd(APP.user, APP.password);
    await root.auth.userGrantRole('app', 'app');
    await app.kv.put('app/password', '6');
  });

  test('connect rejects with AUTH_FAILED, and authenticate too', async () => {
    const auth = { ...APP, password: 'wrong' };
    const options = { endpoints: member.clientUrl, tls: tlsOf('nobody'), auth };
    expect(isEtcdError(await failureOf(connect(options)), 'AUTH_FAILED')).toBe(true);
    const asked = failureOf(newClient({ auth }).auth.authenticate());
    expect(isEtcdError(await asked, 'AUTH_FAILED')).toBe(true);
    const nameless = await failureOf(newClient({}).kv.get('app/a'));
    expect(isEtcdError(nameless, 'USER_EMPTY') || isEtcdError(nameless, 'PERMISSION_DENIED')).toBe(
      true,
    );
  });

  test('a token that was given is used as long as it is taken', async () => {
    const token = await newToken();
    const app = newClient({ auth: { token } });
    await app.kv.put('app/token', '1');
    await expiry();
    const refused = await failureOf(app.kv.put('app/token', '2'));
    expect(isEtcdError(refused, 'INVALID_AUTH_TOKEN')).toBe(true);
    expect(String(refused)).not.toContain(token);
    expect(await versionOf('app/token')).toBe(1);
  });

  test('a certificate names a user, also while users and roles change', async () => {
    await root.auth.userAddWithoutPassword('certified');
    await root.auth.userGrantRole('certified', 'app');
    const certified = newClient({ tls: tlsOf('certified') });
    await whileRolesChange(async () => {
      for (let i = 0; i < 200; i++) await certified.kv.put('app/certified', `${i}`);
    });
    expect(await versionOf('app/certified')).toBe(200);
    const denied = await failureOf(certified.kv.put('other', ''));
    expect(isEtcdError(denied, 'PERMISSION_DENIED')).toBe(true);
  });
}

for (const release of ['3.5', '3.7'] as const) {
  const found = realEtcd(release);
  describeWith(`a client over TLS with users, on etcd ${release}`, [found], () => secured(found));
}
