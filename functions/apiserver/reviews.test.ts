import { describe, expect, it } from 'vitest';
import { createSystemClock } from '../clock/system.ts';
import { createMemoryStore } from '../store/memory.ts';
import { createReplicas } from '../store/replica.ts';
import { createApiServer } from './app.ts';
import { staticTokens, user } from './authn/authenticator.ts';
import { mastersAuthorizer } from './authz/authorizer.ts';

const clock = createSystemClock();
const serve = () => {
  const store = createMemoryStore();
  const app = createApiServer({
    store,
    clock,
    replicas: createReplicas(store, { clock, bytesMax: 1 << 24, windowChanges: 100, windowMs: 60_000 }),
    authenticator: staticTokens(new Map([['t', user('root', ['system:masters'])]])),
    authorizer: mastersAuthorizer(),
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
    const rules = await send(`${AUTHZ}/selfsubjectrulesreviews`, 'SelfSubjectRulesReview', { namespace: 'default' });
    expect(rules.body.status.resourceRules).toEqual([{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }]);
  });

  it('are not stored', async () => {
    const { send, store } = serve();
    await send(`${AUTHN}/tokenreviews`, 'TokenReview', { token: 't' });
    expect(await store.domains('default')).toEqual([]);
  });
});
