import { describe, expect, test } from 'vitest';
import { bytesFromLatin1, hasCode, seededRandom } from '../../base/index.ts';
import { createSimEnv, type SimEnv } from '../../env/sim/index.ts';
import {
  bootstrapMembers,
  CONF_CHANGE,
  confChangeContext,
  encodeV2Put,
} from '../../membership/index.ts';
import { etcdserverpb, membershippb, raftpb } from '../../protocol/index.ts';
import type { AnyConfChange } from '../../raft/index.ts';
import { deleteOf, putOf, StoreRig } from '../testing/store.fixture.ts';
import { encodeEnvelope, REQUEST_KIND, type RequestKind } from './request-envelope.ts';

const SEED = Number(process.env['STORE_SEED'] ?? 1);

const { PutRequestCodec, TxnRequestCodec, RequestOpCodec, RangeRequestCodec } = etcdserverpb;
const EMPTY = new Uint8Array(0);
const CONF_CHANGE_ENTRY = 1;
const CONF_CHANGE_V2_ENTRY = 2;

async function on(seed: number, body: (env: SimEnv) => Promise<void>): Promise<void> {
  const env = createSimEnv({ seed, autoRun: false });
  await env.run(() => body(env));
}

describe('refuses by name, and applies nothing of it', () => {
  const envelope = (kind: number, body: Uint8Array = EMPTY) =>
    encodeEnvelope(kind as RequestKind, 1, 2, body);

  test.each<[string, Uint8Array, string, string]>([
    ['a name that is no text', envelope(1101, Uint8Array.of(0x0a, 1, 0xff)), 'MALFORMED', 'name'],
    ['an unknown field', envelope(1234), 'UNSUPPORTED', 'unknown field 1234'],
    ['an unknown low field', envelope(12), 'UNSUPPORTED', 'unknown field 12'],
    ['no operation', Uint8Array.of(0xa2, 6, 2, 8, 1), 'UNSUPPORTED', 'no operation'],
    ['a broken put', envelope(4, Uint8Array.of(0x0a, 9)), 'MALFORMED', 'PutRequest'],
    ['a broken envelope', Uint8Array.of(0x22, 9, 1), 'MALFORMED', 'InternalRaftRequest'],
    [
      'a version that is none',
      envelope(
        1300,
        membershippb.ClusterVersionSetRequestCodec.encode(
          membershippb.ClusterVersionSetRequestCodec.create({ ver: 'seven' }),
        ),
      ),
      'MALFORMED',
      'cluster version to "seven"',
    ],
    [
      'a version above ours',
      envelope(
        1300,
        membershippb.ClusterVersionSetRequestCodec.encode(
          membershippb.ClusterVersionSetRequestCodec.create({ ver: '9.0.0' }),
        ),
      ),
      'UNSUPPORTED',
      'determined cluster version 9.0',
    ],
    [
      'a v2 key',
      encodeV2Put({ method: 'PUT', path: '/1/key', val: 'x' }, 5n),
      'UNSUPPORTED',
      'PUT /1/key',
    ],
  ])('%s', async (_, data, code, text) => {
    await on(1, async (env) => {
      const rig = await StoreRig.open(env);
      rig.put('a', '1');
      let thrown: unknown;
      try {
        rig.applyEntry(rig.entry(data));
      } catch (error) {
        thrown = error;
      }
      expect(hasCode(thrown, code as never), String(thrown)).toBe(true);
      expect((thrown as Error).message).toMatch(new RegExp(`^log entry 2: .*${text}`));
      await rig.close();
      const again = await StoreRig.open(env);
      expect([again.machine.appliedIndex, again.kv.currentRev]).toEqual([0, 1]);
      await again.close();
    });
  });

  test('a membership change of the second kind', async () => {
    await on(2, async (env) => {
      const rig = await StoreRig.open(env);
      const change = raftpb.ConfChangeV2Codec.create();
      const data = raftpb.ConfChangeV2Codec.encode(change);
      expect(() => rig.applyEntry(rig.entry(data, CONF_CHANGE_V2_ENTRY))).toThrow(
        'log entry 1: the log holds a configuration change of the second kind',
      );
      await rig.close();
    });
  });

  test('a gap between entries', async () => {
    await on(3, async (env) => {
      const rig = await StoreRig.open(env);
      rig.put('a', '1');
      const entry = rig.entry(EMPTY);
      expect(() => rig.applyEntry({ ...entry, index: 3 })).toThrow('without a gap');
      expect(() => rig.applyEntry({ ...entry, index: 1 })).toThrow('without a gap');
      rig.applyEntry(entry);
      await rig.close();
    });
  });
});

describe('entries without an effect on the keys', () => {
  test.each(['AUTH_STATUS', 'AUTH_USER_LIST', 'AUTH_ROLE_GET', 'DOWNGRADE_VERSION_TEST'] as const)(
    '%s only moves the index where nobody waits',
    async (name) => {
      await on(4, async (env) => {
        const rig = await StoreRig.open(env, { host: { isAwaited: () => false } });
        const data = encodeEnvelope(REQUEST_KIND[name], 1, 2, EMPTY);
        expect(rig.applyEntry(rig.entry(data))).toBeUndefined();
        expect(rig.machine.appliedIndex).toBe(1);
        await rig.close();
      });
    },
  );

  test('a range is read only where somebody waits for it', async () => {
    await on(5, async (env) => {
      let awaited = false;
      const rig = await StoreRig.open(env, { host: { isAwaited: () => awaited } });
      rig.put('a', '1');
      const body = RangeRequestCodec.encode(
        RangeRequestCodec.create({ key: bytesFromLatin1('a') }),
      );
      const data = encodeEnvelope(REQUEST_KIND.RANGE, 1, 2, body);
      expect(rig.applyEntry(rig.entry(data))).toBeUndefined();
      awaited = true;
      expect(rig.applyEntry(rig.entry(data))?.kind).toBe('range');
      await rig.close();
    });
  });

  test('an empty entry tells that a leader has begun', async () => {
    await on(6, async (env) => {
      let told = 0;
      const rig = await StoreRig.open(env, { host: { onEmptyEntry: () => told++ } });
      rig.applyEntry(rig.entry(EMPTY));
      expect([told, rig.machine.appliedIndex]).toEqual([1, 1]);
      await rig.close();
    });
  });
});

describe('membership', () => {
  const [member] = bootstrapMembers([{ name: 'one', peerURLs: ['http://h:2380'] }], 'token');
  const change = (type: number, nodeId: bigint, context: Uint8Array) =>
    raftpb.ConfChangeCodec.encode(raftpb.ConfChangeCodec.create({ id: 3n, type, nodeId, context }));

  test('changes reach raft, the rows and whoever waits', async () => {
    await on(7, async (env) => {
      const changes: AnyConfChange[] = [];
      const told: unknown[] = [];
      const rig = await StoreRig.open(env, {
        host: {
          applyConfChange: (made) => {
            changes.push(made);
            return raftpb.ConfStateCodec.create({ voters: [member!.id] });
          },
          onConfChange: (id, refusal) => told.push([id, refusal]),
        },
      });
      const data = change(CONF_CHANGE.ADD_NODE, member!.id, confChangeContext(member!));
      rig.applyEntry(rig.entry(data, CONF_CHANGE_ENTRY));
      // The second time it is refused, and raft is told that there was nothing.
      rig.applyEntry(rig.entry(data, CONF_CHANGE_ENTRY));
      expect(changes.map((made) => ('nodeId' in made ? made.nodeId : undefined))).toEqual([
        member!.id,
        0n,
      ]);
      expect(told).toEqual([
        [3n, undefined],
        [3n, 'ID_EXISTS'],
      ]);
      expect(rig.machine.cluster.members().length).toBe(1);
      expect(rig.machine.confState.voters).toEqual([member!.id]);
      const durable = await rig.backend.commit();
      expect(durable.membership?.cluster.members).toEqual(rig.machine.cluster.members());
      await rig.close();
    });
  });

  test('attributes and version in both dialects', async () => {
    await on(8, async (env) => {
      const rig = await StoreRig.open(env);
      rig.applyEntry(
        rig.entry(
          change(CONF_CHANGE.ADD_NODE, member!.id, confChangeContext(member!)),
          CONF_CHANGE_ENTRY,
        ),
      );
      const id = member!.id.toString(16);
      const val = JSON.stringify({ name: 'old', clientURLs: ['http://old:1'] });
      const put = { method: 'PUT', path: `/0/members/${id}/attributes`, val } as const;
      expect(rig.applyEntry(rig.entry(encodeV2Put(put, 9n)))?.kind).toBe('applied');
      expect(rig.machine.cluster.member(member!.id)?.name).toBe('old');
      const version = { method: 'PUT', path: '/0/version', val: '3.4.0' } as const;
      rig.applyEntry(rig.entry(encodeV2Put(version, 10n)));
      expect(rig.machine.cluster.version).toEqual({ major: 3, minor: 4 });
      const attributes = membershippb.ClusterMemberAttrSetRequestCodec.encode({
        memberID: member!.id,
        memberAttributes: { name: 'new', clientUrls: ['http://new:1'] },
      });
      rig.apply(REQUEST_KIND.CLUSTER_MEMBER_ATTR_SET, attributes);
      expect(rig.machine.cluster.member(member!.id)?.clientURLs).toEqual(['http://new:1']);
      await rig.close();
    });
  });
});

describe('a large entry', () => {
  const KEYS = 3000; // More than one step works through.
  const name = (i: number): string => `k${String(i).padStart(5, '0')}`;

  async function withKeys(env: SimEnv, lease = 0n): Promise<StoreRig> {
    const rig = await StoreRig.open(env, { batchIntervalMs: 1 });
    if (lease !== 0n) rig.grant(lease, 1000);
    for (let i = 0; i < KEYS; i++) rig.put(name(i), 'v', lease);
    return rig;
  }

  test.each<[string, (rig: StoreRig) => Uint8Array]>([
    ['deletion', () => encodeEnvelope(REQUEST_KIND.DELETE_RANGE, 1, 7, deleteOf('k', 'l'))],
    [
      'revocation',
      () => {
        const codec = etcdserverpb.LeaseRevokeRequestCodec;
        return encodeEnvelope(REQUEST_KIND.LEASE_REVOKE, 1, 7, codec.encode({ id: 9n }));
      },
    ],
    [
      'transaction',
      () => {
        const range = etcdserverpb.DeleteRangeRequestCodec.decode(deleteOf('k', 'l'));
        const success = [
          RequestOpCodec.create({ request: { case: 'requestDeleteRange', value: range } }),
        ];
        const body = TxnRequestCodec.encode(TxnRequestCodec.create({ success }));
        return encodeEnvelope(REQUEST_KIND.TXN, 1, 7, body);
      },
    ],
  ])('%s: is applied in slices, and seen only when it is whole', async (_, data) => {
    await on(9, async (env) => {
      const rig = await withKeys(env, 9n);
      await rig.backend.commit();
      const index = rig.machine.appliedIndex;
      const { currentRev } = rig.kv;
      const before = rig.pairs();
      const hashBefore = await rig.machine.hashKv(0);

      const committed: number[] = [];
      expect(rig.machine.begin(rig.entry(data(rig)))).toBe(false);
      const commit = rig.backend.commit().then(({ index: at }) => committed.push(at));
      const hash = rig.machine.hashKv(0);
      let slices = 1;
      for (; ; slices++) {
        expect(rig.kv.currentRev).toBe(currentRev);
        expect(rig.pairs()).toEqual(before);
        expect(rig.machine.appliedIndex).toBe(index);
        // Time passes, but no batch is cut.
        await new Promise<void>((resolve) => env.timers.after(20, resolve));
        expect(rig.backend.durable.index).toBe(index);
        expect(committed).toEqual([]);
        if (rig.machine.step()) break;
      }
      expect(slices).toBeGreaterThan(1);
      await commit;
      expect(committed).toEqual([index + 1]);
      expect(rig.kv.currentRev).toBe(currentRev + 1);
      expect(rig.pairs()).toEqual([]);
      expect(rig.pairs(currentRev)).toEqual(before);
      // The hash that was asked for meanwhile is that of the revision that was current.
      expect((await hash).hash).toBe(hashBefore.hash);
      // In byte order, whatever order the keys came in.
      const rows = rig.rowNames().slice(-KEYS);
      expect(rows[0]).toBe(`${currentRev + 1}.0t`);
      expect(rows.at(-1)).toBe(`${currentRev + 1}.${KEYS - 1}t`);
      expect(rig.kv.index.check()).toEqual([]);
      expect(rig.machine.leases.lessor.check()).toEqual([]);
      await rig.close();
    });
  });

  test('that a crash interrupts has not happened', async () => {
    await on(10, async (env) => {
      const rig = await withKeys(env, 9n);
      await rig.backend.commit();
      const [before, index] = [rig.pairs(), rig.machine.appliedIndex];
      const data = encodeEnvelope(REQUEST_KIND.DELETE_RANGE, 1, 7, deleteOf('k', 'l'));
      expect(rig.machine.begin(rig.entry(data))).toBe(false);
      expect(rig.machine.step()).toBe(false);
      await new Promise<void>((resolve) => env.timers.after(500, resolve));
      await rig.close();
      const again = await StoreRig.open(env);
      expect(again.pairs()).toEqual(before);
      expect(again.machine.appliedIndex).toBe(index);
      again.applyEntry(again.entry(data));
      expect(again.pairs()).toEqual([]);
      await again.close();
    });
  });
});

describe('a refused request has no effect', () => {
  test('not even the operations of a transaction before the one that is wrong', async () => {
    await on(11, async (env) => {
      const rig = await StoreRig.open(env);
      rig.put('a', '1');
      const success = [putOf('a', '2'), putOf('b', '2', 404n)].map((value) =>
        RequestOpCodec.create({ request: { case: 'requestPut', value } }),
      );
      const body = TxnRequestCodec.encode(TxnRequestCodec.create({ success }));
      expect(rig.apply(REQUEST_KIND.TXN, body).error).toBe('LEASE_NOT_FOUND');
      expect([rig.kv.currentRev, rig.pairs()]).toEqual([2, ['a=1@2.2.1']]);
      expect(rig.put('a', '3').revision).toBe(3);
      await rig.close();
    });
  });

  test.each<[string, (rig: StoreRig) => string | undefined, string]>([
    ['a put with an unknown lease', (rig) => rig.put('b', '1', 9n).error, 'LEASE_NOT_FOUND'],
    ['a lease that exists', (rig) => rig.grant(5n, 60).error, 'LEASE_EXIST'],
    ['a lease without an id', (rig) => rig.grant(0n, 60).error, 'LEASE_NOT_FOUND'],
    ['too long a lease', (rig) => rig.grant(6n, 9_000_000_001).error, 'LEASE_TTL_TOO_LARGE'],
    ['a lease that is not there', (rig) => rig.revoke(6n).error, 'LEASE_NOT_FOUND'],
    [
      'a put that keeps the value of no key',
      (rig) => {
        const request = { ...putOf('none', ''), ignoreValue: true };
        return rig.apply(REQUEST_KIND.PUT, PutRequestCodec.encode(request)).error;
      },
      'KEY_NOT_FOUND',
    ],
  ])('%s', async (_, ask, error) => {
    await on(12, async (env) => {
      const rig = await StoreRig.open(env);
      rig.grant(5n, 60);
      rig.put('a', '1', 5n);
      await rig.backend.commit();
      const hash = await rig.machine.hash();
      expect(ask(rig)).toBe(error);
      expect(rig.kv.currentRev).toBe(2);
      expect(await rig.machine.hash()).toBe(hash);
      await rig.close();
    });
  });
});

/** Requests of all kinds, some of which are refused. */
function randomRequests(seed: number, count: number): { kind: RequestKind; body: Uint8Array }[] {
  const random = seededRandom(seed);
  const key = () => `k${random.below(12)}`;
  const lease = () => (random.below(3) === 0 ? BigInt(random.below(4)) : 0n);
  const requests: { kind: RequestKind; body: Uint8Array }[] = [];
  let revision = 1;
  const put = () => putOf(key(), 'v'.repeat(random.below(30)), lease());
  for (let i = 0; i < count; i++) {
    const kind = random.below(20);
    if (kind < 9) {
      requests.push({ kind: REQUEST_KIND.PUT, body: PutRequestCodec.encode(put()) });
    } else if (kind < 12) {
      const body = random.below(6) === 0 ? deleteOf('k', 'l') : deleteOf(key());
      requests.push({ kind: REQUEST_KIND.DELETE_RANGE, body });
    } else if (kind < 15) {
      const puts = new Map([put(), put()].map((one) => [String(one.key), one]));
      const success = [...puts.values()].map((value) =>
        RequestOpCodec.create({ request: { case: 'requestPut', value } }),
      );
      const body = TxnRequestCodec.encode(TxnRequestCodec.create({ success }));
      requests.push({ kind: REQUEST_KIND.TXN, body });
    } else if (kind < 17) {
      const codec = etcdserverpb.LeaseGrantRequestCodec;
      const body = codec.encode({ id: BigInt(1 + random.below(3)), ttl: 100 });
      requests.push({ kind: REQUEST_KIND.LEASE_GRANT, body });
    } else if (kind < 18) {
      const codec = etcdserverpb.LeaseRevokeRequestCodec;
      const body = codec.encode({ id: BigInt(1 + random.below(3)) });
      requests.push({ kind: REQUEST_KIND.LEASE_REVOKE, body });
    } else if (i > count / 2 && random.below(4) === 0) {
      const codec = etcdserverpb.CompactionRequestCodec;
      revision += random.below(20);
      requests.push({
        kind: REQUEST_KIND.COMPACTION,
        body: codec.encode(codec.create({ revision })),
      });
    }
  }
  return requests;
}

describe('equal entries make equal content', () => {
  test.each([...Array(6).keys()].map((i) => SEED * 50 + i))('seed %i', async (seed) => {
    const requests = randomRequests(seed, 250);
    const contents: unknown[] = [];
    // Whatever the batches, restarts and turns; and whether somebody waits or not.
    for (const variant of [0, 1, 2]) {
      await on(seed * 10 + variant, async (env) => {
        const options = {
          batchIntervalMs: [1, 1000, 7][variant]!,
          batchChanges: [3, 10_000, 50][variant]!,
          batchRows: [1, 1000, 5][variant]!,
          host: { isAwaited: () => variant === 0 },
        };
        let rig = await StoreRig.open(env, options);
        const errors: (string | undefined)[] = [];
        for (const [i, { kind, body }] of requests.entries()) {
          errors.push(rig.apply(kind, body).error);
          if (variant !== 1) await new Promise<void>((done) => env.timers.after(0, done));
          if (variant === 2 && i % 60 === 59) {
            await rig.close();
            rig = await StoreRig.open(env, options);
            const { scheduledRev, finishedRev } = rig.restore.marks;
            if (scheduledRev > finishedRev) void rig.machine.compactor.resume(scheduledRev);
          }
        }
        await rig.machine.compactor.whenIdle();
        const { hash, compactRevision } = await rig.machine.hashKv(0);
        const leases = rig.machine.leases.lessor.list();
        contents.push({
          errors,
          hash,
          compactRevision,
          pairs: rig.pairs(),
          leases: leases.map(({ id, keys }) => [id, keys.sorted()]),
          // What lies in the file but for the meta bucket's index is the same too.
          file: await rig.machine.hash(),
        });
        expect(await rig.violations()).toEqual([]);
        expect(rig.machine.leases.lessor.check()).toEqual([]);
        await rig.close();
      });
    }
    expect(contents[1]).toEqual(contents[0]);
    expect(contents[2]).toEqual(contents[0]);
  });
});

describe('the quota', () => {
  test('tells the client, and applies all the same', async () => {
    await on(13, async (env) => {
      const costs: number[] = [];
      const hasRoomFor = (cost: number) => {
        costs.push(cost);
        return false;
      };
      const rig = await StoreRig.open(env, { host: { hasRoomFor } });
      expect(rig.put('key', 'value').error).toBe('NO_SPACE');
      expect(rig.grant(5n, 60).error).toBe('NO_SPACE');
      expect(rig.txn([['a', '1']]).error).toBe('NO_SPACE');
      // A request that is refused for another reason says that one; one that adds nothing passes.
      expect(rig.put('a', '1', 9n).error).toBe('LEASE_NOT_FOUND');
      expect(rig.delete('a').error).toBeUndefined();
      expect(rig.pairs()).toEqual(['key=value@2.2.1']);
      expect(rig.machine.leases.lessor.lookup(5n)?.ttlSec).toBe(60);
      expect(costs.slice(0, 3)).toEqual([256 + 3 + 5, 64, 256 + 1 + 1]);
      await rig.close();
    });
  });
});

describe('alarms', () => {
  const [NONE, NOSPACE, CORRUPT] = [0, 1, 2];
  const [GET, ACTIVATE, DEACTIVATE] = [0, 1, 2];

  async function withAlarm(env: SimEnv, alarm: number): Promise<StoreRig> {
    const rig = await StoreRig.open(env);
    rig.grant(5n, 60);
    rig.put('a', '1', 5n);
    rig.put('a', '2', 5n);
    rig.alarm(ACTIVATE!, 1n, alarm);
    return rig;
  }

  /** What each kind of request answers. */
  function answers(rig: StoreRig): Record<string, string | undefined> {
    const range = RangeRequestCodec.encode(RangeRequestCodec.create({ key: bytesFromLatin1('a') }));
    const codec = etcdserverpb.LeaseCheckpointRequestCodec;
    const checkpoint = codec.encode(codec.create({ checkpoints: [{ id: 5n, remainingTTL: 9 }] }));
    const read = [
      RequestOpCodec.create({
        request: { case: 'requestRange', value: RangeRequestCodec.decode(range) },
      }),
    ];
    const readTxn = TxnRequestCodec.encode(TxnRequestCodec.create({ success: read }));
    return {
      put: rig.put('b', '1').error,
      putTxn: rig.txn([['b', '1']]).error,
      readTxn: rig.apply(REQUEST_KIND.TXN, readTxn).error,
      range: rig.apply(REQUEST_KIND.RANGE, range).error,
      compact: rig.compact(2).error,
      grant: rig.grant(6n, 60).error,
      checkpoint: rig.apply(REQUEST_KIND.LEASE_CHECKPOINT, checkpoint).error,
      delete: rig.delete('a').error,
      revoke: rig.revoke(5n).error,
    };
  }

  test('NOSPACE refuses what makes the file grow', async () => {
    await on(14, async (env) => {
      const rig = await withAlarm(env, NOSPACE!);
      expect(answers(rig)).toEqual({
        ...{ put: 'NO_SPACE', putTxn: 'NO_SPACE', grant: 'NO_SPACE' },
        ...{ readTxn: undefined, range: undefined, compact: undefined, checkpoint: undefined },
        ...{ delete: undefined, revoke: undefined },
      });
      await rig.close();
    });
  });

  test('CORRUPT refuses all use of the keys', async () => {
    await on(15, async (env) => {
      const rig = await withAlarm(env, CORRUPT!);
      const { checkpoint, ...others } = answers(rig);
      expect(checkpoint).toBeUndefined();
      expect(new Set(Object.values(others))).toEqual(new Set(['CORRUPT']));
      expect(rig.kv.currentRev).toBe(3);
      await rig.close();
    });
  });

  test('are raised and lowered by member, listed, and survive a restart', async () => {
    await on(16, async (env) => {
      let rig = await StoreRig.open(env);
      const all = (alarm = NONE!) =>
        rig.alarm(GET!, 0n, alarm).alarms.map(({ memberID, alarm: type }) => `${memberID} ${type}`);
      expect(rig.alarm(ACTIVATE!, 1n, NONE!).alarms).toEqual([]);
      rig.alarm(ACTIVATE!, 2n ** 64n - 1n, NOSPACE!);
      rig.alarm(ACTIVATE!, 1n, NOSPACE!);
      expect(rig.alarm(ACTIVATE!, 1n, NOSPACE!).alarms.length).toBe(1);
      rig.alarm(ACTIVATE!, 1n, CORRUPT!);
      expect(all()).toEqual(['1 1', `${2n ** 64n - 1n} 1`, '1 2']);
      expect(all(CORRUPT)).toEqual(['1 2']);
      await rig.close();
      rig = await StoreRig.open(env);
      expect(all()).toEqual(['1 1', `${2n ** 64n - 1n} 1`, '1 2']);
      expect(rig.alarm(DEACTIVATE!, 1n, CORRUPT!).alarms.length).toBe(1);
      expect(rig.alarm(DEACTIVATE!, 1n, CORRUPT!).alarms).toEqual([]);
      rig.alarm(DEACTIVATE!, 1n, NOSPACE!);
      expect(rig.put('a', '1').error).toBe('NO_SPACE');
      rig.alarm(DEACTIVATE!, 2n ** 64n - 1n, NOSPACE!);
      expect(rig.put('a', '1').error).toBeUndefined();
      await rig.close();
      rig = await StoreRig.open(env);
      expect(all()).toEqual([]);
      await rig.close();
    });
  });
});

test('effects of leases and alarms that are there already are tolerated', async () => {
  // Releases up to 3.4 note the index only with changes of keys: what came after is replayed.
  await on(17, async (env) => {
    const rig = await StoreRig.open(env);
    const entries: raftpb.Entry[] = [];
    const apply = (kind: RequestKind, body: Uint8Array) => {
      const entry = rig.entry(encodeEnvelope(kind, 1, 7, body));
      entries.push(entry);
      rig.applyEntry(entry);
    };
    const grant = (id: bigint) =>
      apply(REQUEST_KIND.LEASE_GRANT, etcdserverpb.LeaseGrantRequestCodec.encode({ id, ttl: 60 }));
    rig.put('a', '1');
    grant(5n);
    grant(6n);
    apply(REQUEST_KIND.LEASE_REVOKE, etcdserverpb.LeaseRevokeRequestCodec.encode({ id: 6n }));
    const alarm = etcdserverpb.AlarmRequestCodec.create({ action: 1, memberID: 1n, alarm: 1 });
    apply(REQUEST_KIND.ALARM, etcdserverpb.AlarmRequestCodec.encode(alarm));
    const content = await rig.machine.hash();
    await rig.close();

    const again = await StoreRig.open(env);
    for (const entry of entries)
      again.applyEntry({ ...entry, index: again.machine.appliedIndex + 1 });
    expect(await again.machine.hash()).toBe(content);
    expect(again.machine.leases.lessor.list().map(({ id }) => id)).toEqual([5n]);
    await again.close();
  });
});

test('bytes of a client that are odd but legal are taken as they are', async () => {
  await on(18, async (env) => {
    const rig = await StoreRig.open(env);
    // The value twice (the last counts), and an unknown field.
    const body = Uint8Array.from([
      ...[0x0a, 1, 0x61, 0x12, 1, 0x31, 0x12, 1, 0x32],
      ...[0xfa, 0x7f, 2, 1, 2],
    ]);
    expect(rig.apply(REQUEST_KIND.PUT, body).revision).toBe(2);
    expect(rig.pairs()).toEqual(['a=2@2.2.1']);
    await rig.close();
  });
});
