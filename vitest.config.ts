import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    testTimeout: 20_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: [
            'functions/**/*.test.ts',
            'agent/**/*.test.ts',
            'cli/**/*.test.ts',
            'infra/**/*.test.ts',
            'bench/**/*.test.ts',
            'test/tidy.test.ts',
          ],
        },
      },
      {
        extends: true,
        test: { name: 'integration', include: ['test/{contract,simulation,behaviour,fuzz}/**/*.test.ts'] },
      },
      {
        extends: true,
        test: {
          name: 'clients',
          include: ['test/clients/**/*.test.ts'],
          globalSetup: ['test/clients/setup.ts'],
          testTimeout: 120_000,
          hookTimeout: 300_000,
        },
      },
      {
        extends: true,
        test: { name: 'e2e', include: ['test/e2e/**/*.test.ts'], testTimeout: 600_000, hookTimeout: 600_000 },
      },
    ],
  },
});
