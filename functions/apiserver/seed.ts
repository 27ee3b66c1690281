import { hash } from 'node:crypto';
import { timestamp } from '../clock/clock.ts';
import { groupVersion, type KubeObject, keyOf } from '../machinery/object.ts';
import type { Store } from '../store/store.ts';
import { builtinApiServices } from './api-services.ts';
import { bootstrapPolicy } from './authz/bootstrap-policy.ts';
import type { ResourceInfo } from './registry.ts';
import { builtinResources } from './registry-builtin.ts';
import { flowSchemas, priorityLevels } from './seed-flow-control.ts';
import { indexOf, serializer } from './stored-object.ts';
import { tracksGeneration } from './verbs/rules.ts';

export interface SeedOptions {
  store: Store;
  cluster: string;
  clock: { now(): number; uuid(): string };
  /** IPv4 address and port at which nodes reach the apiserver: the endpoint behind the Service `kubernetes`. */
  apiserver?: { address: string; port: number };
  /** What else the cluster starts with. */
  more?: readonly KubeObject[];
}

export interface Seeded {
  created: number;
  existed: number;
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
const seedObjects = (apiserver: SeedOptions['apiserver'], now: number): KubeObject[] => {
  const policy = bootstrapPolicy();
  return [
    ...['default', 'kube-system', 'kube-public', 'kube-node-lease'].map(namespace),
    priorityClass('system-cluster-critical', 2_000_000_000, 'pods of the cluster'),
    priorityClass('system-node-critical', 2_000_001_000, 'pods of a node'),
    ...services(apiserver?.port ?? 6443),
    ...(apiserver ? endpoints(apiserver) : []),
    ...policy.clusterRoles,
    ...policy.clusterRoleBindings,
    ...policy.roles,
    ...policy.roleBindings,
    ...priorityLevels(),
    ...flowSchemas(),
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

/**
 * Creates what every cluster starts with, where it is missing: namespaces, the Services `kubernetes` and `kube-dns`,
 * priority classes, the default roles and bindings, flow control objects and APIServices. One commit per kind; what exists is left as
 * it is, so it can run at every start. ConfigMaps and ServiceAccounts come from controllers. Throws when the store refuses.
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
  const seeded: Seeded = { created: 0, existed: 0 };
  const commit = async (resource: ResourceInfo, objects: KubeObject[]): Promise<void> => {
    const writes = objects.map((object) => {
      Object.assign(object.metadata, { uid: clock.uuid(), creationTimestamp });
      if (tracksGeneration(resource)) object.metadata.generation = 1;
      const key = keyOf(object.metadata.namespace, object.metadata.name ?? '');
      return { op: 'create' as const, key, index: indexOf(resource, object), bytes: serializer(resource, object) };
    });
    const domain = { cluster, group: resource.storage.group, resource: resource.storage.resource };
    for (const outcome of await store.commit(domain, writes)) {
      if (outcome.ok) seeded.created++;
      else if (outcome.reason === 'exists') seeded.existed++;
      else throw new Error(`cluster ${cluster} is not seeded: ${resource.resource}: ${outcome.reason}`);
    }
  };
  await Promise.all([...byResource].map(([resource, objects]) => commit(resource, objects)));
  return seeded;
};

const encoder = new TextEncoder();

/**
 * seedCluster for processes that come and go: a record beside the objects says that these very ones have been made, so
 * that all but the first pay one read.
 */
export const seedClusterOnce = async (options: SeedOptions): Promise<void> => {
  const { store, cluster } = options;
  const key = hash('sha256', JSON.stringify([seedObjects(options.apiserver, 0), options.more]));
  const domain = { cluster, group: 'skiff.dev', resource: 'seeds' };
  if (await store.get(domain, key)) return;
  await seedCluster(options);
  const index = { labels: {}, fields: {}, owners: [] };
  await store.commit(domain, [{ op: 'create', key, index, bytes: () => encoder.encode('{}') }]);
};
