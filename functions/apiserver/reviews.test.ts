import { describe, expect, it } from 'vitest';
import { createSystemClock } from '../clock/system.ts';
import { createMemoryStore } from '../store/memory.ts';
import { createReplicas } from '../store/replica.ts';
import { createApiServer } from './app.ts';
import { staticTokens, user } from './authn/authenticator.ts';
import { type Authorizer, alwaysAllow, mastersAuthorizer, unionAuthorizer } from './authz/authorizer.ts';

const clock = createSystemClock();
const serve = (...more: Authorizer[]) => {
  const store = createMemoryStore();
  const app = createApiServer({
    store,
    clock,
    replicas: createReplicas(store, { clock, bytesMax: 1 << 24, windowChanges: 100, windowMs: 60_000 }),
    authenticator: staticTokens(new Map([['t', user('root', ['system:masters'])]])),
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

  it('are not stored', async () => {
    const { send, store } = serve();
    await send(`${AUTHN}/tokenreviews`, 'TokenReview', { token: 't' });
    expect(await store.domains('default')).toEqual([]);
  });
});
