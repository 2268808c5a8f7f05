import { afterEach, describe, expect, test, vi } from 'vitest';
import { clockContract } from '../clock-contract.fixture.ts';
import { createNodeClock, createNodeTimers } from './clock.ts';

describe('the real clock and timers', () => {
  clockContract(() => ({ clock: createNodeClock(), timers: createNodeTimers() }));
});

describe('the wall clock below a millisecond', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  test('is that of the system, with microseconds, and does not go back by itself', () => {
    const clock = createNodeClock();
    const micros = new Set<number>();
    let last = 0;
    for (let i = 0; i < 2000; i++) {
      const before = Date.now();
      const now = clock.wallMs();
      expect(now).toBeGreaterThanOrEqual(before);
      expect(now).toBeLessThan(Date.now() + 1);
      expect(now).toBeGreaterThanOrEqual(last);
      last = now;
      micros.add(Math.floor((now % 1) * 1000));
    }
    // A clock of whole milliseconds, or of rounded ones, has few.
    expect(micros.size).toBeGreaterThan(50);
  });

  test('follows a clock that is set, either way, and one that runs at another rate', () => {
    let systemMs = 1_700_000_000_000.75;
    let upMs = 5000.5;
    vi.spyOn(Date, 'now').mockImplementation(() => Math.floor(systemMs));
    vi.spyOn(performance, 'now').mockImplementation(() => upMs);
    const clock = createNodeClock();
    const advance = (byMs: number, rate = 1): void => {
      systemMs += byMs * rate;
      upMs += byMs;
    };
    for (const jumpMs of [0, 3_600_000, -86_400_000, 0.2]) {
      systemMs += jumpMs;
      for (let i = 0; i < 1000; i++) {
        advance(0.13, i % 2 === 0 ? 1 : 1.1);
        const now = clock.wallMs();
        expect(Math.abs(now - systemMs)).toBeLessThan(1);
        expect(Math.floor(now)).toBe(Math.floor(systemMs));
      }
    }
  });
});
