import { describe, expect, it } from 'vitest';
import {
  AUTO_UPDATE,
  priorityLevels as defaultLevels,
  flowSchemas as defaultSchemas,
} from '../../machinery/flow-control-defaults.ts';
import type { FlowSchema, PriorityLevelConfiguration } from '../../machinery/kinds.d.ts';
import type { KubeObject } from '../../machinery/object.ts';
import type { PlannedWrite } from '../controller.ts';
import { flowControlController } from './flow-control.ts';

const NOW = Date.UTC(2026, 0, 1);
const AT = '2025-12-31T00:00:00Z';

const stored = <T extends KubeObject>(object: T): T => ({
  ...object,
  metadata: { ...object.metadata, uid: `uid-${object.metadata.name}`, resourceVersion: '7', generation: 1 },
});
const levels = () => defaultLevels().map(stored) as PriorityLevelConfiguration[];
const schemas = () => defaultSchemas(AT).map(stored) as unknown as FlowSchema[];

const decide = (seen: { schemas?: FlowSchema[]; levels?: PriorityLevelConfiguration[] }): PlannedWrite[] =>
  flowControlController.decide({ schemas: seen.schemas ?? schemas(), levels: seen.levels ?? levels() }, NOW).writes;

const named = <T extends { metadata: { name?: string } }>(list: T[], name: string): T => {
  const found = list.find(({ metadata }) => metadata.name === name);
  if (!found) throw new Error(`no ${name}`);
  return found;
};
/** One default changed by the test, among the others as they are. */
const withSchema = (name: string, change: (one: FlowSchema) => FlowSchema) => ({
  schemas: schemas().map((one) => (one.metadata.name === name ? change(one) : one)),
});
const withLevel = (name: string, change: (one: PriorityLevelConfiguration) => PriorityLevelConfiguration) => ({
  levels: levels().map((one) => (one.metadata.name === name ? change(one) : one)),
});
const moved = (one: FlowSchema): FlowSchema => ({ ...one, spec: { ...one.spec, matchingPrecedence: 77 } as never });
const annotated = <T extends FlowSchema>(one: T, value: string | undefined, generation = 2): T => ({
  ...one,
  metadata: { ...one.metadata, generation, annotations: value === undefined ? {} : { [AUTO_UPDATE]: value } },
});

it('leaves alone what is as it should be', () => {
  expect(decide({})).toEqual([]);
});

describe('default objects', () => {
  it('are made where they are missing, the mandatory ones too', () => {
    const writes = decide({
      levels: levels().filter(({ metadata }) => metadata.name !== 'catch-all'),
      schemas: schemas().filter(({ metadata }) => !['exempt', 'probes'].includes(metadata.name ?? '')),
    });
    expect(writes.map((write) => [write.op, write.op === 'create' && write.object.metadata.name])).toEqual([
      ['create', 'catch-all'],
      ['create', 'exempt'],
      ['create', 'probes'],
    ]);
  });

  it.each([
    ['true', 2, true, undefined],
    ['T', 2, true, undefined],
    ['false', 2, false, undefined],
    ['0', 2, false, undefined],
    [undefined, 1, true, 'true'],
    [undefined, 2, false, 'false'],
    ['nonsense', 1, true, 'true'],
    ['nonsense', 2, false, 'false'],
  ])('annotated %s at generation %s: restored %s, annotation becomes %s', (value, generation, restored, annotation) => {
    const writes = decide(withSchema('service-accounts', (one) => annotated(moved(one), value, generation)));
    const [write] = writes;
    if (!restored && annotation === undefined) {
      expect(writes).toEqual([]);
      return;
    }
    if (write?.op !== 'update') throw new Error('no update');
    const { spec, metadata } = write.object as FlowSchema;
    expect(spec?.matchingPrecedence).toBe(restored ? 9000 : 77);
    expect(metadata.annotations?.[AUTO_UPDATE]).toBe(annotation ?? value);
    expect(metadata.resourceVersion).toBe('7');
  });

  it('that are mandatory are restored whatever their annotation says', () => {
    const [write] = decide(withSchema('catch-all', (one) => annotated(moved(one), 'false')));
    if (write?.op !== 'update') throw new Error('no update');
    expect((write.object as FlowSchema).spec?.matchingPrecedence).toBe(10_000);
    expect(write.object.metadata.annotations?.[AUTO_UPDATE]).toBe('true');
  });

  it('leave the shares of the exempt level to the operator', () => {
    const change = (one: PriorityLevelConfiguration) => ({
      ...one,
      spec: { type: 'Exempt', exempt: { nominalConcurrencyShares: 10, lendablePercent: 50 } },
    });
    expect(decide(withLevel('exempt', change))).toEqual([]);
  });

  it('of other versions go, unless somebody has taken them over', () => {
    const old = (name: string, value: string | undefined) =>
      annotated({ ...named(schemas(), 'probes'), metadata: stored({ metadata: { name } }).metadata }, value);
    const writes = decide({ schemas: [...schemas(), old('a', 'true'), old('b', 'false'), old('c', undefined)] });
    expect(writes).toMatchObject([{ op: 'delete', target: { name: 'a' }, expects: { uid: 'uid-a' } }]);
  });
});

describe('the condition Dangling', () => {
  const own = (level: string, conditions?: object[]): FlowSchema =>
    stored({
      metadata: { name: 'own' },
      spec: { priorityLevelConfiguration: { name: level }, matchingPrecedence: 500 },
      ...(conditions && { status: { conditions } }),
    } as FlowSchema);
  const told = (schema: FlowSchema, more: PriorityLevelConfiguration[] = []) => {
    const [write, ...others] = decide({ schemas: [...schemas(), schema], levels: [...levels(), ...more] });
    expect(others).toEqual([]);
    return write?.op === 'patch'
      ? { ...write.merge, subresource: write.subresource, expects: write.expects }
      : undefined;
  };
  const found = {
    type: 'Dangling',
    status: 'False',
    reason: 'Found',
    message: 'This FlowSchema references the PriorityLevelConfiguration object named "system" and it exists',
    lastTransitionTime: '2026-01-01T00:00:00Z',
  };
  const missing = {
    type: 'Dangling',
    status: 'True',
    reason: 'NotFound',
    message:
      'This FlowSchema references the PriorityLevelConfiguration object named "gone" but there is no such object',
    lastTransitionTime: '2026-01-01T00:00:00Z',
  };

  it('says whether the level is there, once', () => {
    expect(told(own('system'))).toMatchObject({ status: { conditions: [found] }, subresource: 'status' });
    expect(told(own('gone'))).toMatchObject({ status: { conditions: [missing] } });
    expect(told(own('gone', [{ ...missing, lastTransitionTime: AT }]))).toBeUndefined();
    expect(told(own('system', [{ ...found, lastTransitionTime: AT }]))).toBeUndefined();
  });

  it('changes when the level comes or goes, and leaves other conditions', () => {
    const other = { type: 'Other', status: 'True' };
    expect(told(own('gone', [other, { ...missing, status: 'False', reason: 'Found' }]))).toMatchObject({
      status: { conditions: [other, missing] },
      expects: { uid: 'uid-own', resourceVersion: '7' },
    });
    const gone = stored({ metadata: { name: 'gone' }, spec: { type: 'Limited' } } as PriorityLevelConfiguration);
    expect(told(own('gone', [missing]), [gone])).toMatchObject({ status: { conditions: [{ status: 'False' }] } });
  });
});
