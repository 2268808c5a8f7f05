import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts', 'bench/**/*.test.ts'],
    setupFiles: ['test/setup.ts'],
    env: { TETCD_VERIFY: 'all' },
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
  },
});
