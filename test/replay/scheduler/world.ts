import type { Client } from '../../../functions/client/client.ts';
import { createFakeCluster } from '../../../functions/client/fake.ts';
import { createSimulatedClock } from '../../../functions/clock/simulated.ts';
import type { PersistentVolume, PersistentVolumeClaim, Pod } from '../../../functions/machinery/kinds.d.ts';
import type { GroupVersionResource, KubeObject } from '../../../functions/machinery/object.ts';
import { BIND_COMPLETED } from '../../../functions/scheduler/claims.ts';
import type { Decision } from '../../../functions/scheduler/decide.ts';
import type { Profile } from '../../../functions/scheduler/profile.ts';
import { createScheduler } from '../../../functions/scheduler/scheduler.ts';
import { admitPod } from './admission.ts';

const v1 = (resource: string): GroupVersionResource => ({ group: '', version: 'v1', resource });
const storage = (resource: string) => ({ group: 'storage.k8s.io', version: 'v1', resource });
const resources: Record<string, GroupVersionResource> = {
  Node: v1('nodes'),
  Pod: v1('pods'),
  Namespace: v1('namespaces'),
  Service: v1('services'),
  PersistentVolume: v1('persistentvolumes'),
  PersistentVolumeClaim: v1('persistentvolumeclaims'),
  ReplicaSet: { group: 'apps', version: 'v1', resource: 'replicasets' },
  StorageClass: storage('storageclasses'),
  CSIDriver: storage('csidrivers'),
  CSINode: storage('csinodes'),
  CSIStorageCapacity: storage('csistoragecapacities'),
  PriorityClass: { group: 'scheduling.k8s.io', version: 'v1', resource: 'priorityclasses' },
  PodDisruptionBudget: { group: 'policy', version: 'v1', resource: 'poddisruptionbudgets' },
  RuntimeClass: { group: 'node.k8s.io', version: 'v1', resource: 'runtimeclasses' },
};
const resourceOf = (kind: string): GroupVersionResource => {
  const found = resources[kind];
  if (!found) throw new Error(`no resource is known for kind ${kind}`);
  return found;
};
const PODS = v1('pods');
const CLAIMS = v1('persistentvolumeclaims');
const VOLUMES = v1('persistentvolumes');

export type Operation =
  | { op: 'create'; object: KubeObject & { kind: string } }
  | { op: 'delete'; kind: string; name: string; namespace?: string }
  | { op: 'patch'; kind: string; name: string; namespace?: string; patch: unknown; subresource?: string }
  | { op: 'sleep'; ms?: number; seconds?: number };

const isUnschedulable = (pod: Pod): boolean =>
  pod.status?.conditions?.some(
    (c) => c.type === 'PodScheduled' && c.status === 'False' && c.reason === 'Unschedulable',
  ) ?? false;

/** A model cluster with a scheduler in it; the API is the fake one, with the admission that scheduling depends on. */
export const createWorld = (profiles: readonly Profile[], options: { binder: boolean }) => {
  const clock = createSimulatedClock();
  const cluster = createFakeCluster({
    clock,
    prepare: (resource, object) => {
      if (resource.resource === 'pods') admitPod(object as Pod, cluster.all);
    },
  });
  const decisions = new Map<string, Decision>();
  const tried = new Set<string>();
  /** Who was evicted, for whom (pods by name). */
  const evicted: { victim: string; by: string }[] = [];
  const firsts = new Map<string, Pod>();
  cluster.onChange(({ object, previous, deleted }) => {
    const pod = object as Pod;
    if (deleted || !previous || !isUnschedulable(pod) || pod.spec?.nodeName) return;
    const name = pod.metadata.name ?? '';
    if (JSON.stringify(pod.status) !== JSON.stringify((previous as Pod).status) && !firsts.has(name))
      firsts.set(name, pod);
  });

  const bindPod = async (path: string, body: string): Promise<void> => {
    const [, namespace = '', name = ''] = /namespaces\/([^/]+)\/pods\/([^/]+)\/binding$/.exec(path) ?? [];
    const { target } = JSON.parse(body) as { target: { name: string } };
    await cluster.client.patch(PODS, namespace, name, { type: 'merge', body: { spec: { nodeName: target.name } } });
    const status = { conditions: [{ type: 'PodScheduled', status: 'True' }], nominatedNodeName: null };
    await cluster.client.patch(PODS, namespace, name, { type: 'merge', body: { status } }, { subresource: 'status' });
  };
  const client: Client = {
    ...cluster.client,
    raw: async (method, path, init) => {
      if (method !== 'POST' || !path.endsWith('/binding')) return cluster.client.raw(method, path, init);
      await bindPod(path, String(init?.body));
      return new Response('{}', { status: 201 });
    },
  };
  const scheduler = createScheduler({
    reader: cluster.reader,
    client,
    clock,
    profiles,
    backoff: { initialMs: 1_000, maximumMs: 1_000 },
    decided: (pod, decision) => {
      decisions.set(pod.metadata.name ?? '', decision);
      tried.add(pod.metadata.name ?? '');
    },
    record: ({ regarding, reason, message }) => {
      const uid = /^Preempted by pod (\S+)/.exec(message)?.[1];
      if (reason !== 'Preempted' || !uid) return;
      const by = cluster.all(PODS).find((p) => p.metadata.uid === uid)?.metadata.name ?? uid;
      evicted.push({ victim: regarding.metadata.name ?? '', by });
    },
  });

  /** Plays the volume controller: a volume that names a claim becomes its volume. */
  const bindClaims = async (): Promise<void> => {
    for (const volume of cluster.all(VOLUMES) as PersistentVolume[]) {
      const ref = volume.spec?.claimRef;
      if (!ref?.name || volume.status?.phase === 'Bound') continue;
      const claim = (await cluster.client.get(CLAIMS, ref.namespace ?? '', ref.name)) as
        | PersistentVolumeClaim
        | undefined;
      if (!claim) continue;
      const phase = { status: { phase: 'Bound' } };
      const name = volume.metadata.name ?? '';
      const body = { metadata: { annotations: { [BIND_COMPLETED]: 'yes' } }, spec: { volumeName: name } };
      await cluster.client.patch(VOLUMES, '', name, { type: 'merge', body: phase }, { subresource: 'status' });
      await cluster.client.patch(CLAIMS, ref.namespace ?? '', ref.name, { type: 'merge', body });
      await cluster.client.patch(
        CLAIMS,
        ref.namespace ?? '',
        ref.name,
        { type: 'merge', body: phase },
        { subresource: 'status' },
      );
    }
  };

  const create = async (given: KubeObject & { kind: string }): Promise<void> => {
    const resource = resourceOf(given.kind);
    const namespace = given.metadata.namespace ?? '';
    await cluster.client.create(resource, given);
    const { status } = given as { status?: unknown };
    if (!status) return;
    const merge = { type: 'merge' as const, body: { status } };
    await cluster.client.patch(resource, namespace, given.metadata.name ?? '', merge, { subresource: 'status' });
  };

  const perform = async (operation: Operation): Promise<void> => {
    if (operation.op === 'sleep') return clock.advance(operation.ms ?? (operation.seconds ?? 1) * 1000);
    if (operation.op === 'create') return create(operation.object);
    const resource = resourceOf(operation.kind);
    const namespace = operation.namespace ?? (namespaced.has(operation.kind) ? 'default' : '');
    if (operation.op === 'delete') {
      await cluster.client.delete(resource, namespace, operation.name, { gracePeriodSeconds: 0 });
      return;
    }
    const write = operation.subresource ? { subresource: operation.subresource } : {};
    await cluster.client.patch(resource, namespace, operation.name, { type: 'merge', body: operation.patch }, write);
  };

  /** Lets the scheduler work until nothing changes any more within some seconds. */
  const settle = async (): Promise<void> => {
    for (let i = 0; i < 30; i++) {
      const before = cluster.writes.length;
      const next = await scheduler.run();
      if (options.binder) await bindClaims();
      if (cluster.writes.length !== before) continue;
      if (next === undefined || next > 5_000) return;
      await clock.advance(next);
    }
  };

  return {
    create,
    perform,
    settle,
    decisions,
    evicted,
    /** The first time in this step that each pod was told it cannot be placed. */
    firsts,
    /** The pods that were looked at in this step. */
    tried,
    newStep(): void {
      firsts.clear();
      tried.clear();
    },
    pods: () => cluster.all(PODS) as Pod[],
    claims: () => cluster.all(CLAIMS) as PersistentVolumeClaim[],
    nodes: () => cluster.all(v1('nodes')),
  };
};
export type World = ReturnType<typeof createWorld>;

const namespaced = new Set([
  'Pod',
  'PersistentVolumeClaim',
  'Service',
  'ReplicaSet',
  'PodDisruptionBudget',
  'CSIStorageCapacity',
]);
