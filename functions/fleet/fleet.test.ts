import { performance } from 'node:perf_hooks';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { seedCluster } from '../apiserver/seed.ts';
import { createSimulatedClock } from '../clock/simulated.ts';
import { createSystemClock } from '../clock/system.ts';
import { createMemoryStore } from '../store/memory.ts';
import { CLUSTERS_PATH, createTestProcess } from './server-for-tests.ts';

type TestProcess = Awaited<ReturnType<typeof createTestProcess>>;
const MAPS = '/api/v1/namespaces/default/configmaps';
const map = (name: string, data: object = {}, metadata: object = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, ...metadata },
  data,
});

describe('a fleet in one process', () => {
  const clock = createSystemClock();
  let store: ReturnType<typeof createMemoryStore>;
  let plane: TestProcess;
  beforeEach(async () => {
    store = createMemoryStore();
    plane = await createTestProcess(store, clock, true);
  });
  afterEach(async () => {
    await plane.close();
    expect(plane.faults).toEqual([]);
  });
  const used = async (cluster: string): Promise<{ objects: number; bytes: number; nodes: number }> => {
    let [objects, bytes, nodes] = [0, 0, 0];
    for (const domain of await store.domains(cluster)) {
      if (domain.group === 'skiff.dev') continue;
      const { items } = await store.scan(domain, '', 100_000);
      objects += items.length;
      if (domain.resource === 'nodes') nodes += items.length;
      for (const item of items) bytes += item.bytes.byteLength;
    }
    return { objects, bytes, nodes };
  };
  /** Creates a cluster, and has it seeded. */
  const usedCluster = async (name: string, quotas: object = {}) => {
    await plane.makeCluster(name, { quotas });
    expect((await plane.send('GET', `/clusters/${name}/api/v1/namespaces`)).status).toBe(200);
  };
  const quota = (name: string, quotas: object) => plane.send('PATCH', `${CLUSTERS_PATH}/${name}`, { spec: { quotas } });

  it('tells the operator alone that a cluster is not there: to strangers it looks like any other', async () => {
    await seedCluster({ store, cluster: 'default', clock });
    const path = '/clusters/a/api/v1/namespaces';
    expect((await plane.send('GET', path, undefined, { token: 'the-operator' })).status).toBe(404);
    const asked = ['wrong', ''].flatMap((token) =>
      ['/version', '/readyz', '/healthz', '/openapi/v2', '/api/v1/namespaces', '/nowhere'].flatMap((path) =>
        ['GET', 'POST', 'DELETE'].map((method) => ({ token, path, method })),
      ),
    );
    const answers = () =>
      Promise.all(
        asked.map(async ({ token, path, method }) => {
          const { status, body } = await plane.send(method, `/clusters/a${path}`, undefined, { token });
          return { token, path, method, status, body };
        }),
      );
    const before = await answers();
    await plane.makeCluster('a');
    expect(await answers()).toEqual(before);
    expect(new Set(before.map(({ status }) => status))).toEqual(new Set([200, 401, 404]));
  });

  it('makes a cluster in under 100 ms, with what every cluster starts with in it', async () => {
    await usedCluster('first');
    const began = performance.now();
    const { status, body } = await plane.makeCluster('a', { displayName: 'A' });
    const made = performance.now();
    expect(status).toBe(201);
    expect(body.status.phase).toBe('Ready');
    expect(body.status.endpoint).toBe('/clusters/a');
    const { body: namespaces } = await plane.send('GET', '/clusters/a/api/v1/namespaces');
    expect(namespaces.items).toHaveLength(4);
    expect((await plane.send('GET', '/clusters/a/api/v1/namespaces/default/services/kubernetes')).status).toBe(200);
    expect(made - began).toBeLessThan(100);
    const seeded = (await plane.send('GET', `${CLUSTERS_PATH}/a`)).body.status.conditions;
    expect(seeded.map((c: { type: string; status: string }) => [c.type, c.status])).toEqual([
      ['Ready', 'True'],
      ['Seeded', 'True'],
    ]);
  });

  it('gives default roles back at the next start, as they were kept by their users', async () => {
    await usedCluster('a');
    const path = (name: string) => `/clusters/a/apis/rbac.authorization.k8s.io/v1/clusterroles/${name}`;
    await plane.send('DELETE', path('view'));
    const { body: edit } = await plane.send('GET', path('system:node-bootstrapper'));
    edit.metadata.annotations['rbac.authorization.kubernetes.io/autoupdate'] = 'false';
    await plane.send('PUT', path('system:node-bootstrapper'), { ...edit, rules: [] });
    await plane.close();
    plane = await createTestProcess(store, clock, true);
    await expect.poll(async () => (await plane.send('GET', path('view'))).status).toBe(200);
    expect((await plane.send('GET', path('system:node-bootstrapper'))).body.rules).toBeNull();
  });

  it('shows what a cluster uses some seconds after it changed, exactly', async () => {
    await usedCluster('a');
    await plane.send('POST', `/clusters/a${MAPS}`, map('m'));
    const shown = async () => (await plane.send('GET', `${CLUSTERS_PATH}/a`)).body.status.usage;
    await expect.poll(shown, { timeout: 10_000, interval: 200 }).toMatchObject(await used('a'));
  }, 15_000);

  it('refuses names that are taken, built in or no label', async () => {
    await plane.makeCluster('a');
    expect((await plane.makeCluster('a')).status).toBe(409);
    for (const name of ['default', 'system', 'a.b', 'A', '-a', 'x'.repeat(64)])
      expect((await plane.makeCluster(name)).status, name).toBe(422);
  });

  it('keeps the number of objects within the quota, exactly, however many come at once', async () => {
    await usedCluster('a');
    const before = (await used('a')).objects;
    await quota('a', { objects: before + 10 });
    const path = `/clusters/a${MAPS}`;
    const answers = await Promise.all(Array.from({ length: 30 }, (_, i) => plane.send('POST', path, map(`m${i}`))));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(10);
    const refused = answers.find(({ status }) => status !== 201);
    expect(refused?.status).toBe(403);
    expect(refused?.body.message).toMatch(
      new RegExp(`is forbidden: the cluster "a" is limited to ${before + 10} objects, and has ${before + 10}$`),
    );
    expect((await used('a')).objects).toBe(before + 10);
    expect(
      (
        await plane.send('PATCH', `${path}/${answers.find((a) => a.status === 201)?.body.metadata.name}`, {
          data: { a: 'b' },
        })
      ).status,
    ).toBe(200);
    await plane.send('DELETE', `${path}/${answers.find((a) => a.status === 201)?.body.metadata.name}`);
    expect((await plane.send('POST', path, map('again'))).status).toBe(201);
    expect((await plane.send('POST', path, map('more'))).status).toBe(403);
    // Another cluster has a quota of its own, or none.
    await usedCluster('b');
    expect((await plane.send('POST', `/clusters/b${MAPS}`, map('m'))).status).toBe(201);
  });

  it('keeps the bytes of objects within the quota: what grows is refused, what shrinks is not', async () => {
    await usedCluster('a');
    await plane.send('POST', `/clusters/a${MAPS}`, map('large', { text: 'x'.repeat(5000) }));
    const limit = (await used('a')).bytes + 10_000;
    await quota('a', { bytes: limit });
    const path = `/clusters/a${MAPS}`;
    let made = 0;
    while ((await plane.send('POST', path, map(`m${made}`, { text: 'x'.repeat(1000) }))).status === 201) made++;
    expect(made).toBeGreaterThan(5);
    expect((await used('a')).bytes).toBeLessThanOrEqual(limit);
    const grown = await plane.send('PATCH', `${path}/m0`, { data: { text: 'x'.repeat(9000) } });
    expect(grown.status).toBe(403);
    expect(grown.body.message).toContain(`the cluster "a" is limited to ${limit} bytes of objects`);
    expect((await plane.send('PATCH', `${path}/large`, { data: { text: 'x' } })).status).toBe(200);
    expect((await plane.send('PATCH', `${path}/m0`, { data: { text: 'x'.repeat(4000) } })).status).toBe(200);
    expect((await used('a')).bytes).toBeLessThanOrEqual(limit);
  });

  it('keeps the number of nodes within the quota', async () => {
    await usedCluster('a', { nodes: 2 });
    const node = (name: string) => ({ apiVersion: 'v1', kind: 'Node', metadata: { name } });
    const answers = await Promise.all(
      ['x', 'y', 'z'].map((n) => plane.send('POST', '/clusters/a/api/v1/nodes', node(n))),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 201, 403]);
    expect(answers.find(({ status }) => status === 403)?.body.message).toContain('limited to 2 nodes, and has 2');
  });

  it('answers 429 with the time to wait above the rate, but not to the control plane and for health', async () => {
    await usedCluster('a');
    await quota('a', { requestsPerSecond: 2 });
    const path = `/clusters/a${MAPS}`;
    const answers = await Promise.all(Array.from({ length: 10 }, () => plane.send('GET', path)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(4);
    const refused = answers.find(({ status }) => status === 429);
    expect(refused?.headers.get('retry-after')).toBe('1');
    expect(refused?.body.message).toContain('the cluster "a" is limited to 2 requests per second');
    expect((await plane.send('GET', '/clusters/a/readyz')).status).toBe(200);
    await plane.client('a').list({ group: '', version: 'v1', resource: 'configmaps' });
    expect((await plane.send('GET', MAPS)).status).toBe(200);
    // Whoever is nobody takes nothing away from the cluster's users.
    await clock.sleep(1100);
    for (let i = 0; i < 20; i++)
      expect((await plane.send('GET', path, undefined, { token: 'wrong' })).status).toBe(401);
    expect((await plane.send('GET', path)).status).toBe(200);
  });
});

describe('the deletion of a cluster', () => {
  const start = () => {
    const clock = createSimulatedClock();
    // Whoever waits moves the time.
    const eager = { ...clock, sleep: async (ms: number) => clock.advance(ms) };
    return { clock: eager, store: createMemoryStore() };
  };
  const made = async (alone: boolean) => {
    const { clock, store } = start();
    const plane = await createTestProcess(store, clock, alone);
    await plane.makeCluster('a', { deletionTimeoutSeconds: 20 });
    await plane.send('POST', `/clusters/a${MAPS}`, map('plain'));
    return { clock, store, plane };
  };
  const remove = (plane: TestProcess) => plane.send('DELETE', `${CLUSTERS_PATH}/a`);
  const phase = async (plane: TestProcess) => (await plane.send('GET', `${CLUSTERS_PATH}/a`)).body.status?.phase;

  it('removes every key, and the object last', async () => {
    const { store, plane } = await made(true);
    expect((await store.domains('a')).length).toBeGreaterThan(10);
    expect((await remove(plane)).status).toBe(200);
    await plane.work();
    expect(await store.domains('a')).toEqual([]);
    expect((await plane.send('GET', `${CLUSTERS_PATH}/a`)).status).toBe(404);
    expect((await plane.send('GET', '/clusters/a/version')).status).toBe(404);
    await plane.close();
  });

  it('leaves finalizers their time, and takes nothing new meanwhile', async () => {
    const { clock, plane } = await made(true);
    await plane.send('POST', `/clusters/a${MAPS}`, map('held', {}, { finalizers: ['example.com/f'] }));
    await remove(plane);
    await plane.work(3);
    expect(await phase(plane)).toBe('Terminating');
    const held = await plane.send('GET', `/clusters/a${MAPS}/held`);
    expect(held.body.metadata.deletionTimestamp).toBeDefined();
    const late = await plane.send('POST', `/clusters/a${MAPS}`, map('late'));
    expect([late.status, late.body.message]).toEqual([403, expect.stringContaining('"a" is being deleted')]);
    await plane.send('PATCH', `/clusters/a${MAPS}/held`, { metadata: { finalizers: null } });
    plane.messages.push({ cluster: 'system', consumer: 'fleet', key: 'a' });
    await plane.work();
    expect(await phase(plane)).toBeUndefined();
    expect(clock.now() - Date.UTC(2026, 0, 1)).toBeLessThan(20_000);
    await plane.close();
  });

  it('goes on without those whose time is over', async () => {
    const { clock, store, plane } = await made(true);
    await plane.send('POST', `/clusters/a${MAPS}`, map('held', {}, { finalizers: ['example.com/f'] }));
    await remove(plane);
    await plane.work(1000);
    expect(await store.domains('a')).toEqual([]);
    expect(clock.now() - Date.UTC(2026, 0, 1)).toBeGreaterThanOrEqual(20_000);
    await plane.close();
  });

  it('is finished by another process, wherever the first one stopped', async () => {
    for (let steps = 0; steps < 5; steps++) {
      const { clock, store, plane } = await made(true);
      await remove(plane);
      await plane.work(steps);
      await plane.close();
      const next = await createTestProcess(store, clock, true);
      next.messages.push(...(await next.fleet.resume()).messages);
      await next.work();
      expect(await store.domains('a'), `${steps} steps`).toEqual([]);
      expect(await phase(next), `${steps} steps`).toBeUndefined();
      await next.close();
    }
  });

  it('is finished where the keys had gone before the object', async () => {
    const { clock, store, plane } = await made(true);
    await remove(plane);
    const dropped = store.drop;
    store.drop = async (cluster) => {
      await dropped(cluster);
      throw new Error('crashed after the drop');
    };
    await plane.close();
    const crashing = await createTestProcess(store, clock, true);
    crashing.messages.push(...(await crashing.fleet.resume()).messages);
    await expect(crashing.work()).rejects.toThrow('crashed');
    await crashing.close();
    store.drop = dropped;
    const next = await createTestProcess(store, clock, true);
    next.messages.push(...(await next.fleet.resume()).messages);
    await next.work();
    expect(await phase(next)).toBeUndefined();
    await next.close();
  });

  it('leaves a cluster of the same name empty, and opens it to no credential of before', async () => {
    const { plane } = await made(true);
    const admin = plane.authority.mintAdminToken('a');
    const node = plane.authority.mintNodeToken('a', 'n');
    const asked = (token: string) => plane.send('GET', `/clusters/a${MAPS}`, undefined, { token });
    expect((await asked(admin)).status).toBe(200);
    expect((await asked(node)).status).toBe(403);
    await remove(plane);
    await plane.work();
    await plane.makeCluster('a');
    expect((await asked(admin)).status).toBe(401);
    expect((await asked(node)).status).toBe(401);
    expect((await plane.send('GET', `/clusters/a${MAPS}/plain`)).status).toBe(404);
    expect((await asked(plane.authority.mintAdminToken('a'))).status).toBe(200);
    await plane.close();
  });

  it('waits for other processes to have stopped before it removes the keys', async () => {
    const { clock, store, plane } = await made(false);
    const other = await createTestProcess(store, clock, false);
    expect((await other.send('GET', `/clusters/a${MAPS}/plain`)).status).toBe(200);
    await remove(plane);
    const first = plane.messages.shift();
    if (!first) throw new Error('nobody was told');
    const settle = (await plane.fleet.handle(first)) ?? 0;
    expect(await phase(plane)).toBe('Dropped');
    expect(settle).toBeGreaterThan(10_000);
    expect((await store.domains('a')).length).toBeGreaterThan(10);
    await clock.advance(2_500);
    expect((await plane.send('GET', `/clusters/a${MAPS}/plain`)).status).toBe(404);
    expect((await other.send('POST', `/clusters/a${MAPS}`, map('late'))).status).toBe(404);
    await clock.advance(settle);
    await plane.fleet.handle(first);
    expect(await store.domains('a')).toEqual([]);
    expect((await other.send('GET', `${CLUSTERS_PATH}/a`)).status).toBe(404);
    await plane.close();
    await other.close();
  });
});

describe('a fleet of several processes', () => {
  it('sees a new cluster in all of them at once, and counts what others wrote within a minute', async () => {
    const clock = createSimulatedClock();
    const store = createMemoryStore();
    const [one, two] = [await createTestProcess(store, clock, false), await createTestProcess(store, clock, false)];
    expect((await two.send('GET', '/clusters/a/version')).status).toBe(404);
    await one.makeCluster('a');
    await clock.advance(250);
    expect((await two.send('GET', '/clusters/a/version')).status).toBe(200);
    const { body } = await one.send('GET', `/clusters/a${MAPS}`);
    expect(body.items).toEqual([]);
    let count = 0;
    for (const domain of await store.domains('a')) count += (await store.scan(domain, '', 10_000)).items.length;
    await one.send('PATCH', `${CLUSTERS_PATH}/a`, { spec: { quotas: { objects: count + 4 } } });
    await clock.advance(3_000);
    for (const [plane, name] of [
      [one, 'x'],
      [one, 'y'],
      [two, 'z'],
    ] as const)
      expect((await plane.send('POST', `/clusters/a${MAPS}`, map(name))).status).toBe(201);
    expect((await two.send('POST', `/clusters/a${MAPS}`, map('z2'))).status).toBe(201);
    expect((await two.send('POST', `/clusters/a${MAPS}`, map('z3'))).status).toBe(403);
    await clock.advance(61_000);
    expect((await one.send('POST', `/clusters/a${MAPS}`, map('y2'))).status).toBe(403);
    for (let i = 0; i < 20; i++) await clock.advance(1);
    const { usage } = (await one.send('GET', `${CLUSTERS_PATH}/a`)).body.status;
    expect(usage).toMatchObject({ objects: count + 4, nodes: 0 });
    await one.close();
    await two.close();
  });

  it('does nothing for a thousand clusters that nobody uses', async () => {
    const clock = createSimulatedClock();
    const store = createMemoryStore();
    const plane = await createTestProcess(store, clock, false);
    for (let i = 0; i < 1000; i++) expect((await plane.makeCluster(`idle-${i}`)).status).toBe(201);
    expect(plane.messages).toEqual([]);
    expect(await store.domains('idle-7')).toEqual([]);
    const { messages, used } = await plane.fleet.resume();
    expect([messages, used]).toEqual([[], []]);
    expect(clock.next()).toBeUndefined();
    await plane.close();
  });
});
