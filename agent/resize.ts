// Resizing pods in place (KEP-1287): what is granted of what the spec asks for, and what running containers still lack.
import type { Pod, Container as SpecContainer } from '../functions/machinery/kinds.d.ts';
import { milliValue } from '../functions/machinery/quantity.ts';
import { shortageFor } from './admit.ts';
import { isRunning, type ObservedPod, runsOf, specContainers } from './observed.ts';
import type { Container } from './runtime/runtime.ts';

type Amounts = Record<string, string>;
const COMPUTE = ['cpu', 'memory'] as const;
type ComputeName = (typeof COMPUTE)[number];

/** The cpu and memory of one container: what can change while it runs. */
export interface Compute {
  requests?: Amounts;
  limits?: Amounts;
}

/** Label on every container: the cpu and memory it was started with, as `computeText` writes them. */
export const resourcesLabel = 'skiff.dev/resources';

const computeAmounts = (amounts: Amounts | undefined): Amounts =>
  Object.fromEntries(COMPUTE.flatMap((name) => (amounts?.[name] === undefined ? [] : [[name, amounts[name]]])));

const computeOf = ({ resources }: SpecContainer): Compute => ({
  requests: computeAmounts(resources?.requests),
  limits: computeAmounts(resources?.limits),
});

/** A container's cpu and memory as text, for its label. */
export const computeText = (container: SpecContainer): string => JSON.stringify(computeOf(container));

const sameAmount = (a: string | undefined, b: string | undefined): boolean =>
  a === b || (a !== undefined && b !== undefined && milliValue(a) === milliValue(b));

const changed = (from: Compute, to: Compute): ComputeName[] =>
  COMPUTE.filter(
    (name) =>
      !sameAmount(from.requests?.[name], to.requests?.[name]) || !sameAmount(from.limits?.[name], to.limits?.[name]),
  );

/** What runs with: its label, or what it was last resized to; undefined where neither is known. */
export const actualCompute = (o: Pick<ObservedPod, 'resized'>, run: Container): Compute | undefined => {
  const text = o.resized?.get(run.id) ?? run.labels[resourcesLabel];
  return text === undefined ? undefined : (JSON.parse(text) as Compute);
};

export interface Resize {
  /** What it is to run with, as `computeText` writes it. */
  to: string;
  /** Its resizePolicy says that it must start again for this. */
  restart: boolean;
}

/** What a running container lacks of what its pod was granted; undefined when nothing. */
export const resizeOf = (o: ObservedPod, container: SpecContainer, run: Container): Resize | undefined => {
  const actual = actualCompute(o, run);
  if (!actual) return undefined;
  const names = changed(actual, computeOf(container));
  if (names.length === 0) return undefined;
  const restart = (container.resizePolicy ?? []).some(
    (p) => p.restartPolicy === 'RestartContainer' && names.some((name) => name === p.resourceName),
  );
  return { to: computeText(container), restart };
};

const isResizable = ({ kind }: { kind: string }): boolean => kind === 'container' || kind === 'sidecar';

/** Whether a container of the pod still has to be resized, or is on its way to start again for it. */
export const resizing = (o: ObservedPod): boolean =>
  specContainers(o.pod)
    .filter(isResizable)
    .some(({ container }) => {
      const [run] = runsOf(o.sandboxes, container.name);
      if (!run) return false;
      return isRunning(run) ? resizeOf(o, container, run) !== undefined : (o.restarting?.has(run.id) ?? false);
    });

/** Granted cpu and memory by container. */
export type Grant = ReadonlyMap<string, Compute>;

const each = (pod: Pod): SpecContainer[] => [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];

/** What the spec asks for. */
export const askedOf = (pod: Pod): Grant => new Map(each(pod).map((c) => [c.name, computeOf(c)]));

/** What was granted before this agent started, as the pod's status tells; the spec where it tells nothing. */
export const grantedBefore = (pod: Pod): Grant => {
  const { initContainerStatuses = [], containerStatuses = [] } = pod.status ?? {};
  const statuses = new Map([...initContainerStatuses, ...containerStatuses].map((s) => [s.name, s]));
  return new Map(
    each(pod).map((container) => {
      const status = statuses.get(container.name);
      if (!status?.allocatedResources) return [container.name, computeOf(container)];
      return [
        container.name,
        {
          requests: computeAmounts(status.allocatedResources),
          limits: computeAmounts(status.resources?.limits ?? container.resources?.limits),
        },
      ];
    }),
  );
};

const withCompute = (amounts: Amounts | undefined, compute: Amounts | undefined): Amounts => {
  const { cpu: _cpu, memory: _memory, ...rest } = amounts ?? {};
  return { ...rest, ...compute };
};

const grantedTo = (container: SpecContainer, grant: Grant): SpecContainer => {
  const compute = grant.get(container.name);
  if (!compute || changed(compute, computeOf(container)).length === 0) return container;
  const { resources } = container;
  const requests = withCompute(resources?.requests, compute.requests);
  const limits = withCompute(resources?.limits, compute.limits);
  return { ...container, resources: { ...resources, requests, limits } };
};

/** The pod with the resources it was granted; itself where that is what it asks for. */
export const grantedPod = (pod: Pod, grant: Grant | undefined): Pod => {
  if (!grant || !pod.spec) return pod;
  const containers = (pod.spec.containers ?? []).map((c) => grantedTo(c, grant));
  const initContainers = (pod.spec.initContainers ?? []).map((c) => grantedTo(c, grant));
  const same =
    containers.every((c, i) => c === pod.spec?.containers[i]) &&
    initContainers.every((c, i) => c === pod.spec?.initContainers?.[i]);
  if (same) return pod;
  return { ...pod, spec: { ...pod.spec, containers, ...(pod.spec.initContainers && { initContainers }) } };
};

/** Why a resize waits, as the condition PodResizePending says it. */
export interface PendingResize {
  reason: 'Deferred' | 'Infeasible';
  message: string;
}

/**
 * Whether the node can give a pod what it asks for beside what the others were granted: Infeasible when it never could,
 * Deferred when others would have to leave first.
 */
export const pendingResize = (
  pod: Pod,
  others: readonly Pod[],
  allocatable: Record<string, string>,
): PendingResize | undefined => {
  const short = shortageFor(pod, others, allocatable);
  if (!short) return undefined;
  const { resource, requested, used, capacity } = short;
  if (requested > capacity)
    return {
      reason: 'Infeasible',
      message: `Node didn't have enough capacity: ${resource}, requested: ${requested}, capacity: ${capacity}`,
    };
  return {
    reason: 'Deferred',
    message: `Node didn't have enough resource: ${resource}, requested: ${requested}, used: ${used}, capacity: ${capacity}`,
  };
};
