import { defineConfig } from 'vitest/config';

// Two groups, one after the other: what computes, side by side; then what starts real programs, one file at
// a time, since those programs compete for the same cores and some measure time.
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
          include: ['test/**/*.test.ts', 'bench/**/*.test.ts'],
          exclude: COMPUTED,
          maxWorkers: 1,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
