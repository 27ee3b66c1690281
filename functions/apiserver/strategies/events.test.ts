import { expect, it } from 'vitest';
import type { KubeObject } from '../../machinery/object.ts';
import { builtinResources } from '../registry-builtin.ts';
import { indexOf } from '../stored-object.ts';
import { event } from './events.ts';

const time = '2026-01-02T03:04:05.123456Z';
const modern = (more: object = {}): KubeObject =>
  ({
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { name: 'e', namespace: 'n' },
    regarding: { kind: 'Pod', namespace: 'n', name: 'p' },
    eventTime: time,
    reportingController: 'example.com/c',
    reportingInstance: 'i',
    action: 'Act',
    reason: 'Because',
    type: 'Normal',
    note: 'hello',
    ...more,
  }) as unknown as KubeObject;
const core = (more: object = {}): KubeObject =>
  ({
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: 'e', namespace: 'n' },
    involvedObject: { kind: 'Pod', namespace: 'n', name: 'p' },
    ...more,
  }) as unknown as KubeObject;
const stored = (object: KubeObject): KubeObject => ({
  ...object,
  metadata: { ...object.metadata, resourceVersion: '1' },
});
const ctx = {} as never;
const fields = (object: KubeObject) => event.validate?.(object, ctx).map((c) => c.field);

it.each([
  [{}, []],
  [{ series: { count: 1, lastObservedTime: time } }, ['series.count']],
  [{ series: {} }, ['series.count', 'series.lastObservedTime']],
  [
    { deprecatedCount: 1, deprecatedSource: { host: 'h' }, deprecatedFirstTimestamp: time },
    ['firstTimestamp', 'count', 'source'],
  ],
  [{ eventTime: undefined }, ['eventTime']],
  [{ action: '', type: 'Other' }, ['action', 'type']],
  [{ note: 'x'.repeat(1025) }, ['message']],
  [{ regarding: { kind: 'Node' } }, ['involvedObject.namespace']],
])('a new event of events.k8s.io/v1 with %j: %j', (more, wanted) => {
  expect(fields(modern(more))).toEqual(wanted);
});

it('asks less of core/v1', () => {
  expect(fields(core({ count: 1, series: { count: 1 }, type: 'Other' }))).toEqual([]);
  expect(fields(core({ involvedObject: { namespace: 'other' } }))).toEqual(['involvedObject.namespace']);
});

it('keeps all but the series in events.k8s.io/v1, and nothing in core/v1', () => {
  const changed = { note: 'other', series: { count: 3, lastObservedTime: time } };
  const causes = event.validateUpdate?.(stored(modern(changed)), stored(modern()), ctx) ?? [];
  expect(causes.map((c) => c.field)).toEqual(['message']);
  expect(event.validateUpdate?.(stored(core({ message: 'b' })), stored(core({ message: 'a' })), ctx)).toEqual([]);
});

it('is found by the field names of both groups, whichever wrote it', () => {
  for (const [group, object] of [
    ['', core({ reportingComponent: 'example.com/c' })],
    ['events.k8s.io', modern()],
  ] as const) {
    const resource = builtinResources().find((r) => r.group === group && r.resource === 'events');
    const index = resource && indexOf(resource, object).fields;
    expect(index).toMatchObject({
      'involvedObject.name': 'p',
      'regarding.name': 'p',
      reportingComponent: 'example.com/c',
      reportingController: 'example.com/c',
    });
  }
});
