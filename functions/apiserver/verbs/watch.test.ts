import { afterEach, expect, it } from 'vitest';
import { createClient } from '../../client/fetch-client.ts';
import { createSystemClock } from '../../clock/system.ts';
import { createMemoryStore } from '../../store/memory.ts';
import { createReplicas } from '../../store/replica.ts';
import { createApiServer } from '../app.ts';
import { staticTokens, user } from '../authn/authenticator.ts';
import { mastersAuthorizer } from '../authz/authorizer.ts';

const token = 'token-of-an-administrator';
const namespaces = { group: '', version: 'v1', resource: 'namespaces' };
const closes: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closes.splice(0)) await close();
});

const open = () => {
  const clock = createSystemClock();
  const store = createMemoryStore();
  const replicas = createReplicas(store, { clock, bytesMax: 1e8, windowChanges: 1000, windowMs: 1e6 });
  closes.push(
    () => replicas.close(),
    () => store.close(),
  );
  const api = createApiServer({
    store,
    clock,
    replicas,
    authenticator: staticTokens(new Map([[token, user('admin', ['system:masters'])]])),
    authorizer: mastersAuthorizer(),
    disableAdmission: [],
  });
  return createClient({ fetch: (request) => api.fetch(request), baseUrl: 'https://127.0.0.1', token });
};
const namespace = (name: string) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });

it('a watch from the resourceVersion of an empty list shows the first object', async () => {
  const client = open();
  const listed = await client.list(namespaces);
  expect(listed.items).toEqual([]);
  const abort = new AbortController();
  const watch = client.watch(namespaces, { resourceVersion: listed.resourceVersion }, abort.signal);
  const first = watch[Symbol.asyncIterator]().next();
  await client.create(namespaces, namespace('first'));
  const { value } = await first;
  abort.abort();
  expect(value).toMatchObject({ type: 'ADDED', object: { metadata: { name: 'first' } } });
});

it('a watch from a list shows what was written between the two, and the end of it', async () => {
  const client = open();
  await client.create(namespaces, namespace('old'));
  const { resourceVersion } = await client.list(namespaces);
  await client.create(namespaces, namespace('between'));
  const abort = new AbortController();
  const seen: string[] = [];
  for await (const event of client.watch(namespaces, { resourceVersion }, abort.signal)) {
    if (event.type !== 'ADDED' && event.type !== 'MODIFIED' && event.type !== 'DELETED') continue;
    seen.push(`${event.type} ${event.object.metadata.name}`);
    if (seen.length === 1) await client.create(namespaces, namespace('after'));
    if (seen.length === 2) break;
  }
  abort.abort();
  expect(seen).toEqual(['ADDED between', 'ADDED after']);
});
