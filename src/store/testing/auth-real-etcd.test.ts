// Random requests about users, roles and keys, sent to real etcd: its log, applied here, gives the same
// answers and the same rows. AUTH_SEED repeats a run, AUTH_REQUESTS makes it longer.

import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Member, type Program, realProgram } from '../../../test/helpers/member.ts';
import { describeWith, need, type Release, realEtcd } from '../../../test/helpers/real-etcd.ts';
import { bytesFromLatin1, latin1FromBytes, type Random, seededRandom } from '../../base/index.ts';
import { openDatabase } from '../../bbolt/index.ts';
import { createSimEnv } from '../../env/sim/index.ts';
import { v2RequestIn } from '../../membership/index.ts';
import { isTombstoneKey, mainOfKey, subOfKey } from '../../mvcc/index.ts';
import { createNodeEnv } from '../../net/index.ts';
import {
  authpb,
  ETCD_ERRORS,
  type EtcdErrorName,
  etcdserverpb,
  type GeneratedCodec,
  messageFromJson,
  type raftpb,
} from '../../protocol/index.ts';
import { readWal } from '../../wal/index.ts';
import type { ApplyResult } from '../apply/apply-result.ts';
import {
  REQUEST_KIND,
  RequestEnvelope,
  type RequestKind,
  readEnvelope,
} from '../apply/request-envelope.ts';
import { Backend } from '../backend/backend.ts';
import { Restore } from '../schema/restore.ts';
import { BUCKET, BUCKET_NAMES } from '../schema/schema.ts';
import { StoreRig } from './store.fixture.ts';

const SEED = Number(process.env['AUTH_SEED'] ?? 1);
const REQUESTS = Number(process.env['AUTH_REQUESTS'] ?? 400);

type Body = Record<string, unknown>;

/** A request, and what real etcd answered: `ok`, or the text of its error. */
interface Answered {
  readonly path: string;
  readonly body: Body;
  readonly user: string;
  readonly answer: string;
}

const base64 = (text: string): string => Buffer.from(text, 'latin1').toString('base64');

type AnyCodec = GeneratedCodec<unknown, never>;

/** Of each path the kind that is logged, and how its request is encoded. */
const LOGGED_AS: Readonly<Record<string, readonly [RequestKind, AnyCodec]>> = Object.fromEntries(
  (
    [
      ['auth/authenticate', REQUEST_KIND.AUTHENTICATE, etcdserverpb.AuthenticateRequestCodec],
      ['auth/enable', REQUEST_KIND.AUTH_ENABLE, etcdserverpb.AuthEnableRequestCodec],
      ['auth/disable', REQUEST_KIND.AUTH_DISABLE, etcdserverpb.AuthDisableRequestCodec],
      ['auth/status', REQUEST_KIND.AUTH_STATUS, etcdserverpb.AuthStatusRequestCodec],
      ['auth/user/add', REQUEST_KIND.AUTH_USER_ADD, etcdserverpb.AuthUserAddRequestCodec],
      ['auth/user/get', REQUEST_KIND.AUTH_USER_GET, etcdserverpb.AuthUserGetRequestCodec],
      ['auth/user/list', REQUEST_KIND.AUTH_USER_LIST, etcdserverpb.AuthUserListRequestCodec],
      ['auth/user/delete', REQUEST_KIND.AUTH_USER_DELETE, etcdserverpb.AuthUserDeleteRequestCodec],
      [
        'auth/user/changepw',
        REQUEST_KIND.AUTH_USER_CHANGE_PASSWORD,
        etcdserverpb.AuthUserChangePasswordRequestCodec,
      ],
      [
        'auth/user/grant',
        REQUEST_KIND.AUTH_USER_GRANT_ROLE,
        etcdserverpb.AuthUserGrantRoleRequestCodec,
      ],
      [
        'auth/user/revoke',
        REQUEST_KIND.AUTH_USER_REVOKE_ROLE,
        etcdserverpb.AuthUserRevokeRoleRequestCodec,
      ],
      ['auth/role/add', REQUEST_KIND.AUTH_ROLE_ADD, etcdserverpb.AuthRoleAddRequestCodec],
      ['auth/role/get', REQUEST_KIND.AUTH_ROLE_GET, etcdserverpb.AuthRoleGetRequestCodec],
      ['auth/role/list', REQUEST_KIND.AUTH_ROLE_LIST, etcdserverpb.AuthRoleListRequestCodec],
      ['auth/role/delete', REQUEST_KIND.AUTH_ROLE_DELETE, etcdserverpb.AuthRoleDeleteRequestCodec],
      [
        'auth/role/grant',
        REQUEST_KIND.AUTH_ROLE_GRANT_PERMISSION,
        etcdserverpb.AuthRoleGrantPermissionRequestCodec,
      ],
      [
        'auth/role/revoke',
        REQUEST_KIND.AUTH_ROLE_REVOKE_PERMISSION,
        etcdserverpb.AuthRoleRevokePermissionRequestCodec,
      ],
      ['kv/put', REQUEST_KIND.PUT, etcdserverpb.PutRequestCodec],
      ['kv/deleterange', REQUEST_KIND.DELETE_RANGE, etcdserverpb.DeleteRangeRequestCodec],
      ['kv/txn', REQUEST_KIND.TXN, etcdserverpb.TxnRequestCodec],
      ['lease/grant', REQUEST_KIND.LEASE_GRANT, etcdserverpb.LeaseGrantRequestCodec],
      ['lease/revoke', REQUEST_KIND.LEASE_REVOKE, etcdserverpb.LeaseRevokeRequestCodec],
    ] as const
  ).map(([path, kind, codec]) => [path, [kind, codec as unknown as AnyCodec]]),
);

/** What a release does in another way, and a member of this one therefore does not ask of it. */
interface Dialect {
  readonly checksRanges: boolean;
  readonly checksAllOfTransactions: boolean;
  readonly hasStatus: boolean;
}

const DIALECT: Readonly<Record<Release, Dialect>> = {
  '3.4': { checksRanges: false, checksAllOfTransactions: false, hasStatus: false },
  '3.5': { checksRanges: true, checksAllOfTransactions: false, hasStatus: true },
  '3.6': { checksRanges: true, checksAllOfTransactions: true, hasStatus: true },
  '3.7': { checksRanges: true, checksAllOfTransactions: true, hasStatus: true },
};

const USERS = ['root', 'alice', 'bob', '__proto__', 'ü\0'];
const ROLES = ['root', 'r', 's', 'constructor'];
const CHARS = ['\0', 'a', 'b', '\xff'];

class Workload {
  readonly answered: Answered[] = [];
  readonly #url: string;
  readonly #dialect: Dialect;
  readonly #random: Random;
  readonly #tokens = new Map<string, string>();
  #leases = 0;

  constructor(member: Member, dialect: Dialect, seed: number) {
    this.#url = `http://${member.endpoint}/v3`;
    this.#dialect = dialect;
    this.#random = seededRandom(seed);
  }

  #below(count: number): number {
    return this.#random.below(count);
  }

  #one<T>(list: readonly T[]): T {
    return list[this.#below(list.length)]!;
  }

  #key(): string {
    const key = this.#one(CHARS);
    return this.#below(2) === 0 ? key : key + this.#one(CHARS);
  }

  #range(): { key: string; range_end: string } {
    const key = this.#key();
    const end = this.#one(['', '', '\0', this.#key(), this.#key(), this.#key()]);
    return { key: base64(key), range_end: base64(end) };
  }

  /** One that may be granted, often of a key that others are of. */
  #grantedRange(): { key: string; range_end: string } {
    for (;;) {
      const range = this.#range();
      const [key, end] = [range.key, range.range_end].map((text) => Buffer.from(text, 'base64'));
      const isOpen = end!.length === 0 || (end!.length === 1 && end![0] === 0);
      if (isOpen || key!.compare(end!) < 0) return range;
      if (this.#dialect.checksRanges && this.#below(3) === 0) return range;
    }
  }

  async call(path: string, body: Body, user = ''): Promise<Body> {
    const token = this.#tokens.get(user);
    const response = await fetch(`${this.#url}/${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { connection: 'close', ...(token === undefined ? {} : { authorization: token }) },
    });
    const answer = (await response.json()) as Body;
    const error = answer['message'] ?? answer['error'];
    const text = typeof error === 'string' ? error : 'ok';
    this.answered.push({ path, body, user, answer: text });
    return answer;
  }

  async #authenticate(name: string): Promise<void> {
    const password = `password of ${name}`;
    const { token } = await this.call('auth/authenticate', { name, password });
    if (typeof token === 'string') this.#tokens.set(name, token);
  }

  /** Everybody who can has a token, and authentication is on. */
  async begin(): Promise<void> {
    for (const name of USERS) await this.#addUser(name);
    for (const role of ROLES.slice(1)) await this.call('auth/role/add', { name: role });
    await this.call('auth/user/grant', { user: 'root', role: 'root' });
    await this.call('auth/user/grant', { user: 'alice', role: 'r' });
    await this.call('auth/user/grant', { user: 'bob', role: 's' });
    await this.call('auth/enable', {});
    for (const name of USERS) await this.#authenticate(name);
    // Long enough for an order that a stable sort would not make.
    for (let i = 0; i < 30; i++) await this.#grant('constructor', 'root');
  }

  #addUser(name: string, user = ''): Promise<Body> {
    return this.call('auth/user/add', { name, password: `password of ${name}` }, user);
  }

  #grant(role: string, user: string): Promise<Body> {
    const permType = this.#one(['READ', 'WRITE', 'READWRITE']);
    const perm = { permType, ...this.#grantedRange() };
    return this.call('auth/role/grant', { name: role, perm }, user);
  }

  #put(): Body {
    const lease = this.#below(3) === 0 ? String(this.#below(4)) : '0';
    return { key: base64(this.#key()), value: base64('v'), lease };
  }

  #operations(depth: number): Body[] {
    return Array.from({ length: this.#below(3) }, () => {
      const deep = this.#dialect.checksAllOfTransactions;
      switch (this.#below(depth > 0 && deep ? 4 : 3)) {
        case 0:
          return { request_range: this.#range() };
        case 1: {
          const { key, value, lease } = this.#put() as {
            key: string;
            value: string;
            lease: string;
          };
          const more = deep ? { lease, prev_kv: this.#below(2) === 0 } : {};
          return { request_put: { key, value, ...more } };
        }
        case 2:
          return { request_delete_range: { ...this.#range(), prev_kv: this.#below(2) === 0 } };
        default:
          return { request_txn: this.#txn(depth - 1) };
      }
    });
  }

  #txn(depth: number): Body {
    const compare = Array.from({ length: this.#below(2) }, () => ({
      ...this.#range(),
      target: 'VERSION',
      result: 'GREATER',
      version: '0',
    }));
    return {
      compare,
      success: this.#operations(depth),
      failure: this.#operations(depth),
    };
  }

  async step(): Promise<void> {
    const user = this.#one([...USERS, 'root', 'root', 'alice', 'bob', '']);
    const choice = this.#below(100);
    if (choice < 45) await this.#changeAuth(user);
    else await this.#useKeys(user);
    // What ended tokens or turned authentication off is made good again, mostly.
    if (this.#below(12) === 0) {
      await this.#addUser('root', 'root');
      await this.call('auth/user/grant', { user: 'root', role: 'root' }, 'root');
      await this.call('auth/enable', {}, 'root');
      for (const name of USERS) await this.#authenticate(name);
    }
  }

  async #changeAuth(by: string): Promise<void> {
    const [name, role] = [this.#one(USERS), this.#one(ROLES)];
    const choice = this.#below(40);
    if (choice < 12) await this.#grant(role, by);
    else if (choice < 15) await this.call('auth/role/revoke', { role, ...this.#range() }, by);
    else if (choice < 20) await this.call('auth/user/grant', { user: name, role }, by);
    else if (choice < 23) await this.call('auth/user/revoke', { name, role }, by);
    else if (choice < 25) await this.call('auth/role/add', { name: role }, by);
    else if (choice < 26) await this.call('auth/role/delete', { role }, by);
    else if (choice < 28) await this.#addUser(name, by);
    else if (choice < 29) await this.call('auth/user/delete', { name }, by);
    else if (choice < 30) {
      await this.call('auth/user/changepw', { name, password: `password of ${name}` }, by);
    } else if (choice < 31) {
      await this.call('auth/user/add', { name, options: { no_password: true } }, by);
    } else if (choice < 32) await this.call('auth/disable', {}, by);
    else if (choice < 33) await this.call('auth/enable', {}, by);
    else if (choice < 34 && this.#dialect.hasStatus) await this.call('auth/status', {}, 'root');
    else if (choice < 36) await this.call('auth/user/get', { name }, by);
    else if (choice < 37) await this.call('auth/user/list', {}, by);
    else if (choice < 39) await this.call('auth/role/get', { role }, by);
    else await this.call('auth/role/list', {}, by);
  }

  async #useKeys(by: string): Promise<void> {
    const choice = this.#below(20);
    if (choice < 6) {
      await this.call('kv/put', { ...this.#put(), prev_kv: this.#below(3) === 0 }, by);
    } else if (choice < 10) {
      const range = { ...this.#range(), prev_kv: this.#below(3) === 0 };
      await this.call('kv/deleterange', range, by);
    } else if (choice < 17) {
      // With a write in it: one that only reads is not logged.
      const txn = this.#txn(2) as { success: Body[] };
      const { key, value } = this.#put();
      txn.success.push({ request_put: { key, value } });
      await this.call('kv/txn', txn, by);
    } else if (choice < 19) {
      const ID = String(1 + (this.#leases++ % 3));
      await this.call('lease/grant', { ID, TTL: '10000' }, 'root');
    } else {
      await this.call('lease/revoke', { ID: String(1 + this.#below(3)) }, by);
    }
  }
}

interface LoggedRequest {
  readonly kind: RequestKind;
  readonly bytes: Uint8Array;
  readonly username: string;
}

/** The request that a client made; undefined for what a member logs by itself. */
function requestIn(entry: raftpb.Entry): LoggedRequest | undefined {
  if (entry.type !== 0 || entry.data.length === 0) return undefined;
  if (v2RequestIn(entry.data) !== undefined) return undefined;
  const envelope = new RequestEnvelope();
  readEnvelope(entry.data, envelope);
  const { kind, body, bodyStart, bodyEnd, username } = envelope;
  const isOwn = kind >= REQUEST_KIND.CLUSTER_VERSION_SET;
  return isOwn ? undefined : { kind, bytes: body.subarray(bodyStart, bodyEnd), username };
}

/** Whether it is this request that was logged. */
function isLogged({ path, body, user, answer }: Answered, logging: LoggedRequest): boolean {
  const { kind, bytes, username } = logging;
  const [kindOfPath, codec] = LOGGED_AS[path]!;
  if (kind !== kindOfPath || answer === ETCD_ERRORS.INVALID_AUTH_TOKEN.message) return false;
  // While authentication is off, nobody is named.
  if (username !== '' && username !== user) return false;
  const logged = codec.decode(bytes) as Body;
  const asked = messageFromJson(codec, JSON.stringify(body)) as Body;
  // Passwords are logged in another form.
  if ('password' in asked) return logged['name'] === asked['name'];
  return Buffer.compare(codec.encode(logged), codec.encode(asked)) === 0;
}

function answerOf(result: ApplyResult): string {
  return result.kind === 'error' ? ETCD_ERRORS[result.error as EtcdErrorName].message : 'ok';
}

const AUTH_BUCKETS = [BUCKET.AUTH, BUCKET.AUTH_USERS, BUCKET.AUTH_ROLES] as const;

/** `bucket/key: hex` of the rows about users and roles, with or without the hashes of passwords. */
function printed(
  entries: (bucket: (typeof AUTH_BUCKETS)[number]) => Map<string, Uint8Array>,
  withHashes: boolean,
): string[] {
  return AUTH_BUCKETS.flatMap((bucket) =>
    [...entries(bucket)].map(([key, value]) => {
      let bytes = value;
      if (bucket === BUCKET.AUTH_USERS && !withHashes) {
        const user = authpb.UserCodec.decode(value);
        const password = user.password.subarray(0, Math.min(1, user.password.length)).fill(1);
        bytes = authpb.UserCodec.encode({ ...user, password });
      }
      return `${BUCKET_NAMES[bucket]}/${key}: ${Buffer.from(bytes).toString('hex')}`;
    }),
  ).sort();
}

interface RealRows {
  readonly rows: string[];
  /** Revisions of the rows in the bucket of keys. */
  readonly keys: string[];
}

async function rowsOfRealEtcd(member: Member, withHashes: boolean): Promise<RealRows> {
  const path = join(member.directory, 'member', 'snap', 'db');
  const database = await openDatabase(createNodeEnv(), path, { readOnly: true });
  const tx = database.beginRead();
  const rows = printed((bucket) => {
    const all = new Map<string, Uint8Array>();
    const cursor = tx.bucket(bytesFromLatin1(BUCKET_NAMES[bucket]!))?.cursor();
    for (let found = cursor?.first(); found; found = cursor!.next()) {
      all.set(latin1FromBytes(cursor!.key()), cursor!.value());
    }
    return all;
  }, withHashes);
  const keys: string[] = [];
  const cursor = tx.bucket(bytesFromLatin1('key'))?.cursor();
  for (let found = cursor?.first(); found; found = cursor!.next()) {
    const key = cursor!.key();
    keys.push(`${mainOfKey(key)}.${subOfKey(key)}${isTombstoneKey(key.length) ? 't' : ''}`);
  }
  tx.close();
  await database.close();
  return { rows, keys };
}

/** Real etcd's file, opened here: what it says of users and roles. */
async function stateOfRealEtcd(member: Member): Promise<unknown> {
  const restore = new Restore(1);
  const path = join(member.directory, 'member', 'snap', 'db');
  const backend = await Backend.open(
    createNodeEnv(),
    path,
    { onFailure: (error) => expect.unreachable(String(error)) },
    restore.rows,
    (snapshot) => restore.inspect(snapshot),
  );
  await backend.close();
  return contents(restore.auth);
}

function contents(state: Restore['auth']): unknown {
  return {
    enabled: state.enabled,
    revision: state.revision,
    users: state.userNames().map((name) => [name, state.rolesOf(name)]),
    roles: state.roleNames().map((name) => [name, state.permissionsOf(name)]),
  };
}

/**
 * Real 3.5 does not always answer the same requests alike: the rights of a user that were just changed are
 * now and then those before. What we do wrong we do wrong with the same requests each time.
 */
const RUNS_MAX = 6;

for (const release of ['3.4', '3.5', '3.7'] as const) {
  const real = realEtcd(release);
  describeWith(`what etcd ${release} has logged`, [real], () => {
    test('comes to the same here', { timeout: 120_000 }, async () => {
      for (let run = 1; ; run++) {
        try {
          await runAndCompare(realProgram(need(real)), release);
          return;
        } catch (error) {
          if (run === RUNS_MAX) throw error;
        }
      }
    });
  });
}

async function runAndCompare(program: Program, release: '3.4' | '3.5' | '3.7'): Promise<void> {
  const flags = ['--bcrypt-cost=4', '--snapshot-count=100000'];
  const member = await Member.start(program, { flags });
  try {
    const workload = new Workload(member, DIALECT[release], SEED);
    await workload.begin();
    for (let i = 0; i < REQUESTS; i++) await workload.step();
    await member.stop();
    const wal = join(member.directory, 'member', 'wal');
    const start = { index: 0, term: 0 };
    const { entries } = await readWal(createNodeEnv(), wal, start);
    // From 3.5 on the log has the hashes.
    await compare(member, workload.answered, entries, release !== '3.4');
  } finally {
    await member.dispose();
  }
}

async function compare(
  member: Member,
  answered: readonly Answered[],
  entries: readonly raftpb.Entry[],
  withHashes: boolean,
): Promise<void> {
  const { rows, keys } = await rowsOfRealEtcd(member, withHashes);
  const state = await stateOfRealEtcd(member);
  const env = createSimEnv({ seed: 1, autoRun: false });
  await env.run(async () => {
    const rig = await StoreRig.open(env);
    const done: string[] = [];
    const refused = new Set<string>();
    let next = 0;
    for (const entry of entries) {
      const applied = rig.applyEntry(entry);
      const logged = requestIn(entry);
      if (logged === undefined) continue;
      // What was refused before it was logged is not here.
      while (next < answered.length && !isLogged(answered[next]!, logged)) {
        expect(answered[next]!.answer, JSON.stringify(answered[next])).not.toBe('ok');
        next++;
      }
      const { path, body, user, answer } = answered[next++]!;
      done.push(`${entry.index} ${user} ${path} ${JSON.stringify(body)}: ${answer}`);
      const ours = answerOf(applied!.result);
      if (ours !== answer) {
        throw new Error(`AUTH_SEED=${SEED}: here ${ours}\n${done.slice(-60).join('\n')}`);
      }
      if (answer !== 'ok') refused.add(answer);
    }
    expect(answered.slice(next).filter(({ answer }) => answer === 'ok')).toEqual([]);
    const ours = printed((bucket) => rig.backend.entries(bucket), withHashes);
    expect(ours).toEqual(rows);
    expect(rig.rowNames()).toEqual(keys);
    expect(contents(rig.machine.auth.state)).toEqual(state);
    expect([...refused]).toEqual(
      expect.arrayContaining([
        ETCD_ERRORS.PERMISSION_DENIED.message,
        ETCD_ERRORS.USER_EMPTY.message,
      ]),
    );
    await rig.close();
  });
}
