import { expect, test } from 'vitest';
import { seededRandom } from '../../base/index.ts';
import {
  FAST_POOL_SYNC_MS_MAX,
  FAST_SYNC_MS_MAX,
  FAST_SYNCS_MIN,
  REST_FACTOR,
  SyncPace,
} from './sync-pace.ts';

const FAST = FAST_SYNC_MS_MAX / 5;
const SLOW = FAST_POOL_SYNC_MS_MAX * 2;

/** Syncs of these durations on the pool, one after the other. */
function onPool(pace: SyncPace, fromMs: number, ...tookMs: number[]): number {
  let nowMs = fromMs;
  for (const took of tookMs) {
    pace.observe(nowMs, nowMs + took, false);
    nowMs += took;
  }
  return nowMs;
}

const fast = (count: number): number[] => Array.from({ length: count }, () => FAST);

test('the loop waits only after fast syncs in a row', () => {
  const pace = new SyncPace();
  expect(pace.isFast(0)).toBe(false);
  let nowMs = onPool(pace, 0, ...fast(FAST_SYNCS_MIN - 1));
  expect(pace.isFast(nowMs)).toBe(false);
  nowMs = onPool(pace, nowMs, SLOW, ...fast(FAST_SYNCS_MIN - 1));
  expect(pace.isFast(nowMs)).toBe(false);
  nowMs = onPool(pace, nowMs, FAST);
  expect(pace.isFast(nowMs)).toBe(true);
});

test('after a slow sync on the loop, syncs go to the pool for many times its length', () => {
  const pace = new SyncPace();
  const beganMs = onPool(pace, 0, ...fast(FAST_SYNCS_MIN));
  const endMs = beganMs + 100;
  pace.observe(beganMs, endMs, true);
  const nowMs = onPool(pace, endMs, ...fast(10 * FAST_SYNCS_MIN));
  expect(pace.isFast(nowMs)).toBe(false);
  expect(pace.isFast(endMs + 100 * REST_FACTOR - 1)).toBe(false);
  expect(pace.isFast(endMs + 100 * REST_FACTOR)).toBe(true);
});

test('threads that share a core may be seen late: that is no slow disk', () => {
  const pace = new SyncPace();
  const late = Array.from({ length: FAST_SYNCS_MIN }, () => FAST_POOL_SYNC_MS_MAX);
  const nowMs = onPool(pace, 0, ...late);
  expect(pace.isFast(nowMs)).toBe(true);
  pace.observe(nowMs, nowMs + FAST_POOL_SYNC_MS_MAX, true);
  expect(pace.isFast(nowMs + FAST_POOL_SYNC_MS_MAX)).toBe(false);
});

test('whatever the disk does, slow syncs have a small share of the time of the loop', () => {
  const seed = Math.floor(Math.random() * 2 ** 32);
  const random = seededRandom(seed);
  for (let run = 0; run < 200; run++) {
    const pace = new SyncPace();
    const slowOf = 1 + random.below(200);
    const slowMs = SLOW * 2 ** random.below(12);
    let nowMs = 0;
    let heldMs = 0;
    let longestMs = 0;
    for (let i = 0; i < 5_000; i++) {
      const tookMs = random.below(slowOf) === 0 ? slowMs : FAST;
      const onLoop = pace.isFast(nowMs);
      pace.observe(nowMs, nowMs + tookMs, onLoop);
      nowMs += tookMs;
      if (!onLoop || tookMs === FAST) continue;
      heldMs += tookMs;
      longestMs = Math.max(longestMs, tookMs);
    }
    // The last one may still be at rest.
    expect(heldMs - longestMs, `seed ${seed}, run ${run}`).toBeLessThan(nowMs / REST_FACTOR);
  }
});
