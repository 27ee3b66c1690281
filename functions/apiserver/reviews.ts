import { badRequest, type Cause, cause, invalid } from '../machinery/status.ts';
import type { AllowedRule, Attributes } from './authz/authorizer.ts';
import type { AnyObject, Call } from './context.ts';
import type { UserInfo } from './registry.ts';
import { decodeAs, parseRequest } from './request-body.ts';
import { objectResponse } from './respond.ts';

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

const tokenReview = async (call: Call, given: AnyObject) => {
  const spec = given.spec as { token?: string; audiences?: string[] } | undefined;
  if (!spec?.token) throw badRequest('token is required for TokenReview in authentication');
  const user = await call.server.authenticator.authenticate(call.info.cluster, spec.token, {}).catch(() => undefined);
  if (!user) return { user: {}, error: 'invalid bearer token' };
  return { authenticated: true, user: told(user), ...(spec.audiences?.length && { audiences: spec.audiences }) };
};

const checkAccess = (call: Call, spec: AccessSpec, namesUser: boolean): void => {
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
  if (causes.length > 0) throw invalid({ group: call.resource.group, kind: call.resource.kind, name: '' }, causes);
};

const decide = async (call: Call, spec: AccessSpec, user: UserInfo) => {
  const asked = spec.resourceAttributes;
  const attributes: Attributes = {
    cluster: call.info.cluster,
    user,
    verb: asked?.verb ?? spec.nonResourceAttributes?.verb ?? '',
    isResource: asked !== undefined,
    group: asked?.group ?? '',
    version: asked?.version ?? '',
    resource: asked?.resource ?? '',
    subresource: asked?.subresource ?? '',
    namespace: asked?.namespace ?? '',
    name: asked?.name ?? '',
    path: spec.nonResourceAttributes?.path ?? '',
  };
  const decision = await call.server.authorizer.authorize(attributes);
  const denied = !decision.allowed && decision.denied === true;
  return { allowed: decision.allowed, ...(denied && { denied }), ...(decision.reason && { reason: decision.reason }) };
};

const accessReview = (call: Call, given: AnyObject) => {
  const spec = (given.spec ?? {}) as AccessSpec;
  checkAccess(call, spec, true);
  if (call.resource.namespaced && spec.resourceAttributes?.namespace !== call.info.namespace)
    throw badRequest(`spec.resourceAttributes.namespace must match namespace: ${call.info.namespace}`);
  const { user = '', uid = '', groups = [], extra = {} } = spec;
  return decide(call, spec, { username: user, uid, groups, extra });
};

const selfAccessReview = (call: Call, given: AnyObject) => {
  const spec = (given.spec ?? {}) as AccessSpec;
  checkAccess(call, spec, false);
  return decide(call, spec, call.user);
};

const rulesReview = async (call: Call, given: AnyObject) => {
  const { namespace } = (given.spec ?? {}) as { namespace?: string };
  if (!namespace) throw badRequest('no namespace on request');
  const rules: AllowedRule[] = await call.server.authorizer.rulesFor(call.info.cluster, call.user, namespace);
  return {
    resourceRules: rules.filter((rule) => !rule.nonResourceURLs),
    nonResourceRules: rules.filter((rule) => rule.nonResourceURLs),
    incomplete: false,
  };
};

const answers: Record<string, (call: Call, given: AnyObject) => object | Promise<object>> = {
  TokenReview: tokenReview,
  SubjectAccessReview: accessReview,
  LocalSubjectAccessReview: accessReview,
  SelfSubjectAccessReview: selfAccessReview,
  SelfSubjectRulesReview: rulesReview,
  SelfSubjectReview: (call) => ({ userInfo: told(call.user) }),
};

/** True for the kinds that are answered here instead of being stored. */
export const isReview = (group: string, kind: string): boolean =>
  (group === 'authentication.k8s.io' || group === 'authorization.k8s.io') && Object.hasOwn(answers, kind);

/** Answers a POST of a review. Throws a 400 or 422 Status for a question that cannot be answered. */
export const review = async (call: Call): Promise<Response> => {
  const { group, version, kind, schema } = call.resource;
  const given = decodeAs(call, await parseRequest(call.request), { group, version, kind }, schema);
  const status = await answers[kind]?.(call, given);
  return objectResponse(call, 201, { ...given, status });
};
