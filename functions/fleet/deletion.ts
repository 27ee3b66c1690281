import { type Cluster, FLEET, KEYS_FINALIZER } from '../apiserver/fleet/cluster-kind.ts';
import type { Client } from '../client/client.ts';
import { timestamp } from '../clock/clock.ts';
import type { KubeObject } from '../machinery/object.ts';
import { StatusError } from '../machinery/status.ts';
import type { Domain, Store, Stored } from '../store/store.ts';

/** The resource of Cluster objects, in the fleet's cluster. */
export const CLUSTERS = { group: 'skiff.dev', version: 'v1', resource: 'clusters' };

export interface DeletionOptions {
  store: Pick<Store, 'domains' | 'scan' | 'drop'>;
  clock: { now(): number };
  /** A client of a cluster as a part of the control plane. */
  client(cluster: string): Client;
  /** After this time, in milliseconds, no process writes for a cluster any more that is called Dropped. */
  settleMs: number;
  /** Between two looks at what holds a deletion up, in milliseconds. */
  pauseMs: number;
  /** The keys of a cluster are gone: what this process remembers of it may go. */
  forget(cluster: string): void;
}

const TIMEOUT_SECONDS = 60;
const OWN_GROUP = 'skiff.dev';
const PAGE = 1000;
/** What these guard is the cluster's own, and in use as long as the cluster is there. */
const GOES_WITH_CLUSTER: ReadonlySet<string> = new Set(['networking.k8s.io/service-cidr-finalizer']);
const decoder = new TextDecoder();

const isCode = (error: unknown, ...codes: number[]): boolean =>
  error instanceof StatusError && codes.includes(error.code);

const parsed = (stored: Stored): KubeObject => JSON.parse(decoder.decode(stored.bytes)) as KubeObject;

const pathOf = (domain: Domain, { apiVersion, metadata }: KubeObject): string => {
  const root = apiVersion?.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const scope = metadata.namespace ? `/namespaces/${metadata.namespace}` : '';
  return `${root}${scope}/${domain.resource}/${encodeURIComponent(metadata.name ?? '')}`;
};

/** Objects that somebody has to do something about before they may go. */
interface Holding {
  finalizers: { domain: Domain; object: KubeObject }[];
  /** Bound to a node that may run their containers. */
  pods: { domain: Domain; object: KubeObject }[];
}

const isPods = ({ group, resource }: Domain): boolean => group === '' && resource === 'pods';
const ended = new Set(['Succeeded', 'Failed']);

/**
 * Takes a Cluster that is being deleted one step further: objects with finalizers are deleted while the cluster is still
 * served, then pods, so that nodes stop their containers; after the timeout, or when nothing is left, the cluster is no
 * longer served, its keys are removed, and the finalizer goes. Each step can be taken again: what a crash cut short goes
 * on from what the object says.
 */
export const createDeletion = (options: DeletionOptions) => {
  const { store, clock, client, settleMs, pauseMs } = options;
  const fleet = () => client(FLEET);

  const holding = async (cluster: string): Promise<Holding> => {
    const found: Holding = { finalizers: [], pods: [] };
    for (const domain of await store.domains(cluster)) {
      if (domain.group === OWN_GROUP) continue;
      for (let after: string | undefined = ''; after !== undefined; ) {
        const page: Awaited<ReturnType<Store['scan']>> = await store.scan(domain, after, PAGE);
        for (const stored of page.items) {
          const bound = isPods(domain) && (stored.index.fields['spec.nodeName'] ?? '') !== '';
          if (!bound && !Buffer.from(stored.bytes).includes('"finalizers":[')) continue;
          const object = parsed(stored);
          const { status } = object as KubeObject & { status?: { phase?: string } };
          if (object.metadata.finalizers?.some((one) => !GOES_WITH_CLUSTER.has(one)))
            found.finalizers.push({ domain, object });
          else if (bound && !ended.has(status?.phase ?? '')) found.pods.push({ domain, object });
        }
        after = page.next;
      }
    }
    return found;
  };

  /** Asks for the deletion of objects for which nobody has. */
  const ask = async (cluster: string, held: readonly { domain: Domain; object: KubeObject }[]): Promise<void> => {
    const own = client(cluster);
    for (const { domain, object } of held) {
      if (object.metadata.deletionTimestamp) continue;
      const answer = await own.raw('DELETE', pathOf(domain, object), { query: { propagationPolicy: 'Background' } });
      await answer.body?.cancel();
    }
  };

  const patchStatus = (name: string, phase: 'Terminating' | 'Dropped', message: string): Promise<Cluster> => {
    const ready = {
      type: 'Ready',
      status: 'False',
      lastTransitionTime: timestamp(clock.now()),
      reason: phase,
      message,
    };
    const body = { status: { phase, conditions: [ready] } };
    return fleet().patch<Cluster>(CLUSTERS, '', name, { type: 'merge', body }, { subresource: 'status' });
  };

  const end = async (cluster: Cluster, name: string): Promise<number | undefined> => {
    const began = Date.parse(cluster.metadata.deletionTimestamp ?? '');
    const timeoutMs = (cluster.spec?.deletionTimeoutSeconds ?? TIMEOUT_SECONDS) * 1000;
    const age = clock.now() - began;
    const left = await holding(name);
    if (age < timeoutMs && left.finalizers.length + left.pods.length > 0) {
      // Whoever removes finalizers may be a pod of the cluster: pods stay for half of the time.
      await ask(name, left.finalizers);
      if (left.finalizers.length === 0 || age > timeoutMs / 2) await ask(name, left.pods);
      return pauseMs;
    }
    await patchStatus(name, 'Dropped', 'the cluster is not served any more, its keys are being removed');
    return settleMs;
  };

  const drop = async (cluster: Cluster, name: string): Promise<number | undefined> => {
    const said = cluster.status?.conditions?.find((one) => one.type === 'Ready')?.lastTransitionTime;
    const settled = Date.parse(said ?? '') + settleMs;
    if (settleMs > 0 && clock.now() < settled) return settled - clock.now();
    await store.drop(name);
    options.forget(name);
    const finalizers = (cluster.metadata.finalizers ?? []).filter((one) => one !== KEYS_FINALIZER);
    await fleet().update(CLUSTERS, { ...cluster, metadata: { ...cluster.metadata, finalizers } });
    return undefined;
  };

  return {
    /** Milliseconds until it is to be called again; undefined where nothing is left to do. Rejects to be tried again. */
    step: async (name: string): Promise<number | undefined> => {
      try {
        const cluster = await fleet().get<Cluster>(CLUSTERS, '', name);
        if (!cluster?.metadata.deletionTimestamp || !cluster.metadata.finalizers?.includes(KEYS_FINALIZER))
          return undefined;
        if (cluster.status?.phase === 'Dropped') return await drop(cluster, name);
        if (cluster.status?.phase !== 'Terminating')
          await patchStatus(name, 'Terminating', 'objects with finalizers and pods on nodes are being deleted');
        return await end(cluster, name);
      } catch (error) {
        if (isCode(error, 404)) return undefined;
        if (isCode(error, 409)) return 0;
        throw error;
      }
    },
  };
};
