import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import facts from '../../../facts/columns.json' with { type: 'json' };
import type { KubeObject } from '../../machinery/object.ts';
import { humanDuration } from './format.ts';
import { builtinPrinters } from './printers.ts';
import { tableOf, tableShapeOf } from './table.ts';

const NOW = Date.parse('2026-01-01T01:00:00Z');
const created = '2026-01-01T00:00:00Z';
const cells = (kind: string, group: string, object: unknown) =>
  tableShapeOf(group, kind).cells(object as KubeObject, NOW);

describe('ages', () => {
  it.each([
    [-5_000, '<invalid>'],
    [119_000, '119s'],
    [185_000, '3m5s'],
    [180_000, '3m'],
    [3_600_000, '60m'],
    [3 * 3_600_000 + 60_000, '3h1m'],
    [47 * 3_600_000, '47h'],
    [50 * 3_600_000, '2d2h'],
    [100 * 86_400_000, '100d'],
    [3 * 365 * 86_400_000, '3y'],
  ])('%d ms is %s', (ms, text) => expect(humanDuration(ms)).toBe(text));
});

describe('tables', () => {
  it('have as many cells as columns for every kind', () => {
    for (const name of Object.keys(builtinPrinters)) {
      const columns = (facts as Record<string, unknown[]>)[name];
      expect(columns, name).toBeDefined();
      const empty = {
        metadata: { name: 'x' },
        spec: {
          containers: [],
          scaleTargetRef: {},
          source: {},
          pool: {},
          template: {},
          jobTemplate: {},
          priorityLevelConfiguration: {},
        },
        roleRef: {},
      };
      const object = { ...empty, endpoints: [], addressType: 'IPv4' };
      expect(builtinPrinters[name]?.cells(object as unknown as KubeObject, NOW).length, name).toBe(columns?.length);
    }
  });

  it('show flow schemas in the order that requests meet them in, and shares of limited levels alone', () => {
    const shape = tableShapeOf('flowcontrol.apiserver.k8s.io', 'FlowSchema');
    const schema = (name: string, matchingPrecedence: number) =>
      ({ metadata: { name }, spec: { matchingPrecedence, priorityLevelConfiguration: { name: 'l' } } }) as never;
    const given = [schema('a', 10_000), schema('b', 2), schema('c', 9000), schema('d', 2)];
    const { rows } = tableOf(shape, given, { now: NOW, include: 'None', metadata: {}, withColumns: false });
    expect(rows?.map(({ cells: [name] }) => name)).toEqual(['b', 'd', 'c', 'a']);
    const level = (spec: object) =>
      cells('PriorityLevelConfiguration', 'flowcontrol.apiserver.k8s.io', { metadata: { name: 'l' }, spec })[2];
    expect(level({ type: 'Exempt', exempt: { nominalConcurrencyShares: 0 } })).toBe('<none>');
    expect(level({ type: 'Limited', limited: { nominalConcurrencyShares: 5 } })).toBe(5);
  });

  it('show why a pod waits', () => {
    const pod = (status: unknown, metadata = {}) => ({
      metadata: { name: 'p', creationTimestamp: created, ...metadata },
      spec: { nodeName: 'n', containers: [{ name: 'a' }, { name: 'b' }], initContainers: [{ name: 'i' }] },
      status,
    });
    expect(cells('Pod', '', pod({ phase: 'Pending' }))).toEqual([
      'p',
      '0/2',
      'Pending',
      '0',
      '60m',
      '<none>',
      'n',
      '<none>',
      '<none>',
    ]);
    const waiting = {
      phase: 'Pending',
      initContainerStatuses: [
        {
          name: 'i',
          restartCount: 2,
          state: { waiting: { reason: 'CrashLoopBackOff' } },
          lastState: { terminated: { exitCode: 1, finishedAt: '2026-01-01T00:59:00Z' } },
        },
      ],
    };
    expect(cells('Pod', '', pod(waiting)).slice(0, 4)).toEqual(['p', '0/2', 'Init:CrashLoopBackOff', '2 (60s ago)']);
    const running = {
      phase: 'Running',
      initContainerStatuses: [{ name: 'i', state: { terminated: { exitCode: 0 } } }],
      containerStatuses: [
        { name: 'a', ready: true, state: { running: {} } },
        { name: 'b', ready: false, state: { running: {} } },
      ],
    };
    expect(cells('Pod', '', pod(running)).slice(1, 3)).toEqual(['1/2', 'Running']);
    expect(cells('Pod', '', pod(running, { deletionTimestamp: created }))[2]).toBe('Terminating');
  });

  it('answer the recorded cells', () => {
    const lines = readFileSync(join(import.meta.dirname, '../../../test/behaviour/api/tables.jsonl'), 'utf8').split(
      '\n',
    );
    let compared = 0;
    for (const line of lines.filter(Boolean)) {
      const test = JSON.parse(line);
      const got = test.steps.find(
        (s: { expect: { body?: { kind?: string; rows?: unknown[] } } }) => s.expect.body?.kind === 'Table',
      );
      const posted = test.steps[0]?.body;
      if (!got?.expect.body.rows?.length || !posted?.kind) continue;
      const group = posted.apiVersion.includes('/') ? posted.apiVersion.split('/')[0] : '';
      const columns = tableShapeOf(group, posted.kind).columns.map((c) => c.name);
      expect(columns, test.id).toEqual(got.expect.body.columnDefinitions.map((c: { name: string }) => c.name));
      compared++;
    }
    expect(compared).toBeGreaterThan(10);
  });
});
