import { describe, expect, it } from 'vitest';
import { createSystemClock } from '../clock/system.ts';
import { createMemoryStore } from '../store/memory.ts';
import { createReplicas } from '../store/replica.ts';
import { createApiServer } from './app.ts';
import { staticTokens, user } from './authn/authenticator.ts';
import { type Authorizer, alwaysAllow, type Decision, mastersAuthorizer, unionAuthorizer } from './authz/authorizer.ts';

const clock = createSystemClock();
const serve = (...more: Authorizer[]) => {
  const store = createMemoryStore();
  const app = createApiServer({
    store,
    clock,
    replicas: createReplicas(store, { clock, bytesMax: 1 << 24, windowChanges: 100, windowMs: 60_000 }),
    authenticator: staticTokens(
      new Map([
        ['t', user('root', ['system:masters'])],
        ['eve', user('eve', [])],
      ]),
    ),
    authorizer: unionAuthorizer(mastersAuthorizer(), ...more),
  });
  const send = async (path: string, kind: string, spec: object) => {
    const group = path.split('/')[2];
    const body = JSON.stringify({ apiVersion: `${group}/v1`, kind, metadata: {}, spec });
    const headers = { authorization: 'Bearer t', 'content-type': 'application/json' };
    const response = await app.fetch(new Request(`https://x${path}`, { method: 'POST', headers, body }));
    return { code: response.status, body: (await response.json()) as { status: Record<string, unknown> } };
  };
  return { app, store, send };
};
const AUTHN = '/apis/authentication.k8s.io/v1';
const AUTHZ = '/apis/authorization.k8s.io/v1';

describe('reviews', () => {
  it('have no columns: asked for as a table they answer 406', async () => {
    const { app } = serve();
    const init = (accept: string) => ({
      method: 'POST',
      headers: { authorization: 'Bearer t', 'content-type': 'application/json', accept },
      body: JSON.stringify({ spec: { nonResourceAttributes: { path: '/', verb: 'get' } } }),
    });
    const url = `https://x${AUTHZ}/selfsubjectaccessreviews`;
    const table = 'application/json;as=Table;v=v1;g=meta.k8s.io';
    expect((await app.fetch(new Request(url, init(table)))).status).toBe(406);
    expect((await app.fetch(new Request(url, init(`${table},application/json`)))).status).toBe(201);
  });

  it('tell who a token belongs to and who asks', async () => {
    const { send } = serve();
    const known = await send(`${AUTHN}/tokenreviews`, 'TokenReview', { token: 't' });
    expect(known).toMatchObject({ code: 201, body: { status: { authenticated: true, user: { username: 'root' } } } });
    const unknown = await send(`${AUTHN}/tokenreviews`, 'TokenReview', { token: 'nope' });
    expect(unknown.body.status.authenticated).toBeUndefined();
    expect((await send(`${AUTHN}/tokenreviews`, 'TokenReview', {})).code).toBe(400);
    const self = await send(`${AUTHN}/selfsubjectreviews`, 'SelfSubjectReview', {});
    expect(self.body.status).toMatchObject({ userInfo: { username: 'root' } });
  });

  it('tell what is allowed, and refuse questions about nothing', async () => {
    const { send } = serve();
    const asked = { resourceAttributes: { verb: 'get', resource: 'pods' } };
    const path = `${AUTHZ}/subjectaccessreviews`;
    const of = async (spec: object) => (await send(path, 'SubjectAccessReview', spec)).body.status.allowed;
    expect(await of({ ...asked, user: 'eve' })).toBe(false);
    expect(await of({ ...asked, user: 'eve', groups: ['system:masters'] })).toBe(true);
    expect((await send(path, 'SubjectAccessReview', { user: 'eve' })).code).toBe(422);
    expect((await send(path, 'SubjectAccessReview', asked)).code).toBe(422);
    const self = await send(`${AUTHZ}/selfsubjectaccessreviews`, 'SelfSubjectAccessReview', asked);
    expect(self.body.status.allowed).toBe(true);
    const open = serve(alwaysAllow).send;
    const rules = await open(`${AUTHZ}/selfsubjectrulesreviews`, 'SelfSubjectRulesReview', { namespace: 'default' });
    expect(rules.body.status.resourceRules).toEqual([{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }]);
  });

  it('answer with who asked what, but rules and oneself as objects of their own', async () => {
    const { send } = serve();
    const asked = { user: 'eve', resourceAttributes: { verb: 'get', resource: 'pods', namespace: 'n' } };
    const local = await send(`${AUTHZ}/namespaces/n/localsubjectaccessreviews`, 'LocalSubjectAccessReview', asked);
    expect(local.body).toMatchObject({ metadata: { namespace: 'n', managedFields: [{ operation: 'Update' }] } });
    const rules = await send(`${AUTHZ}/selfsubjectrulesreviews`, 'SelfSubjectRulesReview', { namespace: 'default' });
    expect(rules.body).toMatchObject({ metadata: {}, spec: {} });
    const self = await send(`${AUTHN}/selfsubjectreviews`, 'SelfSubjectReview', {});
    expect(self.body).toMatchObject({ metadata: { creationTimestamp: expect.any(String) } });
  });

  it('refuse another namespace, paths in a namespace, and selectors that say nothing', async () => {
    const { send } = serve();
    const fields = async (spec: object) => {
      const path = `${AUTHZ}/namespaces/n/localsubjectaccessreviews`;
      const { body } = await send(path, 'LocalSubjectAccessReview', { user: 'eve', ...spec });
      return (body as unknown as { details: { causes: { field: string }[] } }).details.causes.map((c) => c.field);
    };
    expect(await fields({ resourceAttributes: { namespace: 'm' } })).toEqual(['spec.resourceAttributes.namespace']);
    expect(await fields({ nonResourceAttributes: { path: '/' } })).toEqual(['spec.nonResourceAttributes']);
    const labelSelector = { requirements: [{ key: 'a', operator: 'In' }] };
    expect(await fields({ resourceAttributes: { namespace: 'n', fieldSelector: {}, labelSelector } })).toEqual([
      'spec.resourceAttributes.fieldSelector.requirements',
      'spec.resourceAttributes.labelSelector.requirements[0].values',
    ]);
  });

  it('tell what was denied outright, what could not be decided, and rules that are not all', async () => {
    const answers: Record<string, Decision> = {
      pods: { allowed: false, denied: true, reason: 'never' },
      nodes: { allowed: false, reason: '', fault: 'it is down' },
      secrets: { allowed: true, fault: 'in part' },
    };
    const odd: Authorizer = {
      authorize: async ({ resource }) => answers[resource] ?? { allowed: false, reason: 'unknown' },
      rulesFor: async () => ({ rules: [], incomplete: 'rules are not told', fault: 'a role is missing' }),
    };
    const { send, app } = serve(odd);
    const of = async (resource: string, more: object = {}) => {
      const spec = { user: 'eve', resourceAttributes: { verb: 'list', resource, ...more } };
      return (await send(`${AUTHZ}/subjectaccessreviews`, 'SubjectAccessReview', spec)).body.status;
    };
    expect(await of('pods')).toEqual({ allowed: false, denied: true, reason: 'never' });
    expect(await of('nodes')).toEqual({ allowed: false, evaluationError: 'it is down' });
    expect(await of('secrets', { fieldSelector: { rawSelector: 'a' } })).toEqual({
      allowed: true,
      evaluationError: 'in part; spec.resourceAttributes.fieldSelector ignored due to parse error',
    });
    const rules = await send(`${AUTHZ}/selfsubjectrulesreviews`, 'SelfSubjectRulesReview', { namespace: 'n' });
    expect(rules.body.status).toMatchObject({
      incomplete: true,
      evaluationError: '[rules are not told, a role is missing]',
    });
    const as = async (resource: string) => {
      const headers = { authorization: 'Bearer eve' };
      const response = await app.fetch(new Request(`https://x/api/v1/${resource}`, { headers }));
      return [response.status, ((await response.json()) as { message?: string }).message];
    };
    expect(await as('pods')).toEqual([403, expect.stringContaining('at the cluster scope: never')]);
    expect(await as('nodes')).toEqual([500, expect.stringContaining('it is down')]);
    expect((await as('secrets'))[0]).toBe(200);
  });

  it('are not stored', async () => {
    const { send, store } = serve();
    await send(`${AUTHN}/tokenreviews`, 'TokenReview', { token: 't' });
    expect(await store.domains('default')).toEqual([]);
  });
});
