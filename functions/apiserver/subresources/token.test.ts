import { expect, it } from 'vitest';
import { createSystemClock } from '../../clock/system.ts';
import { createApiServer } from '../app.ts';
import { staticTokens, user } from '../authn/authenticator.ts';
import type { TokenClaims } from '../authn/service-account-tokens.ts';
import { mastersAuthorizer } from '../authz/authorizer.ts';
import { createStored } from '../authz/stored-for-tests.ts';
import { seedCluster } from '../seed.ts';

it('says the node of the pod that a token is bound to, whether it is there or not', async () => {
  const clock = createSystemClock();
  const { store, replicas, put } = createStored(clock);
  await seedCluster({ store, cluster: 'default', clock });
  const signed: TokenClaims[] = [];
  const app = createApiServer({
    store,
    replicas,
    clock,
    authenticator: staticTokens(new Map([['t', user('root', ['system:masters'])]])),
    authorizer: mastersAuthorizer(),
    signer: {
      audiences: ['api'],
      sign: async (_cluster: string, claims: TokenClaims) => {
        signed.push(claims);
        return 'token';
      },
    } as never,
  });
  await put('', 'serviceaccounts', { metadata: { name: 's', namespace: 'default', uid: 'account' } });
  await put('', 'nodes', { metadata: { name: 'there', uid: 'node' } });
  const nodes = ['there', 'gone', undefined];
  for (const [i, nodeName] of nodes.entries()) {
    const spec = { serviceAccountName: 's', ...(nodeName && { nodeName }) };
    await put('', 'pods', { metadata: { name: `p${i}`, namespace: 'default', uid: `pod${i}` }, spec } as never);
    const body = { spec: { boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: `p${i}` } } };
    const answer = await app.fetch(
      new Request('https://x/api/v1/namespaces/default/serviceaccounts/s/token', {
        method: 'POST',
        headers: { authorization: 'Bearer t', 'content-type': 'application/json' },
        body: JSON.stringify(body),
      }),
    );
    expect(answer.status).toBe(201);
  }
  for (const kind of ['constructor', '__proto__', 'toString', 'ConfigMap']) {
    const answer = await app.fetch(
      new Request('https://x/api/v1/namespaces/default/serviceaccounts/s/token', {
        method: 'POST',
        headers: { authorization: 'Bearer t', 'content-type': 'application/json' },
        body: JSON.stringify({ spec: { boundObjectRef: { apiVersion: 'v1', kind, name: 'p0' } } }),
      }),
    );
    expect([answer.status, ((await answer.json()) as { message: string }).message]).toEqual([
      400,
      `cannot bind token for serviceaccount to object of type v1, Kind=${kind}`,
    ]);
  }
  expect(signed.map(({ bound, node }) => [bound?.uid, node])).toEqual([
    ['pod0', { name: 'there', uid: 'node' }],
    ['pod1', { name: 'gone', uid: '' }],
    ['pod2', undefined],
  ]);
});
