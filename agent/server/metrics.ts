import { timestamp } from '../../functions/clock/clock.ts';
import type { ContainerStats } from '../runtime/runtime.ts';
import type { ServerOptions } from './server.ts';

interface Usage {
  namespace: string;
  pod: string;
  uid: string;
  container: string;
  stats: ContainerStats;
  cpuNanoCores: number;
}

/** The last sample of each container of each server: a CPU rate needs two. */
const samples = new WeakMap<ServerOptions, Map<string, ContainerStats>>();

const usage = async (options: ServerOptions): Promise<Usage[]> => {
  const before = samples.get(options) ?? new Map<string, ContainerStats>();
  const stats = new Map((await options.runtime.stats()).map((s) => [s.containerId, s]));
  const out: Usage[] = [];
  for (const pod of options.pods.all()) {
    for (const sandbox of options.sandboxes(pod.metadata.uid ?? '')) {
      for (const container of sandbox.containers) {
        const now = stats.get(container.id);
        if (!now) continue;
        const old = before.get(container.id);
        const elapsedMs = old ? now.atMs - old.atMs : 0;
        const cpuNanoCores = old && elapsedMs > 0 ? Math.max(0, ((now.cpuNanos - old.cpuNanos) / elapsedMs) * 1000) : 0;
        const { namespace = '', name = '', uid = '' } = pod.metadata;
        out.push({
          namespace,
          pod: name,
          uid,
          container: container.name,
          stats: now,
          cpuNanoCores: Math.round(cpuNanoCores),
        });
      }
    }
  }
  samples.set(options, stats);
  return out;
};

/** The part of kubelet's Summary API that can be measured here: CPU and memory of containers. */
export const summary = async (options: ServerOptions): Promise<unknown> => {
  const all = await usage(options);
  const shown = (u: Usage) => ({
    name: u.container,
    cpu: { time: timestamp(u.stats.atMs), usageNanoCores: u.cpuNanoCores, usageCoreNanoSeconds: u.stats.cpuNanos },
    memory: { time: timestamp(u.stats.atMs), workingSetBytes: u.stats.memoryWorkingSetBytes },
  });
  const pods = [...new Set(all.map((u) => u.uid))].map((uid) => {
    const own = all.filter((u) => u.uid === uid);
    return { podRef: { name: own[0]?.pod, namespace: own[0]?.namespace, uid }, containers: own.map(shown) };
  });
  const memory = all.reduce((sum, u) => sum + u.stats.memoryWorkingSetBytes, 0);
  const time = timestamp(options.clock.now());
  return { node: { nodeName: options.nodeName, memory: { time, workingSetBytes: memory } }, pods };
};

/** `/metrics/resource` in Prometheus text: what metrics-server scrapes. */
export const resourceMetrics = async (options: ServerOptions): Promise<string> => {
  const all = await usage(options);
  const labels = (u: Usage) => `{container="${u.container}",namespace="${u.namespace}",pod="${u.pod}"}`;
  return [
    '# TYPE container_cpu_usage_seconds_total counter',
    ...all.map((u) => `container_cpu_usage_seconds_total${labels(u)} ${u.stats.cpuNanos / 1e9} ${u.stats.atMs}`),
    '# TYPE container_memory_working_set_bytes gauge',
    ...all.map(
      (u) => `container_memory_working_set_bytes${labels(u)} ${u.stats.memoryWorkingSetBytes} ${u.stats.atMs}`,
    ),
    '',
  ].join('\n');
};
