import { join } from 'node:path';
import type { Client } from '../functions/client/client.ts';
import type { Clock } from '../functions/clock/clock.ts';
import type { EndpointSlice, Node, Pod, Service } from '../functions/machinery/kinds.d.ts';
import type { GroupVersionResource, KubeObject } from '../functions/machinery/object.ts';
import { quantityValue } from '../functions/machinery/quantity.ts';
import { createAdmission } from './admit.ts';
import { createRingDoorbell, type Rings } from './doorbell.ts';
import { createEventRecorder, silentRecorder } from './events.ts';
import { createWatchDoorbell, type Doorbell, type FollowOptions } from './follow.ts';
import { rotateLog } from './logs.ts';
import type { ClusterNames } from './names.ts';
import { createNodeKeeper, type NodeFacts, nodeLabels } from './node.ts';
import { currentSandbox, isRunning } from './observed.ts';
import { createOperations, type NodeTools, podLogDirectory } from './operations.ts';
import { createPodManager } from './pods.ts';
import { createProber, createProbes } from './probes.ts';
import * as resources from './resources.ts';
import type { Runtime } from './runtime/runtime.ts';
import { createRuntimeCache } from './runtime-cache.ts';
import { createKubeletServer } from './server/server.ts';
import { terminationMessage } from './termination-message.ts';
import { runTunnel, type TunnelTarget } from './tunnel.ts';
import { createImageVolumes } from './volumes/image-volumes.ts';
import { createNodeVolumes } from './volumes/node-volumes.ts';
import { noVolumes } from './volumes/volumes.ts';

/** The network of a node: service proxy, cluster DNS, routes. It is told every service and slice of the cluster. */
export interface NodeNetwork {
  start(): Promise<void>;
  onServices(services: Service[], slices: EndpointSlice[]): void | Promise<void>;
  /** Why the pod network does not work; undefined when it does. */
  health(): string | undefined;
  stop(): Promise<void>;
}

export interface AgentOptions {
  node: NodeFacts;
  client: Client;
  clock: Clock;
  runtime: Runtime;
  names: ClusterNames;
  /** Absent on a hollow node: no files, volumes, logs, events or services. */
  files?: { dataDir: string; logDir?: string; cgroupPrefix?: string };
  /** Absent: pods reach nothing but each other (hollow). */
  network?: NodeNetwork;
  /** Absent: nobody can reach the kubelet API through the apiserver. */
  tunnel?: Omit<TunnelTarget, 'node'>;
  /** Default: list and watch of the node's own pods. A cloud node gives one that its queue rings. */
  doorbell?: Doorbell<Pod>;
  /** Where present, pods and services are listed when it rings instead of watched. */
  rings?: Rings;
  /** Between two renewals of the node's lease; 10 s where absent. */
  leaseEveryMs?: number;
  relistMs?: number;
  onError?(message: string, error: unknown): void;
}

export interface Agent {
  /** Works until aborted. Containers keep running; the next agent adopts them. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves when the Node is registered. */
  readonly registered: Promise<void>;
  /** The kubelet API, on connections given by `emit('connection', duplex)`. */
  readonly server: ReturnType<typeof createKubeletServer>;
  pods(): Pod[];
}

const endpointSlices: GroupVersionResource = { group: 'discovery.k8s.io', version: 'v1', resource: 'endpointslices' };
const keyOf = (object: KubeObject): string => `${object.metadata.namespace}/${object.metadata.name}`;

/** Keeps a map of everything a doorbell tells. */
const mirror = async <T extends KubeObject>(
  doorbell: Doorbell<T>,
  into: Map<string, T>,
  onChange: () => void,
  signal: AbortSignal,
) => {
  for await (const event of doorbell.follow(signal)) {
    if (event.type === 'all') {
      into.clear();
      for (const object of event.objects) into.set(keyOf(object), object);
    } else if (event.type === 'put') into.set(keyOf(event.object), event.object);
    else into.delete(keyOf(event.object));
    onChange();
  }
};

const every = async (clock: Clock, ms: number, signal: AbortSignal, work: () => Promise<void>): Promise<void> => {
  while (!signal.aborted) {
    await clock.sleep(ms, signal).catch(() => {});
    if (!signal.aborted) await work().catch(() => {});
  }
};

/** Follows by the bell where there is one, else by a watch. */
const follower = <T extends KubeObject>(
  { client, clock, rings }: AgentOptions,
  resource: GroupVersionResource,
  which: FollowOptions = {},
): Doorbell<T> =>
  rings
    ? createRingDoorbell<T>(client, resource, which, clock, rings)
    : createWatchDoorbell<T>(client, resource, which, clock);

/** Services and slices of the cluster, told to the network at most every 50 ms. */
const followServices = (
  options: AgentOptions,
  services: Map<string, Service>,
  network: NodeNetwork,
  signal: AbortSignal,
) => {
  const { clock } = options;
  const slices = new Map<string, EndpointSlice>();
  let due = false;
  const changed = () => {
    if (due) return;
    due = true;
    clock.after(50, () => {
      due = false;
      Promise.resolve(network.onServices([...services.values()], [...slices.values()])).catch((error: unknown) =>
        options.onError?.('services of the node', error),
      );
    });
  };
  return Promise.all([
    mirror(follower<Service>(options, resources.services), services, changed, signal),
    mirror(follower<EndpointSlice>(options, endpointSlices), slices, changed, signal),
  ]);
};

/** Composes one node. Nothing starts before run(). */
export const createAgent = (options: AgentOptions): Agent => {
  const { client, clock, runtime, node, files } = options;
  const onError = options.onError ?? (() => {});
  const services = new Map<string, Service>();
  const cache = createRuntimeCache(runtime, clock, options.relistMs ?? (runtime.name === 'hollow' ? 60_000 : 10_000));
  const recorder = files ? createEventRecorder(client, clock, node.name) : silentRecorder;
  const hostIPs = () => node.addresses.filter((a) => a.type === 'InternalIP').map((a) => a.address);
  const logDir = files?.logDir ?? join(files?.dataDir ?? '', 'logs');
  const keeper = createNodeKeeper({
    facts: node,
    client,
    clock,
    runtime,
    ...(options.leaseEveryMs && { leaseEveryMs: options.leaseEveryMs }),
    health: async () => {
      await runtime.version();
      return options.network?.health();
    },
  });
  const ipsOf = (pod: Pod) =>
    pod.spec?.hostNetwork ? hostIPs() : (currentSandbox(cache.of(pod.metadata.uid ?? ''))?.ips ?? []);
  const facts = (pod: Pod) => ({
    podIPs: ipsOf(pod),
    hostIPs: hostIPs(),
    nodeName: node.name,
    allocatable: keeper.allocatable(),
  });
  const images = createImageVolumes(client, runtime.images, clock);
  const volumes = files
    ? createNodeVolumes({ client, clock, dataDir: files.dataDir, facts, ...(images && { images }) })
    : noVolumes;
  const tools: NodeTools = {
    nodeName: node.name,
    client,
    clock,
    runtime,
    cache,
    volumes,
    recorder,
    names: options.names,
    ...(files && { dataDir: files.dataDir }),
    logDir,
    cgroupPrefix: files?.cgroupPrefix ?? '/kubepods',
    memoryCapacity: quantityValue(keeper.allocatable().memory ?? '1Gi'),
    hostIPs,
    allocatable: keeper.allocatable,
    services: () => [...services.values()],
  };
  const probes = createProbes({ clock, recorder, probe: createProber(runtime), onChange: (uid) => pods.poke(uid) });
  const admit = createAdmission({
    known: { metadata: { name: node.name, labels: nodeLabels(node) } },
    current: () => client.get<Node>(resources.nodes, '', node.name),
    allocatable: keeper.allocatable,
  });
  const own = { fieldSelector: `spec.nodeName=${node.name}` };
  const pods = createPodManager({
    tools,
    operate: createOperations(tools),
    doorbell: options.doorbell ?? follower<Pod>(options, resources.pods, own),
    admit,
    probes,
    terminationMessage: (pod, run) => files && terminationMessage({ dataDir: files.dataDir, logDir }, pod, run),
    onError,
  });
  const server = createKubeletServer({
    runtime,
    clock,
    nodeName: node.name,
    pods,
    sandboxes: cache.of,
    addresses: () => node.addresses.map((one) => one.address),
    logFile: (pod, run) => (files ? join(podLogDirectory(logDir, pod), run.name, `${run.attempt}.log`) : undefined),
  });
  const refreshVolumes = async () => {
    for (const pod of pods.all()) {
      if (!pod.metadata.deletionTimestamp && cache.of(pod.metadata.uid ?? '').length > 0) await volumes.refresh(pod);
    }
  };
  const rotateLogs = async () => {
    for (const pod of pods.all()) {
      for (const run of cache.of(pod.metadata.uid ?? '').flatMap((s) => s.containers.filter(isRunning))) {
        await rotateLog(join(podLogDirectory(logDir, pod), run.name, `${run.attempt}.log`));
      }
    }
  };
  let onRegistered: () => void = () => {};
  const registered = new Promise<void>((resolve) => {
    onRegistered = resolve;
  });

  return {
    registered,
    server,
    pods: pods.all,
    async run(signal) {
      const { network, tunnel } = options;
      await network?.start();
      const parts: Promise<unknown>[] = [keeper.run(signal, onRegistered), pods.run(signal)];
      if (network) parts.push(followServices(options, services, network, signal));
      if (tunnel)
        parts.push(
          runTunnel({ ...tunnel, node: node.name }, (socket) => server.emit('connection', socket), clock, signal),
        );
      if (files) parts.push(every(clock, 60_000, signal, refreshVolumes), every(clock, 30_000, signal, rotateLogs));
      try {
        await Promise.all(parts);
      } finally {
        probes.stop();
        await recorder.flush();
        await network?.stop();
      }
    },
  };
};
