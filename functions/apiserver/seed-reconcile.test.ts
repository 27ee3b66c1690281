import { expect, it } from 'vitest';
import type { KubeObject } from '../machinery/object.ts';
import { reconcilers } from './seed-reconcile.ts';

const map = (data: Record<string, string> | undefined) =>
  ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'x', namespace: 'kube-system' },
    data,
  }) as unknown as KubeObject;

it.each([
  [{ a: '1' }, undefined],
  [{ a: '1', mine: 'kept' }, undefined],
  [
    { a: 'old', mine: 'kept' },
    { a: '1', mine: 'kept' },
  ],
  [{}, { a: '1' }],
  [undefined, { a: '1' }],
])('a ConfigMap of what to trust with %j becomes %j', (existing, wanted) => {
  expect(reconcilers['v1 ConfigMap']?.(map(existing), map({ a: '1' }))).toEqual(wanted && map(wanted));
});
