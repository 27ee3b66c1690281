import { readFileSync } from 'node:fs';
import { arch, cpus, hostname, release, totalmem } from 'node:os';
import type { Client } from '../functions/client/client.ts';
import { type Clock, microTimestamp, timestamp } from '../functions/clock/clock.ts';
import type { Lease, Node, NodeCondition, NodeStatus, Taint } from '../functions/machinery/kinds.d.ts';
import { StatusError } from '../functions/machinery/status.ts';
import * as resources from './resources.ts';
import type { Runtime } from './runtime/runtime.ts';

/** What a node says of itself. */
export interface NodeFacts {
  name: string;
  addresses: { type: string; address: string }[];
  labels?: Record<string, string>;
  taints?: Taint[];
  /** Defaults: the machine's cores and memory, 110 pods. */
  capacity?: Record<string, string>;
  /** Kept from pods: subtracted from capacity where it can be. Given whole. */
  allocatable?: Record<string, string>;
  podCIDR?: string;
  unschedulable?: boolean;
}

/** Keeps the Node object and its Lease. */
export interface NodeKeeper {
  /** Registers, or adopts the Node that exists, then heartbeats until aborted. `onRegistered` is called once. */
  run(signal: AbortSignal, onRegistered: () => void): Promise<void>;
  allocatable(): Record<string, string>;
}

export interface NodeKeeperOptions {
  facts: NodeFacts;
  client: Client;
  clock: Clock;
  runtime: Runtime;
  /** Whether the runtime and the pod network work; the message is the Ready condition's when not. */
  health(): Promise<string | undefined>;
  /** Between two full status writes when nothing changed; the Lease is what tells that the node lives. */
  statusEveryMs?: number;
  leaseEveryMs?: number;
}

export const kubeletVersion = 'v1.36.3';
const architectures: Record<string, string> = {
  x64: 'amd64',
  arm64: 'arm64',
  ia32: '386',
  arm: 'arm',
  s390x: 's390x',
  ppc64: 'ppc64le',
};
const readText = (path: string): string => {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
};

const machineCapacity = (): Record<string, string> => ({
  cpu: String(cpus().length),
  memory: `${Math.floor(totalmem() / 1024)}Ki`,
  pods: '110',
  'ephemeral-storage': '20Gi',
});

export const nodeLabels = (facts: NodeFacts): Record<string, string> => {
  const cpu = architectures[arch()] ?? arch();
  return {
    'beta.kubernetes.io/arch': cpu,
    'beta.kubernetes.io/os': 'linux',
    'kubernetes.io/arch': cpu,
    'kubernetes.io/hostname': facts.name,
    'kubernetes.io/os': 'linux',
    ...facts.labels,
  };
};

/** The four conditions of a node; transition times move only with the status. */
export const nodeConditions = (
  old: NodeCondition[] | undefined,
  problem: string | undefined,
  now: number,
): NodeCondition[] => {
  const make = (type: string, status: string, reason: string, message: string): NodeCondition => {
    const was = old?.find((c) => c.type === type);
    const lastTransitionTime =
      was?.status === status && was.lastTransitionTime ? was.lastTransitionTime : timestamp(now);
    return { type, status, reason, message, lastHeartbeatTime: timestamp(now), lastTransitionTime };
  };
  return [
    make('MemoryPressure', 'False', 'KubeletHasSufficientMemory', 'kubelet has sufficient memory available'),
    make('DiskPressure', 'False', 'KubeletHasNoDiskPressure', 'kubelet has no disk pressure'),
    make('PIDPressure', 'False', 'KubeletHasSufficientPID', 'kubelet has sufficient PID available'),
    problem === undefined
      ? make('Ready', 'True', 'KubeletReady', 'kubelet is posting ready status')
      : make('Ready', 'False', 'KubeletNotReady', problem),
  ];
};

const nodeInfo = async (runtime: Runtime): Promise<NonNullable<NodeStatus['nodeInfo']>> => {
  const version = await runtime.version();
  const machineID = readText('/etc/machine-id');
  return {
    architecture: architectures[arch()] ?? arch(),
    bootID: readText('/proc/sys/kernel/random/boot_id'),
    containerRuntimeVersion: `${version.name}://${version.version}`,
    kernelVersion: release(),
    kubeProxyVersion: '',
    kubeletVersion,
    machineID,
    operatingSystem: 'linux',
    osImage: /^PRETTY_NAME="?([^"\n]*)/m.exec(readText('/etc/os-release'))?.[1] ?? 'Linux',
    systemUUID: machineID || hostname(),
  };
};

export const createNodeKeeper = (options: NodeKeeperOptions): NodeKeeper => {
  const { facts, client, clock, runtime } = options;
  const { leaseEveryMs = 10_000 } = options;
  const { statusEveryMs = Math.max(300_000, 12 * leaseEveryMs) } = options;
  const lookEveryMs = Math.min(leaseEveryMs, 10_000);
  // Upstream's 40 s for a renewal every 10 s; a node that renews more rarely may miss one and a half.
  const leaseDurationSeconds = leaseEveryMs <= 10_000 ? 40 : Math.ceil((2.5 * leaseEveryMs) / 1000);
  let renewedAt = Number.NEGATIVE_INFINITY;
  const capacity = { ...machineCapacity(), ...facts.capacity };
  const allocatable = { ...capacity, ...facts.allocatable };
  let lastSignature = '';
  let lastWriteAt = 0;
  let current: Node | undefined;
  let lease: Lease | undefined;

  const register = async (): Promise<Node> => {
    const found = await client.get<Node>(resources.nodes, '', facts.name);
    if (found) return found;
    const node: Node = {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: {
        name: facts.name,
        labels: nodeLabels(facts),
        annotations: { 'volumes.kubernetes.io/controller-managed-attach-detach': 'true' },
      },
      spec: {
        ...(facts.podCIDR && { podCIDR: facts.podCIDR, podCIDRs: [facts.podCIDR] }),
        ...(facts.taints?.length && { taints: facts.taints }),
        ...(facts.unschedulable && { unschedulable: true }),
      },
      status: await status(undefined),
    };
    return client.create<Node>(resources.nodes, node);
  };
  const status = async (old: NodeStatus | undefined): Promise<NodeStatus> => {
    const problem = await options.health().catch((error: Error) => error.message);
    const images = await runtime.images.list().catch(() => []);
    return {
      addresses: facts.addresses,
      capacity,
      allocatable,
      conditions: nodeConditions(old?.conditions, problem, clock.now()),
      daemonEndpoints: { kubeletEndpoint: { Port: 10250 } },
      images: images.slice(0, 50).map((image) => ({ names: image.names, sizeBytes: image.sizeBytes })),
      nodeInfo: await nodeInfo(runtime),
    };
  };
  const writeStatus = async (): Promise<void> => {
    const next = await status(current?.status);
    const signature = JSON.stringify({
      ...next,
      conditions: next.conditions?.map((c) => [c.type, c.status, c.message]),
    });
    if (signature === lastSignature && clock.now() - lastWriteAt < statusEveryMs) return;
    const labels = nodeLabels(facts);
    const stale = Object.entries(labels).some(([key, value]) => current?.metadata.labels?.[key] !== value);
    if (stale)
      await client.patch<Node>(resources.nodes, '', facts.name, { type: 'strategic', body: { metadata: { labels } } });
    const body = { status: next };
    current = await client.patch<Node>(
      resources.nodes,
      '',
      facts.name,
      { type: 'strategic', body },
      { subresource: 'status' },
    );
    lastSignature = signature;
    lastWriteAt = clock.now();
  };
  const renewLease = async (): Promise<void> => {
    const namespace = 'kube-node-lease';
    lease ??= await client.get<Lease>(resources.leases, namespace, facts.name);
    const renewTime = microTimestamp(clock.now());
    if (lease) {
      lease = await client.update<Lease>(resources.leases, {
        ...lease,
        spec: { ...lease.spec, holderIdentity: facts.name, leaseDurationSeconds, renewTime },
      });
      return;
    }
    const owner = { apiVersion: 'v1', kind: 'Node', name: facts.name, uid: current?.metadata.uid ?? '' };
    lease = await client.create<Lease>(resources.leases, {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name: facts.name, namespace, ownerReferences: [owner] },
      spec: { holderIdentity: facts.name, leaseDurationSeconds, renewTime },
    });
  };

  return {
    allocatable: () => allocatable,
    async run(signal, onRegistered) {
      let registered = false;
      while (!signal.aborted) {
        try {
          current ??= await register();
          if (!registered) onRegistered();
          registered = true;
          await writeStatus();
          if (clock.now() - renewedAt >= leaseEveryMs) {
            await renewLease();
            renewedAt = clock.now();
          }
        } catch (error) {
          lease = undefined;
          renewedAt = Number.NEGATIVE_INFINITY;
          if (error instanceof StatusError && error.code === 404) current = undefined;
          await clock.sleep(1000, signal).catch(() => {});
          continue;
        }
        await clock.sleep(lookEveryMs, signal).catch(() => {});
      }
    },
  };
};
