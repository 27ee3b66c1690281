import { describe, expect, it } from 'vitest';
import type { Client } from '../client/client.ts';
import { createFakeCluster } from '../client/fake.ts';
import type { Reader } from '../client/reader.ts';
import { createSimulatedClock, seededRandom } from '../clock/simulated.ts';
import type { EventDraft } from '../controllers/controller.ts';
import type { Pod } from '../machinery/kinds.d.ts';
import { conflict, genericFailure } from '../machinery/status.ts';
import { createScheduler } from './scheduler.ts';
import { node, pod } from './test-objects.ts';

const PODS = { group: '', version: 'v1', resource: 'pods' };
const NODES = { group: '', version: 'v1', resource: 'nodes' };
const refusal = () => conflict({ group: '', kind: 'pods', name: 'p' }, 'the pod is bound already');

type Refuse = (name: string) => Error | undefined;

const setUp = async (nodes: ReturnType<typeof node>[], refuse: Refuse = () => undefined, seed = 1) => {
  const clock = createSimulatedClock({ seed });
  const cluster = createFakeCluster({ clock });
  const events: EventDraft[] = [];
  const attempts: string[] = [];
  const client: Client = {
    ...cluster.client,
    raw: async (_, path, init) => {
      const [, namespace = '', name = ''] = /namespaces\/([^/]+)\/pods\/([^/]+)\/binding$/.exec(path) ?? [];
      attempts.push(name);
      const error = refuse(name);
      if (error) throw error;
      const { target } = JSON.parse(String(init?.body)) as { target: { name: string } };
      const bound = await cluster.client.get<Pod>(PODS, namespace, name);
      if (!bound || bound.spec?.nodeName) return new Response('{"kind":"Status","code":409}', { status: 409 });
      await cluster.client.patch(PODS, namespace, name, { type: 'merge', body: { spec: { nodeName: target.name } } });
      return new Response('{}', { status: 201 });
    },
  };
  const make = () => createScheduler({ reader: cluster.reader, client, clock, record: (e) => events.push(e) });
  for (const n of nodes) await addNode(cluster.client, n);
  const get = (name: string) => cluster.client.get<Pod>(PODS, 'default', name);
  const add = async (...pods: Pod[]) => {
    for (const p of pods) await cluster.client.create(PODS, p);
  };
  return { clock, cluster, client, events, attempts, make, get, add, scheduler: make() };
};
const addNode = async (client: Client, n: ReturnType<typeof node>) => {
  await client.create(NODES, n);
  await client.patch(
    NODES,
    '',
    n.metadata.name ?? '',
    { type: 'merge', body: { status: n.status } },
    { subresource: 'status' },
  );
};
const condition = (p: Pod | undefined) => p?.status?.conditions?.find((c) => c.type === 'PodScheduled');

describe('createScheduler', () => {
  it('binds and says so', async () => {
    const { scheduler, add, get, events } = await setUp([node('a')]);
    await add(pod('p', { cpu: '1' }));
    expect(await scheduler.run()).toBeUndefined();
    expect((await get('p'))?.spec?.nodeName).toBe('a');
    expect(events).toMatchObject([{ reason: 'Scheduled', message: 'Successfully assigned default/p to a' }]);
  });

  it('gives the room to others while the API refuses a binding, and tries again ever more slowly', async () => {
    const { scheduler, add, get, attempts } = await setUp([node('a')], (name) =>
      name === 'loser' ? refusal() : undefined,
    );
    await add(pod('loser', { cpu: '3', priority: 10 }));
    expect(await scheduler.run()).toBe(1_000);
    await add(pod('winner', { cpu: '3' }));
    expect(await scheduler.run()).toBe(1_000);
    expect((await get('winner'))?.spec?.nodeName).toBe('a');
    expect((await get('loser'))?.spec?.nodeName).toBeUndefined();
    expect(attempts).toEqual(['loser', 'winner']);
  });

  it('backs off to ten seconds when every binding is refused', async () => {
    const { scheduler, add, attempts, clock } = await setUp([node('a')], refusal);
    await add(pod('p'));
    const delays: (number | undefined)[] = [];
    for (let i = 0; i < 6; i++) {
      const next = await scheduler.run();
      delays.push(next);
      expect(await scheduler.run()).toBe(next);
      await clock.advance(next ?? 0);
    }
    expect(delays).toEqual([1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
    expect(attempts).toHaveLength(6);
  });

  it('throws what the API throws, after the other pods, and tries the pod again', async () => {
    let broken = true;
    const { scheduler, add, get, clock } = await setUp([node('a')], (name) =>
      broken && name === 'p' ? genericFailure(503, 'ServiceUnavailable', 'down') : undefined,
    );
    await add(pod('p', { priority: 1 }), pod('q'));
    await expect(scheduler.run()).rejects.toMatchObject({ code: 503 });
    expect((await get('q'))?.spec?.nodeName).toBe('a');
    broken = false;
    await clock.advance(1_000);
    await scheduler.run();
    expect((await get('p'))?.spec?.nodeName).toBe('a');
  });

  it('waits for a node when there is none', async () => {
    const { scheduler, add, get, cluster, clock } = await setUp([]);
    await add(pod('p'));
    await scheduler.run();
    expect(condition(await get('p'))).toMatchObject({
      status: 'False',
      message: 'no nodes available to schedule pods',
    });
    await addNode(cluster.client, node('a'));
    await clock.advance(1_000);
    await scheduler.run();
    expect((await get('p'))?.spec?.nodeName).toBe('a');
  });

  it('does not look again at what nothing helps, until five minutes are over', async () => {
    const { scheduler, add, get, cluster, clock } = await setUp([node('a', { cpu: '1' })]);
    await add(pod('p', { cpu: '2' }));
    expect(await scheduler.run()).toBe(300_000);
    const { length } = cluster.writes;
    await addNode(cluster.client, node('b', { cpu: '1' }));
    await clock.advance(2_000);
    expect(await scheduler.run()).toBe(298_000);
    expect(condition(await get('p'))?.message).toMatch('0/1 nodes are available: 1 Insufficient cpu.');
    await clock.advance(298_000);
    await scheduler.run();
    expect(condition(await get('p'))?.message).toMatch('0/2 nodes are available: 2 Insufficient cpu.');
    expect(cluster.writes.length).toBe(length + 3);
  });

  it('keeps the room of a preemptor until it is gone', async () => {
    const { scheduler, add, get, cluster, clock } = await setUp([node('a')]);
    await add(pod('victim', { cpu: '3', priority: 1, on: 'a' }));
    await add(pod('p', { cpu: '4', priority: 100 }));
    await scheduler.run();
    expect((await get('victim'))?.metadata.deletionTimestamp).toBeDefined();
    expect((await get('p'))?.status?.nominatedNodeName).toBe('a');
    await add(pod('small', { cpu: '1', priority: 50 }));
    await scheduler.run();
    expect((await get('small'))?.spec?.nodeName).toBeUndefined();
    await cluster.client.delete(PODS, 'default', 'p');
    await clock.advance(1_000);
    await scheduler.run();
    expect((await get('small'))?.spec?.nodeName).toBe('a');
  });

  it('counts its own bindings while the view does not show them yet', async () => {
    const { client, cluster, clock, add } = await setUp([node('a')]);
    let hidden = new Map<string, Pod>();
    const stale: Reader = {
      ...cluster.reader,
      list: async (resource, select) => {
        const items = await cluster.reader.list(resource, select);
        return items.map((item) => (hidden.get(item.metadata.uid ?? '') ?? item) as never);
      },
      view: async (resource) => ({ type: 'all', items: await stale.list(resource), resourceVersion: '0' }),
    };
    const scheduler = createScheduler({ reader: stale, client, clock, record: () => {} });
    await add(pod('p', { cpu: '3' }));
    hidden = new Map((cluster.all(PODS) as Pod[]).map((p) => [p.metadata.uid ?? '', p]));
    await scheduler.run();
    await add(pod('q', { cpu: '3' }));
    await scheduler.run();
    const on = (cluster.all(PODS) as Pod[]).map((p) => p.spec?.nodeName);
    expect(on).toEqual(['a', undefined]);
    hidden.clear();
    await cluster.client.delete(PODS, 'default', 'p', { gracePeriodSeconds: 0 });
    await clock.advance(1_000);
    await scheduler.run();
    expect((cluster.all(PODS) as Pod[]).map((p) => [p.metadata.name, p.spec?.nodeName])).toEqual([['q', 'a']]);
  });

  it('takes its assumption back when another scheduler was faster', async () => {
    const { make, add, get, cluster } = await setUp([node('a'), node('b', { cpu: '1' })]);
    const [one, two] = [make(), make()];
    await add(pod('p', { cpu: '3' }));
    await Promise.all([one.run(), two.run()]);
    expect((await get('p'))?.spec?.nodeName).toBe('a');
    await cluster.client.delete(PODS, 'default', 'p', { gracePeriodSeconds: 0 });
    await add(pod('q', { cpu: '4' }));
    await two.run();
    expect((await get('q'))?.spec?.nodeName).toBe('a');
  });

  it('never puts more on a node than it has, through failures and restarts', async () => {
    const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
    console.log(`SEED=${seed}`);
    const random = seededRandom(seed);
    const nodes = Array.from({ length: 5 }, (_, i) => node(`n${i}`));
    const { make, add, cluster, clock } = await setUp(nodes, () => (random() < 0.3 ? refusal() : undefined), seed);
    let scheduler = make();
    const check = () => {
      const used = new Map<string, number>();
      for (const p of cluster.all(PODS) as Pod[]) {
        const cpu = Number(p.spec?.containers[0]?.resources?.requests?.cpu);
        if (p.spec?.nodeName) used.set(p.spec.nodeName, (used.get(p.spec.nodeName) ?? 0) + cpu);
      }
      return [...used.values()];
    };
    for (let i = 0; i < 60; i++) {
      await add(pod(`p${i}`, { cpu: `${1 + Math.floor(random() * 2)}`, grace: 0 }));
      const bound = (cluster.all(PODS) as Pod[]).filter((p) => p.spec?.nodeName);
      const gone = random() < 0.2 ? bound[Math.floor(random() * bound.length)]?.metadata.name : undefined;
      if (gone) await cluster.client.delete(PODS, 'default', gone);
      if (random() < 0.1) scheduler = make();
      await scheduler.run();
      await clock.advance(3_000);
      expect(Math.max(0, ...check())).toBeLessThanOrEqual(4);
    }
    for (let i = 0; i < 10; i++) {
      await scheduler.run();
      await clock.advance(10_000);
    }
    // Some pod wants one cpu, so no node is left with room for it.
    expect(check().reduce((a, b) => a + b, 0)).toBeGreaterThanOrEqual(19);
  });
});
