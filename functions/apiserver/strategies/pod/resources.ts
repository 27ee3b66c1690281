// Resource names, quantities and requirements.
import type { PodSpec, ResourceClaim, ResourceRequirements } from '../../../machinery/kinds.d.ts';
import { compareQuantity, formatQuantity, parseQuantity, signOf } from '../../../machinery/quantity.ts';
import { cause } from '../../../machinery/status.ts';
import { at, type Causes, checkDnsLabel, invalidEach, nonNegativeQuantity } from '../checks.ts';
import { qualifiedName } from '../names.ts';
import { aggregateContainers, isPodLevelResource } from './pod-level-resources.ts';

const CONTAINER = new Set(['cpu', 'memory', 'ephemeral-storage']);
const COUNTED = new Set([
  'pods',
  'services',
  'replicationcontrollers',
  'resourcequotas',
  'secrets',
  'persistentvolumeclaims',
  'configmaps',
  'services.nodeports',
  'services.loadbalancers',
]);
const QUOTA = new Set([
  'cpu',
  'memory',
  'ephemeral-storage',
  'requests.cpu',
  'requests.memory',
  'requests.storage',
  'requests.ephemeral-storage',
  'limits.cpu',
  'limits.memory',
  'limits.ephemeral-storage',
]);
const isHugePage = (name: string): boolean => name.startsWith('hugepages-');
const isStandard = (name: string): boolean =>
  QUOTA.has(name) ||
  COUNTED.has(name) ||
  name === 'storage' ||
  isHugePage(name) ||
  name.startsWith('requests.hugepages-');
/** Quota names: what pods and objects may be counted by. */
export const isQuotaResource = (name: string): boolean =>
  QUOTA.has(name) || COUNTED.has(name) || isHugePage(name) || name.startsWith('requests.hugepages-');
const isNative = (name: string): boolean => !name.includes('/') || name.includes('kubernetes.io/');
const isExtended = (name: string): boolean =>
  !isNative(name) && !name.startsWith('requests.') && qualifiedName(`requests.${name}`).length === 0;
/** cpu, memory and the like may be requested below their limit; extended resources and huge pages may not. */
const overcommits = (name: string): boolean => isNative(name) && !isHugePage(name);

const STANDARD = 'must be a standard resource type or fully qualified';

/** Any resource name; true when it is one. */
export const checkResourceName = (out: Causes, path: string, name: string): boolean => {
  const messages = qualifiedName(name);
  invalidEach(out, path, name, messages);
  if (messages.length > 0) return false;
  if (name.includes('/') || isStandard(name)) return true;
  out.push(cause.invalid(path, name, STANDARD));
  return false;
};

/** A resource a container may ask for. */
export const checkContainerResourceName = (out: Causes, path: string, name: string): void => {
  checkResourceName(out, path, name);
  if (!name.includes('/')) {
    if (!CONTAINER.has(name) && !isHugePage(name)) {
      out.push(cause.invalid(path, name, 'must be a standard resource for containers'));
    }
  } else if (!isNative(name) && !isExtended(name)) {
    out.push(cause.invalid(path, name, "doesn't follow extended resource name standard"));
  }
};

const checkPodResourceName = (out: Causes, path: string, name: string): void => {
  if (!checkResourceName(out, path, name) || isPodLevelResource(name)) return;
  out.push(cause.notSupported(path, name, ['cpu', 'hugepages-', 'memory']));
};

/** A quantity of a resource: not negative, and whole where the resource comes in pieces. */
export const checkResourceQuantity = (out: Causes, path: string, name: string, value: string): void => {
  nonNegativeQuantity(out, path, value);
  if (!COUNTED.has(name) && isNative(name)) return;
  if (parseQuantity(value).nano % 1_000_000_000n !== 0n) out.push(cause.invalid(path, value, 'must be an integer'));
};

const indivisible = (name: string, value: string): boolean => {
  if (!isHugePage(name)) return false;
  try {
    const page = parseQuantity(name.slice('hugepages-'.length)).nano;
    return page <= 0n || parseQuantity(value).nano % page !== 0n;
  } catch {
    return false;
  }
};

const checkPages = (out: Causes, path: string, name: string, value: string): void => {
  if (indivisible(name, value))
    out.push(cause.invalid(path, value, `${value} is not positive integer multiple of ${name}`));
};

const checkRequest = (out: Causes, path: string, name: string, value: string, limit: string | undefined): void => {
  if (limit !== undefined) {
    const order = compareQuantity(value, limit);
    if (order !== 0 && !overcommits(name)) {
      out.push(cause.invalid(`${path}.requests`, value, `must be equal to ${name} limit of ${limit}`));
    } else if (order > 0) {
      out.push(cause.invalid(`${path}.requests`, value, `must be less than or equal to ${name} limit of ${limit}`));
    }
  } else if (!overcommits(name)) {
    out.push(cause.required(`${path}.limits`, 'Limit must be set for non overcommitable resources'));
  }
};

const checkClaims = (
  out: Causes,
  path: string,
  claims: readonly ResourceClaim[] | undefined,
  known: ReadonlySet<string>,
): void => {
  const seen = new Set<string>();
  claims?.forEach((claim, i) => {
    const where = at(path, i);
    if (!claim.name) {
      out.push(cause.required(where));
      return;
    }
    const key = claim.request ? `${claim.name}/${claim.request}` : claim.name;
    if (claim.request) checkDnsLabel(out, `${where}.request`, claim.request);
    const whole = !claim.request && [...seen].some((s) => s.startsWith(`${claim.name}/`));
    if (seen.has(claim.name) || seen.has(key) || whole) out.push(cause.duplicate(where, key));
    seen.add(key);
    if (!known.has(claim.name)) out.push(cause.notFound(where, claim.name));
  });
};

/** Requests, limits and claims of a container, or of a pod as a whole. */
export const checkRequirements = (
  out: Causes,
  path: string,
  requirements: ResourceRequirements | undefined,
  claims: ReadonlySet<string>,
  level: 'container' | 'pod' = 'container',
): void => {
  if (!requirements) return;
  const checkName = level === 'pod' ? checkPodResourceName : checkContainerResourceName;
  let compute = false;
  let pages = false;
  for (const side of ['limits', 'requests'] as const) {
    const list = requirements[side];
    for (const name in list) {
      const value = list[name] as string;
      const where = at(`${path}.${side}`, name);
      checkName(out, where, name);
      checkResourceQuantity(out, where, name, value);
      if (side === 'requests') checkRequest(out, path, name, value, requirements.limits?.[name]);
      checkPages(out, where, name, value);
      compute ||= name === 'cpu' || name === 'memory';
      pages ||= isHugePage(name);
    }
  }
  if (pages && !compute) out.push(cause.forbidden(path, 'HugePages require cpu or memory'));
  checkClaims(out, `${path}.claims`, requirements.claims, claims);
};

/** spec.resources of a pod (KEP-2837), and that the containers fit in it. */
export const checkPodResources = (out: Causes, path: string, spec: PodSpec): void => {
  const { resources } = spec;
  if (!resources) return;
  const where = `${path}.resources`;
  if (spec.os?.name === 'windows') {
    out.push(cause.forbidden(where, 'may not be set for a windows pod'));
    return;
  }
  if (resources.claims)
    out.push(cause.forbidden(`${where}.claims`, 'claims may not be set for Resources at pod-level'));
  checkRequirements(out, where, resources, new Set(), 'pod');
  for (const [name, sum] of aggregateContainers(spec, 'requests')) {
    const given = resources.requests?.[name];
    if (given === undefined || compareQuantity(sum, given) <= 0) continue;
    const detail = `must be greater than or equal to aggregate container requests of ${formatQuantity(sum)}`;
    out.push(cause.invalid(at(`${where}.requests`, name), given, detail));
  }
  for (const [name, sum] of aggregateContainers(spec, 'limits')) {
    const given = resources.limits?.[name];
    if (!isHugePage(name) || given === undefined || compareQuantity(sum, given) <= 0) continue;
    const detail = `must be greater than or equal to aggregate container limits of ${formatQuantity(sum)}`;
    out.push(cause.invalid(at(`${where}.limits`, name), given, detail));
  }
  spec.containers?.forEach((c, i) => {
    for (const name in c.resources?.limits) {
      const own = c.resources?.limits?.[name];
      const given = resources.limits?.[name];
      if (own === undefined || given === undefined || compareQuantity(own, given) <= 0) continue;
      const field = `${at(at(`${where}.containers`, i), name)}.limits`;
      out.push(cause.invalid(field, own, `must be less than or equal to pod limits of ${given}`));
    }
  });
};

/** spec.overhead: what a runtime class adds. */
export const checkOverhead = (out: Causes, path: string, overhead: Record<string, string> | undefined): void => {
  for (const name in overhead) {
    const where = at(`${path}.limits`, name);
    checkContainerResourceName(out, where, name);
    checkResourceQuantity(out, where, name, overhead[name] as string);
  }
};

/** Whether a quantity is zero or more; for places that only forbid what is negative. */
export const isNegative = (value: string): boolean => signOf(value) < 0;
