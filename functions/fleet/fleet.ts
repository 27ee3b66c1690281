import type { ConnectionInfo } from '../apiserver/context.ts';
import { BUILT_IN, type Cluster, FLEET } from '../apiserver/fleet/cluster-kind.ts';
import type { RequestInfo } from '../apiserver/request-info.ts';
import type { Client } from '../client/client.ts';
import { timestamp } from '../clock/clock.ts';
import { forbidden, StatusError, tooManyRequests } from '../machinery/status.ts';
import type { Message } from '../queue/queue.ts';
import type { Replicas } from '../store/replica-port.ts';
import type { Change, Domain, Store } from '../store/store.ts';
import { CLUSTERS_DOMAIN, type ClusterRecord, createClusters, recordOf } from './clusters.ts';
import { CLUSTERS, createDeletion } from './deletion.ts';
import { createQuotaStore } from './quota-store.ts';
import { createRequestRate } from './request-rate.ts';
import { createUsages, type Usage } from './usage.ts';

/** The consumer of messages about Cluster objects. */
export const FLEET_CONSUMER = 'fleet';

export interface FleetOptions {
  /** Of all clusters, without quotas. */
  store: Store;
  replicas: Replicas;
  clock: { now(): number; after(ms: number, callback: () => void): () => void };
  /** A client of a cluster as a part of the control plane. */
  client(cluster: string): Client;
  /** Makes what every cluster starts with, where it is missing. */
  seed(cluster: string): Promise<void>;
  /** Whether this is the only process that writes, and is told of all changes: then nothing is read twice. */
  alone: boolean;
  /** The keys of a cluster are gone: what this process remembers of it may go. */
  forget?(cluster: string): void;
  onFailure?(what: string, error: unknown): void;
}

export interface Fleet {
  /** For the API server: quotas are enforced at its commits. */
  store: Store;
  clusterExists(cluster: string): boolean | Promise<boolean>;
  admitRequest(info: RequestInfo, connection: ConnectionInfo): void;
  /** The uid of a cluster's object, once `clusterExists` has seen it. */
  uidOf(cluster: string): string | undefined;
  /** What its object asks for, likewise; the same object until the Cluster changes. Undefined for the built-in ones. */
  specOf(cluster: string): Cluster['spec'];
  /** Committed changes, in order: for usage, and for the messages that are to be sent. */
  changed(domain: Domain, changes: readonly Change[]): Message[];
  /** Works on a message of FLEET_CONSUMER; milliseconds until it is to come again. */
  handle(message: Message): Promise<number | undefined>;
  /** Deletions that were begun before this process, as messages; and the clusters whose objects may have been missed. */
  resume(): Promise<{ messages: Message[]; used: string[] }>;
  /** Makes the object of a cluster whose keys are there already, restored from a snapshot; keeps the one there is. */
  adopt(cluster: string): Promise<void>;
  close(): void;
}

/** Label of clusters whose objects were there before they were: somebody has to look at all of them. */
export const RESTORED = 'skiff.dev/restored';

/** A Cluster may be read this late where other processes write, and for so long nobody counts again what they wrote. */
const STALE_MS = 2_000;
const RECOUNT_MS = 60_000;
/** A write that passed the gate of another process has ended by then. */
const SETTLE_MS = 15_000;
/** Usage is written into the status this long after it changed. */
const USAGE_MS = 5_000;

/** What a cluster that is being deleted still creates: what is about requests, and what parts of it tell. */
const stillCreated = new Set(['authentication.k8s.io', 'authorization.k8s.io', 'events.k8s.io', 'coordination.k8s.io']);
const isHealth = /^\/(healthz|livez|readyz|version)(\/|$)/;
const isClusters = ({ cluster, group, resource }: Domain): boolean =>
  cluster === FLEET && group === CLUSTERS_DOMAIN.group && resource === CLUSTERS_DOMAIN.resource;
const messageOf = (key: string): Message => ({ cluster: FLEET, consumer: FLEET_CONSUMER, key });

/** The clusters of a deployment: which there are, what they may use, and how they go. One of it per process. */
export const createFleet = (options: FleetOptions): Fleet => {
  const { store, replicas, clock, client, alone } = options;
  const fail = (what: string) => (error: unknown) => options.onFailure?.(what, error);
  const rate = createRequestRate(clock);
  const writing = new Map<string, () => void>();

  const patchStatus = async (name: string, status: object): Promise<void> => {
    await client(FLEET).patch(CLUSTERS, '', name, { type: 'merge', body: { status } }, { subresource: 'status' });
  };
  const seeded = async ({ name }: ClusterRecord): Promise<void> => {
    const lastTransitionTime = timestamp(clock.now());
    const is = (type: string, reason: string, message: string) => ({
      type,
      status: 'True',
      lastTransitionTime,
      reason,
      message,
    });
    const conditions = [
      is('Ready', 'Served', 'the cluster is served'),
      is('Seeded', 'Used', 'what every cluster starts with has been made'),
    ];
    // Whoever asks need not wait for it: it is only looked at again where it was not written.
    patchStatus(name, { conditions }).catch(fail(`status of cluster ${name}`));
  };
  const clusters = createClusters({ replicas, clock, staleMsMax: alone ? 0 : STALE_MS, seed: options.seed, seeded });

  const counted = (name: string, { objects, bytes, nodes }: Usage): Promise<void> =>
    patchStatus(name, { usage: { objects, bytes, nodes, countedAt: timestamp(clock.now()) } });
  const usages = createUsages({
    store,
    clock,
    recountMs: alone ? 'told-of-changes' : RECOUNT_MS,
    // Where changes are told, it is written when they have come to rest.
    counted: (name, usage) => {
      if (!alone) counted(name, usage).catch(fail(`usage of cluster ${name}`));
    },
  });
  const writeUsage = async (name: string): Promise<void> => {
    if (clusters.find(name)?.phase !== 'Ready') return;
    await counted(name, await usages.of(name));
  };
  const usageChanged = (cluster: string): void => {
    if (writing.has(cluster)) return;
    const stop = clock.after(USAGE_MS, () => {
      writing.delete(cluster);
      writeUsage(cluster).catch(fail(`usage of cluster ${cluster}`));
    });
    writing.set(cluster, stop);
  };
  const forget = (cluster: string): void => {
    writing.get(cluster)?.();
    writing.delete(cluster);
    usages.forget(cluster);
    rate.forget(cluster);
    options.forget?.(cluster);
  };
  const settleMs = alone ? 0 : SETTLE_MS;
  const deletion = createDeletion({ store, clock, client, settleMs, pauseMs: alone ? 200 : 2_000, forget });

  const limited = createQuotaStore({ store, usages, find: clusters.find });
  const admitTerminating = (info: RequestInfo): void => {
    if (info.verb !== 'create' || !info.isResource || info.subresource || stillCreated.has(info.group)) return;
    if (info.group === '' && info.resource === 'events') return;
    const subject = { group: info.group, kind: info.resource, name: info.name };
    throw forbidden(subject, `the cluster "${info.cluster}" is being deleted`);
  };

  return {
    store: limited.store,
    clusterExists: clusters.exists,
    admitRequest: (info, { internal }) => {
      if (BUILT_IN.has(info.cluster)) return;
      const record = clusters.find(info.cluster);
      if (!record) return;
      if (record.phase !== 'Ready') admitTerminating(info);
      const { requestsPerSecond } = record.quotas;
      if (internal || requestsPerSecond === undefined || (!info.isResource && isHealth.test(info.path))) return;
      const seconds = rate.take(info.cluster, requestsPerSecond);
      if (seconds === undefined) return;
      const limit = `the cluster "${info.cluster}" is limited to ${requestsPerSecond} requests per second`;
      throw tooManyRequests(`${limit}, please try again later`, seconds);
    },
    uidOf: (cluster) => clusters.find(cluster)?.uid,
    specOf: (cluster) => clusters.find(cluster)?.spec,
    changed: (domain, changes) => {
      if (isClusters(domain)) {
        const puts = changes.filter(({ type }) => type === 'put').map(({ stored }) => stored);
        return puts.filter((stored) => recordOf(stored).phase !== 'Ready').map(({ key }) => messageOf(key));
      }
      if (!alone || BUILT_IN.has(domain.cluster)) return [];
      limited.landed(domain, changes);
      usages.changed(domain, changes);
      usageChanged(domain.cluster);
      return [];
    },
    handle: ({ key }) => deletion.step(key),
    resume: async () => {
      const all = await clusters.all();
      return {
        messages: all.filter(({ phase }) => phase !== 'Ready').map(({ name }) => messageOf(name)),
        used: all.filter((one) => one.seeded && one.phase === 'Ready').map(({ name }) => name),
      };
    },
    adopt: async (name) => {
      if (BUILT_IN.has(name)) return;
      const object = {
        apiVersion: 'skiff.dev/v1',
        kind: 'Cluster',
        metadata: { name, labels: { [RESTORED]: 'true' } },
      };
      await client(FLEET)
        .create(CLUSTERS, object)
        .catch((error) => {
          if (!(error instanceof StatusError) || error.code !== 409) throw error;
        });
    },
    close: () => {
      for (const stop of writing.values()) stop();
      writing.clear();
    },
  };
};
