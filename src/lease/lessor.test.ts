import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { seededRandom } from '../base/index.ts';
import { KeySet } from './key-set.ts';
import type { Lease } from './lease.ts';
import { type LeaseRefusal, Lessor } from './lessor.ts';
import {
  CHECKPOINT_BATCH_MAX,
  EXPIRED_BATCH_MAX,
  EXPIRED_RETRY_MS,
  LEASE_REVOKES_PER_SEC_MAX,
  LEASE_TTL_SEC_MAX,
} from './limits.ts';

function mustGrant(lessor: Lessor, id: bigint, ttlSec: number, nowMs: number): Lease {
  const lease = lessor.grant(id, ttlSec, nowMs);
  if (typeof lease === 'string') throw new Error(lease);
  return lease;
}

describe('grant', () => {
  const refused: readonly [string, bigint, number, LeaseRefusal][] = [
    ['id 0', 0n, 10, 'LEASE_NOT_FOUND'],
    ['a TTL above the largest', 2n, LEASE_TTL_SEC_MAX + 1, 'LEASE_TTL_TOO_LARGE'],
    ['an id in use', 1n, 10, 'LEASE_EXIST'],
  ];
  test.each(refused)('%s is refused', (_, id, ttlSec, refusal) => {
    const lessor = new Lessor(2);
    mustGrant(lessor, 1n, 10, 0);
    expect(lessor.grant(id, ttlSec, 0)).toBe(refusal);
    expect(lessor.size).toBe(1);
  });

  test('a short TTL is raised to the minimum, a negative one too', () => {
    const lessor = new Lessor(2);
    expect(mustGrant(lessor, 1n, 1, 0).ttlSec).toBe(2);
    expect(mustGrant(lessor, 2n, -(2 ** 53), 0).ttlSec).toBe(2);
  });
});

describe('expiry', () => {
  test('only the primary lets leases expire, and starts them afresh', () => {
    const lessor = new Lessor(2);
    const lease = mustGrant(lessor, 1n, 10, 0);
    expect(lessor.takeExpired(1e12)).toEqual([]);
    lessor.promote(5000, 1000);
    expect(lease.expiryMs).toBe(5000 + 1000 + 10_000);
    expect(lessor.takeExpired(15_999)).toEqual([]);
    expect(lessor.takeExpired(16_000)).toEqual([lease]);
    lessor.demote();
    expect(lessor.takeExpired(1e12)).toEqual([]);
    expect(lessor.check()).toEqual([]);
  });

  test('an expired lease is not renewed, and handed out again if it is still there', () => {
    const lessor = new Lessor(2);
    lessor.promote(0, 0);
    const lease = mustGrant(lessor, 1n, 2, 0);
    expect(lessor.renew(1n, 1999)).toEqual({ kind: 'renewed', ttlSec: 2 });
    expect(lessor.takeExpired(3999)).toEqual([lease]);
    expect(lessor.renew(1n, 3999)).toEqual({ kind: 'expiring' });
    expect(lessor.takeExpired(3999 + EXPIRED_RETRY_MS - 1)).toEqual([]);
    expect(lessor.takeExpired(3999 + EXPIRED_RETRY_MS)).toEqual([lease]);
    lessor.remove(lease);
    expect(lessor.renew(1n, 9999)).toEqual({ kind: 'missing' });
  });

  test('a checkpointed rest counts at promotion', () => {
    const lessor = new Lessor(2);
    const lease = mustGrant(lessor, 1n, 100, 0);
    lessor.checkpoint(1n, 30);
    lessor.promote(0, 0);
    expect(lease.expiryMs).toBe(30_000);
  });

  test('a batch is bounded, and no lease is lost', () => {
    const lessor = new Lessor(2);
    lessor.promote(0, 0);
    for (let id = 1n; id <= 1200n; id++) mustGrant(lessor, id, 2, 0);
    const sizes: number[] = [];
    for (let i = 0; i < 4; i++) {
      const batch = lessor.takeExpired(2000);
      sizes.push(batch.length);
      for (const lease of batch) lessor.remove(lease);
    }
    expect(sizes).toEqual([EXPIRED_BATCH_MAX, EXPIRED_BATCH_MAX, 200, 0]);
  });

  test('after a promotion, expiries that pile up are spread, and none is early', () => {
    const lessor = new Lessor(2);
    for (let id = 1n; id <= 5000n; id++) mustGrant(lessor, id, 10, 0);
    lessor.promote(0, 0);
    const expiries = lessor.list().map((lease) => lease.expiryMs);
    expect(Math.min(...expiries)).toBe(10_000);
    const first = expiries.filter((ms) => ms < 11_000).length;
    expect(first).toBeLessThanOrEqual(1000);
    expect(lessor.check()).toEqual([]);
  });

  test('after a promotion no second sees more expiries than can be revoked in it', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 20 }), (seed, spanSec) => {
        const random = seededRandom(seed);
        const lessor = new Lessor(2);
        const count = 1000 + random.below(5000);
        const rests = new Map<bigint, number>();
        for (let id = 1n; id <= count; id++) {
          const ttlSec = 10 + random.below(spanSec);
          const lease = mustGrant(lessor, id, ttlSec, 0);
          if (random.below(3) === 0) lessor.checkpoint(id, 1 + random.below(ttlSec));
          rests.set(id, lease.effectiveSec);
        }
        lessor.promote(5000, 1000);
        const perSecond = new Map<number, number>();
        for (const { id, expiryMs } of lessor.list()) {
          expect(expiryMs).toBeGreaterThanOrEqual(6000 + rests.get(id)! * 1000);
          const second = Math.floor(expiryMs / 1000);
          perSecond.set(second, (perSecond.get(second) ?? 0) + 1);
        }
        expect(Math.max(...perSecond.values())).toBeLessThanOrEqual(
          (3 * LEASE_REVOKES_PER_SEC_MAX) / 4,
        );
        expect(lessor.check()).toEqual([]);
      }),
      { numRuns: 20 },
    );
  });
});

describe('checkpoints, where they are on', () => {
  const HOUR_SEC = 3600;
  const open = () => {
    const lessor = new Lessor(2, true);
    lessor.promote(0, 0);
    return lessor;
  };

  test('a long lease is checkpointed an interval after its grant, a short one never', () => {
    const lessor = open();
    mustGrant(lessor, 1n, HOUR_SEC, 0);
    mustGrant(lessor, 2n, 300, 0);
    expect(lessor.takeCheckpoints(299_999)).toEqual([]);
    expect(lessor.takeCheckpoints(300_000)).toEqual([{ id: 1n, remainingSec: 3300 }]);
    expect(lessor.takeCheckpoints(900_000)).toEqual([]);
    // Once applied, the next one is an interval later.
    lessor.checkpoint(1n, 3300, 310_000);
    expect(lessor.takeCheckpoints(609_999)).toEqual([]);
    expect(lessor.takeCheckpoints(610_500)).toEqual([{ id: 1n, remainingSec: 2990 }]);
  });

  test('a checkpointed lease is renewed only after the checkpoint is cleared', () => {
    const lessor = open();
    const lease = mustGrant(lessor, 1n, HOUR_SEC, 0);
    lessor.checkpoint(1n, 3300, 300_000);
    expect(lessor.renew(1n, 400_000)).toEqual({ kind: 'checkpointed' });
    expect(lease.expiryMs).toBe(HOUR_SEC * 1000);
    lessor.checkpoint(1n, 0, 400_000);
    expect(lessor.renew(1n, 400_000)).toEqual({ kind: 'renewed', ttlSec: HOUR_SEC });
    expect(lease.expiryMs).toBe(400_000 + HOUR_SEC * 1000);
  });

  test('leases that are renewed, gone or expired need none, and nobody asks a follower', () => {
    const lessor = open();
    for (const id of [1n, 2n, 3n]) mustGrant(lessor, id, HOUR_SEC, 0);
    lessor.renew(1n, 300_000);
    lessor.remove(lessor.lookup(2n)!);
    expect(lessor.takeCheckpoints(300_000)).toEqual([{ id: 3n, remainingSec: 3300 }]);
    // The renewed one has its turn an interval later.
    expect(lessor.takeCheckpoints(600_000)).toEqual([{ id: 1n, remainingSec: 3300 }]);
    mustGrant(lessor, 4n, HOUR_SEC, 600_000);
    lessor.demote();
    expect(lessor.takeCheckpoints(10_000_000)).toEqual([]);
    // A new term starts leases and their checkpoints afresh.
    lessor.promote(700_000, 0);
    expect(lessor.takeCheckpoints(999_999)).toEqual([]);
    expect(lessor.takeCheckpoints(1_000_000).map(({ id }) => id)).toEqual([1n, 3n, 4n]);
  });

  test('a batch is bounded, and no lease is lost', () => {
    const lessor = open();
    for (let id = 1n; id <= 2500n; id++) mustGrant(lessor, id, HOUR_SEC, 0);
    const sizes = [0, 0, 0, 0].map(() => lessor.takeCheckpoints(300_000).length);
    expect(sizes).toEqual([CHECKPOINT_BATCH_MAX, CHECKPOINT_BATCH_MAX, 500, 0]);
  });
});

test('the lessor does what a plain list would do', () => {
  const operation = fc.record({
    kind: fc.constantFrom('grant', 'renew', 'remove', 'promote', 'demote', 'expire'),
    id: fc.bigInt(1n, 6n),
    ttlSec: fc.integer({ min: 1, max: 20 }),
    passMs: fc.nat(4000),
  });
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
      const lessor = new Lessor(2);
      const twin = new Map<bigint, { ttl: number; expiry: number }>();
      let primary = false;
      let now = 0;
      for (const { kind, id, ttlSec, passMs } of operations) {
        now += passMs;
        const known = twin.get(id);
        if (kind === 'grant' && typeof lessor.grant(id, ttlSec, now) !== 'string') {
          const ttl = Math.max(ttlSec, 2);
          twin.set(id, { ttl, expiry: primary ? now + ttl * 1000 : Number.POSITIVE_INFINITY });
        } else if (kind === 'renew' && lessor.renew(id, now).kind === 'renewed') {
          expect(primary && known !== undefined && known.expiry > now).toBe(true);
          twin.set(id, { ttl: known!.ttl, expiry: now + known!.ttl * 1000 });
        } else if (kind === 'remove' && known !== undefined) {
          lessor.remove(lessor.lookup(id)!);
          twin.delete(id);
        } else if (kind === 'promote' || kind === 'demote') {
          primary = kind === 'promote';
          if (primary) lessor.promote(now, 0);
          else lessor.demote();
          for (const lease of twin.values()) {
            lease.expiry = primary ? now + lease.ttl * 1000 : Number.POSITIVE_INFINITY;
          }
        } else if (kind === 'expire') {
          for (const lease of lessor.takeExpired(now)) {
            expect(twin.get(lease.id)!.expiry).toBeLessThanOrEqual(now);
          }
        }
        expect(lessor.check()).toEqual([]);
        const state = lessor.list().map((lease) => [lease.id, lease.expiryMs] as const);
        expect(new Map(state)).toEqual(new Map([...twin].map(([k, v]) => [k, v.expiry])));
      }
    }),
  );
});

test('a key set of many keys equals a plain set', () => {
  const keys = new KeySet();
  const twin = new Set<string>();
  for (let i = 0; i < 60_000; i++) {
    const key = `registry/events/${(i * 7919) % 40_000}`;
    if (i % 5 === 4) expect(keys.delete(key)).toBe(twin.delete(key));
    else {
      expect(keys.add(key)).toBe(!twin.has(key));
      twin.add(key);
    }
  }
  expect(keys.size).toBe(twin.size);
  expect(keys.sorted()).toEqual([...twin].sort());
});
