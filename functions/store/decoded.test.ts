import { expect, it, vi } from 'vitest';
import { decode, decodeOnce, keepWritten } from './decoded.ts';
import type { Stored } from './store.ts';

const state = (i: number, size = 100): Stored => {
  const object = { metadata: { name: `n${i}` }, data: 'x'.repeat(size) };
  const bytes = new TextEncoder().encode(JSON.stringify(object));
  return { key: `n${i}`, revision: BigInt(i), bytes, index: { labels: {}, fields: {}, owners: [] } };
};
const objectOf = (i: number) => ({ kind: 'X', apiVersion: 'v1', metadata: { name: `n${i}` } });

it('readers share one object, and get what the writer had for as long as it is fresh', () => {
  const stored = state(1);
  const object = objectOf(1);
  keepWritten(stored, object);
  expect(decodeOnce(stored)).toBe(object);
  for (let i = 2; i < 600; i++) keepWritten(state(i), objectOf(i));
  expect(decodeOnce(stored)).not.toBe(object);
  expect(decodeOnce(stored)).not.toBe(decodeOnce(stored));
  expect(decode(stored)).toBe(decode(stored));
});

it('lets go of the oldest beyond its bound', () => {
  const first = state(1, 1 << 20);
  const object = decode(first);
  for (let i = 2; i < 12; i++) decode(state(i, 1 << 20));
  expect(decode(first)).toBe(object);
  for (let i = 12; i < 40; i++) decode(state(i, 1 << 20));
  expect(decode(first)).not.toBe(object);
  expect(decode(first)).toEqual(object);
});

it('are frozen in all depth where tests ask for it, so that a mutation shows where it happens', async () => {
  vi.stubEnv('SKIFF_FREEZE', '1');
  vi.resetModules();
  const frozen = await import('./decoded.ts');
  vi.unstubAllEnvs();
  const given = objectOf(1);
  frozen.keepWritten(state(1), given);
  for (const object of [given, frozen.decode(state(2)), frozen.decodeOnce(state(3))]) {
    expect(() => Object.assign(object, { kind: 'Other' })).toThrow(TypeError);
    expect(() => Object.assign(object.metadata, { name: 'other' })).toThrow(TypeError);
  }
});
