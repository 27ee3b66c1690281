import { hash } from 'node:crypto';
import { timestamp } from '../clock/clock.ts';
import { flowSchemas, priorityLevels } from '../machinery/flow-control-defaults.ts';
import { groupVersion, type KubeObject, keyOf } from '../machinery/object.ts';
import type { Domain, Outcome, Store, Stored, Write } from '../store/store.ts';
import { builtinApiServices } from './api-services.ts';
import { bootstrapPolicy } from './authz/bootstrap-policy.ts';
import type { ResourceInfo } from './registry.ts';
import { builtinResources } from './registry-builtin.ts';
import { reconcilers } from './seed-reconcile.ts';
import { indexOf, parseStored, serializer } from './stored-object.ts';
import { DEFAULT_RANGES } from './strategies/service-allocation.ts';
import { tracksGeneration } from './verbs/rules.ts';

export interface SeedOptions {
  store: Store;
  cluster: string;
  clock: { now(): number; uuid(): string };
  /** IPv4 address and port at which pods reach the apiserver: the endpoint behind the Service `kubernetes`. */
  apiserver?: { address: string; port: number };
  /** What else the cluster starts with. */
  more?: readonly KubeObject[];
}

export interface Seeded {
  created: number;
  existed: number;
  /** Default objects that had lost something. */
  restored: number;
}

const namespace = (name: string): KubeObject =>
  ({
    kind: 'Namespace',
    apiVersion: 'v1',
    metadata: { name, labels: { 'kubernetes.io/metadata.name': name } },
    spec: { finalizers: ['kubernetes'] },
    status: { phase: 'Active' },
  }) as KubeObject;

const priorityClass = (name: string, value: number, of: string): KubeObject =>
  ({
    kind: 'PriorityClass',
    apiVersion: 'scheduling.k8s.io/v1',
    metadata: { name },
    value,
    description: `For ${of} that must keep running, before every other pod.`,
    preemptionPolicy: 'PreemptLowerPriority',
  }) as KubeObject;

const service = (metadata: KubeObject['metadata'], clusterIP: string, rest: object): KubeObject =>
  ({
    kind: 'Service',
    apiVersion: 'v1',
    metadata,
    spec: {
      ...rest,
      clusterIP,
      clusterIPs: [clusterIP],
      type: 'ClusterIP',
      sessionAffinity: 'None',
      ipFamilies: ['IPv4'],
      ipFamilyPolicy: 'SingleStack',
      internalTrafficPolicy: 'Cluster',
    },
    status: { loadBalancer: {} },
  }) as KubeObject;

/** Every node has a relay at this address (agent/network/addresses.ts). */
const RELAY = { address: '100.96.0.2', port: 6443 };

/** The range of cluster IPs, as clients ask for it (KEP-1880). */
const serviceCidr = (now: number): KubeObject =>
  ({
    kind: 'ServiceCIDR',
    apiVersion: 'networking.k8s.io/v1',
    metadata: { name: 'kubernetes', finalizers: ['networking.k8s.io/service-cidr-finalizer'] },
    spec: { cidrs: [DEFAULT_RANGES.ipv4] },
    status: {
      conditions: [
        {
          type: 'Ready',
          status: 'True',
          lastTransitionTime: timestamp(now),
          reason: '',
          message: 'Kubernetes Service CIDR is ready',
        },
      ],
    },
  }) as KubeObject;

const services = (targetPort: number): KubeObject[] => [
  service(
    { name: 'kubernetes', namespace: 'default', labels: { component: 'apiserver', provider: 'kubernetes' } },
    '10.96.0.1',
    { ports: [{ name: 'https', protocol: 'TCP', port: 443, targetPort }] },
  ),
  service(
    {
      name: 'kube-dns',
      namespace: 'kube-system',
      labels: { 'k8s-app': 'kube-dns', 'kubernetes.io/cluster-service': 'true', 'kubernetes.io/name': 'CoreDNS' },
    },
    '10.96.0.10',
    {
      ports: [
        { name: 'dns', protocol: 'UDP', port: 53, targetPort: 53 },
        { name: 'dns-tcp', protocol: 'TCP', port: 53, targetPort: 53 },
      ],
      selector: { 'k8s-app': 'kube-dns' },
    },
  ),
];

const endpoints = ({ address, port }: { address: string; port: number }): KubeObject[] => [
  {
    kind: 'Endpoints',
    apiVersion: 'v1',
    metadata: {
      name: 'kubernetes',
      namespace: 'default',
      labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' },
    },
    subsets: [{ addresses: [{ ip: address }], ports: [{ name: 'https', port, protocol: 'TCP' }] }],
  } as KubeObject,
  {
    kind: 'EndpointSlice',
    apiVersion: 'discovery.k8s.io/v1',
    metadata: { name: 'kubernetes', namespace: 'default', labels: { 'kubernetes.io/service-name': 'kubernetes' } },
    addressType: 'IPv4',
    endpoints: [{ addresses: [address], conditions: { ready: true } }],
    ports: [{ name: 'https', port, protocol: 'TCP' }],
  } as KubeObject,
];

/** What a cluster has before its first user, in the order of creation. */
const seedObjects = (apiserver: { address: string; port: number } = RELAY, now: number): KubeObject[] => {
  const policy = bootstrapPolicy();
  return [
    ...['default', 'kube-system', 'kube-public', 'kube-node-lease'].map(namespace),
    priorityClass('system-cluster-critical', 2_000_000_000, 'pods of the cluster'),
    priorityClass('system-node-critical', 2_000_001_000, 'pods of a node'),
    ...services(apiserver.port),
    ...endpoints(apiserver),
    serviceCidr(now),
    ...policy.clusterRoles,
    ...policy.clusterRoleBindings,
    ...policy.roles,
    ...policy.roleBindings,
    ...priorityLevels(),
    ...flowSchemas(timestamp(now)),
    ...builtinApiServices(now),
  ] as KubeObject[];
};

const resourceOf = (object: KubeObject): ResourceInfo => {
  const found = builtinResources().find(
    (r) => r.kind === object.kind && groupVersion(r.group, r.version) === object.apiVersion && r.verbs.has('create'),
  );
  if (!found) throw new Error(`no resource serves ${object.apiVersion} ${object.kind}`);
  return found;
};

interface Seeding {
  store: Store;
  domain: Domain;
  resource: ResourceInfo;
  /** Gives an object what every new one has. */
  born(object: KubeObject): KubeObject;
  seeded: Seeded;
}

/** A default object that keeps being changed by others is left to them. */
const ATTEMPTS = 5;

const creation = ({ resource, born }: Seeding, object: KubeObject) => {
  const made = born(object);
  const key = keyOf(made.metadata.namespace, made.metadata.name ?? '');
  return { op: 'create' as const, key, index: indexOf(resource, made), bytes: serializer(resource, made) };
};

const failed = ({ domain }: Seeding, outcome: Outcome): Error =>
  new Error(`cluster ${domain.cluster} is not seeded: ${domain.resource}: ${outcome.ok || outcome.reason}`);

/** Brings an object that is there to what it should be. */
const reconcile = async (seeding: Seeding, wanted: KubeObject, found: Stored | undefined): Promise<void> => {
  const { store, domain, resource, seeded } = seeding;
  const reconciled = reconcilers[`${wanted.apiVersion} ${wanted.kind}`];
  if (!reconciled) return void seeded.existed++;
  const key = keyOf(wanted.metadata.namespace, wanted.metadata.name ?? '');
  let current = found ?? (await store.get(domain, key));
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const next = current ? reconciled(parseStored(resource, current.bytes), wanted) : wanted;
    if (!next) return void seeded.existed++;
    let write: Write;
    if (!current) write = creation(seeding, wanted);
    else if (next === 'again') write = { op: 'delete', key, expected: current.revision };
    else {
      const state = { index: indexOf(resource, next), bytes: serializer(resource, next) };
      write = { op: 'update', key, expected: current.revision, ...state };
    }
    const [outcome] = await store.commit(domain, [write]);
    if (outcome?.ok && write.op !== 'delete') return void seeded.restored++;
    if (outcome && !outcome.ok && !('current' in outcome) && outcome.reason !== 'missing')
      throw failed(seeding, outcome);
    current = outcome?.ok ? undefined : await store.get(domain, key);
  }
};

const seedResource = async (seeding: Seeding, objects: readonly KubeObject[]): Promise<void> => {
  const { store, domain, seeded } = seeding;
  const outcomes = await store.commit(
    domain,
    objects.map((object) => creation(seeding, object)),
  );
  for (const [i, outcome] of outcomes.entries()) {
    const wanted = objects[i];
    if (outcome.ok) seeded.created++;
    else if (outcome.reason === 'exists' && wanted) await reconcile(seeding, wanted, outcome.current);
    else throw failed(seeding, outcome);
  }
};

/**
 * Creates what every cluster starts with, where it is missing: namespaces, the Services `kubernetes` and `kube-dns`,
 * priority classes, the default roles and bindings, flow control objects and APIServices; gives default roles and bindings
 * back what they have lost (seed-reconcile.ts). One commit per kind; everything else that exists is left as it is, so it can
 * run at every start. ConfigMaps and ServiceAccounts come from controllers. Throws when the store refuses.
 */
export const seedCluster = async ({ store, cluster, clock, apiserver, more = [] }: SeedOptions): Promise<Seeded> => {
  const byResource = new Map<ResourceInfo, KubeObject[]>();
  const kinds = new Map<string, ResourceInfo>();
  for (const object of [...seedObjects(apiserver, clock.now()), ...structuredClone(more)]) {
    const name = `${object.apiVersion} ${object.kind}`;
    const resource = kinds.get(name) ?? resourceOf(object);
    kinds.set(name, resource);
    const list = byResource.get(resource);
    if (list) list.push(object);
    else byResource.set(resource, [object]);
  }
  const creationTimestamp = timestamp(clock.now());
  const seeded: Seeded = { created: 0, existed: 0, restored: 0 };
  const seed = ([resource, objects]: [ResourceInfo, KubeObject[]]): Promise<void> => {
    const generation = tracksGeneration(resource) ? { generation: 1 } : {};
    const born = (object: KubeObject): KubeObject => {
      const metadata = { ...object.metadata, uid: clock.uuid(), creationTimestamp, ...generation };
      return { ...object, metadata } as KubeObject;
    };
    const domain = { cluster, group: resource.storage.group, resource: resource.storage.resource };
    return seedResource({ store, domain, resource, born, seeded }, objects);
  };
  await Promise.all([...byResource].map(seed));
  return seeded;
};

const encoder = new TextEncoder();

/** Where no process lasts, what was deleted of the defaults is looked for so often. */
const RECONCILE_MS = 24 * 3_600_000;

/**
 * seedCluster for processes that come and go: a record beside the objects says that these very ones have been made, and
 * when, so that all but the first of a day pay one read.
 */
export const seedClusterOnce = async (options: SeedOptions): Promise<void> => {
  const { store, cluster, clock } = options;
  const key = hash('sha256', JSON.stringify([seedObjects(options.apiserver, 0), options.more]));
  const domain = { cluster, group: 'skiff.dev', resource: 'seeds' };
  const stored = await store.get(domain, key);
  const { at = 0 } = stored ? (JSON.parse(Buffer.from(stored.bytes).toString()) as { at?: number }) : {};
  if (stored && clock.now() - at < RECONCILE_MS) return;
  await seedCluster(options);
  const state = {
    index: { labels: {}, fields: {}, owners: [] },
    bytes: () => encoder.encode(JSON.stringify({ at: clock.now() })),
  };
  // Whoever loses the race has done the same.
  await store.commit(domain, [
    stored ? { op: 'update', key, expected: stored.revision, ...state } : { op: 'create', key, ...state },
  ]);
};
