// What lost its owner while no controller ran is found by the next one, custom resources included.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, expect, it } from 'vitest';
import { createApiServer } from '../../functions/apiserver/app.ts';
import { staticTokens, user } from '../../functions/apiserver/authn/authenticator.ts';
import { mastersAuthorizer } from '../../functions/apiserver/authz/authorizer.ts';
import { createClient } from '../../functions/client/fetch-client.ts';
import { createSystemClock } from '../../functions/clock/system.ts';
import { startControlPlane } from '../../functions/entry/local.ts';
import type { KubeObject } from '../../functions/machinery/object.ts';
import { createReplicas } from '../../functions/store/replica.ts';
import { createSqliteStore } from '../../functions/store/sqlite.ts';

const directory = mkdtempSync(join(tmpdir(), 'skiff-garbage-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const crds = { group: 'apiextensions.k8s.io', version: 'v1', resource: 'customresourcedefinitions' };
const boats = { group: 'sea.example.com', version: 'v1', resource: 'boats' };
const open = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
const definition = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'boats.sea.example.com' },
  spec: {
    group: 'sea.example.com',
    scope: 'Namespaced',
    names: { plural: 'boats', kind: 'Boat' },
    versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: open } }],
  },
};
const boat = (name: string, owner?: KubeObject): KubeObject => ({
  apiVersion: 'sea.example.com/v1',
  kind: 'Boat',
  metadata: {
    name,
    namespace: 'default',
    ...(owner && {
      ownerReferences: [
        { apiVersion: 'sea.example.com/v1', kind: 'Boat', name: 'owner', uid: owner.metadata.uid ?? '' },
      ],
    }),
  },
});
const start = () => startControlPlane({ directory, host: '127.0.0.1', port: 0, log: () => {} });

/** The API server of the same folder with no controller beside it. */
const withoutControllers = async (act: (client: ReturnType<typeof createClient>) => Promise<void>): Promise<void> => {
  const clock = createSystemClock();
  const store = await createSqliteStore({ path: join(directory, 'store') });
  const replicas = createReplicas(store, { clock, bytesMax: 1 << 24, windowChanges: 100, windowMs: 60_000 });
  const api = createApiServer({
    store,
    clock,
    replicas,
    authenticator: staticTokens(new Map([['t', user('root', ['system:masters'])]])),
    authorizer: mastersAuthorizer(),
  });
  const client = createClient({ fetch: api.fetch, baseUrl: 'https://x', token: 't', userAgent: 'test' });
  await act(client);
  await replicas.close();
  await store.close();
};

const until = async (holds: () => Promise<boolean>): Promise<void> => {
  for (let tries = 0; tries < 200; tries++) {
    if (await holds()) return;
    await delay(50);
  }
  throw new Error('in vain');
};

it('collects after a start what was orphaned before it', async () => {
  const first = await start();
  const client = first.client('default');
  await client.create(crds, definition as KubeObject);
  await until(() =>
    client.create(boats, boat('owner')).then(
      () => true,
      () => false,
    ),
  );
  await first.close();
  await withoutControllers(async (quiet) => {
    const owner = await quiet.get<KubeObject>(boats, 'default', 'owner');
    await quiet.create(boats, boat('owned', owner));
    await quiet.create(boats, boat('free'));
    await quiet.delete(boats, 'default', 'owner');
    expect((await quiet.list(boats)).items).toHaveLength(2);
  });
  const second = await start();
  const again = second.client('default');
  await until(async () => (await again.list(boats)).items.length === 1);
  expect((await again.list<KubeObject>(boats)).items[0]?.metadata.name).toBe('free');
  await second.close();
});
