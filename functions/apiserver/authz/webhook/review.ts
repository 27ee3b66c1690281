import type { Json } from '../../../machinery/object.ts';
import type { FieldRequirement, Requirement } from '../../../machinery/selectors.ts';
import type { Attributes } from '../authorizer.ts';
import { fieldsOf, labelsOf, requestedName } from '../selectors.ts';

/** SubjectAccessReview of authorization.k8s.io/v1 and v1beta1, as it is sent to a webhook and comes back. */
interface SelectorRequirement {
  key: string;
  operator: string;
  values?: readonly string[];
}
interface ReviewSelector {
  requirements: SelectorRequirement[];
}
export interface ReviewSpec {
  resourceAttributes?: {
    namespace?: string;
    verb?: string;
    group?: string;
    version?: string;
    resource?: string;
    subresource?: string;
    name?: string;
    fieldSelector?: ReviewSelector;
    labelSelector?: ReviewSelector;
  };
  nonResourceAttributes?: { path?: string; verb?: string };
  user?: string;
  groups?: readonly string[];
  extra?: Readonly<Record<string, readonly string[]>>;
  uid?: string;
}

/** What a webhook decided. */
export interface ReviewStatus {
  allowed: boolean;
  denied: boolean;
  reason: string;
}

const byField = ({ field, operator, value }: FieldRequirement): SelectorRequirement => ({
  key: field,
  operator: operator === '=' ? 'In' : 'NotIn',
  values: [value],
});

const operators: Partial<Record<Requirement['operator'], string>> = {
  '=': 'In',
  in: 'In',
  '!=': 'NotIn',
  notin: 'NotIn',
  exists: 'Exists',
  '!': 'DoesNotExist',
};

/** Comparisons of numbers have no form here; leaving them out asks for more, never for less. */
const byLabels = (requirements: readonly Requirement[]): SelectorRequirement[] =>
  requirements.flatMap(({ key, operator, values }) => {
    const named = operators[operator];
    return named ? [{ key, operator: named, ...(values.length > 0 && { values }) }] : [];
  });

const resourceOf = (a: Attributes): ReviewSpec['resourceAttributes'] => {
  const { namespace, verb, group, version, resource, subresource } = a;
  const name = requestedName(a);
  const fields = fieldsOf(a).map(byField);
  const labels = byLabels(labelsOf(a));
  return {
    ...(namespace && { namespace }),
    ...(verb && { verb }),
    ...(group && { group }),
    ...(version && { version }),
    ...(resource && { resource }),
    ...(subresource && { subresource }),
    ...(name && { name }),
    ...(fields.length > 0 && { fieldSelector: { requirements: fields } }),
    ...(labels.length > 0 && { labelSelector: { requirements: labels } }),
  };
};

export const specOf = (a: Attributes): ReviewSpec => {
  const { username, groups, extra, uid } = a.user;
  const { path, verb } = a;
  return {
    ...(a.isResource
      ? { resourceAttributes: resourceOf(a) ?? {} }
      : { nonResourceAttributes: { ...(path && { path }), ...(verb && { verb }) } }),
    ...(username && { user: username }),
    ...(groups.length > 0 && { groups }),
    ...(Object.keys(extra).length > 0 && { extra }),
    ...(uid && { uid }),
  };
};

const GROUP = 'authorization.k8s.io';
const KIND = 'SubjectAccessReview';

/** The body of a question; the older version has another name for the groups. */
export const reviewText = (version: 'v1' | 'v1beta1', spec: ReviewSpec): string => {
  const { groups, ...rest } = spec;
  const sent = version === 'v1' || !groups ? spec : { ...rest, group: groups };
  const status = { allowed: false };
  return JSON.stringify({ kind: KIND, apiVersion: `${GROUP}/${version}`, metadata: {}, spec: sent, status });
};

const flag = (value: unknown, name: string): boolean => {
  if (value !== undefined && value !== null && typeof value !== 'boolean')
    throw new Error(`status.${name} of the answer is no boolean`);
  return value === true;
};

/** Reads an answer. Throws for one that is no SubjectAccessReview of the version that was sent. */
export const statusOf = (version: 'v1' | 'v1beta1', answer: Json): ReviewStatus => {
  if (typeof answer !== 'object' || answer === null || Array.isArray(answer))
    throw new Error('the answer is no SubjectAccessReview');
  const { kind = KIND, apiVersion = `${GROUP}/${version}`, status } = answer;
  if (kind !== KIND || apiVersion !== `${GROUP}/${version}`)
    throw new Error(`expected webhook response of ${GROUP}/${version}, Kind=${KIND}, got ${apiVersion}, Kind=${kind}`);
  const { allowed, denied, reason } = (status ?? {}) as Record<string, unknown>;
  if (reason !== undefined && reason !== null && typeof reason !== 'string')
    throw new Error('status.reason of the answer is no text');
  return { allowed: flag(allowed, 'allowed'), denied: flag(denied, 'denied'), reason: reason ?? '' };
};
