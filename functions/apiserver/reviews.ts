import { timestamp } from '../clock/clock.ts';
import { trackUpdate } from '../machinery/apply/update.ts';
import { groupVersion } from '../machinery/object.ts';
import { badRequest, type Cause, cause, invalid } from '../machinery/status.ts';
import { type Attributes, faultsText } from './authz/authorizer.ts';
import { type SelectorAttributes, selectorsAsked } from './authz/review-selectors.ts';
import type { AnyObject, Call } from './context.ts';
import type { UserInfo } from './registry.ts';
import { decodeAs, parseRequest } from './request-body.ts';
import { objectResponse } from './respond.ts';
import { asJson } from './stored-object.ts';
import { labelValue, qualifiedName } from './strategies/names.ts';

/**
 * Kinds that ask a question: the answer is the object with its status, and nothing is stored.
 * Sources: the API references of authentication.k8s.io/v1 and authorization.k8s.io/v1.
 */

interface ResourceAttributes {
  namespace?: string;
  verb?: string;
  group?: string;
  version?: string;
  resource?: string;
  subresource?: string;
  name?: string;
  fieldSelector?: SelectorAttributes;
  labelSelector?: SelectorAttributes;
}
interface AccessSpec {
  user?: string;
  uid?: string;
  groups?: string[];
  extra?: Record<string, string[]>;
  resourceAttributes?: ResourceAttributes;
  nonResourceAttributes?: { path?: string; verb?: string };
}

const told = ({ username, uid, groups, extra }: UserInfo) => ({
  ...(username && { username }),
  ...(uid && { uid }),
  ...(groups.length > 0 && { groups }),
  ...(Object.keys(extra).length > 0 && { extra }),
});

const quoted = (texts: readonly string[]): string => `[${texts.map((text) => JSON.stringify(text)).join(' ')}]`;

/** Whom a token is meant for: what a service account's token says, and this server for any other. */
const audiencesOf = async (call: Call, token: string): Promise<readonly string[]> => {
  const { signer } = call.server;
  const claims = token.split('.').length === 3 ? await signer?.verify(call.info.cluster, token) : undefined;
  return claims?.audiences ?? signer?.audiences ?? [];
};

const tokenReview = async (call: Call, given: AnyObject): Promise<object> => {
  const { token, audiences: asked = [] } = (given.spec ?? {}) as { token?: string; audiences?: string[] };
  if (!token) throw badRequest('token is required for TokenReview in authentication');
  const own = call.server.signer?.audiences ?? [];
  const wanted = asked.length > 0 ? asked : own;
  const faults = ['invalid bearer token'];
  const explain = (fault: string) => void faults.push(fault);
  const { authenticator } = call.server;
  const found = async () => authenticator.authenticate(call.info.cluster, token, { audiences: wanted, explain });
  const user = await found().catch(() => undefined);
  const meant = await audiencesOf(call, token);
  const audiences = wanted.filter((audience) => meant.includes(audience));
  if (user && (wanted.length === 0 || audiences.length > 0)) {
    const status = { authenticated: true, user: told(user), ...(audiences.length > 0 && { audiences }) };
    return { ...given, status };
  }
  if (!user && audiences.length === 0 && meant !== own)
    faults.push(`token audiences ${quoted(meant)} is invalid for the target audiences ${quoted(wanted)}`);
  const [first = ''] = faults;
  const error = faults.length > 1 ? `[${faults.join(', ')}]` : first;
  return { ...given, status: { user: {}, error } };
};

const OPERATORS_WITH_VALUES = ['In', 'NotIn'];
const OPERATORS_WITHOUT = ['Exists', 'DoesNotExist'];

const checkSelectorAttributes = (out: Cause[], path: string, selector: SelectorAttributes | undefined): void => {
  if (!selector) return;
  const { rawSelector, requirements = [] } = selector;
  if (rawSelector && requirements.length > 0)
    out.push(cause.invalid(`${path}.rawSelector`, rawSelector, 'may not specified at the same time as requirements'));
  if (!rawSelector && requirements.length === 0) {
    const detail = `when ${path} is specified, requirements or rawSelector is required`;
    out.push(cause.required(`${path}.requirements`, detail));
  }
  const labels = path.endsWith('labelSelector');
  requirements.forEach(({ key = '', operator = '', values = [] }, i) => {
    const where = `${path}.requirements[${i}]`;
    if (OPERATORS_WITH_VALUES.includes(operator) && values.length === 0)
      out.push(cause.required(`${where}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
    if (OPERATORS_WITHOUT.includes(operator) && values.length > 0) {
      const detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
      out.push(cause.forbidden(`${where}.values`, detail));
    }
    if (labels) for (const message of qualifiedName(key)) out.push(cause.invalid(`${where}.key`, key, message));
    else if (!key) out.push(cause.required(`${where}.key`, 'must be specified'));
    if (!labels) return;
    values.forEach((value, n) => {
      for (const message of labelValue(value)) out.push(cause.invalid(`${where}.values[${n}]`, value, message));
    });
  });
};

/** A question has no metadata but, where it is namespaced, its namespace. */
const checkNoMetadata = (out: Cause[], { metadata }: AnyObject, namespaced: boolean): void => {
  const { managedFields: _tracked, namespace, ...rest } = metadata;
  const empty = Object.keys(rest).length === 0 && (namespaced || !namespace);
  if (!empty)
    out.push(cause.invalid('metadata', rest, namespaced ? 'must be empty except for namespace' : 'must be empty'));
};

const checkAccess = (call: Call, given: AnyObject, spec: AccessSpec, namesUser: boolean): void => {
  const causes: Cause[] = [];
  const { resourceAttributes: resource, nonResourceAttributes: path } = spec;
  const both = 'cannot be specified in combination with resourceAttributes';
  if (resource && path) causes.push(cause.invalid('spec.nonResourceAttributes', path, both));
  if (!resource && !path) {
    const detail = 'exactly one of nonResourceAttributes or resourceAttributes must be specified';
    causes.push(cause.invalid('spec.resourceAttributes', null, detail));
  }
  if (namesUser && !spec.user && !spec.groups?.length)
    causes.push(cause.invalid('spec.user', '', 'at least one of user or group must be specified'));
  checkSelectorAttributes(causes, 'spec.resourceAttributes.fieldSelector', resource?.fieldSelector);
  checkSelectorAttributes(causes, 'spec.resourceAttributes.labelSelector', resource?.labelSelector);
  const { namespaced, group } = call.resource;
  checkNoMetadata(causes, given, namespaced);
  if (namespaced && resource && (resource.namespace ?? '') !== call.info.namespace) {
    const where = 'spec.resourceAttributes.namespace';
    causes.push(cause.invalid(where, resource.namespace ?? '', 'must match metadata.namespace'));
  }
  if (namespaced && path)
    causes.push(cause.invalid('spec.nonResourceAttributes', path, 'disallowed on this kind of request'));
  // Upstream names the kind of its internal object, which has none.
  if (causes.length > 0) throw invalid({ group, kind: '', name: '' }, causes);
};

const decide = async (call: Call, spec: AccessSpec, user: UserInfo) => {
  const asked = spec.resourceAttributes;
  const { selectors, faults } = asked ? selectorsAsked(asked) : { selectors: undefined, faults: [] };
  const attributes: Attributes = {
    cluster: call.info.cluster,
    user,
    verb: asked?.verb ?? spec.nonResourceAttributes?.verb ?? '',
    isResource: asked !== undefined,
    group: asked?.group ?? '',
    version: asked ? asked.version || '*' : '',
    resource: asked?.resource ?? '',
    subresource: asked?.subresource ?? '',
    namespace: asked?.namespace ?? '',
    name: asked?.name ?? '',
    path: spec.nonResourceAttributes?.path ?? '',
    ...(selectors && { selectors }),
  };
  const decision = await call.server.authorizer.authorize(attributes);
  const denied = !decision.allowed && decision.denied === true;
  const evaluationError = [...(decision.fault === undefined ? [] : [decision.fault]), ...faults].join('; ');
  return {
    allowed: decision.allowed,
    ...(denied && { denied }),
    ...(decision.reason && { reason: decision.reason }),
    ...(evaluationError && { evaluationError }),
  };
};

const accessReview = async (call: Call, given: AnyObject): Promise<object> => {
  const spec = (given.spec ?? {}) as AccessSpec;
  checkAccess(call, given, spec, true);
  const { user = '', uid = '', groups = [], extra = {} } = spec;
  return { ...given, status: await decide(call, spec, { username: user, uid, groups, extra }) };
};

const selfAccessReview = async (call: Call, given: AnyObject): Promise<object> => {
  const spec = (given.spec ?? {}) as AccessSpec;
  checkAccess(call, given, spec, false);
  return { ...given, status: await decide(call, spec, call.user) };
};

/** The answer is an object of its own: it repeats neither the metadata nor the spec of the question. */
const rulesReview = async (call: Call, given: AnyObject): Promise<object> => {
  const { namespace } = (given.spec ?? {}) as { namespace?: string };
  if (!namespace) throw badRequest('no namespace on request');
  const found = await call.server.authorizer.rulesFor(call.info.cluster, call.user, namespace);
  const faults = [found.incomplete, found.fault].filter((text) => text !== undefined);
  const status = {
    resourceRules: found.rules.filter(({ resources }) => resources?.length),
    nonResourceRules: found.rules.filter(({ nonResourceURLs }) => nonResourceURLs?.length),
    incomplete: found.incomplete !== undefined,
    ...(faults.length > 0 && { evaluationError: faultsText(faults) }),
  };
  return { metadata: {}, spec: {}, status };
};

/** As above: who asks, at this moment. */
const selfReview = async (call: Call): Promise<object> => ({
  metadata: { creationTimestamp: timestamp(call.server.clock.now()) },
  status: { userInfo: told(call.user) },
});

const answers: Record<string, (call: Call, given: AnyObject) => Promise<object>> = {
  TokenReview: tokenReview,
  SubjectAccessReview: accessReview,
  LocalSubjectAccessReview: accessReview,
  SelfSubjectAccessReview: selfAccessReview,
  SelfSubjectRulesReview: rulesReview,
  SelfSubjectReview: selfReview,
};

/** True for the kinds that are answered here instead of being stored. */
export const isReview = (group: string, kind: string): boolean =>
  (group === 'authentication.k8s.io' || group === 'authorization.k8s.io') && Object.hasOwn(answers, kind);

const prepare = (call: Call, given: AnyObject): void => {
  const { resource, info } = call;
  const meta = given.metadata;
  if (resource.namespaced) {
    if (meta.namespace && meta.namespace !== info.namespace)
      throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
    meta.namespace = info.namespace;
  }
  const managedFields = trackUpdate({
    before: undefined,
    after: asJson(given),
    schema: resource.schema,
    manager: call.fieldManager,
    apiVersion: groupVersion(resource.group, resource.version),
    now: timestamp(call.server.clock.now()),
  });
  if (managedFields) meta.managedFields = managedFields as unknown as NonNullable<typeof meta.managedFields>;
};

/** Answers a POST of a review. Throws a 400 or 422 Status for a question that cannot be answered. */
export const review = async (call: Call): Promise<Response> => {
  const { group, version, kind, schema } = call.resource;
  const given = decodeAs(call, await parseRequest(call.request, kind), { group, version, kind }, schema);
  call.trail?.requestObject(given);
  prepare(call, given);
  const answer = await answers[kind]?.(call, given);
  return objectResponse(call, 201, { kind, apiVersion: groupVersion(group, version), ...answer });
};
