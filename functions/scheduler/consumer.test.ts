import { describe, expect, it } from 'vitest';
import type { Reader } from '../client/reader.ts';
import type { KubeObject } from '../machinery/object.ts';
import { schedulerConsumer } from './consumer.ts';
import { node, pod } from './test-objects.ts';

const keys = (resource: string, object: KubeObject, previous?: KubeObject, deleted = false) => {
  const watch = schedulerConsumer.watches.find((w) => w.resource.resource === resource);
  if (!watch) throw new Error(`${resource} is not watched`);
  const change = { resource: watch.resource, object, deleted, ...(previous ? { previous } : {}) };
  return watch.keys(change, {} as Reader);
};
const wakes = ['cluster'];
const done = { phase: 'Succeeded' };

describe('schedulerConsumer', () => {
  it('wakes the scheduler for pods that wait, move or end, and not for what it writes about them itself', () => {
    expect(keys('pods', pod('p'))).toEqual(wakes);
    expect(keys('pods', pod('p', { on: 'a' }), pod('p'))).toEqual(wakes);
    expect(keys('pods', pod('p', { on: 'a', status: done }), pod('p', { on: 'a' }))).toEqual(wakes);
    expect(keys('pods', pod('p', { on: 'a' }), undefined, true)).toEqual(wakes);
    expect(keys('pods', pod('p'), undefined, true)).toEqual([]);
    const told = { phase: 'Pending', conditions: [{ type: 'PodScheduled', status: 'False' }] };
    expect(keys('pods', pod('p', { status: told }), pod('p'))).toEqual([]);
    expect(keys('pods', pod('p', { status: { phase: 'Pending', nominatedNodeName: 'a' } }), undefined, true)).toEqual(
      wakes,
    );
    expect(keys('pods', pod('p', { labels: { a: '1' } }), pod('p'))).toEqual(wakes);
  });
  it('wakes it for nodes, but not for their heartbeats, and for volumes', () => {
    const beat = { ...node('a'), status: { ...node('a').status, conditions: [{ type: 'Ready', status: 'True' }] } };
    expect(keys('nodes', beat, node('a'))).toEqual([]);
    expect(keys('nodes', node('a', { spec: { unschedulable: true } }), node('a'))).toEqual(wakes);
    expect(keys('nodes', node('a'), undefined, true)).toEqual(wakes);
    expect(keys('persistentvolumeclaims', { metadata: { name: 'c' } })).toEqual(wakes);
  });
});
