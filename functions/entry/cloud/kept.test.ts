import { expect, it } from 'vitest';
import { kept } from './kept.ts';

it('makes a thing once for all who ask, and again after a failure', async () => {
  let tries = 0;
  const get = kept(async () => {
    tries++;
    if (tries === 1) throw new Error('throttled');
    return tries;
  });
  const first = [get(), get()];
  for (const one of first) await expect(one).rejects.toThrow('throttled');
  expect(await Promise.all([get(), get()])).toEqual([2, 2]);
  expect(await get()).toBe(2);
});
