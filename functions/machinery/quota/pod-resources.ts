// What a pod asks of a node at once, KEP-753 (sidecars), KEP-1287 (resize in place), KEP-2837 (resources of pods).
import type { Container, ContainerStatus, Pod } from '../kinds.d.ts';
import { compareQuantity } from '../quantity.ts';
import { type Amounts, addAmounts, maxAmounts } from './amounts.ts';

type Side = 'requests' | 'limits';

const infeasible = (pod: Pod): boolean =>
  pod.status?.conditions?.find((one) => one.type === 'PodResizePending')?.reason === 'Infeasible';

/** What a container holds while it is resized: the most of what it asks, has and was given. */
const effective = (pod: Pod, container: Container, status: ContainerStatus | undefined, side: Side): Amounts => {
  const wanted = (container.resources?.[side] ?? {}) as Amounts;
  if (!status?.resources) return wanted;
  const actual = (status.resources[side] ?? {}) as Amounts;
  const allocated = side === 'requests' ? ((status.allocatedResources ?? {}) as Amounts) : {};
  const held = maxAmounts(actual, allocated);
  return infeasible(pod) ? held : maxAmounts(wanted, held);
};

/** Names that resources of a whole pod may set. */
const podLevel = (name: string): boolean => name === 'cpu' || name === 'memory' || name.startsWith('hugepages-');

/** Whether the pod sets resources for all of its containers together. */
export const setsPodResources = ({ spec }: Pod): boolean =>
  [...Object.keys(spec?.resources?.requests ?? {}), ...Object.keys(spec?.resources?.limits ?? {})].some(podLevel);

const containersTogether = (pod: Pod, side: Side, status: boolean): Amounts => {
  const { initContainers = [], containers = [] } = pod.spec ?? {};
  const statuses = new Map<string, ContainerStatus>();
  if (status) {
    for (const one of pod.status?.containerStatuses ?? []) statuses.set(one.name, one);
    for (const one of pod.status?.initContainerStatuses ?? []) statuses.set(one.name, one);
  }
  let running: Amounts = {};
  for (const container of containers)
    running = addAmounts(running, effective(pod, container, statuses.get(container.name), side));
  let sidecars: Amounts = {};
  let peak: Amounts = {};
  for (const container of initContainers) {
    const sidecar = container.restartPolicy === 'Always';
    const own = effective(pod, container, sidecar ? statuses.get(container.name) : undefined, side);
    if (sidecar) {
      running = addAmounts(running, own);
      sidecars = addAmounts(sidecars, own);
      peak = maxAmounts(peak, sidecars);
    } else peak = maxAmounts(peak, addAmounts(own, sidecars));
  }
  return maxAmounts(running, peak);
};

/** What the pod's resources say for all containers, over what the containers say. */
const withPodLevel = (pod: Pod, side: Side, amounts: Amounts): Amounts => {
  const own = (pod.spec?.resources?.[side] ?? {}) as Amounts;
  const out = { ...amounts };
  for (const name in own) if (podLevel(name)) out[name] = own[name] as string;
  return out;
};

/** Requests of a pod, its overhead included, by what its status says it holds. */
export const podRequests = (pod: Pod): Amounts =>
  addAmounts(
    withPodLevel(pod, 'requests', containersTogether(pod, 'requests', true)),
    (pod.spec?.overhead ?? {}) as Amounts,
  );

/** Limits of a pod; overhead is added to those that are not 0. */
export const podLimits = (pod: Pod): Amounts => {
  const limits = withPodLevel(pod, 'limits', containersTogether(pod, 'limits', true));
  const overhead = (pod.spec?.overhead ?? {}) as Amounts;
  for (const name in overhead) {
    const limit = limits[name];
    if (limit !== undefined && compareQuantity(limit, '0') !== 0)
      limits[name] = addAmounts({ [name]: limit }, { [name]: overhead[name] as string })[name] as string;
  }
  return limits;
};

/** Requests or limits as the spec alone gives them, without overhead: what a LimitRange of type Pod measures. */
export const podSpecAmounts = (pod: Pod, side: Side): Amounts => {
  const amounts = containersTogether(pod, side, false);
  const own = (pod.spec?.resources?.[side] ?? {}) as Amounts;
  for (const name of ['cpu', 'memory']) if (own[name] !== undefined) amounts[name] = own[name];
  return amounts;
};
