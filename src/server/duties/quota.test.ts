import { expect, test } from 'vitest';
import { HEAP_LOOK_EVERY } from '../limits.ts';
import { type HeapUse, Quota } from './quota.ts';

const quota = (heapUse: () => HeapUse = () => expect.unreachable()) =>
  new Quota({
    config: { quotaBackendBytes: undefined },
    heapUse,
    store: { machine: { backend: { sizeBytes: 0 } } },
  });

test('near the heap limit nothing more is opened, and only nearer nothing more is written', () => {
  const full = quota();
  expect(full.acceptHeapUse({ usedBytes: 69, limitBytes: 100 })).toBe(false);
  expect([full.mayGrow(), full.isAvailable(1)]).toEqual([true, true]);
  expect(full.acceptHeapUse({ usedBytes: 71, limitBytes: 100 })).toBe(false);
  expect([full.mayGrow(), full.isAvailable(1)]).toEqual([false, true]);
  expect(full.acceptHeapUse({ usedBytes: 86, limitBytes: 100 })).toBe(true);
  expect([full.mayGrow(), full.isAvailable(1)]).toEqual([false, false]);
  full.acceptHeapUse({ usedBytes: 50, limitBytes: 100 });
  expect([full.mayGrow(), full.isAvailable(1)]).toEqual([true, true]);
});

test('many that are opened between two checks are stopped by what they take', () => {
  let opened = 0;
  const growing = quota(() => ({ usedBytes: opened, limitBytes: 10_000 }));
  while (opened < 20_000 && growing.mayGrow()) opened++;
  expect(opened).toBeGreaterThan(7000);
  expect(opened).toBeLessThanOrEqual(7000 + HEAP_LOOK_EVERY);
});
