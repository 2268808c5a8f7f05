import { describe, expect, test } from 'vitest';
import { bytesFromLatin1 } from '../../base/index.ts';
import { createSimEnv, type SimEnv } from '../../env/sim/index.ts';
import { etcdserverpb } from '../../protocol/index.ts';
import {
  type AuthEntry,
  authEntry,
  outcome,
  READ,
  READWRITE,
  secure,
  userOf,
  WRITE,
} from '../testing/auth-requests.fixture.ts';
import { deleteOf, putOf, StoreRig } from '../testing/store.fixture.ts';
import { encodeEnvelope, REQUEST_KIND, type RequestUser } from './request-envelope.ts';

const {
  AlarmType,
  CompactionRequestCodec,
  LeaseCheckpointRequestCodec,
  LeaseGrantRequestCodec,
  LeaseRevokeRequestCodec,
  PutRequestCodec,
  RangeRequestCodec,
  RequestOpCodec,
  TxnRequestCodec,
} = etcdserverpb;

async function on(seed: number, body: (env: SimEnv) => Promise<void>): Promise<void> {
  const env = createSimEnv({ seed, autoRun: false });
  await env.run(() => body(env));
}

const put = (key: string, lease = 0n, prevKv = false): AuthEntry => [
  REQUEST_KIND.PUT,
  PutRequestCodec.encode({ ...putOf(key, 'v', lease), prevKv }),
];
const range = (key: string, end = ''): AuthEntry => [
  REQUEST_KIND.RANGE,
  RangeRequestCodec.encode(
    RangeRequestCodec.create({ key: bytesFromLatin1(key), rangeEnd: bytesFromLatin1(end) }),
  ),
];
const deletion = (key: string, end = ''): AuthEntry => [
  REQUEST_KIND.DELETE_RANGE,
  deleteOf(key, end),
];
const revoke = (id: bigint): AuthEntry => [
  REQUEST_KIND.LEASE_REVOKE,
  LeaseRevokeRequestCodec.encode(LeaseRevokeRequestCodec.create({ id })),
];
const txn = (...puts: etcdserverpb.PutRequest[]): AuthEntry => [
  REQUEST_KIND.TXN,
  TxnRequestCodec.encode(
    TxnRequestCodec.create({
      success: puts.map((value) =>
        RequestOpCodec.create({ request: { case: 'requestPut', value } }),
      ),
    }),
  ),
];

const USERS = {
  reader: [[READ, 'r', 's']],
  writer: [[WRITE, 'w', 'x']],
  both: [[READWRITE, 'b', 'c']],
} as const;

async function withUsers(seed: number, body: (rig: StoreRig) => Promise<void> | void) {
  await on(seed, async (env) => {
    const rig = await StoreRig.open(env);
    secure(rig, USERS as never);
    await body(rig);
    await rig.close();
  });
}

test('keys are read and written by whom that is permitted; a refusal has no effect', async () => {
  await withUsers(1, (rig) => {
    const denied: [string, AuthEntry][] = [
      ['reader', put('r')],
      ['reader', range('r', 't')],
      ['reader', deletion('r')],
      ['writer', range('w')],
      ['writer', put('w', 0n, true)],
      ['writer', deletion('w', 'y')],
      ['writer', txn(putOf('w1', ''), putOf('v', ''))],
      ['stranger', put('w')],
      ['', put('w')],
    ];
    for (const [user, entry] of denied) {
      expect(outcome(rig, user, entry), user).toBe('PERMISSION_DENIED');
    }
    expect(rig.kv.currentRev).toBe(1);
    const permitted: [string, AuthEntry, string][] = [
      ['reader', range('r', 's'), 'range'],
      ['writer', put('w'), 'put'],
      ['writer', txn(putOf('w1', ''), putOf('w2', '')), 'txn'],
      ['writer', deletion('w', 'x'), 'deleteRange'],
      ['both', put('b', 0n, true), 'put'],
      ['root', put('z'), 'put'],
      ['root', range('\0', '\0'), 'range'],
    ];
    for (const [user, entry, kind] of permitted) expect(outcome(rig, user, entry)).toBe(kind);
    expect(rig.pairs().map((pair) => pair[0])).toEqual(['b', 'z']);
  });
});

test('an entry without a user, and one of an older revision, are refused, of root too', async () => {
  await withUsers(2, (rig) => {
    expect(rig.apply(...put('w')).error).toBe('USER_EMPTY');
    for (const username of ['writer', 'root']) {
      const old: RequestUser = { ...userOf(rig, username) };
      rig.apply(...authEntry.addRole(`r-${username}`), userOf(rig, 'root'));
      expect(rig.apply(...put('w'), old).error).toBe('AUTH_OLD_REVISION');
      expect(outcome(rig, username, put('w'))).toBe('put');
    }
  });
});

test('administration is for root; a user may ask for itself and for its roles', async () => {
  await withUsers(3, (rig) => {
    const admin = [
      authEntry.addUser('new'),
      authEntry.deleteUser('reader'),
      authEntry.changePassword('reader', 'y'),
      authEntry.grantRole('reader', 'writer'),
      authEntry.revokeRole('reader', 'reader'),
      authEntry.addRole('new'),
      authEntry.deleteRole('reader'),
      authEntry.grant('reader', READ, 'z'),
      authEntry.revoke('reader', 'r', 's'),
      authEntry.enable(),
      authEntry.disable(),
      authEntry.listUsers(),
      authEntry.listRoles(),
      authEntry.getUser('root'),
      authEntry.getRole('writer'),
    ];
    const { revision } = rig.machine.auth.state;
    for (const entry of admin) {
      expect(outcome(rig, 'reader', entry), `${entry[0]}`).toBe('PERMISSION_DENIED');
      expect(outcome(rig, 'stranger', entry), `${entry[0]}`).toBe('USER_NOT_FOUND');
      expect(rig.apply(...entry).error, `${entry[0]}`).toBe('USER_EMPTY');
    }
    expect(rig.machine.auth.state.revision).toBe(revision);
    expect(outcome(rig, 'reader', authEntry.getUser('reader'))).toBe('authUserGet');
    expect(outcome(rig, 'reader', authEntry.getRole('reader'))).toBe('authRoleGet');
    expect(outcome(rig, 'reader', authEntry.status())).toBe('authStatus');
    expect(rig.apply(...authEntry.status()).kind).toBe('authStatus');
    // Of an older revision: administration does not mind.
    const old = { username: 'root', authRevision: 1 };
    expect(rig.apply(...authEntry.addUser('new'), old).kind).toBe('applied');
    expect(rig.apply(...authEntry.disable(), old).kind).toBe('applied');
    expect(rig.apply(...put('w')).kind).toBe('put');
  });
});

test('what the member asks before it proposes is not asked when it is applied', async () => {
  await withUsers(4, (rig) => {
    rig.apply(...put('w'), userOf(rig, 'root'));
    const grant = LeaseGrantRequestCodec.create({ id: 5n, ttl: 100 });
    const checkpoint = LeaseCheckpointRequestCodec.create({
      checkpoints: [{ id: 5n, remainingTTL: 7 }],
    });
    const entries: [AuthEntry, string][] = [
      [[REQUEST_KIND.LEASE_GRANT, LeaseGrantRequestCodec.encode(grant)], 'leaseGrant'],
      [
        [REQUEST_KIND.LEASE_CHECKPOINT, LeaseCheckpointRequestCodec.encode(checkpoint)],
        'leaseCheckpoint',
      ],
      [
        [
          REQUEST_KIND.COMPACTION,
          CompactionRequestCodec.encode(CompactionRequestCodec.create({ revision: 2 })),
        ],
        'compaction',
      ],
      [[REQUEST_KIND.ALARM, new Uint8Array(0)], 'alarm'],
    ];
    for (const [entry, kind] of entries) expect(rig.apply(...entry).kind).toBe(kind);
  });
});

describe('a lease', () => {
  test('is attached to and revoked by whom all its keys may be written', async () => {
    await withUsers(5, (rig) => {
      for (const id of [1n, 2n, 3n]) rig.grant(id, 100);
      rig.apply(...put('w1', 1n), userOf(rig, 'root'));
      rig.apply(...put('w2', 2n), userOf(rig, 'root'));
      rig.apply(...put('b2', 2n), userOf(rig, 'root'));
      // Of others' keys; in a transaction as well.
      expect(outcome(rig, 'writer', put('w3', 2n))).toBe('PERMISSION_DENIED');
      expect(outcome(rig, 'writer', txn(putOf('w3', '', 2n)))).toBe('PERMISSION_DENIED');
      expect(outcome(rig, 'writer', txn(putOf('w3', ''), putOf('w4', '', 2n)))).toBe(
        'PERMISSION_DENIED',
      );
      expect(outcome(rig, 'writer', revoke(2n))).toBe('PERMISSION_DENIED');
      expect(rig.pairs().map((pair) => pair.slice(0, 2))).toEqual(['b2', 'w1', 'w2']);
      expect(outcome(rig, 'writer', put('w3', 1n))).toBe('put');
      expect(outcome(rig, 'writer', txn(putOf('w4', '', 1n)))).toBe('txn');
      expect(outcome(rig, 'writer', revoke(1n))).toBe('leaseRevoke');
      // With no keys it is anybody's.
      expect(rig.apply(...revoke(3n)).kind).toBe('leaseRevoke');
      expect(outcome(rig, 'reader', revoke(3n))).toBe('LEASE_NOT_FOUND');
      expect(outcome(rig, 'writer', put('w3', 3n))).toBe('LEASE_NOT_FOUND');
      expect(rig.apply(...revoke(2n)).error).toBe('USER_EMPTY');
      expect(rig.apply(...revoke(2n), { username: 'root', authRevision: 1 }).kind).toBe(
        'leaseRevoke',
      );
    });
  });

  test('with many keys is looked at in slices, and the request goes on where it must', async () => {
    await withUsers(6, async (rig) => {
      rig.grant(1n, 100);
      const root = userOf(rig, 'root');
      const KEYS = 20_000;
      for (let i = 0; i < KEYS; i += 100) {
        const puts = Array.from({ length: 100 }, (_, k) => putOf(`w${i + k}`, '', 1n));
        rig.apply(...txn(...puts), root);
      }
      const stepsOf = (username: string, [kind, body]: AuthEntry): number => {
        const data = encodeEnvelope(kind, 1, 7, body, 0, body.length, userOf(rig, username));
        let steps = 0;
        let done = rig.machine.begin(rig.entry(data));
        for (; !done; steps++) done = rig.machine.step();
        return steps;
      };
      const before = rig.kv.currentRev;
      expect(stepsOf('writer', put('w', 1n))).toBeGreaterThan(4);
      expect(rig.kv.currentRev).toBe(before + 1);
      expect(stepsOf('root', put('w', 1n))).toBe(0);
      expect(stepsOf('reader', revoke(1n))).toBe(0);
      expect(rig.kv.currentRev).toBe(before + 2);
      const all = stepsOf('writer', revoke(1n));
      expect(all).toBeGreaterThan(20);
      expect(rig.pairs()).toEqual([]);
    });
  });
});

test('alarms are asked before permissions, and users are changed in spite of them', async () => {
  await withUsers(7, (rig) => {
    rig.alarm(1, 9n, AlarmType.NOSPACE);
    expect(outcome(rig, 'reader', put('r'))).toBe('NO_SPACE');
    expect(outcome(rig, 'reader', range('w'))).toBe('PERMISSION_DENIED');
    expect(outcome(rig, 'root', authEntry.addUser('one'))).toBe('applied');
    rig.alarm(1, 9n, AlarmType.CORRUPT);
    expect(outcome(rig, 'reader', range('w'))).toBe('CORRUPT');
    expect(outcome(rig, 'root', authEntry.addUser('two'))).toBe('applied');
    expect(outcome(rig, 'reader', authEntry.addUser('three'))).toBe('PERMISSION_DENIED');
    expect(outcome(rig, 'reader', authEntry.authenticate('reader'))).toBe('authenticate');
  });
});

test('while authentication is off, everybody may do everything', async () => {
  await withUsers(8, (rig) => {
    rig.apply(...authEntry.disable(), userOf(rig, 'root'));
    const stranger = { username: 'stranger', authRevision: 0 };
    expect(rig.apply(...put('r'), stranger).kind).toBe('put');
    expect(rig.apply(...authEntry.addUser('new')).kind).toBe('applied');
    expect(rig.apply(...authEntry.getRole('writer'), stranger).kind).toBe('authRoleGet');
    expect(rig.apply(...authEntry.enable()).kind).toBe('applied');
    expect(rig.apply(...put('r'), stranger).error).toBe('USER_EMPTY');
  });
});
