import type { Client, WatchEvent } from '../functions/client/client.ts';
import type { Clock } from '../functions/clock/clock.ts';
import type { Pod } from '../functions/machinery/kinds.d.ts';
import type { KubeObject } from '../functions/machinery/object.ts';
import { internalError } from '../functions/machinery/status.ts';
import { silentRecorder } from './events.ts';
import { createWatchDoorbell } from './follow.ts';
import { createOperations, type NodeTools } from './operations.ts';
import { createPodManager, type PodDependencies } from './pods.ts';
import {
  type Container,
  type ContainerResources,
  type Runtime,
  RuntimeError,
  type RuntimeEvent,
  type Sandbox,
} from './runtime/runtime.ts';
import { createRuntimeCache } from './runtime-cache.ts';
import { noVolumes } from './volumes/volumes.ts';

/** A runtime for tests of the worker: containers run until told to exit; images named `missing...` do not exist. */
export const createScriptedRuntime = (clock: Clock) => {
  const sandboxes = new Map<string, Sandbox>();
  const exitCodes = new Map<string, number>();
  const startedNames: string[] = [];
  const updates: ({ id: string } & ContainerResources)[] = [];
  let refusedUpdate = '';
  const listeners = new Set<(event: RuntimeEvent) => void>();
  let next = 0;
  const change = (sandboxId: string, id: string, to: Partial<Container>): void => {
    const s = sandboxes.get(sandboxId);
    if (s) sandboxes.set(sandboxId, { ...s, containers: s.containers.map((c) => (c.id === id ? { ...c, ...to } : c)) });
  };
  const end = (id: string, exitCode: number): void => {
    for (const s of sandboxes.values()) {
      const run = s.containers.find((c) => c.id === id && c.state === 'running');
      if (!run) continue;
      const reason = exitCode === 0 ? 'Completed' : 'Error';
      change(s.id, id, { state: 'exited', exitCode, finishedAt: clock.now(), reason });
      for (const tell of listeners) tell({ type: 'exited', containerId: id, sandboxId: s.id, exitCode });
    }
  };
  const image = (ref: string) => ({ id: `sha256:${ref}`, names: [ref], sizeBytes: 1 });
  const runtime: Runtime = {
    name: 'hollow',
    version: async () => ({ name: 'scripted', version: '1' }),
    sandboxes: async () => [...sandboxes.values()],
    async startSandbox(spec) {
      const id = `s${++next}`;
      const { namespace, name, uid, attempt, labels } = spec;
      const sandbox = {
        id,
        namespace,
        name,
        uid,
        attempt,
        labels,
        ready: true,
        createdAt: clock.now(),
        ips: [`10.0.0.${next}`],
        containers: [],
      };
      sandboxes.set(id, sandbox);
      return sandbox;
    },
    async stopSandbox(id) {
      const s = sandboxes.get(id);
      if (s) sandboxes.set(id, { ...s, ready: false });
    },
    async removeSandbox(id) {
      sandboxes.delete(id);
    },
    async startContainer(sandboxId, spec) {
      const s = sandboxes.get(sandboxId);
      if (!s) throw new RuntimeError('RunContainerError', 'no sandbox');
      const now = clock.now();
      const { name, attempt, image: ref, imageId, labels, logPath } = spec;
      const run: Container = {
        id: `c${++next}`,
        name,
        attempt,
        state: 'running',
        image: ref,
        imageId,
        createdAt: now,
        startedAt: now,
        labels,
        logPath,
      };
      sandboxes.set(sandboxId, { ...s, containers: [...s.containers, run] });
      startedNames.push(name);
      const code = exitCodes.get(name);
      if (code !== undefined) setTimeout(() => end(run.id, code), 1);
      return run;
    },
    stopContainer: async (id) => end(id, 143),
    async removeContainer(id) {
      for (const s of sandboxes.values())
        sandboxes.set(s.id, { ...s, containers: s.containers.filter((c) => c.id !== id) });
    },
    updateContainer: async (id, resources) => {
      if (refusedUpdate) throw new RuntimeError('ResizeError', refusedUpdate);
      updates.push({ id, ...resources });
    },
    execSync: async () => ({ exitCode: 0, stdout: new Uint8Array(), stderr: new Uint8Array(), timedOut: false }),
    stream: async () => ({ exitCode: 0 }),
    portForward: () => Promise.reject(new RuntimeError('PortForward', 'nothing listens')),
    async *events(signal) {
      const queue: RuntimeEvent[] = [];
      let wake: () => void = () => {};
      const listen = (event: RuntimeEvent) => {
        queue.push(event);
        wake();
      };
      listeners.add(listen);
      signal.addEventListener('abort', () => wake());
      while (!signal.aborted) {
        const event = queue.shift();
        if (event) yield event;
        else {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
      listeners.delete(listen);
    },
    stats: async () => [],
    images: {
      has: async (ref) => (ref.startsWith('missing') ? undefined : image(ref)),
      async pull(ref) {
        if (ref.startsWith('missing')) throw new RuntimeError('ErrImagePull', `${ref}: not found`);
        return image(ref);
      },
      load: async () => [],
      list: async () => [],
      remove: async () => {},
    },
    close: async () => {},
  };
  return {
    runtime,
    held: () => [...sandboxes.values()],
    started: () => startedNames,
    updates: () => updates,
    /** What updates fail with from now on; '' when they work. */
    refuseUpdates: (message: string) => {
      refusedUpdate = message;
    },
    /** Containers of this name end by themselves with this code. */
    exits: (name: string, code: number) => exitCodes.set(name, code),
    end,
  };
};

/** Merges by `type` in condition lists and replaces other lists: what the status writes of the agent rely on. */
const merge = (old: unknown, patch: unknown): unknown => {
  if (Array.isArray(patch) && Array.isArray(old) && patch.every((c) => typeof c === 'object' && c && 'type' in c)) {
    const of = (list: unknown[]) => new Map(list.map((c) => [(c as { type: string }).type, c]));
    const out = of(old);
    for (const [type, c] of of(patch)) {
      if ((c as { $patch?: string }).$patch === 'delete') out.delete(type);
      else out.set(type, merge(out.get(type) ?? {}, c));
    }
    return [...out.values()];
  }
  if (patch === null || typeof patch !== 'object' || Array.isArray(patch)) return patch;
  const out: Record<string, unknown> = { ...(old as Record<string, unknown> | undefined) };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete out[key];
    else out[key] = merge(out[key], value);
  }
  return out;
};

/** An API of pods alone, in memory, with a watch. */
export const createPodApi = () => {
  const pods = new Map<string, Pod>();
  const writes: string[] = [];
  let refusals = 0;
  let refusing = false;
  const watchers = new Set<(event: WatchEvent<KubeObject>) => void>();
  let revision = 1;
  const put = (pod: Pod, type: 'ADDED' | 'MODIFIED' = 'MODIFIED'): Pod => {
    const stored: Pod = { ...pod, metadata: { ...pod.metadata, resourceVersion: String(++revision) } };
    pods.set(pod.metadata.name ?? '', stored);
    for (const tell of watchers) tell({ type, object: stored });
    return stored;
  };
  const drop = (name: string): void => {
    const pod = pods.get(name);
    pods.delete(name);
    if (!pod) return;
    const object = { ...pod, metadata: { ...pod.metadata, resourceVersion: String(++revision) } };
    for (const tell of watchers) tell({ type: 'DELETED', object });
  };
  const client: Client = {
    get: async <T extends KubeObject>(_r: unknown, _ns: string, name: string) =>
      pods.get(name) as unknown as T | undefined,
    list: async <T extends KubeObject>() => ({
      items: [...pods.values()] as unknown as T[],
      resourceVersion: String(revision),
    }),
    async *watch<T extends KubeObject>(_r: unknown, _o: unknown, signal: AbortSignal) {
      const queue: WatchEvent<KubeObject>[] = [];
      let wake: () => void = () => {};
      const listen = (event: WatchEvent<KubeObject>) => {
        queue.push(event);
        wake();
      };
      watchers.add(listen);
      signal.addEventListener('abort', () => wake());
      while (!signal.aborted) {
        const event = queue.shift();
        if (event) yield event as WatchEvent<T>;
        else {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
      watchers.delete(listen);
    },
    create: async (_r, object) => object,
    update: async (_r, object) => object,
    async patch<T extends KubeObject>(_r: unknown, _ns: string, name: string, patch: { body: unknown }) {
      if (refusing) {
        refusals++;
        throw internalError('refused');
      }
      writes.push(`patch ${name}`);
      return put(merge(pods.get(name), patch.body) as Pod) as unknown as T;
    },
    async delete(_r, _ns, name) {
      writes.push(`delete ${name}`);
      drop(name);
      return undefined;
    },
    raw: async () => new Response('', { status: 404 }),
  };
  const refuse = (yes: boolean): void => {
    refusing = yes;
  };
  return { client, put, drop, pods, writes, refuse, refusals: () => refusals };
};

/** One node over the scripted runtime and the pod API. */
export const createTestNode = (clock: Clock, extra: Partial<PodDependencies> = {}) => {
  const api = createPodApi();
  const runtime = createScriptedRuntime(clock);
  let abort = new AbortController();
  const start = (): void => {
    abort = new AbortController();
    const cache = createRuntimeCache(runtime.runtime, clock, 60_000);
    const tools: NodeTools = {
      nodeName: 'n1',
      client: api.client,
      clock,
      runtime: runtime.runtime,
      cache,
      volumes: noVolumes,
      recorder: silentRecorder,
      names: {
        clusterDns: ['10.96.0.10'],
        clusterDomain: 'cluster.local',
        host: { servers: [], searches: [], options: [] },
      },
      logDir: '/nowhere',
      cgroupPrefix: '/kubepods',
      memoryCapacity: 1 << 30,
      hostIPs: () => ['192.168.0.1'],
      allocatable: () => ({ cpu: '2', memory: '1Gi' }),
      services: () => [],
    };
    const manager = createPodManager({
      tools,
      operate: createOperations(tools),
      doorbell: createWatchDoorbell<Pod>(api.client, { group: '', version: 'v1', resource: 'pods' }, {}, clock),
      admit: () => undefined,
      probes: { results: new Map(), sync: () => {}, drop: () => {} },
      terminationMessage: () => undefined,
      onError: () => {},
      ...extra,
    });
    void manager.run(abort.signal);
  };
  start();
  return {
    runtime,
    start,
    stop: () => abort.abort(),
    put: (pod: Pod) => api.put(pod, 'ADDED'),
    pod: (name: string) => api.pods.get(name),
    writes: () => api.writes,
    /** Whether patches fail with 500 from now on. */
    refuse: api.refuse,
    refusals: api.refusals,
    vanish: (name: string) => api.drop(name),
    remove(name: string, graceSeconds: number) {
      const pod = api.pods.get(name);
      if (!pod) return;
      const deletionTimestamp = new Date(clock.now() + graceSeconds * 1000).toISOString();
      api.put({ ...pod, metadata: { ...pod.metadata, deletionTimestamp, deletionGracePeriodSeconds: graceSeconds } });
    },
  };
};
