// Checkpoints of leases: applied from the log, written or not, and what a later leader makes of them.

import { describe, expect, test } from 'vitest';
import { createSimEnv, type SimEnv } from '../../env/sim/index.ts';
import { leasepb } from '../../protocol/index.ts';
import { type RigOptions, StoreRig } from '../testing/store.fixture.ts';
import { BUCKET, leaseKey } from './schema.ts';

const on = (body: (env: SimEnv) => Promise<void>): Promise<void> => {
  const env = createSimEnv({ seed: 1, autoRun: false });
  return env.run(() => body(env));
};

const HOUR_SEC = 3600;

/** What the row of lease 1 says is left of it. */
function persistedRest(rig: StoreRig): number {
  return leasepb.LeaseCodec.decode(rig.backend.get(BUCKET.LEASE, leaseKey(1n))!).remainingTTL;
}

describe('a checkpoint', () => {
  const cases: readonly [
    string,
    { major: number; minor: number } | undefined,
    RigOptions,
    number,
  ][] = [
    ['before the cluster has a version', undefined, {}, 0],
    ['in a cluster at 3.5', { major: 3, minor: 5 }, {}, 0],
    [
      'in a cluster at 3.5, if asked for',
      { major: 3, minor: 5 },
      { persistLeaseCheckpoints: true },
      60,
    ],
    ['in a cluster at 3.6', { major: 3, minor: 6 }, {}, 60],
  ];
  test.each(cases)('%s is noted, and written or not', async (_, version, options, written) => {
    await on(async (env) => {
      const rig = await StoreRig.open(env, options);
      if (version !== undefined) rig.machine.cluster.setVersion(1, version);
      rig.grant(1n, HOUR_SEC);
      expect(rig.checkpoint(1n, 60).kind).toBe('leaseCheckpoint');
      rig.checkpoint(2n, 60);
      expect(persistedRest(rig)).toBe(written);
      expect(rig.machine.leases.lessor.lookup(1n)?.remainingSec).toBe(60);
      await rig.close();

      const again = await StoreRig.open(env, options);
      const { lessor } = again.machine.leases;
      lessor.promote(0, 1000);
      expect(lessor.lookup(1n)?.expiryMs).toBe(1000 + (written > 0 ? 60 : HOUR_SEC) * 1000);
      await again.close();
    });
  });

  test('that a leader has applied is followed by another an interval later', async () => {
    await on(async (env) => {
      const rig = await StoreRig.open(env, { leaseCheckpoints: true });
      const { lessor } = rig.machine.leases;
      const now = () => env.clock.monotonicMs();
      const pass = (ms: number) => new Promise<void>((done) => env.timers.after(ms, done));
      rig.grant(1n, HOUR_SEC);
      lessor.promote(now(), 0);
      expect(lessor.takeCheckpoints(now() + 299_000)).toEqual([]);
      for (let rest = 3300; rest > 0; rest -= 300) {
        await pass(300_000);
        const due = lessor.takeCheckpoints(now());
        // The last ones are too close to the end to matter.
        if (due.length === 0) {
          expect(rest).toBeLessThanOrEqual(300);
          break;
        }
        expect(due).toEqual([{ id: 1n, remainingSec: rest }]);
        expect(lessor.takeCheckpoints(now())).toEqual([]);
        rig.checkpoint(1n, rest);
      }
      expect(lessor.renew(1n, now())).toEqual({ kind: 'checkpointed' });
      rig.checkpoint(1n, 0);
      expect(lessor.renew(1n, now())).toEqual({ kind: 'renewed', ttlSec: HOUR_SEC });
      await rig.close();
    });
  });
});
