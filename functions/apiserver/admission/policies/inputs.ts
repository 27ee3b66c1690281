/** The variables of a request's expressions, and the decisions that they ask for. */

import { namespaceType, requestType } from '../../../machinery/cel/admission.ts';
import {
  type AccessDecision,
  type AccessQuestion,
  AuthorizationPending,
  authorizerValue,
  requestResourceValue,
} from '../../../machinery/cel/library/authorizer.ts';
import { fromJson, ObjectValue, type Value } from '../../../machinery/cel/values.ts';
import type { KubeObject } from '../../../machinery/object.ts';
import { selectorsAsked } from '../../authz/review-selectors.ts';
import type { UserInfo } from '../../registry.ts';
import type { Matched, Subject } from './match.ts';

export type Variables = Readonly<Record<string, Value | undefined>>;

/** Answers of the authorizer within one request; the same question is asked once. */
export interface Decisions {
  values: Variables;
  /** Runs what may ask, and again once it has an answer, until it needs no more. */
  settle<T>(run: () => T): Promise<T>;
}

const serviceAccountUser = (text: string): UserInfo => {
  const [namespace = '', name = ''] = text.split('/');
  const groups = ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'];
  return { username: `system:serviceaccount:${namespace}:${name}`, uid: '', groups, extra: {} };
};

const decide = async ({ request }: Subject, q: AccessQuestion): Promise<AccessDecision> => {
  const { call } = request;
  const fieldSelector = { rawSelector: q.fieldSelector };
  const labelSelector = { rawSelector: q.labelSelector };
  const decision = await call.server.authorizer.authorize({
    cluster: call.info.cluster,
    user: q.serviceAccount ? serviceAccountUser(q.serviceAccount) : call.user,
    verb: q.verb,
    isResource: q.resource !== '',
    group: q.group,
    version: q.resource ? '*' : '',
    resource: q.resource,
    subresource: q.subresource,
    namespace: q.namespace,
    name: q.name,
    path: q.path,
    selectors: selectorsAsked({ fieldSelector, labelSelector }).selectors,
  });
  return { allowed: decision.allowed, reason: decision.reason ?? '', error: decision.fault ?? '' };
};

export const decisionsOf = (subject: Subject): Decisions => {
  const answers = new Map<string, AccessDecision>();
  const ask = (question: AccessQuestion): AccessDecision => {
    const known = answers.get(JSON.stringify(question));
    if (known) return known;
    throw new AuthorizationPending(question);
  };
  const { resource, subresource, namespace, name } = subject;
  const about = { group: resource.group, resource: resource.resource, subresource, namespace, name };
  return {
    values: {
      authorizer: authorizerValue(ask),
      'authorizer.requestResource': requestResourceValue(ask, about),
    },
    settle: async (run) => {
      for (;;) {
        try {
          return run();
        } catch (error) {
          if (!(error instanceof AuthorizationPending)) throw error;
          answers.set(JSON.stringify(error.question), await decide(subject, error.question));
        }
      }
    },
  };
};

const KINDS: Record<string, string> = { CREATE: 'CreateOptions', UPDATE: 'UpdateOptions', DELETE: 'DeleteOptions' };

const optionsOf = ({ request }: Subject): Record<string, unknown> => {
  const { call, operation } = request;
  const isPatch = call.info.verb === 'patch';
  const kind = isPatch ? 'PatchOptions' : KINDS[operation];
  if (!kind || operation === 'CONNECT') return {};
  const { query } = call.info;
  const force = query.get('force');
  return {
    kind,
    apiVersion: 'meta.k8s.io/v1',
    ...(call.dryRun && { dryRun: ['All'] }),
    ...(query.get('fieldManager') && { fieldManager: query.get('fieldManager') }),
    ...(query.get('fieldValidation') && { fieldValidation: query.get('fieldValidation') }),
    ...(isPatch && force !== null && { force: force !== 'false' && force !== '0' }),
  };
};

const resourceOf = ({ group, version, resource }: { group: string; version: string; resource: string }) => ({
  group,
  version,
  resource,
});

/** The variable `request`. */
export const requestValue = (subject: Subject, matched: Matched): Value => {
  const { request, subresource, name, namespace, kind, resource } = subject;
  const { user, dryRun } = request.call;
  const options = optionsOf(subject);
  return new ObjectValue(requestType, {
    kind: matched.kind,
    resource: resourceOf(matched.resource),
    ...(subresource && { subResource: subresource, requestSubResource: subresource }),
    requestKind: kind,
    requestResource: resourceOf(resource),
    ...(name && { name }),
    ...(namespace && { namespace }),
    operation: request.operation,
    userInfo: {
      username: user.username,
      ...(user.uid && { uid: user.uid }),
      groups: user.groups,
      ...(Object.keys(user.extra).length > 0 && { extra: user.extra }),
    },
    dryRun,
    ...(Object.keys(options).length > 0 && { options }),
  });
};

/** The variable `namespaceObject`: null for what is in none. */
export const namespaceValue = (namespace: KubeObject | undefined): Value => {
  if (!namespace) return null;
  const { managedFields: _m, ownerReferences: _o, ...metadata } = namespace.metadata;
  return new ObjectValue(namespaceType, { ...namespace, metadata } as unknown as Record<string, unknown>);
};

/** An object as an expression sees it; null where there is none. */
export const objectValue = (object: KubeObject | undefined): Value => (object ? fromJson(object) : null);
