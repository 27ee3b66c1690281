import { expect, it } from 'vitest';
import type { Change, Stored } from './store.ts';
import { createWindow } from './window.ts';

const state = (revision: bigint, length: number): Stored => ({
  key: 'a',
  revision,
  bytes: new Uint8Array(length),
  index: { labels: {}, fields: {}, owners: [] },
});

it('a window is bounded in the bytes that only it holds', () => {
  const window = createWindow(1000, 1e9, 1000);
  for (let i = 1n; i <= 10n; i++) {
    const change: Change = { type: 'put', stored: state(i, 300), previous: state(i - 1n, 300) };
    window.push(change, 0);
  }
  expect(window.bytes).toBe(900);
  expect(window.base).toBe(7n);
  expect(window.after(7n, 10).map((change) => change.stored.revision)).toEqual([8n, 9n, 10n]);
  window.push({ type: 'delete', stored: state(11n, 300), previous: state(10n, 300) }, 0);
  expect(window.bytes).toBe(900);
  expect(window.base).toBe(9n);
});
