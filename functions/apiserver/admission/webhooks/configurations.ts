import type {
  RuleWithOperations,
  ValidatingWebhook,
  ValidatingWebhookConfiguration,
} from '../../../machinery/kinds.d.ts';
import { labelSelector, type Selector } from '../../../machinery/selectors.ts';
import { decode } from '../../../store/decoded.ts';
import type { Replica } from '../../../store/replica-port.ts';
import type { Stored } from '../../../store/store.ts';
import type { Server } from '../../context.ts';
import type { ResourceInfo } from '../../registry.ts';
import type { AdmissionRequest } from '../admission.ts';

/** One webhook of a configuration; validating ones have no reinvocationPolicy. */
export type WebhookSpec = ValidatingWebhook & { reinvocationPolicy?: string };

export interface Hook {
  spec: WebhookSpec;
  /** Of its configuration. */
  configuration: string;
  /** Tells hooks apart over one request, also where two of a configuration have one name. */
  id: string;
  /** Its place among all hooks of the cluster. */
  index: number;
  namespaces: Selector;
  objects: Selector;
}

/** A hook that a rule sends requests of one kind to, and the version of the resource that it is shown. */
export interface Match {
  hook: Hook;
  /** The resource type whose version the hook sees; the request's own, or an equivalent one. */
  resource: ResourceInfo;
}

/** The hooks that rules send a request to, in the order they are called; selectors and conditions are still to be asked. */
export type Matches = (request: AdmissionRequest) => readonly Match[];

const none: readonly Match[] = [];

const has = (values: readonly string[] | undefined, wanted: string): boolean =>
  values?.some((value) => value === '*' || value === wanted) ?? false;

const isNamespaces = ({ group, resource }: ResourceInfo): boolean => group === '' && resource === 'namespaces';

const inScope = (rule: RuleWithOperations, resource: ResourceInfo): boolean => {
  if (!rule.scope || rule.scope === '*') return true;
  const namespaced = resource.namespaced && !isNamespaces(resource);
  return namespaced === (rule.scope === 'Namespaced');
};

const namesResource = (rule: RuleWithOperations, resource: string, subresource: string): boolean =>
  rule.resources?.some((pattern) => {
    const slash = pattern.indexOf('/');
    const [own, sub] = slash < 0 ? [pattern, ''] : [pattern.slice(0, slash), pattern.slice(slash + 1)];
    return (own === '*' || own === resource) && (sub === '*' || sub === subresource);
  }) ?? false;

const ruleMatches = (
  rule: RuleWithOperations,
  operation: string,
  resource: ResourceInfo,
  subresource: string,
): boolean =>
  inScope(rule, resource) &&
  has(rule.operations, operation) &&
  has(rule.apiGroups, resource.group) &&
  has(rule.apiVersions, resource.version) &&
  namesResource(rule, resource.resource, subresource);

/** The resource types that show the same stored objects, besides this one. */
const equivalents = (all: readonly ResourceInfo[], resource: ResourceInfo): ResourceInfo[] =>
  all.filter(
    (one) =>
      one !== resource &&
      one.storage.group === resource.storage.group &&
      one.storage.resource === resource.storage.resource &&
      (one.group !== resource.group || one.version !== resource.version),
  );

const matched = (
  hook: Hook,
  operation: string,
  resource: ResourceInfo,
  subresource: string,
  others: readonly ResourceInfo[],
): Match | undefined => {
  const rules = hook.spec.rules ?? [];
  if (rules.some((rule) => ruleMatches(rule, operation, resource, subresource))) return { hook, resource };
  if (hook.spec.matchPolicy === 'Exact') return undefined;
  for (const rule of rules)
    for (const other of others) if (ruleMatches(rule, operation, other, subresource)) return { hook, resource: other };
  return undefined;
};

const hooksOf = (stored: readonly Stored[]): Hook[] =>
  stored
    .map((one) => decode(one) as ValidatingWebhookConfiguration)
    .sort((a, b) => ((a.metadata.name ?? '') < (b.metadata.name ?? '') ? -1 : 1))
    .flatMap(({ metadata, webhooks = [] }) =>
      webhooks.map((spec, i) => ({
        spec,
        configuration: metadata.name ?? '',
        id: `${metadata.name}/${spec.name}/${i}`,
        namespaces: labelSelector(spec.namespaceSelector),
        objects: labelSelector(spec.objectSelector),
      })),
    )
    .map((hook, index) => ({ ...hook, index }));

/** The hooks of one state of the configurations, found once for each kind of request. */
interface Index {
  hooks: readonly Hook[];
  /** The registry's list that the equivalent versions were taken from. */
  all: readonly ResourceInfo[];
  found: WeakMap<ResourceInfo, Map<string, readonly Match[]>>;
}

const lookUp = (index: Index, { call, operation, subresource }: AdmissionRequest): readonly Match[] => {
  const { resource } = call;
  let known = index.found.get(resource);
  if (!known) {
    known = new Map();
    index.found.set(resource, known);
  }
  const key = `${operation}/${subresource}`;
  let matches = known.get(key);
  if (!matches) {
    const others = equivalents(index.all, resource);
    matches = index.hooks.flatMap((hook) => matched(hook, operation, resource, subresource, others) ?? []);
    known.set(key, matches);
  }
  return matches;
};

/** How old what other processes wrote may be, in milliseconds. What this one wrote is known at once. */
const lookMs = 1000;

interface Followed {
  replica: Replica;
  lookedAt: number;
  /** Absent until it is asked for, and after each change. */
  index?: Index | undefined;
}

/** Follows the configurations of one kind in each cluster. A request in a cluster without any costs one look-up. */
export const createConfigurations = (resource: string) => {
  const clusters = new Map<string, Followed>();

  const follow = (cluster: string, replica: Replica): Followed => {
    const made: Followed = { replica, lookedAt: 0 };
    clusters.set(cluster, made);
    replica.onApplied(
      (changes) => {
        if (changes.length > 0) made.index = undefined;
      },
      () => {
        if (clusters.get(cluster) === made) clusters.delete(cluster);
      },
    );
    return made;
  };

  const look = async (server: Server, cluster: string): Promise<Followed> => {
    const replica = await server.replicas.of({ cluster, group: 'admissionregistration.k8s.io', resource });
    const known = clusters.get(cluster);
    const followed = known?.replica === replica ? known : follow(cluster, replica);
    await replica.fresh();
    followed.lookedAt = server.clock.now();
    return followed;
  };

  const matchesIn = (followed: Followed, request: AdmissionRequest): readonly Match[] => {
    const { replica } = followed;
    if (replica.size === 0) return none;
    const all = request.call.server.registry.all(replica.domain.cluster);
    if (followed.index?.all !== all) {
      const hooks = followed.index?.hooks ?? hooksOf(replica.list({}));
      followed.index = { hooks, all, found: new WeakMap() };
    }
    return lookUp(followed.index, request);
  };

  return {
    /**
     * Calls with the hooks that a request goes to by its rules, where there are any: by configuration's name, then as they
     * are listed. Mostly it is known at once that there are none.
     */
    withMatches: (
      request: AdmissionRequest,
      then: (matches: readonly Match[]) => Promise<void>,
    ): Promise<void> | undefined => {
      const { server, info } = request.call;
      const run = (followed: Followed) => {
        const matches = matchesIn(followed, request);
        return matches.length > 0 ? then(matches) : undefined;
      };
      const known = clusters.get(info.cluster);
      if (known && server.clock.now() - known.lookedAt < lookMs) return run(known);
      return look(server, info.cluster).then(run);
    },
  };
};
