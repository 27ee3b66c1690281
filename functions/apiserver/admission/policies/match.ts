/**
 * Whether a policy or a binding is about a request: rules, scopes, selectors, and other versions of the same resource
 * (matchPolicy Equivalent).
 *
 *   const criteria = criteriaOf(spec.matchConstraints)
 *   await matches(criteria, subject)   the resource and kind that the rule speaks of, or undefined
 */
import type { MatchResources, NamedRuleWithOperations } from '../../../machinery/kinds.d.ts';
import type { KubeObject } from '../../../machinery/object.ts';
import { labelSelector, type Selector } from '../../../machinery/selectors.ts';
import { notFound } from '../../../machinery/status.ts';
import type { AnyObject } from '../../context.ts';
import type { ResourceInfo } from '../../registry.ts';
import type { AdmissionRequest } from '../admission.ts';
import { storedObject } from '../stored.ts';

export interface Kind {
  group: string;
  version: string;
  kind: string;
}
/** What a request is about, as rules see it. */
export interface Subject {
  request: AdmissionRequest;
  resource: ResourceInfo;
  subresource: string;
  kind: Kind;
  name: string;
  /** Of a Namespace: its own name. */
  namespace: string;
  /** The other versions of the resource, where there are some. */
  equivalents: readonly ResourceInfo[];
}
/** The resource that a rule matched, and the kind of the object in that version. */
export interface Matched {
  resource: ResourceInfo;
  kind: Kind;
}

export interface Criteria {
  rules: readonly NamedRuleWithOperations[];
  excluded: readonly NamedRuleWithOperations[];
  equivalent: boolean;
  namespaces: Selector;
  objects: Selector;
}

export const criteriaOf = (match: MatchResources): Criteria => ({
  rules: match.resourceRules ?? [],
  excluded: match.excludeResourceRules ?? [],
  equivalent: match.matchPolicy === 'Equivalent',
  namespaces: labelSelector(match.namespaceSelector ?? {}),
  objects: labelSelector(match.objectSelector ?? {}),
});

const isNamespaces = ({ group, resource }: ResourceInfo): boolean => group === '' && resource === 'namespaces';

/** The kind of what a request carries: a subresource may have one of its own. */
export const kindOf = (resource: ResourceInfo, subresource: string): Kind => {
  const { group, version, kind } = resource.subresources.get(subresource) ?? resource;
  return { group, version, kind };
};

export const equivalentsOf = (request: AdmissionRequest): readonly ResourceInfo[] => {
  const { server, info, resource } = request.call;
  const { storage } = resource;
  return server.registry
    .all(info.cluster)
    .filter(
      (one) => one !== resource && one.storage.group === storage.group && one.storage.resource === storage.resource,
    );
};

export const subjectOf = (request: AdmissionRequest, equivalents: readonly ResourceInfo[]): Subject => {
  const { call, object, subresource } = request;
  const { resource, info } = call;
  const name = info.name || (request.operation === 'CREATE' ? (object?.metadata.name ?? '') : '');
  return {
    request,
    resource,
    subresource,
    kind: kindOf(resource, subresource),
    name,
    namespace: isNamespaces(resource) ? name : info.namespace,
    equivalents,
  };
};

const has = (items: readonly string[] | undefined, wanted: string): boolean =>
  items !== undefined && (items.includes('*') || items.includes(wanted));

const hasResource = (resources: readonly string[] | undefined, resource: string, subresource: string): boolean =>
  resources?.some((text) => {
    const at = text.indexOf('/');
    const main = at < 0 ? text : text.slice(0, at);
    const sub = at < 0 ? '' : text.slice(at + 1);
    return (main === '*' || main === resource) && (sub === '*' || sub === subresource);
  }) ?? false;

/** What of a rule does not depend on the single object. */
const isAbout = (
  rule: NamedRuleWithOperations,
  { group, version, resource }: ResourceInfo,
  subresource: string,
  operation: string,
): boolean =>
  has(rule.operations, operation) &&
  has(rule.apiGroups, group) &&
  has(rule.apiVersions, version) &&
  hasResource(rule.resources, resource, subresource);

/** Whether any rule could match requests of a kind at all; asked once for each kind of request. */
export const couldMatch = (
  criteria: Criteria,
  resources: readonly ResourceInfo[],
  subresource: string,
  operation: string,
): boolean =>
  resources.some((resource, i) =>
    i > 0 && !criteria.equivalent
      ? false
      : criteria.rules.some((rule) => isAbout(rule, resource, subresource, operation)),
  );

const inScope = (rule: NamedRuleWithOperations, resource: ResourceInfo, namespace: string): boolean => {
  if (rule.scope === 'Namespaced') return !isNamespaces(resource) && namespace !== '';
  if (rule.scope === 'Cluster') return isNamespaces(resource) || namespace === '';
  return true;
};

const matchRules = (
  rules: readonly NamedRuleWithOperations[],
  equivalent: boolean,
  subject: Subject,
): Matched | undefined => {
  const { resource, subresource, name, namespace, request } = subject;
  const fits = (rule: NamedRuleWithOperations, of: ResourceInfo): boolean =>
    isAbout(rule, of, subresource, request.operation) &&
    inScope(rule, of, namespace) &&
    (!rule.resourceNames?.length || rule.resourceNames.includes(name));
  if (rules.some((rule) => fits(rule, resource))) return { resource, kind: subject.kind };
  if (!equivalent || subject.equivalents.length === 0) return undefined;
  for (const rule of rules)
    for (const other of subject.equivalents)
      if (fits(rule, other)) return { resource: other, kind: kindOf(other, subresource) };
  return undefined;
};

/** The labels of the namespace that a request is in, or of the one that it writes. Throws 404. */
const namespaceLabels = async ({
  request,
  resource,
  subresource,
  namespace,
}: Subject): Promise<Record<string, string> | undefined> => {
  const { operation, object } = request;
  if (isNamespaces(resource) && subresource === '' && (operation === 'CREATE' || operation === 'UPDATE'))
    return object?.metadata.labels;
  const found = await storedObject<KubeObject>(request.call, '', 'namespaces', namespace);
  if (!found) throw notFound({ group: '', kind: 'namespaces', name: namespace });
  return found.metadata.labels;
};

const inNamespace = async (selector: Selector, subject: Subject): Promise<boolean> => {
  if (subject.namespace === '' && subject.resource.resource !== 'namespaces') return true;
  return selector.empty || selector.matches(await namespaceLabels(subject));
};

const isSelected = (selector: Selector, { request }: Subject): boolean => {
  if (selector.empty) return true;
  const selects = (object: AnyObject | undefined): boolean =>
    object !== undefined && selector.matches(object.metadata?.labels);
  return selects(request.object) || selects(request.old);
};

/** Throws StatusError 404 where the namespace whose labels are asked for is not there. */
export const matches = async (criteria: Criteria, subject: Subject): Promise<Matched | undefined> => {
  const { excluded, equivalent, rules } = criteria;
  const found = rules.length === 0 ? subject : matchRules(rules, equivalent, subject);
  if (!found || !isSelected(criteria.objects, subject)) return undefined;
  if (matchRules(excluded, equivalent, subject)) return undefined;
  if (!(await inNamespace(criteria.namespaces, subject))) return undefined;
  return { resource: found.resource, kind: found.kind };
};
