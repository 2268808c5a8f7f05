import { defineConfig } from 'vitest/config';

// Three groups, one after the other: what computes, and what starts programs, two files at a time;
// then, alone, what measures time or needs every core.
const TIMED = ['bench/**/*.test.ts', 'test/faults/**/*.test.ts', 'test/process/**/*.test.ts'];
const COMPUTED = ['sim/**/*.test.ts', 'test/tidy.test.ts'];

export default defineConfig({
  test: {
    setupFiles: ['test/helpers/setup.ts'],
    env: { TETCD_VERIFY: 'all' },
    pool: 'forks',
    testTimeout: 120_000,
    hookTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'units',
          include: ['src/**/*.test.ts', ...COMPUTED],
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'programs',
          include: ['test/**/*.test.ts'],
          exclude: [...TIMED, ...COMPUTED],
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: 'timed',
          include: TIMED,
          maxWorkers: 1,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
