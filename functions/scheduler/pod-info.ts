import type { Container, Pod, PodAffinityTerm } from '../machinery/kinds.d.ts';
import { milliValue, quantityValue } from '../machinery/quantity.ts';
import { labelSelector } from '../machinery/selectors.ts';
import type { AffinityTerm, HostPort, PodAffinityTerms, PodInfo, Requests } from './framework.ts';

const DEFAULT_CPU_MILLI = 100;
const DEFAULT_MEMORY_BYTES = 200 * 1024 * 1024;

const amount = (resource: string, quantity: string): number =>
  resource === 'cpu' ? milliValue(quantity) : quantityValue(quantity);

export const requestsOf = (list: Record<string, string> | undefined): Requests => {
  const out: Requests = {};
  for (const name in list) out[name] = amount(name, list[name] ?? '0');
  return out;
};

const add = (into: Requests, more: Requests): Requests => {
  for (const k in more) into[k] = (into[k] ?? 0) + (more[k] ?? 0);
  return into;
};
const maximum = (into: Requests, other: Requests): Requests => {
  for (const k in other) into[k] = Math.max(into[k] ?? 0, other[k] ?? 0);
  return into;
};

const isSidecar = (c: Container): boolean => c.restartPolicy === 'Always';

/**
 * What a pod needs at its peak: the sum of its containers and sidecars, or the largest init container with the sidecars
 * started before it, whichever is more, plus overhead; pod-level resources win. Sources: KEP-753, KEP-2837.
 */
const podRequests = (pod: Pod, ofContainer: (c: Container) => Requests): Requests => {
  const total: Requests = {};
  for (const c of pod.spec?.containers ?? []) add(total, ofContainer(c));
  const sidecars: Requests = {};
  const peak: Requests = {};
  for (const c of pod.spec?.initContainers ?? []) {
    const own = ofContainer(c);
    if (isSidecar(c)) {
      add(total, own);
      maximum(peak, add(sidecars, own));
    } else maximum(peak, add({ ...own }, sidecars));
  }
  maximum(total, peak);
  Object.assign(total, requestsOf(pod.spec?.resources?.requests));
  return add(total, requestsOf(pod.spec?.overhead));
};

const hostPortsOf = (pod: Pod): HostPort[] => {
  const out: HostPort[] = [];
  const note = (c: Container) => {
    for (const p of c.ports ?? []) {
      if (p.hostPort) out.push({ ip: p.hostIP || '0.0.0.0', protocol: p.protocol ?? 'TCP', port: p.hostPort });
    }
  };
  for (const c of pod.spec?.containers ?? []) note(c);
  for (const c of pod.spec?.initContainers ?? []) if (isSidecar(c)) note(c);
  return out;
};

const termOf = (term: PodAffinityTerm, namespace: string, weight: number): AffinityTerm => ({
  topologyKey: term.topologyKey,
  selector: labelSelector(term.labelSelector),
  namespaces: new Set(term.namespaces?.length || term.namespaceSelector ? (term.namespaces ?? []) : [namespace]),
  namespaceSelector: term.namespaceSelector ? labelSelector(term.namespaceSelector) : undefined,
  weight,
});

const affinityOf = (pod: Pod): PodAffinityTerms | undefined => {
  const towards = pod.spec?.affinity?.podAffinity;
  const away = pod.spec?.affinity?.podAntiAffinity;
  if (!towards && !away) return undefined;
  const namespace = pod.metadata.namespace ?? '';
  const required = (terms: PodAffinityTerm[] | undefined) => (terms ?? []).map((t) => termOf(t, namespace, 0));
  const preferred = (terms: { weight: number; podAffinityTerm: PodAffinityTerm }[] | undefined) =>
    (terms ?? []).map((t) => termOf(t.podAffinityTerm, namespace, t.weight));
  return {
    required: required(towards?.requiredDuringSchedulingIgnoredDuringExecution),
    preferred: preferred(towards?.preferredDuringSchedulingIgnoredDuringExecution),
    requiredAnti: required(away?.requiredDuringSchedulingIgnoredDuringExecution),
    preferredAnti: preferred(away?.preferredDuringSchedulingIgnoredDuringExecution),
  };
};

const noLabels: Readonly<Record<string, string>> = {};
const known = new WeakMap<Pod, PodInfo>();

/** Remembered per pod object, which readers never mutate. */
export const podInfoOf = (pod: Pod): PodInfo => {
  const cached = known.get(pod);
  if (cached) return cached;
  const requests = podRequests(pod, (c) => requestsOf(c.resources?.requests));
  const assumed = podRequests(pod, (c) => ({
    cpu: DEFAULT_CPU_MILLI,
    memory: DEFAULT_MEMORY_BYTES,
    ...requestsOf(c.resources?.requests),
  }));
  const info: PodInfo = {
    pod,
    uid: pod.metadata.uid ?? '',
    namespace: pod.metadata.namespace ?? '',
    labels: pod.metadata.labels ?? noLabels,
    priority: pod.spec?.priority ?? 0,
    requests,
    wanted: Object.entries(requests).filter(([, n]) => n > 0),
    nonZero: { cpu: assumed.cpu ?? 0, memory: assumed.memory ?? 0 },
    hostPorts: hostPortsOf(pod),
    affinity: affinityOf(pod),
    terminating: pod.metadata.deletionTimestamp !== undefined,
  };
  known.set(pod, info);
  return info;
};
