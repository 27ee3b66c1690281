import type { PersistentVolumeClaim, Pod, ResourceQuota, Service } from '../../machinery/kinds.d.ts';
import { type GroupResource, type KubeObject, keyOf } from '../../machinery/object.ts';
import type { Controller, Instant, Plan } from '../controller.ts';
import { ownKey } from '../owners.ts';
import { resourceQuotas } from '../resources.ts';
import { sameJson, statusWrite } from '../status-patch.ts';
import { add, counts, holdsNothing, podUsage, type Usage } from './pod-usage.ts';

export interface QuotaObserved {
  quota: ResourceQuota;
  /** Objects of the namespace by `resource` or `resource.group`, of every type that the quota limits. */
  objects: ReadonlyMap<string, readonly KubeObject[]>;
}

const named = new Set([
  'configmaps',
  'secrets',
  'replicationcontrollers',
  'resourcequotas',
  'services',
  'persistentvolumeclaims',
]);
const classSuffix = '.storageclass.storage.k8s.io/';

const idOf = ({ group, resource }: GroupResource): string => (group ? `${resource}.${group}` : resource);

/** The resource type whose objects a limit counts: `count/jobs.batch` those of jobs.batch, `requests.cpu` pods. */
const countedBy = (limit: string): string => {
  if (limit.startsWith('count/')) return limit.slice('count/'.length);
  if (named.has(limit)) return limit;
  if (limit.startsWith('services.')) return 'services';
  return limit === 'requests.storage' || limit.includes(classSuffix) ? 'persistentvolumeclaims' : 'pods';
};

const limitsOf = (quota: ResourceQuota): string[] => Object.keys(quota.spec?.hard ?? {});

const serviceUsage = ({ spec }: Service): Usage => {
  const ports = (spec?.ports ?? []).length;
  const opened =
    spec?.type === 'NodePort' || (spec?.type === 'LoadBalancer' && spec.allocateLoadBalancerNodePorts !== false);
  return {
    services: '1',
    ...(spec?.type === 'LoadBalancer' && { 'services.loadbalancers': '1' }),
    ...(opened && { 'services.nodeports': String(ports) }),
  };
};

const claimUsage = ({ spec }: PersistentVolumeClaim): Usage => {
  const storage = String(spec?.resources?.requests?.storage ?? '0');
  const usage: Usage = { persistentvolumeclaims: '1', 'requests.storage': storage };
  if (!spec?.storageClassName) return usage;
  const prefix = `${spec.storageClassName}${classSuffix}`;
  return { ...usage, [`${prefix}requests.storage`]: storage, [`${prefix}persistentvolumeclaims`]: '1' };
};

const usageOf = (quota: ResourceQuota, type: string, object: KubeObject, now: Instant): Usage => {
  const counted = { [`count/${type}`]: '1' };
  if (type === 'services') return { ...counted, ...serviceUsage(object as Service) };
  if (type === 'persistentvolumeclaims') return { ...counted, ...claimUsage(object as PersistentVolumeClaim) };
  if (type !== 'pods') return { ...counted, [type]: '1' };
  const pod = object as Pod;
  if (!counts(quota, pod)) return {};
  return holdsNothing(pod, now) ? counted : { ...counted, ...podUsage(pod) };
};

const decide = ({ quota, objects }: QuotaObserved, now: Instant): Plan => {
  const used: Usage = Object.fromEntries(limitsOf(quota).map((limit) => [limit, '0']));
  for (const [type, list] of objects) {
    for (const object of list) {
      for (const [key, amount] of Object.entries(usageOf(quota, type, object, now))) {
        if (used[key] !== undefined) used[key] = add(used[key], amount);
      }
    }
  }
  return { writes: statusWrite(quota, resourceQuotas, { hard: quota.spec?.hard ?? {}, used }) };
};

/** Keeps status.used of quotas: what the objects of their namespace hold. */
export const resourceQuotaController: Controller<QuotaObserved> = {
  name: 'resourcequota',
  watches: [
    { resource: resourceQuotas, keys: ownKey },
    {
      resource: { group: '*', resource: '*' },
      async keys({ resource, object, previous, deleted }, read) {
        const { namespace } = object.metadata;
        if (!namespace || resource.resource === 'events' || resource.resource === 'leases') return [];
        const type = idOf(resource);
        const weighs = ['pods', 'services', 'persistentvolumeclaims'].includes(type);
        if (previous && !deleted && !weighs) return [];
        if (previous && !deleted && type === 'pods' && samePod(object as Pod, previous as Pod)) return [];
        const quotas = await read.list<ResourceQuota>(resourceQuotas, { namespace });
        return quotas
          .filter((quota) => limitsOf(quota).some((limit) => countedBy(limit) === type))
          .map((quota) => keyOf(namespace, quota.metadata.name ?? ''));
      },
    },
  ],
  async observe(read, key) {
    const quota = await read.get<ResourceQuota>(resourceQuotas, key.namespace, key.name);
    if (!quota) return undefined;
    const objects = new Map<string, readonly KubeObject[]>();
    for (const type of new Set(limitsOf(quota).map(countedBy))) {
      const [resource = '', ...group] = type.split('.');
      objects.set(type, await read.list({ group: group.join('.'), resource }, { namespace: key.namespace }));
    }
    return { quota, objects };
  },
  decide,
};

const samePod = (pod: Pod, before: Pod): boolean =>
  pod.status?.phase === before.status?.phase &&
  pod.metadata.deletionTimestamp === before.metadata.deletionTimestamp &&
  sameJson(pod.spec, before.spec);
