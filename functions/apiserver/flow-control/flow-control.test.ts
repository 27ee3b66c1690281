import { describe, expect, it } from 'vitest';
import { plainResponse } from '../plain-response.ts';
import { parseFlowControl } from './configuration.ts';
import { EXEMPT_WAITING_MAX, WAITING_MAX } from './flow-control.ts';
import { type Asked, createFlowWorld, level, schema } from './flow-for-tests.ts';
import { SEATS_PER_TURN } from './gate.ts';
import { createRetryAfter } from './retry-after.ts';

const narrow = [level('narrow', 5, [1, 1, 3]), schema('narrow', 'narrow', 500, ['u', 'v'])];
const LIST = '/api/v1/namespaces/a/configmaps';

/** Fills a level's seats. */
const fill = async (world: Awaited<ReturnType<typeof createFlowWorld>>, username: string, seats: number) => {
  const asked: Asked[] = [];
  for (let i = 0; i < seats; i++) {
    asked.push(world.ask(username));
    while (await world.turn());
  }
  return asked;
};

describe('a level that is full', () => {
  it('refuses at once where it has no queues', async () => {
    const world = await createFlowWorld({
      default: [level('hard', 5), schema('hard', 'hard', 500, ['u'])],
    });
    await fill(world, 'u', 1);
    const { limit } = world.level('hard');
    const all = await fill(world, 'u', limit);
    expect(all.slice(0, -1).every(({ begun }) => begun)).toBe(true);
    expect(all.at(-1)?.pass?.refusal).toBe('concurrency-limit');
    all[0]?.end();
    const [after] = await fill(world, 'u', 1);
    expect(after?.begun).toBe(true);
  });

  it('queues so many, and refuses what comes then', async () => {
    const world = await createFlowWorld({ default: narrow });
    await fill(world, 'u', 1);
    await fill(world, 'u', world.level('narrow').limit - 1);
    const more = await fill(world, 'u', 5);
    expect(more.map(({ pass }) => pass?.refusal)).toEqual([
      undefined,
      undefined,
      undefined,
      'queue-full',
      'queue-full',
    ]);
    expect(more.map(({ pass }) => pass !== undefined)).toEqual([false, false, false, true, true]);
  });

  it('lets nobody wait longer than a quarter of the time that a request has', async () => {
    const world = await createFlowWorld({ default: narrow });
    await fill(world, 'u', 1);
    await fill(world, 'u', world.level('narrow').limit - 1);
    const patient = world.ask('u');
    const hasty = world.ask('u', '/api/v1/namespaces/a/pods/p?timeout=1m2s500ms');
    const hastier = world.ask('u', '/api/v1/namespaces/a/pods/p?timeout=4s');
    await world.clock.advance(999);
    expect(hastier.pass).toBeUndefined();
    await world.clock.advance(1);
    expect(hastier.pass?.refusal).toBe('time-out');
    await world.clock.advance(14_000);
    expect([patient, hasty].map(({ pass }) => pass?.refusal)).toEqual(['time-out', 'time-out']);
    expect(world.level('narrow').totals.timedOut).toBe(3);
  });

  it('forgets whoever goes away', async () => {
    const world = await createFlowWorld({ default: narrow });
    const [first] = await fill(world, 'u', 1);
    await fill(world, 'u', world.level('narrow').limit - 1);
    const gone = world.ask('u');
    const next = world.ask('u');
    gone.abort();
    await world.settle();
    expect(gone.pass?.refusal).toBe('cancelled');
    expect(world.level('narrow').waiting).toBe(1);
    first?.end();
    await world.settle();
    expect(next.begun).toBe(true);
  });

  it('bounds what waits in all clusters, at the cost of those with most', async () => {
    const wide = [level('narrow', 5, [1, 1, 100_000]), schema('narrow', 'narrow', 500, ['u'])];
    const world = await createFlowWorld({ default: wide, quiet: wide });
    await fill(world, 'u', 1);
    const flood: Asked[] = [];
    for (let i = 0; i < WAITING_MAX + 200; i++) flood.push(world.ask('u'));
    await world.settle();
    expect(flood.filter(({ pass }) => pass?.refusal === 'queue-full').length).toBeGreaterThan(100);
    world.ask('u', LIST, 'quiet');
    await world.settle();
    for (let i = 0; i < 20; i++) world.ask('u', LIST, 'quiet');
    const quiet = world.level('narrow', 'quiet');
    expect(quiet.totals.refused).toBe(0);
  });
});

describe('changes of the objects', () => {
  it('count for the next request; a level without its object ends when it is idle', async () => {
    const world = await createFlowWorld({ default: narrow });
    const [old] = await fill(world, 'u', 1);
    await fill(world, 'u', 1);
    const domain = {
      cluster: 'default',
      group: 'flowcontrol.apiserver.k8s.io',
      resource: 'prioritylevelconfigurations',
    };
    const stored = await world.store.get(domain, 'narrow');
    await world.store.commit(domain, [{ op: 'delete', key: 'narrow', expected: stored?.revision ?? 0n }]);
    await world.clock.advance(1);
    const [after] = await fill(world, 'u', 1);
    // Its schema dangles now, and nothing else is about this user.
    expect(world.flow.state('default')?.schemas.map(({ name }) => name)).not.toContain('narrow');
    expect(world.level('catch-all').executing).toBe(1);
    expect(world.level('narrow')).toMatchObject({ leaving: true, executing: 2 });
    old?.end();
    expect(world.flow.state('default')?.levels.has('narrow')).toBe(true);
    expect(after?.begun).toBe(true);
  });

  it('share as many seats as the operator says', async () => {
    const said = { seats: 100 as number | undefined };
    const world = await createFlowWorld({ default: narrow }, { seats: () => said.seats });
    const nominal = async (): Promise<number> => {
      await world.clock.advance(1);
      const [asked] = await fill(world, 'u', 1);
      asked?.end();
      return world.level('narrow').nominal;
    };
    expect(await nominal()).toBe(2);
    said.seats = 1000;
    expect(await nominal()).toBe(20);
    said.seats = undefined;
    expect(await nominal()).toBe(12);
  });

  it('that cannot be read are as good as not there', async () => {
    const broken = (name: string, spec: object) => ({ ...schema(name, 'narrow', 400, ['u']), spec }) as never;
    const to = { priorityLevelConfiguration: { name: 'narrow' }, matchingPrecedence: 400 };
    const world = await createFlowWorld({
      default: [
        ...narrow,
        broken('one', { ...to, rules: 7 }),
        broken('two', { ...to, rules: [{ subjects: [{ kind: 'User', user: {} }], resourceRules: 7 }] }),
        broken('three', { rules: [] }),
        { ...level('levelless', 1), spec: { type: 'Limited' } } as never,
      ],
    });
    const [asked] = await fill(world, 'u', 1);
    expect(asked?.begun).toBe(true);
    const names = world.flow.state('default')?.schemas.map(({ name }) => name) ?? [];
    expect(names).toContain('narrow');
    for (const name of ['one', 'two', 'three']) expect(names).not.toContain(name);
  });

  it('are never without the mandatory ones', async () => {
    const world = await createFlowWorld({ default: [] });
    for (const resource of ['prioritylevelconfigurations', 'flowschemas']) {
      const domain = { cluster: 'default', group: 'flowcontrol.apiserver.k8s.io', resource };
      const page = await world.store.scan(domain, '', 100);
      const deletes = page.items.map(({ key, revision }) => ({ op: 'delete' as const, key, expected: revision }));
      await world.store.commit(domain, deletes);
    }
    const admin = world.ask('admin');
    const other = world.ask('u');
    await world.settle();
    expect([admin.begun, other.begun]).toEqual([true, true]);
    expect(world.flow.state('default')?.schemas.map(({ name }) => name)).toEqual(['exempt', 'catch-all']);
    expect(world.level('catch-all').executing).toBe(1);
  });
});

describe('the exempt', () => {
  it('are begun whatever is full, turn by turn; of tenants so many wait and no more', async () => {
    const world = await createFlowWorld({ default: [], tenant: [] });
    for (const cluster of ['default', 'tenant']) {
      world.ask('admin', LIST, cluster);
      await world.settle();
      await world.turn();
      const all: Asked[] = [];
      for (let i = 0; i < EXEMPT_WAITING_MAX + 100; i++) all.push(world.ask('admin', LIST, cluster));
      await world.settle();
      const refused = all.filter(({ pass }) => pass?.refusal === 'concurrency-limit');
      expect(refused.length > 0).toBe(cluster === 'tenant');
      while (await world.turn());
      expect(all.every(({ pass }) => pass)).toBe(true);
      for (const asked of all) asked.end();
      expect(world.level('exempt', cluster).executing).toBe(1);
    }
  });
});

it('begins a quiet cluster’s request behind one turn of a flood, not behind the flood', async () => {
  const world = await createFlowWorld({ default: [], loud: [], quiet: [] });
  for (const cluster of ['loud', 'quiet']) world.ask('admin', LIST, cluster);
  await world.settle();
  while (await world.turn());
  const flood: Asked[] = [];
  for (let i = 0; i < 400; i++) flood.push(world.ask('admin', LIST, 'loud'));
  const polite = Array.from({ length: 5 }, () => world.ask('admin', LIST, 'quiet'));
  await world.settle();
  expect(flood.filter(({ begun }) => begun).length).toBeLessThanOrEqual(SEATS_PER_TURN);
  await world.turn();
  expect(polite.every(({ begun }) => begun)).toBe(true);
  expect(flood.filter(({ begun }) => begun).length).toBeLessThanOrEqual(2 * SEATS_PER_TURN);
  while (await world.turn());
  expect(flood.every(({ begun }) => begun)).toBe(true);
});

describe('seats', () => {
  it('of lists grow with what is listed, of watches are taken while they begin', async () => {
    const world = await createFlowWorld({ default: [schema('wide', 'workload-low', 500, ['u'])] });
    const domain = { cluster: 'default', group: '', resource: 'configmaps' };
    const index = { labels: {}, fields: {}, owners: [] };
    const bytes = () => Buffer.from('{}');
    const writes = Array.from({ length: 550 }, (_, i) => ({ op: 'create' as const, key: `a/c${i}`, index, bytes }));
    await world.store.commit(domain, writes);
    const seatsOf = async (path: string): Promise<number> => {
      const before = world.level('workload-low').seatsInUse;
      const [asked] = [world.ask('u', path)];
      while (await world.turn());
      const taken = world.level('workload-low').seatsInUse - before;
      asked?.end();
      return taken;
    };
    world.ask('u');
    await world.settle();
    expect(await seatsOf(LIST)).toBe(1);
    await world.replicas.of(domain);
    expect(await seatsOf(LIST)).toBe(6);
    expect(await seatsOf(`${LIST}?limit=250`)).toBe(3);
    expect(await seatsOf(`${LIST}?limit=250&labelSelector=a`)).toBe(6);
    expect(await seatsOf(`${LIST}?watch=1`)).toBe(6);
    expect(await seatsOf(`${LIST}?watch=1&resourceVersion=7`)).toBe(1);
    expect(await seatsOf(`${LIST}?watch=1&resourceVersion=7&sendInitialEvents=true`)).toBe(6);
    expect(await seatsOf(`${LIST}/c1`)).toBe(1);
    expect(world.level('workload-low').seatsInUse).toBe(1);
  });

  it('of a watch are free when it has begun, and those of a write when its watchers have had it', async () => {
    const world = await createFlowWorld({ default: [schema('wide', 'workload-low', 500, ['u'])] });
    world.ask('u');
    await world.settle();
    const low = world.level('workload-low');
    const closers: (() => void)[] = [];
    for (let i = 0; i < 25; i++) {
      const watch = world.ask('u', `${LIST}?watch=1`);
      while (await world.turn());
      const gone = new AbortController();
      closers.push(() => gone.abort());
      const answer = plainResponse({ status: 200, headers: {}, body: (sink) => sink.send(Buffer.from('{}')) });
      if (!watch.pass) throw new Error('not begun');
      world.flow.end(watch.pass, answer);
      expect(low.executing).toBe(2);
      await new Response(answer.body).body?.getReader().read();
      expect(low.executing).toBe(1);
    }
    expect(world.flow.state('default')?.watchers.get('/configmaps')).toBe(25);
    const write = world.ask('u', `${LIST}/c`, 'default', 'DELETE');
    while (await world.turn());
    expect(low.seatsInUse).toBe(1 + 3);
    write.end();
    expect(low.seatsInUse).toBe(1 + 3);
    await world.clock.advance(5);
    expect(low.seatsInUse).toBe(1);
  });

  it('of a watch that nobody reads are free soon', async () => {
    const world = await createFlowWorld({ default: [schema('wide', 'workload-low', 500, ['u'])] });
    const watch = world.ask('u', `${LIST}?watch=1`);
    await world.settle();
    if (!watch.pass) throw new Error('not begun');
    world.flow.end(watch.pass, plainResponse({ status: 200, headers: {}, body: () => undefined }));
    expect(world.level('workload-low').seatsInUse).toBe(1);
    await world.clock.advance(100);
    expect(world.level('workload-low').seatsInUse).toBe(0);
  });
});

it('does not count requests that last', async () => {
  const world = await createFlowWorld({ default: [] });
  for (const path of ['pods/p/exec', 'pods/p/log', 'pods/p/portforward', 'pods/p/attach', 'services/s/proxy'])
    expect(world.ask('u', `/api/v1/namespaces/a/${path}`).pass).toBeUndefined();
  await world.settle();
  expect(world.flow.state('default')).toBeUndefined();
});

it('marks requests that were begun beside the reading of the objects', async () => {
  const world = await createFlowWorld({ default: [] }, { beside: true });
  const asked = world.ask('u');
  // Begun at once: nothing was waited for.
  expect(asked.begun).toBe(true);
  const answer = plainResponse({ status: 200, headers: {}, body: '' });
  if (!asked.pass) throw new Error('not begun');
  await world.flow.end(asked.pass, answer);
  const domain = { cluster: 'default', group: 'flowcontrol.apiserver.k8s.io', resource: 'flowschemas' };
  const stored = await world.store.get(domain, 'catch-all');
  const { metadata } = JSON.parse(Buffer.from(stored?.bytes ?? []).toString());
  expect(answer.headers.get('x-kubernetes-pf-flowschema-uid')).toBe(metadata.uid);
});

describe('the time to stay away', () => {
  it('doubles while many are refused, up to half a minute, and falls by one', () => {
    const retry = createRetryAfter();
    const told: number[] = [];
    for (let second = 0; second < 80; second++)
      for (let i = 0; i < 10; i++) {
        const seconds = retry.refused('l', second * 1000 + i);
        if (i === 9) told.push(seconds);
      }
    expect(told[0]).toBe(1);
    expect(told[1]).toBe(2);
    expect(Math.max(...told)).toBe(32);
    expect(told.at(-1)).toBe(32);
    expect(retry.refused('l', 200_000)).toBe(31);
    expect(retry.refused('l', 300_000)).toBe(30);
    expect(retry.refused('other', 300_000)).toBe(1);
  });
});

it.each([
  [{ seats: 50 }, { seats: 50 }],
  [{ seats: 0 }, 'seats: Too small'],
  [{ seats: '50' }, 'seats: Invalid input'],
  [{}, 'seats: Invalid input'],
  [{ seats: 50, more: 1 }, 'document: Unrecognized key'],
])('reads %j', (fields, expected) => {
  const read = () => parseFlowControl({ apiVersion: 'skiff.dev/v1', kind: 'FlowControlConfiguration', ...fields });
  if (typeof expected === 'string') expect(read).toThrow(expected);
  else expect(read()).toEqual(expected);
});
