import type {
  Container,
  Pod,
  PodAffinityTerm,
  PriorityClass,
  RuntimeClass,
} from '../../../functions/machinery/kinds.d.ts';
import type { GroupResource, KubeObject } from '../../../functions/machinery/object.ts';

const SYSTEM: Record<string, number> = {
  'system-cluster-critical': 2_000_000_000,
  'system-node-critical': 2_000_001_000,
};

/** What the API makes of a pod before the scheduler sees it, as far as scheduling cares. */
export const admitPod = (pod: Pod, all: (resource: GroupResource) => KubeObject[]): void => {
  const { spec } = pod;
  if (!spec) return;
  spec.schedulerName ??= 'default-scheduler';
  spec.terminationGracePeriodSeconds ??= 30;
  admitPriority(spec, all({ group: 'scheduling.k8s.io', resource: 'priorityclasses' }) as PriorityClass[]);
  const name = spec.runtimeClassName;
  const runtime = (all({ group: 'node.k8s.io', resource: 'runtimeclasses' }) as RuntimeClass[]).find(
    (r) => name && r.metadata.name === name,
  );
  if (runtime?.overhead?.podFixed) spec.overhead = runtime.overhead.podFixed;
  if (runtime?.scheduling?.nodeSelector)
    spec.nodeSelector = { ...spec.nodeSelector, ...runtime.scheduling.nodeSelector };
  if (runtime?.scheduling?.tolerations)
    spec.tolerations = [...(spec.tolerations ?? []), ...runtime.scheduling.tolerations];
  for (const c of [...spec.containers, ...(spec.initContainers ?? [])]) admitContainer(c, spec.hostNetwork === true);
  mergeLabelKeys(pod);
  if (spec.schedulingGates?.length) {
    const condition = { type: 'PodScheduled', status: 'False', reason: 'SchedulingGated', message: 'gated' };
    pod.status = { ...pod.status, conditions: [condition] };
  }
};

const admitPriority = (spec: NonNullable<Pod['spec']>, classes: readonly PriorityClass[]): void => {
  const wanted = spec.priorityClassName;
  const found = classes.find((c) => (wanted ? c.metadata.name === wanted : c.globalDefault));
  spec.priority = found?.value ?? SYSTEM[wanted ?? ''] ?? 0;
  spec.preemptionPolicy ??= found?.preemptionPolicy ?? 'PreemptLowerPriority';
};

const admitContainer = (c: Container, hostNetwork: boolean): void => {
  if (c.resources?.limits) c.resources.requests = { ...c.resources.limits, ...c.resources.requests };
  for (const port of c.ports ?? []) {
    port.protocol ??= 'TCP';
    if (hostNetwork) port.hostPort ??= port.containerPort;
  }
};

/** Of affinity terms, matchLabelKeys and mismatchLabelKeys become part of the selector. Source: KEP-3633. */
const mergeLabelKeys = (pod: Pod): void => {
  const { podAffinity, podAntiAffinity } = pod.spec?.affinity ?? {};
  const merge = (term: PodAffinityTerm) => {
    const add = (keys: string[] | undefined, operator: string) => {
      for (const key of keys ?? []) {
        const value = pod.metadata.labels?.[key];
        if (value === undefined || !term.labelSelector) continue;
        const expressions = term.labelSelector.matchExpressions ?? [];
        term.labelSelector.matchExpressions = [...expressions, { key, operator, values: [value] }];
      }
    };
    add(term.matchLabelKeys, 'In');
    add(term.mismatchLabelKeys, 'NotIn');
  };
  for (const side of [podAffinity, podAntiAffinity]) {
    side?.requiredDuringSchedulingIgnoredDuringExecution?.forEach(merge);
    for (const weighted of side?.preferredDuringSchedulingIgnoredDuringExecution ?? []) merge(weighted.podAffinityTerm);
  }
};
