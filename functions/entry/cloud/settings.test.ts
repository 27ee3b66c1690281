import { expect, it } from 'vitest';
import { readSettings } from './settings.ts';

it('reads what the stack says, with defaults', () => {
  expect(readSettings({ SKIFF_TABLE: 'table', SKIFF_STREAMING: 'true' })).toMatchObject({
    SKIFF_TABLE: 'table',
    SKIFF_STREAMING: true,
    SKIFF_WORK_QUEUE: '',
    SKIFF_RETENTION_MS: 3_600_000,
  });
  expect(readSettings({ SKIFF_TABLE: 'table', SKIFF_STREAMING: 'false', SKIFF_RETENTION_MS: '60000' })).toMatchObject({
    SKIFF_STREAMING: false,
    SKIFF_RETENTION_MS: 60_000,
  });
});

it('names what is wrong in one line', () => {
  expect(() => readSettings({})).toThrow(/^SKIFF_TABLE: /);
  expect(() => readSettings({ SKIFF_TABLE: 'table', SKIFF_RETENTION_MS: '5' })).toThrow(/^SKIFF_RETENTION_MS: /);
});
