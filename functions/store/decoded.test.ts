import { expect, it } from 'vitest';
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
