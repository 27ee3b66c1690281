import { expect, it } from 'vitest';
import { createSystemClock } from '../../clock/system.ts';
import { createMemoryStore } from '../../store/memory.ts';
import { createReplicas } from '../../store/replica.ts';
import { createApiServer } from '../app.ts';
import { staticTokens, user } from '../authn/authenticator.ts';
import { mastersAuthorizer } from '../authz/authorizer.ts';

interface List {
  code?: number;
  reason?: string;
  metadata: { continue?: string; remainingItemCount?: number; resourceVersion?: string };
  items: { metadata: { name: string } }[];
}

it('a list whose snapshot is gone goes on with the rest as it is now, by the token of the refusal', async () => {
  const clock = createSystemClock();
  const store = createMemoryStore();
  const app = createApiServer({
    store,
    clock,
    replicas: createReplicas(store, { clock, bytesMax: 1 << 24, windowChanges: 10, windowMs: 60_000 }),
    authenticator: staticTokens(new Map([['t', user('admin', ['system:masters'])]])),
    authorizer: mastersAuthorizer(),
    disableAdmission: ['ServiceAccount'],
  });
  const path = '/api/v1/namespaces/n/configmaps';
  const send = async (method: string, url: string, body?: unknown) => {
    const headers = { authorization: 'Bearer t', 'content-type': 'application/json' };
    const init = { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) };
    return (await app.fetch(new Request(`http://server${url}`, init))).json() as Promise<List>;
  };
  await send('POST', '/api/v1/namespaces', { metadata: { name: 'n' } });
  for (const name of ['a', 'b', 'c', 'd', 'e']) await send('POST', path, { metadata: { name } });
  const first = await send('GET', `${path}?limit=2`);
  expect(first.metadata.remainingItemCount).toBe(3);
  for (let i = 0; i < 20; i++) await send('PUT', `${path}/d`, { metadata: { name: 'd' }, data: { i: `${i}` } });
  const refused = await send('GET', `${path}?limit=2&continue=${first.metadata.continue}`);
  expect([refused.code, refused.reason]).toEqual([410, 'Expired']);
  const rest = await send('GET', `${path}?limit=2&continue=${refused.metadata.continue}`);
  expect(rest.items.map((item) => item.metadata.name)).toEqual(['c', 'd']);
  expect(rest.metadata.remainingItemCount).toBe(1);
  expect(rest.metadata.resourceVersion).not.toBe(first.metadata.resourceVersion);
  const last = await send('GET', `${path}?limit=2&continue=${rest.metadata.continue}`);
  expect(last.items.map((item) => item.metadata.name)).toEqual(['e']);
});
