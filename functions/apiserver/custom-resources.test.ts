import { describe, expect, it } from 'vitest';
import { createSystemClock } from '../clock/system.ts';
import { createMemoryStore } from '../store/memory.ts';
import { createReplicas } from '../store/replica.ts';
import { createApiServer } from './app.ts';
import { staticTokens, user } from './authn/authenticator.ts';
import { mastersAuthorizer } from './authz/authorizer.ts';

const clock = createSystemClock();
const spec = { type: 'object', required: ['size'], properties: { size: { type: 'integer', maximum: 3 } } };
const definition = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'widgets.example.com' },
  spec: {
    group: 'example.com',
    scope: 'Cluster',
    names: { plural: 'widgets', singular: 'widget', kind: 'Widget', listKind: 'WidgetList' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: 'object', properties: { spec } } },
      },
    ],
  },
};
const widget = (name: string, size: unknown) => ({
  apiVersion: 'example.com/v1',
  kind: 'Widget',
  metadata: { name },
  spec: { size, unknown: 1 },
});

describe('custom resources', () => {
  it('are served, checked, pruned and shown in discovery once defined', async () => {
    const store = createMemoryStore();
    const app = createApiServer({
      store,
      clock,
      replicas: createReplicas(store, { clock, bytesMax: 1 << 24, windowChanges: 100, windowMs: 60_000 }),
      authenticator: staticTokens(new Map([['t', user('root', ['system:masters'])]])),
      authorizer: mastersAuthorizer(),
    });
    const headers = { authorization: 'Bearer t', 'content-type': 'application/json' };
    const send = (path: string, body?: object) =>
      app.fetch(
        new Request(`https://x${path}`, body ? { method: 'POST', headers, body: JSON.stringify(body) } : { headers }),
      );
    const path = '/apis/example.com/v1/widgets';
    expect((await send(path)).status).toBe(404);
    expect((await send('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', definition)).status).toBe(201);
    const made = await send(path, widget('a', 2));
    expect(made.status).toBe(201);
    expect(await made.json()).toMatchObject({ spec: { size: 2 } });
    expect((await (await send(`${path}/a`)).json()) as object).not.toHaveProperty('spec.unknown');
    const refused = (await (await send(path, widget('b', 4))).json()) as object;
    expect(refused).toMatchObject({ code: 422, details: { causes: [{ field: 'spec.size' }] } });
    expect(await (await send('/apis/example.com/v1')).json()).toMatchObject({ resources: [{ name: 'widgets' }] });
    const strategic = { ...headers, 'content-type': 'application/strategic-merge-patch+json' };
    const patched = await app.fetch(
      new Request(`https://x${path}/a`, { method: 'PATCH', headers: strategic, body: '{}' }),
    );
    expect(await patched.json()).toMatchObject({
      code: 415,
      message: expect.stringMatching(
        /include: application\/json-patch\+json, .*merge-patch\+json, .*apply-patch\+yaml$/,
      ),
    });
  });
});
