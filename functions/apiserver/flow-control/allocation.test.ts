import { describe, expect, it } from 'vitest';
import { flowSchemas, priorityLevels } from '../../machinery/flow-control-defaults.ts';
import type { FlowSchema, PriorityLevelConfiguration } from '../../machinery/kinds.d.ts';
import { allocate, createDemand, endPeriod, noteDemand, PERIOD_MS } from './allocation.ts';
import { type ClusterFlow, configure, createClusterFlow, lend, widest } from './cluster-flow.ts';

const claim = (lower: number, target: number, upper = 1000) => ({ lower, upper, target });
const rounded = (seats: readonly number[]): number[] => seats.map((one) => Math.round(one * 1000) / 1000);

describe('allocate', () => {
  it.each([
    ['in proportion', 30, [claim(0, 1), claim(0, 2)], [10, 20]],
    ['not below the lower bounds', 30, [claim(20, 20), claim(0, 20)], [20, 10]],
    ['not above the upper bounds', 30, [claim(0, 10, 5), claim(0, 10), claim(0, 10)], [5, 12.5, 12.5]],
    ['the lower bounds where there is no more', 10, [claim(8, 9), claim(7, 20)], [8, 7]],
    ['the upper bounds where there is more', 100, [claim(0, 1, 10), claim(0, 1, 20)], [10, 20]],
    ['alike where nobody asks', 30, [claim(0, 0), claim(0, 0), claim(0, 0)], [10, 10, 10]],
    ['nothing of nothing', 0, [claim(0, 3)], [0]],
  ])('shares %s', (_name, sum, claims, expected) => {
    expect(rounded(allocate(sum, claims))).toEqual(expected);
  });
});

it('observes demand over time', () => {
  const demand = createDemand(0);
  noteDemand(demand, 4, 1000);
  noteDemand(demand, 0, 2000);
  const seen = endPeriod(demand, 4000);
  expect(seen).toMatchObject({ high: 4, average: 1 });
  expect(seen.deviation).toBeCloseTo(Math.sqrt(3));
  expect(seen.smoothed).toBeCloseTo(1 + Math.sqrt(3));
  // It falls slowly, and by as many periods as have passed.
  expect(endPeriod(demand, 4000 + PERIOD_MS).smoothed).toBeCloseTo(0.977 * (1 + Math.sqrt(3)));
  expect(endPeriod(demand, 4000 + 31 * PERIOD_MS).smoothed).toBeCloseTo(0.977 ** 31 * (1 + Math.sqrt(3)));
});

const defaults = {
  schemas: flowSchemas() as unknown as FlowSchema[],
  levels: priorityLevels() as PriorityLevelConfiguration[],
};
const limits = (flow: ClusterFlow, of: 'nominal' | 'lower' | 'limit') =>
  Object.fromEntries([...flow.levels].map(([name, level]) => [name, level[of]]));

/** Figures that an unmodified Kubernetes 1.36 shows in its metrics with its default objects and 600 seats. */
it('gives the default levels what upstream gives them', () => {
  const flow = createClusterFlow('c', 0);
  configure(flow, defaults, 600, 0);
  expect(limits(flow, 'nominal')).toEqual({
    exempt: 0,
    'catch-all': 13,
    system: 74,
    'node-high': 98,
    'leader-election': 25,
    'workload-high': 98,
    'workload-low': 245,
    'global-default': 49,
  });
  expect(limits(flow, 'lower')).toMatchObject({ system: 50, 'node-high': 73, 'workload-high': 49, 'workload-low': 24 });
  expect(limits(flow, 'limit')).toMatchObject({
    'catch-all': 30,
    'global-default': 56,
    'leader-election': 58,
    'node-high': 170,
    system: 117,
    'workload-high': 114,
    'workload-low': 56,
  });
  expect([...flow.levels.values()].map(widest)).toEqual([10, 10, 10, 10, 4, 10, 10, 8]);
});

it('lends to who needs seats, and takes them back', () => {
  const flow = createClusterFlow('c', 0);
  configure(flow, defaults, 600, 0);
  const low = flow.levels.get('workload-low');
  const nodes = flow.levels.get('node-high');
  if (!low || !nodes) throw new Error('no level');
  noteDemand(low.demand, 500, 0);
  lend(flow, PERIOD_MS);
  expect(low.limit).toBeGreaterThan(270);
  expect(nodes.limit).toBeGreaterThanOrEqual(nodes.lower);
  const total = [...flow.levels.values()].reduce((sum, { limit }) => sum + limit, 0);
  expect(Math.abs(total - flow.seats)).toBeLessThan(8);
  // Both want more than there is: each gets what it has by right.
  noteDemand(nodes.demand, 500, PERIOD_MS);
  lend(flow, 2 * PERIOD_MS);
  lend(flow, 3 * PERIOD_MS);
  expect(nodes.limit).toBeGreaterThanOrEqual(nodes.nominal);
  expect(low.limit).toBeGreaterThanOrEqual(low.nominal);
});

it('does not lend beyond a borrowing limit', () => {
  const level = (name: string, shares: number, more: object): PriorityLevelConfiguration => ({
    metadata: { name },
    spec: {
      type: 'Limited',
      limited: { nominalConcurrencyShares: shares, limitResponse: { type: 'Reject' }, ...more },
    },
  });
  const flow = createClusterFlow('c', 0);
  const levels = [level('a', 10, { borrowingLimitPercent: 20 }), level('b', 10, { lendablePercent: 100 })];
  configure(flow, { schemas: [], levels: [...levels, ...defaults.levels.slice(0, 2)] }, 250, 0);
  const a = flow.levels.get('a');
  if (!a) throw new Error('no level');
  expect(a.nominal).toBe(100);
  noteDemand(a.demand, 400, 0);
  lend(flow, PERIOD_MS);
  expect(a.limit).toBe(120);
});
