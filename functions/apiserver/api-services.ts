import { timestamp } from '../clock/clock.ts';
import { fieldsOf } from '../machinery/apply/fields.ts';
import type { APIService, CustomResourceDefinition } from '../machinery/kinds.d.ts';
import type { KubeObject } from '../machinery/object.ts';
import type { Server } from './context.ts';
import { builtinResources } from './registry-builtin.ts';
import { indexOf, serializer } from './stored-object.ts';
import { localCondition } from './strategies/api-service.ts';

/**
 * The APIService objects of the group versions that this server answers for: one for each built-in one, made with the
 * cluster, and one for each that a CustomResourceDefinition serves, coming and going with it.
 */

interface Priority {
  group: number;
  version: number;
}
/** Discovery shows groups and versions in this order; the figures are upstream's. */
const priorities: Readonly<Record<string, Priority>> = {
  '/v1': { group: 18000, version: 1 },
  'admissionregistration.k8s.io/v1': { group: 16700, version: 15 },
  'apiextensions.k8s.io/v1': { group: 16700, version: 15 },
  'apps/v1': { group: 17800, version: 15 },
  'authentication.k8s.io/v1': { group: 17700, version: 15 },
  'authorization.k8s.io/v1': { group: 17600, version: 15 },
  'autoscaling/v1': { group: 17500, version: 15 },
  'autoscaling/v2': { group: 17500, version: 30 },
  'batch/v1': { group: 17400, version: 15 },
  'certificates.k8s.io/v1': { group: 17300, version: 15 },
  'coordination.k8s.io/v1': { group: 16500, version: 15 },
  'discovery.k8s.io/v1': { group: 16200, version: 15 },
  'events.k8s.io/v1': { group: 17750, version: 15 },
  'flowcontrol.apiserver.k8s.io/v1': { group: 16100, version: 21 },
  'networking.k8s.io/v1': { group: 17200, version: 15 },
  'node.k8s.io/v1': { group: 16300, version: 15 },
  'policy/v1': { group: 17100, version: 15 },
  'rbac.authorization.k8s.io/v1': { group: 17000, version: 15 },
  'resource.k8s.io/v1': { group: 16200, version: 21 },
  'scheduling.k8s.io/v1': { group: 16600, version: 15 },
  'storage.k8s.io/v1': { group: 16800, version: 15 },
};
const custom: Priority = { group: 1000, version: 100 };
const LABEL = 'kube-aggregator.kubernetes.io/automanaged';
const API_VERSION = 'apiregistration.k8s.io/v1';

const owned = (hasGroup: boolean) =>
  fieldsOf([
    ['metadata', 'labels', LABEL],
    ...(hasGroup ? [['spec', 'group']] : []),
    ['spec', 'groupPriorityMinimum'],
    ['spec', 'version'],
    ['spec', 'versionPriority'],
  ]);

const withLabels = (fields: ReturnType<typeof fieldsOf>): object => {
  const metadata = fields?.['f:metadata'] ?? {};
  return { ...fields, 'f:metadata': { 'f:labels': { '.': {}, ...metadata['f:labels'] } } };
};

const apiService = (group: string, version: string, how: 'onstart' | 'true', now: number): APIService => {
  const priority = priorities[`${group}/${version}`] ?? custom;
  const managed = {
    manager: 'kube-apiserver',
    operation: 'Update',
    apiVersion: API_VERSION,
    time: timestamp(now),
    fieldsType: 'FieldsV1',
    fieldsV1: withLabels(owned(group !== '')),
  };
  return {
    kind: 'APIService',
    apiVersion: API_VERSION,
    metadata: { name: `${version}.${group}`, labels: { [LABEL]: how }, managedFields: [managed] },
    spec: {
      ...(group && { group }),
      version,
      groupPriorityMinimum: priority.group,
      versionPriority: priority.version,
    },
    status: { conditions: [localCondition(now)] },
  } as unknown as APIService;
};

/** Those of the built-in group versions, as a new cluster has them. `now` is milliseconds since the epoch. */
export const builtinApiServices = (now: number): KubeObject[] => {
  const seen = new Map<string, KubeObject>();
  for (const { group, version } of builtinResources()) {
    const name = `${group}/${version}`;
    if (group !== 'apiregistration.k8s.io' && !seen.has(name))
      seen.set(name, apiService(group, version, 'onstart', now) as KubeObject);
  }
  return [...seen.values()];
};

/** Group versions that definitions serve. */
const servedVersions = (definitions: readonly CustomResourceDefinition[]): Map<string, [string, string]> => {
  const out = new Map<string, [string, string]>();
  for (const { spec } of definitions)
    for (const { name, served } of spec.versions) if (served) out.set(`${name}.${spec.group}`, [spec.group, name]);
  return out;
};

const DOMAIN = { group: 'apiregistration.k8s.io', resource: 'apiservices' };

/**
 * Makes the APIServices of a cluster fit its definitions. Only those that were made here are removed; one that a user made
 * for the same group version stays. A lost race is left to whoever won it.
 */
export const fitApiServices = async (
  server: Server,
  cluster: string,
  definitions: readonly CustomResourceDefinition[],
): Promise<void> => {
  const resource = server.registry.find(cluster, DOMAIN.group, 'v1', DOMAIN.resource);
  if (!resource) return;
  const domain = { cluster, ...DOMAIN };
  const replica = await server.replicas.of(domain);
  await replica.fresh();
  const wanted = servedVersions(definitions);
  const now = server.clock.now();
  for (const [name, [group, version]] of wanted) {
    if (replica.get(name)) continue;
    const object = apiService(group, version, 'true', now) as KubeObject;
    Object.assign(object.metadata, { uid: server.clock.uuid(), creationTimestamp: timestamp(now) });
    await server.store.commit(domain, [
      { op: 'create', key: name, index: indexOf(resource, object), bytes: serializer(resource, object) },
    ]);
  }
  for (const stored of replica.list({}))
    if (stored.index.labels[LABEL] === 'true' && !wanted.has(stored.key))
      await server.store.commit(domain, [{ op: 'delete', key: stored.key, expected: stored.revision }]);
};

/** The priority of a group that this server answers for: where discovery shows it. */
export const groupPriorityOf = (group: string): number => {
  // Its own group comes before all that APIServices tell of.
  if (group === DOMAIN.group) return Number.POSITIVE_INFINITY;
  for (const [name, { group: priority }] of Object.entries(priorities))
    if (name.startsWith(`${group}/`)) return priority;
  return custom.group;
};
