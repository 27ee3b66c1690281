// Pod-level resources (KEP-2837): what spec.resources takes from the containers when it is only partly given.
import type { Container, PodSpec } from '../../../machinery/kinds.d.ts';
import {
  addQuantity,
  compareQuantity,
  formatQuantity,
  parseQuantity,
  type Quantity,
} from '../../../machinery/quantity.ts';

type Amounts = Map<string, Quantity>;
type Side = 'requests' | 'limits';

/** Resources that may stand at pod level: cpu, memory and huge pages. */
export const isPodLevelResource = (name: string): boolean =>
  name === 'cpu' || name === 'memory' || name.startsWith('hugepages-');

const add = (into: Amounts, list: Record<string, string> | undefined): void => {
  for (const name in list) {
    const amount = parseQuantity(list[name] as string);
    const had = into.get(name);
    into.set(name, had ? addQuantity(had, amount) : amount);
  }
};

const raise = (into: Amounts, by: Amounts): void => {
  for (const [name, amount] of by) {
    const had = into.get(name);
    if (!had || compareQuantity(amount, had) > 0) into.set(name, amount);
  }
};

/**
 * What the containers need together: the sum of the regular ones and sidecars, or, where it is more, the largest init
 * container with the sidecars started before it.
 */
export const aggregateContainers = (spec: PodSpec, side: Side): Amounts => {
  const total: Amounts = new Map();
  for (const c of spec.containers ?? []) add(total, c.resources?.[side]);
  const sidecars: Amounts = new Map();
  const peak: Amounts = new Map();
  for (const c of spec.initContainers ?? []) {
    const during: Amounts = new Map(sidecars);
    add(during, c.resources?.[side]);
    if ((c as Container).restartPolicy === 'Always') {
      add(total, c.resources?.[side]);
      add(sidecars, c.resources?.[side]);
    }
    raise(peak, during);
  }
  raise(total, peak);
  return total;
};

const hugePageLimits = (spec: PodSpec, resources: NonNullable<PodSpec['resources']>): void => {
  const limits = resources.limits ?? {};
  let given = false;
  for (const _ in resources.limits) given = true;
  for (const _ in resources.requests) given = true;
  if (!given) return;
  for (const [name, amount] of aggregateContainers(spec, 'limits')) {
    if (!name.startsWith('hugepages-') || resources.requests?.[name] !== undefined || limits[name] !== undefined)
      continue;
    limits[name] = formatQuantity(amount);
    resources.limits = limits;
  }
};

/** Fills spec.resources.requests (and huge page limits) where pod-level limits are given. */
export const defaultPodResources = (spec: PodSpec): void => {
  const { resources } = spec;
  if (!resources) return;
  hugePageLimits(spec, resources);
  const { limits } = resources;
  if (!limits || Object.keys(limits).length === 0) return;
  const requests = resources.requests ?? {};
  for (const [name, amount] of aggregateContainers(spec, 'requests')) {
    if ((name === 'cpu' || name === 'memory') && requests[name] === undefined) requests[name] = formatQuantity(amount);
  }
  for (const name in limits) {
    if (isPodLevelResource(name)) requests[name] ??= limits[name] as string;
  }
  if (Object.keys(requests).length > 0) resources.requests = requests;
};
