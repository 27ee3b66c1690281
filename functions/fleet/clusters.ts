import { BUILT_IN, type Cluster, type ClusterQuotas, FLEET } from '../apiserver/fleet/cluster-kind.ts';
import type { Replica, Replicas } from '../store/replica-port.ts';
import type { Domain, Stored } from '../store/store.ts';

/** Where Cluster objects are stored. */
export const CLUSTERS_DOMAIN: Domain = { cluster: FLEET, group: 'skiff.dev', resource: 'clusters' };

/** What a process knows of a cluster, out of its object. */
export interface ClusterRecord {
  name: string;
  uid: string;
  phase: 'Ready' | 'Terminating' | 'Dropped';
  /** As stored; another object only after a change of the Cluster. */
  spec: NonNullable<Cluster['spec']>;
  quotas: ClusterQuotas;
  /** What every cluster starts with has been made. */
  seeded: boolean;
}

export interface ClustersOptions {
  replicas: Replicas;
  clock: { now(): number };
  /** An object may be read this late, in milliseconds; 0 where the store pushes its changes, which makes looking free. */
  staleMsMax: number;
  /** Makes what every cluster starts with, where it is missing. */
  seed(cluster: string): Promise<void>;
  /** Told once a cluster that its object calls unseeded has been seeded. */
  seeded(record: ClusterRecord): Promise<void>;
}

export interface Clusters {
  /** Whether a cluster is served; rejects where it could not be made ready. At once where nothing is to be done. */
  exists(cluster: string): boolean | Promise<boolean>;
  /** As last seen by this process: `exists` has looked before. Undefined for the built-in ones, which have no object. */
  find(cluster: string): ClusterRecord | undefined;
  /** All that have an object. */
  all(): Promise<ClusterRecord[]>;
}

const records = new WeakMap<Stored, ClusterRecord>();

/** The record of a stored Cluster; each state is parsed once. */
export const recordOf = (stored: Stored): ClusterRecord => {
  const known = records.get(stored);
  if (known) return known;
  const { metadata, spec, status } = JSON.parse(Buffer.from(stored.bytes).toString()) as Cluster;
  const phase = status?.phase ?? 'Ready';
  const record: ClusterRecord = {
    name: stored.key,
    uid: metadata.uid ?? '',
    phase: phase === 'Ready' && metadata.deletionTimestamp ? 'Terminating' : phase,
    spec: spec ?? {},
    quotas: spec?.quotas ?? {},
    seeded: status?.conditions?.some((c) => c.type === 'Seeded' && c.status === 'True') ?? false,
  };
  records.set(stored, record);
  return record;
};

/** An unknown name is looked up again at most this often: names that nobody gave must not cost a read each. */
const UNKNOWN_MS = 200;

/** Which clusters there are. Costs one replica of the Cluster objects, and nothing per cluster until it is asked for. */
export const createClusters = (options: ClustersOptions): Clusters => {
  const { replicas, clock, staleMsMax } = options;
  let replica: Replica | undefined;
  let freshAt = Number.NEGATIVE_INFINITY;
  /** uids of clusters that this process has seeded, and whose objects do not say so yet. */
  const done = new Set<string>();
  const seeding = new Map<string, Promise<void>>();
  /** uids of clusters whose default objects have been looked over since this process began. */
  const looked = new Set<string>();
  let fleetSeeded = false;

  const refresh = async (): Promise<Replica> => {
    const loaded = await replicas.of(CLUSTERS_DOMAIN);
    const now = clock.now();
    await loaded.fresh();
    replica = loaded;
    freshAt = now;
    return loaded;
  };
  const seedOnce = (id: string, cluster: string, then: () => Promise<void>): Promise<void> => {
    const known = seeding.get(id);
    if (known) return known;
    const begun = options
      .seed(cluster)
      .then(then)
      .finally(() => seeding.delete(id));
    seeding.set(id, begun);
    return begun;
  };
  /** Each process looks once whether a cluster still has what it began with; nobody waits for that. */
  const lookOver = ({ uid, name, phase }: ClusterRecord): void => {
    if (phase !== 'Ready' || looked.has(uid)) return;
    looked.add(uid);
    options.seed(name).catch(() => looked.delete(uid));
  };
  const ready = async (record: ClusterRecord): Promise<boolean> => {
    if (record.phase === 'Dropped') return false;
    if (record.seeded) {
      done.delete(record.uid);
      lookOver(record);
    } else if (record.phase === 'Ready' && !done.has(record.uid))
      await seedOnce(record.uid, record.name, async () => {
        done.add(record.uid);
        looked.add(record.uid);
        await options.seeded(record);
      });
    return true;
  };
  const find = (cluster: string): ClusterRecord | undefined => {
    const stored = replica?.get(cluster);
    return stored && recordOf(stored);
  };
  const look = async (cluster: string): Promise<boolean> => {
    const loaded = await refresh();
    const stored = loaded.get(cluster);
    return stored !== undefined && ready(recordOf(stored));
  };
  const fleetReady = async (): Promise<boolean> => {
    await seedOnce(FLEET, FLEET, async () => {
      fleetSeeded = true;
    });
    return true;
  };

  return {
    exists: (cluster) => {
      if (BUILT_IN.has(cluster)) return cluster !== FLEET || fleetSeeded || fleetReady();
      // A replica that nobody asks for leaves memory, and is told of no changes then.
      const current = replicas.peek(CLUSTERS_DOMAIN);
      if (!current || current !== replica) return look(cluster);
      const record = find(cluster);
      const age = clock.now() - freshAt;
      if (staleMsMax > 0 && age > (record ? staleMsMax : Math.min(UNKNOWN_MS, staleMsMax))) return look(cluster);
      if (!record) return false;
      return record.seeded && record.phase !== 'Dropped' && done.size === 0 && looked.has(record.uid)
        ? true
        : ready(record);
    },
    find,
    all: async () => (await refresh()).list({}).map(recordOf),
  };
};
