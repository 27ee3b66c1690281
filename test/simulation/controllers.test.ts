import { expect, test } from 'vitest';
import { createFakeCluster } from '../../functions/client/fake.ts';
import { createSimulatedClock, type SimulatedClock, seededRandom, settle } from '../../functions/clock/simulated.ts';
import { createControllers } from '../../functions/controllers/index.ts';
import { deployments, jobs, pods, replicaSets, services } from '../../functions/controllers/resources.ts';
import { createRunner } from '../../functions/controllers/run.ts';
import type { Deployment, Pod } from '../../functions/machinery/kinds.d.ts';
import type { KubeObject } from '../../functions/machinery/object.ts';
import { conflict } from '../../functions/machinery/status.ts';
import { createMemoryQueue } from '../../functions/queue/memory.ts';
import type { Message } from '../../functions/queue/queue.ts';
import { typeOfKind, types } from '../replay/controllers/world.ts';

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 1e6));

interface Disturbed {
  clock: SimulatedClock;
  api: ReturnType<typeof createFakeCluster>;
  settleAll(): Promise<void>;
  /** Handles every key of every controller once; returns how many writes that made. */
  again(): Promise<number>;
  stop(): void;
}

/** Controllers over a model API whose messages come late and twice and whose writes lose races at random. */
const start = (disturb: boolean, random: () => number): Disturbed => {
  const clock = createSimulatedClock({ seed: 7 });
  const api = createFakeCluster({
    clock,
    refuse: (write) =>
      disturb && write.resource.resource !== 'events' && random() < 0.15
        ? conflict({ group: write.resource.group, kind: write.resource.resource, name: write.key }, 'lost at random')
        : undefined,
  });
  const queue = createMemoryQueue({ clock, workers: 4 });
  const controllers = createControllers({ resourceTypes: async () => types, rootCa: () => 'PEM' });
  const runner = createRunner({ controllers, reader: () => api.reader, client: () => api.client, clock, queue });
  const known = new Map<string, Message>();
  const send = async (message: Message) => {
    known.set(`${message.consumer} ${message.key}`, message);
    await queue.send([message], disturb ? Math.floor(random() * 300) : 0);
    if (disturb && random() < 0.3) clock.after(random() * 2_000, () => void queue.send([message]));
  };
  api.onChange((change) => {
    const watched = { ...change, ...(change.previous && { previous: change.previous }) };
    const { previous: _, ...fresh } = watched;
    for (const { name, watches } of controllers) {
      for (const watch of watches) {
        const { group, resource } = watch.resource;
        if (resource !== '*' && (group !== change.resource.group || resource !== change.resource.resource)) continue;
        const told = change.previous ? { ...fresh, previous: change.previous } : fresh;
        void Promise.resolve(watch.keys(told, api.reader)).then(async (keys) => {
          for (const key of keys) await send({ cluster: 'default', consumer: name, key });
        });
      }
    }
  });
  const abort = new AbortController();
  void queue.run((message) => runner.handle(message), abort.signal);
  const settleAll = async () => {
    for (let i = 0; i < 400; i++) {
      await clock.advance(100);
      await settle();
    }
  };
  return {
    clock,
    api,
    settleAll,
    async again() {
      const before = api.writes.length;
      for (const message of known.values()) await runner.handle(message);
      return api.writes.length - before;
    },
    stop: () => abort.abort(),
  };
};

const deployment = (name: string, replicas: number, image: string): Deployment => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name, namespace: 'x' },
  spec: {
    replicas,
    selector: { matchLabels: { app: name } },
    strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 1 } },
    revisionHistoryLimit: 10,
    template: {
      metadata: { labels: { app: name } },
      spec: { terminationGracePeriodSeconds: 0, containers: [{ name: 'c', image }] },
    },
  },
});

/** The same operations for both runs: they come from their own seed. */
const operate = async (world: Disturbed, operations: () => number) => {
  const { client } = world.api;
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'x' } };
  const retry = async (act: () => Promise<unknown>) => {
    for (;;) {
      try {
        return await act();
      } catch {
        await world.clock.advance(1);
      }
    }
  };
  await retry(() => client.create(typeOfKind('Namespace'), namespace));
  for (const name of ['a', 'b', 'c']) await retry(() => client.create(deployments, deployment(name, 2, 'v1')));
  const spec = { selector: { app: 'a' }, ports: [{ port: 80 }] };
  const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'a', namespace: 'x' }, spec };
  await retry(() => client.create(services, service as KubeObject));
  for (let i = 0; i < 25; i++) {
    const name = ['a', 'b', 'c'][Math.floor(operations() * 3)] ?? 'a';
    const kind = operations();
    const replicas = Math.floor(operations() * 6);
    const template = { spec: { containers: [{ name: 'c', image: `v${1 + Math.floor(operations() * 3)}` }] } };
    const body = kind < 0.5 ? { spec: { replicas } } : { spec: { template } };
    await retry(() => client.patch(deployments, 'x', name, { type: 'merge', body }));
    await world.clock.advance(Math.floor(operations() * 1_000));
    await becomeReady(world);
  }
  for (let i = 0; i < 30; i++) {
    await world.settleAll();
    if ((await becomeReady(world)) === 0) break;
  }
};

/** The kubelet: every pod becomes ready. Returns how many did. */
const becomeReady = async (world: Disturbed): Promise<number> => {
  let count = 0;
  for (const pod of world.api.all(pods) as Pod[]) {
    if (pod.status?.phase === 'Running') continue;
    const conditions = [{ type: 'Ready', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' }];
    const podIP = `10.0.0.${pod.metadata.name?.length}`;
    const body = { status: { phase: 'Running', podIP, conditions } };
    try {
      const { namespace = '', name = '' } = pod.metadata;
      await world.api.client.patch(pods, namespace, name, { type: 'merge', body }, { subresource: 'status' });
      count++;
    } catch {
      count++;
    }
  }
  return count;
};

/** What the user asked for and sees: sizes and templates of what runs, not names or revisions on the way. */
const outcome = (world: Disturbed) => ({
  deployments: (world.api.all(deployments) as Deployment[]).map(({ metadata, spec, status }) => ({
    name: metadata.name,
    replicas: spec?.replicas,
    ready: status?.readyReplicas ?? 0,
    updated: status?.updatedReplicas ?? 0,
  })),
  pods: (world.api.all(pods) as Pod[])
    .map((pod) => `${pod.metadata.labels?.app} ${pod.spec?.containers[0]?.image} ${pod.status?.phase}`)
    .sort(),
  running: world.api
    .all(replicaSets)
    .map((set) => (set as { spec?: { replicas?: number } }).spec?.replicas ?? 0)
    .filter((size) => size > 0)
    .sort(),
  jobs: world.api.all(jobs).length,
});

test(`lost races, late and repeated messages change nothing in the end (SEED=${seed})`, async () => {
  const calm = start(false, () => 1);
  await operate(calm, seededRandom(seed));
  const stormy = start(true, seededRandom(seed + 1));
  await operate(stormy, seededRandom(seed));
  expect(outcome(stormy)).toEqual(outcome(calm));
  expect(outcome(calm).deployments.every((one) => one.ready === one.replicas)).toBe(true);
  expect(await calm.again()).toBe(0);
  calm.stop();
  stormy.stop();
}, 60_000);
