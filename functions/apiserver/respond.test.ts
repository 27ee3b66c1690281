import { expect, it } from 'vitest';
import { createSystemClock } from '../clock/system.ts';
import { createMemoryStore } from '../store/memory.ts';
import { createReplicas } from '../store/replica.ts';
import { createApiServer } from './app.ts';
import { staticTokens, user } from './authn/authenticator.ts';
import { mastersAuthorizer } from './authz/authorizer.ts';

it('prints a subresource of another kind as that kind: kubectl get deployment --subresource=scale', async () => {
  const clock = createSystemClock();
  const store = createMemoryStore();
  const app = createApiServer({
    store,
    clock,
    replicas: createReplicas(store, { clock, bytesMax: 1 << 24, windowChanges: 100, windowMs: 60_000 }),
    authenticator: staticTokens(new Map([['t', user('root', ['system:masters'])]])),
    authorizer: mastersAuthorizer(),
  });
  const headers = { authorization: 'Bearer t', 'content-type': 'application/json' };
  const post = (path: string, body: object) =>
    app.fetch(new Request(`https://x${path}`, { method: 'POST', headers, body: JSON.stringify(body) }));
  const labels = { app: 'web' };
  await post('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'a' } });
  const path = '/apis/apps/v1/namespaces/a/deployments';
  await post(path, {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web' },
    spec: {
      replicas: 3,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'web', image: 'web' }] } },
    },
  });
  const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io';
  const response = await app.fetch(new Request(`https://x${path}/web/scale`, { headers: { ...headers, accept } }));
  expect(response.status).toBe(200);
  const table = (await response.json()) as { columnDefinitions: { name: string }[]; rows: { cells: unknown[] }[] };
  expect(table.columnDefinitions.map((column) => column.name)).toEqual(['Name', 'Desired', 'Available', 'Age']);
  expect(table.rows.map((row) => row.cells.slice(0, 3))).toEqual([['web', 3, 0]]);
});
