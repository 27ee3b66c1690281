import type { ResourceQuota } from '../kinds.d.ts';
import type { GroupResource, KubeObject } from '../object.ts';
import { claimQuota } from './claims.ts';
import type { QuotaEvaluator, QuotaScope } from './evaluator.ts';
import { podQuota } from './pods.ts';
import { resourceClaimQuota } from './resource-claims.ts';
import { serviceQuota } from './services.ts';

/** `pods`, `deployments.apps`: how quotas name resource types. */
export const quotaType = ({ group, resource }: GroupResource): string => (group ? `${resource}.${group}` : resource);

const special: Readonly<Record<string, QuotaEvaluator>> = {
  pods: podQuota,
  services: serviceQuota,
  persistentvolumeclaims: claimQuota,
  'resourceclaims.resource.k8s.io': resourceClaimQuota,
};
/** Types that quotas may count by their bare name, from before there was `count/`. */
const bare = new Set(['configmaps', 'resourcequotas', 'replicationcontrollers', 'secrets']);
const ignored = new Set(['events', 'events.events.k8s.io', 'bindings', 'componentstatuses']);
const ignoredGroups = new Set(['authentication.k8s.io', 'authorization.k8s.io']);

const counted = new Map<string, QuotaEvaluator>();

const counting = (type: string): QuotaEvaluator => {
  const known = counted.get(type);
  if (known) return known;
  const name = `count/${type}`;
  const usage = bare.has(type) ? { [name]: '1', [type]: '1' } : { [name]: '1' };
  const made: QuotaEvaluator = {
    measures: (limit) => limit in usage,
    usage: () => usage,
    handles: ({ operation, subresource }) => operation === 'CREATE' && subresource === '',
  };
  if (counted.size > 1000) counted.clear();
  counted.set(type, made);
  return made;
};

/** How objects of a type count; undefined for those that no quota counts. */
export const evaluatorOf = (resource: GroupResource): QuotaEvaluator | undefined => {
  const type = quotaType(resource);
  if (ignored.has(type) || ignoredGroups.has(resource.group)) return undefined;
  return special[type] ?? counting(type);
};

/** The resource type whose objects a limit is about: `count/jobs.batch` those of jobs.batch, `requests.cpu` pods. */
export const measuredBy = (limit: string): string | undefined => {
  if (limit.startsWith('count/')) {
    const type = limit.slice('count/'.length);
    const [resource = '', ...group] = type.split('.');
    return evaluatorOf({ group: group.join('.'), resource }) && type;
  }
  if (bare.has(limit)) return limit;
  return Object.keys(special).find((type) => special[type]?.measures(limit));
};

/** Scopes of a quota, both ways of writing them. */
export const scopesOf = ({ spec }: ResourceQuota): QuotaScope[] => [
  ...(spec?.scopes ?? []).map((scopeName) => ({ scopeName, operator: 'Exists' })),
  ...(spec?.scopeSelector?.matchExpressions ?? []),
];

/** Whether the object is in every scope of the quota. */
export const inScopes = (evaluator: QuotaEvaluator, scopes: readonly QuotaScope[], object: KubeObject): boolean =>
  scopes.every((scope) => evaluator.inScope?.(scope, object) ?? false);
