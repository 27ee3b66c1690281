import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { strategyFor } from '../../../functions/apiserver/strategies/index.ts';
import { createFakeCluster, type FakeCluster } from '../../../functions/client/fake.ts';
import { microTimestamp } from '../../../functions/clock/clock.ts';
import { createSimulatedClock, settle } from '../../../functions/clock/simulated.ts';
import { createControllers } from '../../../functions/controllers/index.ts';
import type { ResourceType } from '../../../functions/controllers/resource-types.ts';
import { createRunner, LostRaceError } from '../../../functions/controllers/run.ts';
import { createDispatcher } from '../../../functions/dispatcher/dispatch.ts';
import { decode } from '../../../functions/machinery/decode.ts';
import { kindSchema } from '../../../functions/machinery/facts.ts';
import { type GroupVersionResource, type Json, type KubeObject, keyOf } from '../../../functions/machinery/object.ts';
import { StatusError } from '../../../functions/machinery/status.ts';
import { createMemoryQueue } from '../../../functions/queue/memory.ts';
import type { Change, Stored } from '../../../functions/store/store.ts';
import { createTestAuthority } from './certificates.ts';
import { chargeQuotas } from './quota-charges.ts';

interface Facts {
  resources: { group: string; version: string; kind: string; plural: string; namespaced: boolean; verbs: string[] }[];
}
const facts = JSON.parse(readFileSync(join(import.meta.dirname, '../../../facts/resources.json'), 'utf8')) as Facts;
const rank = (version: string): number => (/^v\d+$/.test(version) ? Number(version.slice(1)) + 100 : 0);

/** Every built-in resource type in its newest stable version. */
export const types: ResourceType[] = (() => {
  const best = new Map<string, ResourceType>();
  for (const { group, version, kind, plural, namespaced, verbs } of facts.resources) {
    if (!verbs.includes('list') || !verbs.includes('delete')) continue;
    const known = best.get(`${group}/${plural}`);
    if (known && rank(known.version) >= rank(version)) continue;
    best.set(`${group}/${plural}`, { group, version, kind, resource: plural, namespaced });
  }
  return [...best.values()];
})();

export const typeOfKind = (kind: string, group?: string): ResourceType => {
  const found = types.find((type) => type.kind === kind && (group === undefined || type.group === group));
  if (!found) throw new Error(`no resource type has the kind ${kind}`);
  return found;
};

/** The authority that the recordings were made with, by name. */
const certificates = await createTestAuthority('CN=corpus-ca');

export interface World {
  api: FakeCluster;
  now(): number;
  /** Lets time pass. */
  pass(ms: number): Promise<void>;
  /** Lets time pass until nothing has changed for 1.5 s. */
  quiet(): Promise<void>;
  /** Renewed every second until stopped. */
  beat(node: string, on: boolean): Promise<void>;
  failures: string[];
  stop(): void;
}

const leases = { group: 'coordination.k8s.io', version: 'v1', resource: 'leases' };
const quietMs = 1_500;

const prepare =
  (now: () => number, uuid: () => string) =>
  (resource: GroupVersionResource, object: KubeObject, previous?: KubeObject) => {
    const schema = kindSchema(resource.group, resource.version, object.kind ?? '');
    if (!schema) return;
    const full = decode<KubeObject>(schema, object as unknown as Json, { defaults: true }).value;
    for (const key of Object.keys(object)) delete (object as unknown as Record<string, unknown>)[key];
    Object.assign(object, full);
    const strategy = strategyFor(resource.group, object.kind ?? '');
    const { status } = object as { status?: unknown };
    strategy.defaults?.(object);
    const context = {
      cluster: 'default',
      namespace: object.metadata.namespace ?? '',
      now: now(),
      uuid,
      subresource: '',
      dryRun: false,
      warn: () => {},
      user: { username: 'replay', uid: '', groups: [], extra: {} },
    };
    if (previous) {
      strategy.prepareForUpdate?.(object, previous, context);
      if (status !== undefined) Object.assign(object, { status });
      return;
    }
    const labelled = object as {
      metadata: KubeObject['metadata'];
      spec?: { template?: { metadata?: { labels?: Record<string, string> } } };
    };
    const same = JSON.stringify(labelled.metadata.labels) === JSON.stringify(labelled.spec?.template?.metadata?.labels);
    strategy.prepareForCreate?.(object, context);
    // Upstream's defaulting shares one map between a Job's labels and its template's; the strategy then adds to both.
    if (object.kind === 'Job' && same) labelled.metadata.labels = { ...labelled.spec?.template?.metadata?.labels };
    if (status !== undefined) Object.assign(object, { status });
    // The admission plugin StorageObjectInUseProtection.
    const protectedBy = {
      PersistentVolumeClaim: 'kubernetes.io/pvc-protection',
      PersistentVolume: 'kubernetes.io/pv-protection',
    };
    const finalizer = protectedBy[object.kind as keyof typeof protectedBy];
    if (finalizer) object.metadata.finalizers = [finalizer];
    // The admission plugin DefaultTolerationSeconds.
    const { spec } = object as {
      spec?: { tolerations?: { key?: string; operator: string; effect: string; tolerationSeconds: number }[] };
    };
    if (object.kind === 'Pod' && spec) {
      Object.assign(spec, { priority: 0, preemptionPolicy: 'PreemptLowerPriority', ...spec });
      for (const key of ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable']) {
        if (spec.tolerations?.some((t) => (!t.key || t.key === key) && (!t.effect || t.effect === 'NoExecute')))
          continue;
        spec.tolerations = [
          ...(spec.tolerations ?? []),
          { key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
        ];
      }
    }
  };

/** A cluster with every controller, a model API and a clock that stands still between steps. */
export const createWorld = async (): Promise<World> => {
  const clock = createSimulatedClock();
  const api = createFakeCluster({ clock, prepare: prepare(clock.now, clock.uuid) });
  const failures: string[] = [];
  const queue = createMemoryQueue({
    clock,
    onFailure: (message, error) => {
      if (error instanceof LostRaceError || error instanceof StatusError) return;
      failures.push(`${message.consumer} ${message.key}: ${error instanceof Error ? error.stack : String(error)}`);
    },
  });
  const controllers = createControllers({
    resourceTypes: async () => types,
    rootCa: () => 'PEM',
    graceMs: 10_000,
    hpaSyncMs: 2_000,
    signSecretToken: async () => 'token',
    certificates,
    mayCreate: async () => true,
  });
  const runner = createRunner({ controllers, reader: () => api.reader, client: () => api.client, clock, queue });
  const decoded = new WeakMap<Stored, KubeObject>();
  const dispatcher = createDispatcher({
    consumers: controllers,
    queue,
    decode: (stored) => decoded.get(stored) ?? { metadata: {} },
    reader: () => api.reader,
    onFailure: (_domain, error) => void failures.push(String(error instanceof Error ? error.stack : error)),
  });
  let lastChange = clock.now();
  let dispatching = 0;
  let charging: Promise<void> = Promise.resolve();
  const stored = (object: KubeObject): Stored => {
    const key = keyOf(object.metadata.namespace, object.metadata.name ?? '');
    const revision = BigInt(object.metadata.resourceVersion ?? 0);
    const result = { key, revision, bytes: new Uint8Array(), index: { labels: {}, fields: {}, owners: [] } };
    decoded.set(result, object);
    return result;
  };
  api.onChange(({ resource, object, previous, deleted }) => {
    if (resource.resource !== 'leases') lastChange = clock.now();
    const change: Change = {
      type: deleted ? 'delete' : 'put',
      stored: stored(object),
      ...(previous && { previous: stored(previous) }),
    };
    dispatching += 2;
    charging = charging.then(() => chargeQuotas(api, { resource, object, previous, deleted }, clock.now()));
    void charging.finally(() => dispatching--);
    void dispatcher.changed({ cluster: 'default', ...resource }, [change]).finally(() => dispatching--);
  });
  const abort = new AbortController();
  void queue.run((message) => runner.handle(message), abort.signal);

  const idle = async () => {
    do await settle();
    while (!queue.idle() || dispatching > 0);
  };
  const pass = async (ms: number) => {
    await idle();
    const until = clock.now() + ms;
    for (let next = clock.next(); next !== undefined && next <= until; next = clock.next()) {
      await clock.advance(Math.max(0, next - clock.now()));
      await idle();
    }
    await clock.advance(until - clock.now());
    await idle();
  };
  const beating = new Set<string>();
  const renew = async (name: string) => {
    const spec = { holderIdentity: name, renewTime: microTimestamp(clock.now()) };
    const metadata = { name, namespace: 'kube-node-lease' };
    const found = await api.client.get(leases, 'kube-node-lease', name);
    if (found) await api.client.patch(leases, 'kube-node-lease', name, { type: 'merge', body: { spec } });
    else
      await api.client.create(leases, {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata,
        spec,
      } as KubeObject);
  };
  const tick = () => {
    clock.after(1_000, () => {
      for (const name of beating) void renew(name);
      tick();
    });
  };
  tick();

  return {
    api,
    failures,
    now: clock.now,
    pass,
    async quiet() {
      await idle();
      lastChange = clock.now();
      while (clock.now() < lastChange + quietMs) {
        const next = clock.next() ?? Number.POSITIVE_INFINITY;
        await pass(Math.max(0, Math.min(next, lastChange + quietMs) - clock.now()));
      }
    },
    async beat(node, on) {
      if (on) {
        beating.add(node);
        await renew(node);
      } else beating.delete(node);
    },
    stop: () => abort.abort(),
  };
};
