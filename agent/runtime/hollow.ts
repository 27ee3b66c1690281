import type { Clock } from '../../functions/clock/clock.ts';
import {
  type Container,
  type ContainerSpec,
  type ImageInfo,
  type Runtime,
  RuntimeError,
  type RuntimeEvent,
  type Sandbox,
} from './runtime.ts';

/**
 * A runtime in which nothing runs: pods and containers are records whose states advance by rules. For scale tests, and
 * for machines without containers. The rules, by annotation of the pod (`NAME` names one container, or stands for all
 * without the dot and the name):
 *
 *   hollow.skiff.dev/run-ms[.NAME]      ends after so many milliseconds (0: at once)
 *   hollow.skiff.dev/exit-code[.NAME]   with this code; 0 where absent
 *   hollow.skiff.dev/start-ms           a sandbox takes so long to start
 *
 * A pod of a Job without an annotation ends after 100 ms with 0; any other container runs until it is stopped. An image
 * whose name begins with `missing` cannot be pulled.
 */
export interface HollowOptions {
  clock: Clock;
  /** Where pod addresses come from. */
  podCidr: string;
  startMs?: number;
}

const PREFIX = 'hollow.skiff.dev';
const JOB_LABEL = 'batch.kubernetes.io/job-name';
const JOB_RUN_MS = 100;
/** 128 + SIGTERM: what a program that heeds it ends with. */
const TERMINATED = 143;

interface HollowPod {
  sandbox: Sandbox;
  annotations: Record<string, string>;
  specs: Map<string, ContainerSpec>;
  cancels: Map<string, () => void>;
}

const ruleOf = (annotations: Record<string, string>, rule: string, container: string): number | undefined => {
  const text = annotations[`${PREFIX}/${rule}.${container}`] ?? annotations[`${PREFIX}/${rule}`];
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
};

/** Addresses of a pod range, the lowest free one first. */
const createAddresses = (cidr: string) => {
  const [base = '', bits = '24'] = cidr.split('/');
  const first = base.split('.').reduce((n, octet) => n * 256 + Number(octet), 0);
  const size = 2 ** (32 - Number(bits));
  const used = new Set<number>();
  const text = (n: number): string => [24, 16, 8, 0].map((shift) => Math.floor(n / 2 ** shift) % 256).join('.');
  return {
    take: (): string => {
      for (let i = 2; i < size - 1; i++) {
        if (used.has(i)) continue;
        used.add(i);
        return text(first + i);
      }
      throw new RuntimeError('FailedCreatePodSandBox', `no address is left in ${cidr}`);
    },
    free: (ip: string): void => {
      used.delete(ip.split('.').reduce((n, octet) => n * 256 + Number(octet), 0) - first);
    },
  };
};

const imageOf = (ref: string): ImageInfo => ({ id: `hollow://${ref}`, names: [ref], sizeBytes: 1_000_000 });

/** Events to any number of readers; a slow one is not waited for. */
const createEvents = () => {
  const readers = new Set<(event: RuntimeEvent) => void>();
  return {
    tell: (event: RuntimeEvent) => {
      for (const read of readers) read(event);
    },
    follow: async function* (signal: AbortSignal): AsyncGenerator<RuntimeEvent> {
      const waiting: RuntimeEvent[] = [];
      let wake = () => {};
      const read = (event: RuntimeEvent) => {
        waiting.push(event);
        wake();
      };
      readers.add(read);
      const onAbort = () => wake();
      signal.addEventListener('abort', onAbort);
      try {
        while (!signal.aborted) {
          const next = waiting.shift();
          if (next) yield next;
          else
            await new Promise<void>((resolve) => {
              wake = resolve;
              if (waiting.length > 0 || signal.aborted) resolve();
            });
        }
      } finally {
        readers.delete(read);
        signal.removeEventListener('abort', onAbort);
      }
    },
  };
};

export const createHollowRuntime = (options: HollowOptions): Runtime => {
  const { clock } = options;
  const records = new Map<string, HollowPod>();
  const owners = new Map<string, HollowPod>();
  const addresses = createAddresses(options.podCidr);
  const events = createEvents();
  let next = 0;
  const id = (): string => (++next).toString(16).padStart(64, '0');

  const change = (record: HollowPod, containerId: string, to: Partial<Container>): void => {
    const containers = record.sandbox.containers.map((c) => (c.id === containerId ? { ...c, ...to } : c));
    record.sandbox = { ...record.sandbox, containers };
  };

  const end = (record: HollowPod, containerId: string, exitCode: number): void => {
    record.cancels.get(containerId)?.();
    record.cancels.delete(containerId);
    const container = record.sandbox.containers.find((c) => c.id === containerId);
    if (container?.state !== 'running') return;
    const reason = exitCode === 0 ? 'Completed' : 'Error';
    change(record, containerId, { state: 'exited', exitCode, finishedAt: clock.now(), reason });
    events.tell({ type: 'exited', containerId, sandboxId: record.sandbox.id, exitCode });
  };

  const recordOf = (containerId: string): HollowPod => {
    const record = owners.get(containerId);
    if (!record) throw new RuntimeError('NotFound', `no container ${containerId}`);
    return record;
  };
  const runMs = (record: HollowPod, name: string): number | undefined =>
    ruleOf(record.annotations, 'run-ms', name) ?? (record.sandbox.labels[JOB_LABEL] ? JOB_RUN_MS : undefined);

  const runtime: Runtime = {
    name: 'hollow',
    version: async () => ({ name: 'hollow', version: '1.0.0' }),
    sandboxes: async () => [...records.values()].map((r) => r.sandbox),
    startSandbox: async (spec) => {
      const waitMs = ruleOf(spec.annotations, 'start-ms', '') ?? options.startMs ?? 0;
      if (waitMs > 0) await clock.sleep(waitMs);
      const { namespace, name, uid, attempt, labels } = spec;
      const ips = spec.hostNetwork ? [] : [addresses.take()];
      const sandbox = {
        id: id(),
        namespace,
        name,
        uid,
        attempt,
        labels,
        ready: true,
        createdAt: clock.now(),
        ips,
        containers: [],
      };
      records.set(sandbox.id, { sandbox, annotations: spec.annotations, specs: new Map(), cancels: new Map() });
      return sandbox;
    },
    stopSandbox: async (sandboxId) => {
      const record = records.get(sandboxId);
      if (!record?.sandbox.ready) return;
      for (const c of record.sandbox.containers) end(record, c.id, TERMINATED);
      for (const ip of record.sandbox.ips) addresses.free(ip);
      record.sandbox = { ...record.sandbox, ready: false, ips: [] };
    },
    removeSandbox: async (sandboxId) => {
      await runtime.stopSandbox(sandboxId);
      for (const c of records.get(sandboxId)?.sandbox.containers ?? []) owners.delete(c.id);
      records.delete(sandboxId);
    },
    startContainer: async (sandboxId, spec) => {
      const record = records.get(sandboxId);
      if (!record?.sandbox.ready) throw new RuntimeError('CreateContainerError', `no sandbox ${sandboxId} is ready`);
      const now = clock.now();
      const { name, attempt, image, imageId, labels, logPath } = spec;
      const container: Container = {
        id: id(),
        name,
        attempt,
        state: 'running',
        image,
        imageId,
        createdAt: now,
        startedAt: now,
        labels,
        logPath,
      };
      record.sandbox = { ...record.sandbox, containers: [...record.sandbox.containers, container] };
      record.specs.set(container.id, spec);
      owners.set(container.id, record);
      events.tell({ type: 'started', containerId: container.id, sandboxId });
      const ms = runMs(record, name);
      const code = ruleOf(record.annotations, 'exit-code', name) ?? 0;
      if (ms !== undefined)
        record.cancels.set(
          container.id,
          clock.after(ms, () => end(record, container.id, code)),
        );
      return container;
    },
    stopContainer: async (containerId) => {
      const record = owners.get(containerId);
      if (record) end(record, containerId, TERMINATED);
    },
    removeContainer: async (containerId) => {
      const record = owners.get(containerId);
      if (!record) return;
      end(record, containerId, TERMINATED);
      owners.delete(containerId);
      record.specs.delete(containerId);
      const containers = record.sandbox.containers.filter((c) => c.id !== containerId);
      record.sandbox = { ...record.sandbox, containers };
    },
    updateContainer: async (containerId) => {
      recordOf(containerId);
    },
    execSync: async (containerId, command) => {
      recordOf(containerId);
      return { exitCode: 0, stdout: Buffer.from(`${command.join(' ')}\n`), stderr: Buffer.alloc(0), timedOut: false };
    },
    stream: async (containerId, want, io) => {
      const { sandbox } = recordOf(containerId);
      const text = 'exec' in want ? want.exec.join(' ') : `attached to ${containerId.slice(-8)}`;
      io.stdout?.write(`hollow ${sandbox.namespace}/${sandbox.name}: ${text}\n`);
      return { exitCode: 0 };
    },
    portForward: async () => {
      throw new RuntimeError('PortForwardError', 'nothing listens in a hollow pod');
    },
    events: (signal) => events.follow(signal),
    stats: async () =>
      [...owners.keys()].map((containerId) => ({
        containerId,
        atMs: clock.now(),
        cpuNanos: 0,
        memoryWorkingSetBytes: 0,
      })),
    images: {
      has: async (ref) => (ref.startsWith('missing') ? undefined : imageOf(ref)),
      pull: async (ref) => {
        if (ref.startsWith('missing')) throw new RuntimeError('ErrImagePull', `${ref} is not found`);
        return imageOf(ref);
      },
      load: async (tar) => {
        tar.resume();
        return [];
      },
      list: async () => [],
      remove: async () => {},
    },
    close: async () => {
      for (const record of records.values()) for (const cancel of record.cancels.values()) cancel();
    },
  };
  return runtime;
};
