import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { CLUSTER_DOMAIN, DNS_IP, nodeIpOf, podCidrOf } from '../agent/network/addresses.ts';
import { writeCniConfiguration } from '../agent/network/cni.ts';
import { createFabric, type FabricNode } from '../agent/network/fabric.ts';
import { startNodeContainerd, stopNodeContainerd } from '../agent/network/node-containerd.ts';
import { createSystemClock } from '../functions/clock/system.ts';
import type { ControlPlane } from '../functions/entry/local.ts';
import { directoryId } from '../functions/entry/pki.ts';
import type { Node } from '../functions/machinery/kinds.d.ts';
import { isNodeReady, NODES } from './demo/context.ts';
import { loadInto } from './image/load.ts';
import { PAUSE_IMAGE, pauseImage } from './image/pause.ts';
import { startNodePorts } from './node-ports.ts';
import type { NodeProcessOptions } from './node-process.ts';
import { openRuntime } from './node-runtime.ts';
import type { RuntimeName } from './runtime-choice.ts';

/** What nodes need of the control plane, wherever that runs. */
export type NodePlane = Pick<ControlPlane, 'client' | 'nodeToken' | 'serveNode' | 'socketPath'> & {
  access: Pick<ControlPlane['access'], 'caCert'>;
  /** Where a node's token is that counts now, where it is renewed. */
  tokenFile?: string;
  /** It tells what rang, so that nodes need not watch. */
  rings?: boolean;
  /** Between two renewals of a node's lease; 10 s where absent. */
  leaseEveryMs?: number;
};

export interface NodesOptions {
  directory: string;
  plane: NodePlane;
  count: number;
  /** Names of the nodes; node-1, node-2... where absent. */
  names?: readonly string[];
  /** Where in the cluster's address plan the first of them stands; at its start where absent. */
  place?: number;
  runtime: RuntimeName;
  log(line: string): void;
}

export interface LocalNodes {
  /** Resolves when every node is Ready, telling each; or when aborted. */
  ready(each: (name: string) => void, signal: AbortSignal): Promise<void>;
  /** Ends the agents, not the containers. */
  detach(): Promise<void>;
}

const nameOf = (options: NodesOptions, index: number): string => options.names?.[index] ?? `node-${index + 1}`;
const placeOf = (options: NodesOptions, index: number): number => (options.place ?? 0) + index;
export const nodeDirectory = (directory: string, name: string): string => join(directory, 'nodes', name);
const RESTART_MS = 1_000;

const waitReady = async (options: NodesOptions, each: (name: string) => void, signal: AbortSignal): Promise<void> => {
  const client = options.plane.client('default');
  const waiting = new Set(Array.from({ length: options.count }, (_, i) => nameOf(options, i)));
  while (waiting.size > 0 && !signal.aborted) {
    // A node that has joined may look at itself alone.
    const [only] = options.count === 1 ? waiting : [];
    const found = only ? [await client.get<Node>(NODES, '', only)] : (await client.list<Node>(NODES)).items;
    for (const node of found) {
      if (!node) continue;
      const name = node.metadata.name ?? '';
      if (isNodeReady(node) && waiting.delete(name)) each(name);
    }
    if (waiting.size > 0) await delay(20, undefined, { signal }).catch(() => {});
  }
};

const startHollow = async (options: NodesOptions): Promise<LocalNodes> => {
  const { createAgent } = await import('../agent/main.ts');
  const { createHollowRuntime } = await import('../agent/runtime/hollow.ts');
  const clock = createSystemClock();
  const stopping = new AbortController();
  const running = Array.from({ length: options.count }, (_, i) => {
    const agent = createAgent({
      node: {
        name: nameOf(options, i),
        addresses: [
          { type: 'InternalIP', address: nodeIpOf(placeOf(options, i)) },
          { type: 'Hostname', address: nameOf(options, i) },
        ],
        podCIDR: podCidrOf(placeOf(options, i)),
        capacity: { cpu: '32', memory: '64Gi', pods: '250', 'ephemeral-storage': '100Gi' },
      },
      client: options.plane.client('default', options.plane.nodeToken('default', nameOf(options, i))),
      clock,
      runtime: createHollowRuntime({ clock, podCidr: podCidrOf(placeOf(options, i)) }),
      names: { clusterDns: [DNS_IP], clusterDomain: CLUSTER_DOMAIN, host: { servers: [], searches: [], options: [] } },
      onError: (message, error) =>
        options.log(`${nameOf(options, i)}: ${message}: ${error instanceof Error ? error.message : error}`),
    });
    options.plane.serveNode('default', nameOf(options, i), (socket) => agent.server.emit('connection', socket));
    return agent.run(stopping.signal).catch((error) => options.log(`${nameOf(options, i)}: ${error}`));
  });
  return {
    ready: (each, signal) => waitReady(options, each, signal),
    detach: async () => {
      stopping.abort();
      await Promise.all(running);
    },
  };
};

/** What a node process is told. */
const processOptions = (options: NodesOptions, node: FabricNode): NodeProcessOptions => ({
  name: node.name,
  ip: node.ip,
  podCidr: node.podCidr,
  directory: nodeDirectory(options.directory, node.name),
  runtime: options.runtime === 'nerdctl' ? 'nerdctl' : 'cri',
  serverSocket: options.plane.socketPath,
  ca: options.plane.access.caCert,
  token: options.plane.nodeToken('default', node.name),
  ...(options.plane.rings && { rings: true }),
  ...(options.plane.leaseEveryMs && { leaseEveryMs: options.plane.leaseEveryMs }),
  ...(options.plane.tokenFile && { tokenFile: options.plane.tokenFile }),
  cgroupPrefix: `/skiff-${directoryId(options.directory)}/${node.name}`,
});

/** Keeps a node's process running: when it fails it is started again, and adopts what runs. */
const keepProcess = (options: NodesOptions, node: FabricNode) => {
  const directory = nodeDirectory(options.directory, node.name);
  let child: ChildProcess | undefined;
  let stopped = false;
  const start = (): void => {
    const log = openSync(join(directory, 'agent.log'), 'a');
    const entry = join(import.meta.dirname, 'node-process.ts');
    // The folder is for whoever looks at the processes.
    const args = [`--net=${node.netns}`, process.execPath, ...process.execArgv, entry, directory];
    child = spawn('nsenter', args, { stdio: ['pipe', log, log, 'ipc'] });
    // Not an argument: the node's token is among them, and arguments are for everybody on the machine to read.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(JSON.stringify(processOptions(options, node)));
    child.on('exit', (code) => {
      if (stopped) return;
      options.log(`${node.name}: its agent ended with ${code}; see ${directory}/agent.log`);
      setTimeout(start, RESTART_MS).unref();
    });
  };
  start();
  return async (): Promise<void> => {
    stopped = true;
    if (!child || child.exitCode !== null) return;
    const ended = new Promise((resolve) => child?.once('exit', resolve));
    child.kill('SIGTERM');
    const timer = setTimeout(() => child?.kill('SIGKILL'), 5_000);
    await ended;
    clearTimeout(timer);
  };
};

const prepareNode = async (options: NodesOptions, node: FabricNode): Promise<void> => {
  const directory = nodeDirectory(options.directory, node.name);
  mkdirSync(directory, { recursive: true });
  const cniDirectory = writeCniConfiguration(directory, node.podCidr);
  await startNodeContainerd({ directory, netns: node.netns, cniDirectory, sandboxImage: PAUSE_IMAGE });
  const runtime = await openRuntime(options.runtime === 'nerdctl' ? 'nerdctl' : 'cri', directory);
  try {
    if (!(await runtime.images.has(PAUSE_IMAGE))) await loadInto(runtime, pauseImage());
  } finally {
    await runtime.close();
  }
};

const startReal = async (options: NodesOptions): Promise<LocalNodes> => {
  const fabric = createFabric(directoryId(options.directory));
  const stops: (() => Promise<void>)[] = [];
  const nodes: FabricNode[] = [];
  for (let i = 0; i < options.count; i++) nodes.push(await fabric.addNode(nameOf(options, i), placeOf(options, i)));
  for (const node of nodes) {
    await prepareNode(options, node);
    stops.push(keepProcess(options, node));
  }
  const ports: { close(): Promise<void> } = await startNodePorts({
    client: options.plane.client('default'),
    dialSocket: join(nodeDirectory(options.directory, nodes[0]?.name ?? ''), 'dial.sock'),
    nodeIp: nodes[0]?.ip ?? '',
    log: options.log,
  });
  return {
    ready: (each, signal) => waitReady(options, each, signal),
    detach: async () => {
      await ports.close();
      await Promise.all(stops.map((stop) => stop()));
    },
  };
};

const noNodes: LocalNodes = { ready: async () => {}, detach: async () => {} };

/** Starts or adopts the local nodes of a data directory. */
export const startNodes = (options: NodesOptions): Promise<LocalNodes> => {
  if (options.count === 0) return Promise.resolve(noNodes);
  return options.runtime === 'hollow' ? startHollow(options) : startReal(options);
};

/** Ends every container of a data directory's nodes, their containerd and their network, also after a crash. */
export const removeNodes = async (
  directory: string,
  name: RuntimeName,
): Promise<{ nodes: number; sandboxes: number }> => {
  const root = join(directory, 'nodes');
  const names = existsSync(root) ? readdirSync(root) : [];
  let sandboxes = 0;
  for (const node of names) {
    const folder = nodeDirectory(directory, node);
    if (existsSync(join(folder, 'containerd.pid'))) {
      sandboxes += await removeSandboxes(name === 'nerdctl' ? 'nerdctl' : 'cri', folder);
      await stopNodeContainerd(folder);
    }
    const { removeMounts, removeCgroups } = await import('./node-leftovers.ts');
    await removeMounts(folder);
    removeCgroups(`skiff-${directoryId(directory)}`);
  }
  await createFabric(directoryId(directory)).teardown();
  return { nodes: names.length, sandboxes };
};

const removeSandboxes = async (name: 'cri' | 'nerdctl', folder: string): Promise<number> => {
  const runtime = await openRuntime(name, folder).catch(() => undefined);
  if (!runtime) return 0;
  try {
    const all = await runtime.sandboxes();
    await Promise.all(
      all.map(async (sandbox) => {
        await Promise.all(sandbox.containers.map((c) => runtime.stopContainer(c.id, 1_000).catch(() => {})));
        await runtime.stopSandbox(sandbox.id);
        await runtime.removeSandbox(sandbox.id);
      }),
    );
    return all.length;
  } finally {
    await runtime.close();
  }
};
