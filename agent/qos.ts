import type { Pod, Container as SpecContainer } from '../functions/machinery/kinds.d.ts';
import { milliValue, quantityValue } from '../functions/machinery/quantity.ts';
import type { ContainerResources } from './runtime/runtime.ts';

export type QosClass = 'Guaranteed' | 'Burstable' | 'BestEffort';
const counted = ['cpu', 'memory'] as const;

/** The quality of service class of a pod: Guaranteed when every container's limits equal its requests for cpu and memory. */
export const qosClass = (pod: Pod): QosClass => {
  const set = pod.status?.qosClass;
  if (set === 'Guaranteed' || set === 'Burstable' || set === 'BestEffort') return set;
  const containers = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
  let any = false;
  let guaranteed = true;
  for (const { resources } of containers) {
    for (const name of counted) {
      const limit = resources?.limits?.[name];
      const request = resources?.requests?.[name] ?? limit;
      if (limit !== undefined || request !== undefined) any = true;
      if (limit === undefined || request === undefined || quantityValue(limit) === 0) guaranteed = false;
      else if (milliValue(limit) !== milliValue(request)) guaranteed = false;
    }
  }
  if (!any) return 'BestEffort';
  return guaranteed ? 'Guaranteed' : 'Burstable';
};

/** `/kubepods/burstable/podUID`, below the node's prefix. */
export const podCgroup = (prefix: string, pod: Pod): string => {
  const qos = qosClass(pod);
  const tier = qos === 'Guaranteed' ? '' : `/${qos.toLowerCase()}`;
  return `${prefix}${tier}/pod${pod.metadata.uid}`;
};

const oomScore = (pod: Pod, memoryRequest: number, memoryCapacity: number): number => {
  const qos = qosClass(pod);
  if (qos === 'Guaranteed') return -997;
  if (qos === 'BestEffort') return 1000;
  const score = 1000 - Math.floor((1000 * memoryRequest) / memoryCapacity);
  return Math.min(Math.max(score, 3), 999);
};

/** Cgroup settings of a container as kubelet computes them: shares of 1024 a core, quota per 100 ms, bytes. */
export const containerResources = (pod: Pod, container: SpecContainer, memoryCapacity: number): ContainerResources => {
  const limits = container.resources?.limits ?? {};
  const requests = container.resources?.requests ?? {};
  const cpuRequest = requests.cpu ?? limits.cpu;
  const shares =
    cpuRequest === undefined ? 2 : Math.max(2, Math.min(262_144, Math.floor((milliValue(cpuRequest) * 1024) / 1000)));
  const memoryRequest = quantityValue(requests.memory ?? limits.memory ?? '0');
  return {
    cpuShares: shares,
    ...(limits.cpu !== undefined && { cpuPeriod: 100_000, cpuQuota: Math.max(1000, milliValue(limits.cpu) * 100) }),
    ...(limits.memory !== undefined && { memoryLimitBytes: quantityValue(limits.memory) }),
    oomScoreAdj: oomScore(pod, memoryRequest, memoryCapacity),
  };
};

/** What the pod takes from the node: containers, the largest init container beside sidecars, overhead. KEP-753. */
export const podRequests = (pod: Pod): { cpuMilli: number; memory: number; other: Record<string, number> } => {
  const of = (container: SpecContainer, name: string): number => {
    const text = container.resources?.requests?.[name] ?? container.resources?.limits?.[name];
    if (text === undefined) return 0;
    return name === 'cpu' ? milliValue(text) : quantityValue(text);
  };
  const containers = pod.spec?.containers ?? [];
  const inits = pod.spec?.initContainers ?? [];
  const names = new Set(
    [...containers, ...inits].flatMap((c) => Object.keys({ ...c.resources?.requests, ...c.resources?.limits })),
  );
  const other: Record<string, number> = {};
  for (const name of names) {
    let sidecars = 0;
    let peak = 0;
    for (const init of inits) {
      if (init.restartPolicy === 'Always') {
        sidecars += of(init, name);
        peak = Math.max(peak, sidecars);
      } else peak = Math.max(peak, sidecars + of(init, name));
    }
    const main = containers.reduce((sum, c) => sum + of(c, name), 0) + sidecars;
    const overhead = pod.spec?.overhead?.[name];
    const extra = overhead === undefined ? 0 : name === 'cpu' ? milliValue(overhead) : quantityValue(overhead);
    other[name] = Math.max(main, peak) + extra;
  }
  const { cpu = 0, memory = 0, ...rest } = other;
  return { cpuMilli: cpu, memory, other: rest };
};
