import { defineConfig } from 'vitest/config';

// Two groups, one after the other: the units, side by side; then what starts real programs, one
// file at a time, since those programs compete for the same cores and some measure time.
export default defineConfig({
  test: {
    setupFiles: ['test/helpers/setup.ts'],
    env: { TETCD_VERIFY: 'all' },
    pool: 'forks',
    projects: [
      {
        extends: true,
        test: {
          name: 'units',
          include: ['src/**/*.test.ts', 'sim/check/**/*.test.ts', 'test/tidy.test.ts'],
          maxWorkers: 2,
          testTimeout: 30_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'programs',
          include: ['test/**/*.test.ts', 'sim/*.test.ts', 'bench/**/*.test.ts'],
          exclude: ['test/tidy.test.ts'],
          maxWorkers: 1,
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
