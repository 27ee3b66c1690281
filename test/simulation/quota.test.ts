import { expect, it } from 'vitest';
import { createApiServer } from '../../functions/apiserver/app.ts';
import { staticTokens, user } from '../../functions/apiserver/authn/authenticator.ts';
import { mastersAuthorizer } from '../../functions/apiserver/authz/authorizer.ts';
import { createClient } from '../../functions/client/fetch-client.ts';
import { createSystemClock } from '../../functions/clock/system.ts';
import { createMemoryStore } from '../../functions/store/memory.ts';
import { createReplicas } from '../../functions/store/replica.ts';
import type { Store } from '../../functions/store/store.ts';
import { startControllers } from '../replay/api-controllers.ts';

const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
let state = seed;
const random = (n: number): number => {
  state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
  return (state >>> 8) % n;
};

const clock = createSystemClock();
const domain = { cluster: 'default', group: '', resource: 'pods' };
const quotaPath = '/api/v1/namespaces/n/resourcequotas/q';

/** A store whose commits take up to 3 ms, so that what is on its way meets what is counted. */
const slow = (store: Store): Store => ({
  ...store,
  commit: async (where, writes) => {
    const pause = random(4);
    if (pause) await clock.sleep(pause);
    const outcomes = await store.commit(where, writes);
    if (random(2)) await clock.sleep(1);
    return outcomes;
  },
});

const server = (store: Store) => {
  const replicas = createReplicas(store, { clock, bytesMax: 1 << 24, windowChanges: 1000, windowMs: 60_000 });
  const app = createApiServer({
    store,
    clock,
    replicas,
    authenticator: staticTokens(new Map([['t', user('admin', ['system:masters'])]])),
    authorizer: mastersAuthorizer(),
    disableAdmission: ['ServiceAccount'],
  });
  const send = async (method: string, path: string, body?: unknown) => {
    const headers = { authorization: 'Bearer t', 'content-type': 'application/json' };
    const init = { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) };
    const response = await app.fetch(new Request(`http://server${path}`, init));
    return { code: response.status, body: (await response.json()) as { status?: { hard?: object; used?: unknown } } };
  };
  return { app, replicas, send };
};

const until = async (what: string, holds: () => Promise<boolean>): Promise<void> => {
  for (let i = 0; i < 200; i++) {
    if (await holds()) return;
    await clock.sleep(50);
  }
  throw new Error(`not within 10 s: ${what}`);
};

it(`a quota holds and its count is right, whatever is made, refused, doubled and removed at once (SEED=${seed})`, async () => {
  const store = createMemoryStore();
  const first = server({ ...slow(store), subscribe: store.subscribe } as Store);
  // The other process hears nothing of these commits: its replicas go to the store.
  const second = server(slow(store));
  const stop = new AbortController();
  const fetch = (request: Request) => first.app.fetch(request);
  const client = createClient({ fetch, baseUrl: 'http://server', token: 't' });
  startControllers({ clock, feed: store, replicas: first.replicas, client, signal: stop.signal });
  try {
    await first.send('POST', '/api/v1/namespaces', { metadata: { name: 'n' } });
    const hard = { pods: '6', 'requests.cpu': '6', 'count/pods': '6' };
    await first.send('POST', '/api/v1/namespaces/n/resourcequotas', { metadata: { name: 'q' }, spec: { hard } });
    await until('counted', async () => (await first.send('GET', quotaPath)).body.status?.hard !== undefined);
    let most = 0;
    const codes = new Map<number, number>();
    const worker = async (): Promise<void> => {
      for (let i = 0; i < 40; i++) {
        const { send } = random(2) ? first : second;
        const name = `p${random(12)}`;
        const containers = [{ name: 'c', image: 'i', resources: { requests: { cpu: '1' } } }];
        const { code } = random(3)
          ? await send('POST', '/api/v1/namespaces/n/pods', { metadata: { name }, spec: { containers } })
          : await send('DELETE', `/api/v1/namespaces/n/pods/${name}`);
        codes.set(code, (codes.get(code) ?? 0) + 1);
        most = Math.max(most, (await store.scan(domain, '', 100)).items.length);
      }
    };
    await Promise.all(Array.from({ length: 16 }, worker));
    expect(most).toBeLessThanOrEqual(6);
    expect([...codes.keys()]).toEqual(expect.arrayContaining([200, 201, 403]));
    expect([...codes.keys()].filter((code) => ![200, 201, 403, 404, 409].includes(code))).toEqual([]);
    const count = String((await store.scan(domain, '', 100)).items.length);
    const wanted = JSON.stringify({ 'count/pods': count, pods: count, 'requests.cpu': count });
    const sorted = (used: unknown): string => JSON.stringify(Object.fromEntries(Object.entries(used ?? {}).sort()));
    await until(
      `used is ${wanted}`,
      async () => sorted((await first.send('GET', quotaPath)).body.status?.used) === wanted,
    );
  } finally {
    stop.abort();
  }
}, 60_000);
