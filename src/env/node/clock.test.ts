import { afterEach, describe, expect, test, vi } from 'vitest';
import { clockContract } from '../clock-contract.fixture.ts';
import { createNodeClock, createNodeTimers } from './clock.ts';

describe('the real clock and timers', () => {
  clockContract(() => ({ clock: createNodeClock(), timers: createNodeTimers() }));
});

describe('a timer with slack', () => {
  test('comes after another timer, when it is due, and not before', async () => {
    const timers = createNodeTimers();
    const order: string[] = [];
    const startMs = performance.now();
    let calledMs = 0;
    await new Promise<void>((resolve) => {
      timers.after(60_000, () => order.push('cancelled'), 60_000).cancel();
      timers.after(
        20,
        () => {
          calledMs = performance.now();
          order.push('patient');
          resolve();
        },
        600_000,
      );
      timers.after(5, () => order.push('early'));
      timers.after(25, () => order.push('late'));
    });
    expect(order).toEqual(['early', 'late', 'patient']);
    expect(calledMs - startMs).toBeGreaterThanOrEqual(25);
  });

  test('comes alone at its latest moment, and once', async () => {
    const timers = createNodeTimers();
    let count = 0;
    const startMs = performance.now();
    await new Promise<void>((resolve) => {
      timers.after(
        1,
        () => {
          count++;
          resolve();
        },
        10,
      );
    });
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(11);
    await new Promise<void>((resolve) => timers.after(15, resolve));
    expect(count).toBe(1);
  });
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
