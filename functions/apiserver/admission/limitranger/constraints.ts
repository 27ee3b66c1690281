import type { Container, LimitRange, LimitRangeItem, PersistentVolumeClaim, Pod } from '../../../machinery/kinds.d.ts';
import { canonicalQuantity, compareQuantity, milliValue, quantityValue } from '../../../machinery/quantity.ts';
import type { Amounts } from '../../../machinery/quota/amounts.ts';
import { podSpecAmounts } from '../../../machinery/quota/pod-resources.ts';

/** Above this, thousandths no longer fit: whole units are compared. */
const milliMax = Math.floor(Number.MAX_SAFE_INTEGER / 1000);

interface Measured {
  type: string;
  requests: Amounts;
  limits: Amounts;
}
type Fault = string | undefined;

const text = (quantity: string): string => canonicalQuantity(quantity);

const minimum = (m: Measured, name: string, least: string): Fault => {
  const request = m.requests[name];
  const limit = m.limits[name];
  const start = `minimum ${name} usage per ${m.type} is ${text(least)}`;
  if (request === undefined) return `${start}.  No request is specified`;
  if (compareQuantity(request, least) < 0) return `${start}, but request is ${text(request)}`;
  return limit !== undefined && compareQuantity(limit, least) < 0 ? `${start}, but limit is ${text(limit)}` : undefined;
};

const maximum = (m: Measured, name: string, most: string): Fault => {
  const request = m.requests[name];
  const limit = m.limits[name];
  const start = `maximum ${name} usage per ${m.type} is ${text(most)}`;
  if (limit === undefined) return `${start}.  No limit is specified`;
  if (compareQuantity(limit, most) > 0) return `${start}, but limit is ${text(limit)}`;
  return request !== undefined && compareQuantity(request, most) > 0
    ? `${start}, but request is ${text(request)}`
    : undefined;
};

/** Claims have no limits: their request is held against the maximum. */
const maximumRequest = (m: Measured, name: string, most: string): Fault => {
  const request = m.requests[name];
  const start = `maximum ${name} usage per ${m.type} is ${text(most)}`;
  if (request === undefined) return `${start}.  No request is specified`;
  return compareQuantity(request, most) > 0 ? `${start}, but request is ${text(request)}` : undefined;
};

const ratio = (m: Measured, name: string, most: string): Fault => {
  const request = m.requests[name];
  const limit = m.limits[name];
  const start = `${name} max limit to request ratio per ${m.type} is ${text(most)}`;
  if (request === undefined || compareQuantity(request, '0') === 0)
    return `${start}, but no request is specified or request is 0`;
  if (limit === undefined || compareQuantity(limit, '0') === 0)
    return `${start}, but no limit is specified or limit is 0`;
  const fits = [request, limit, most].every((one) => quantityValue(one) <= milliMax);
  const whole = fits ? milliValue : quantityValue;
  const given = whole(limit) / whole(request);
  return given * 1000 > milliValue(most) ? `${start}, but provided ratio is ${given.toFixed(6)}` : undefined;
};

type Constraint = (m: Measured, name: string, bound: string) => Fault;

const faultsOf = (m: Measured, bounds: object | undefined, constraint: Constraint): string[] =>
  Object.entries((bounds ?? {}) as Amounts).flatMap(([name, bound]) => constraint(m, name, String(bound)) ?? []);

const podFaults = (m: Measured, item: LimitRangeItem): string[] => [
  ...faultsOf(m, item.min, minimum),
  ...faultsOf(m, item.max, maximum),
  ...faultsOf(m, item.maxLimitRequestRatio, ratio),
];

const ofContainer = ({ resources }: Container): Measured => ({
  type: 'Container',
  requests: (resources?.requests ?? {}) as Amounts,
  limits: (resources?.limits ?? {}) as Amounts,
});

/** What a LimitRange has against a pod: of its containers one by one, and of the pod as a whole. */
export const podLimitFaults = ({ spec }: LimitRange, pod: Pod): string[] =>
  (spec?.limits ?? []).flatMap((item) => {
    if (item.type === 'Container') {
      const containers = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
      return containers.flatMap((container) => podFaults(ofContainer(container), item));
    }
    if (item.type !== 'Pod') return [];
    const requests = podSpecAmounts(pod, 'requests');
    return podFaults({ type: 'Pod', requests, limits: podSpecAmounts(pod, 'limits') }, item);
  });

/** What a LimitRange has against a claim for storage. */
export const claimLimitFaults = ({ spec }: LimitRange, claim: PersistentVolumeClaim): string[] =>
  (spec?.limits ?? [])
    .filter((item) => item.type === 'PersistentVolumeClaim')
    .flatMap((item) => {
      const requests = (claim.spec?.resources?.requests ?? {}) as Amounts;
      const m = { type: item.type, requests, limits: {} };
      return [...faultsOf(m, item.min, minimum), ...faultsOf(m, item.max, maximumRequest)];
    });
