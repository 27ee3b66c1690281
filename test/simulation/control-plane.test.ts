// The whole cluster in one process under simulated time: store, apiserver, controllers, scheduler and hollow agents.
// What a user does is random, and so is what fails; SEED=N repeats it.
import { expect, test } from 'vitest';
import { createAgent } from '../../agent/main.ts';
import { createHollowRuntime } from '../../agent/runtime/hollow.ts';
import type { Runtime } from '../../agent/runtime/runtime.ts';
import { createApiServer } from '../../functions/apiserver/app.ts';
import { staticTokens, user } from '../../functions/apiserver/authn/authenticator.ts';
import { mastersAuthorizer } from '../../functions/apiserver/authz/authorizer.ts';
import { seedCluster } from '../../functions/apiserver/seed.ts';
import type { Client } from '../../functions/client/client.ts';
import { createClient } from '../../functions/client/fetch-client.ts';
import { createSimulatedClock, type SimulatedClock, seededRandom, settle } from '../../functions/clock/simulated.ts';
import { type Background, startBackground } from '../../functions/entry/background.ts';
import type { Deployment, Job, Node, Pod, ReplicaSet } from '../../functions/machinery/kinds.d.ts';
import { StatusError } from '../../functions/machinery/status.ts';
import { createMemoryStore } from '../../functions/store/memory.ts';
import { createReplicas } from '../../functions/store/replica.ts';

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 1e6));
const NODES = 3;
const ACTIONS = 60;
const TOKEN = 'administrator';
const NODE_CPUS = 6;
/** Of everyone together, for one action of the user: many more are a loop that writes what is there already. */
const REQUESTS_PER_ACTION_MAX = 100;

const pods = { group: '', version: 'v1', resource: 'pods' };
const nodes = { group: '', version: 'v1', resource: 'nodes' };
const jobs = { group: 'batch', version: 'v1', resource: 'jobs' };
const deployments = { group: 'apps', version: 'v1', resource: 'deployments' };
const replicaSets = { group: 'apps', version: 'v1', resource: 'replicasets' };

const template = (app: string, version: number) => ({
  metadata: { labels: { app } },
  spec: {
    terminationGracePeriodSeconds: 1,
    containers: [{ name: 'app', image: `app:${version}`, resources: { requests: { cpu: '500m' } } }],
  },
});
const deployment = (name: string, replicas: number): Deployment => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name, namespace: 'default' },
  spec: { replicas, selector: { matchLabels: { app: name } }, template: template(name, 1) },
});
const job = (name: string, completions: number): Job => ({
  apiVersion: 'batch/v1',
  kind: 'Job',
  metadata: { name, namespace: 'default' },
  spec: {
    completions,
    parallelism: 2,
    template: { spec: { restartPolicy: 'Never', containers: [{ name: 'app', image: 'app:1' }] } },
  },
});

interface Cluster {
  client: Client;
  runtimes: readonly Runtime[];
  restartAgent(index: number): void;
  restartControllers(): Promise<void>;
  /** Lets simulated time pass, everything that is due done meanwhile. */
  pass(ms: number): Promise<void>;
  failures: string[];
  requests(): number;
  close(): Promise<void>;
}

const createNode = (index: number, client: Client, clock: SimulatedClock, failures: string[]) => {
  const name = `node-${index + 1}`;
  const podCIDR = `10.244.${index}.0/24`;
  const runtime = createHollowRuntime({ clock, podCidr: podCIDR });
  let abort = new AbortController();
  const start = (): void => {
    abort = new AbortController();
    const agent = createAgent({
      node: {
        name,
        podCIDR,
        addresses: [{ type: 'InternalIP', address: `100.96.0.${10 + index}` }],
        capacity: { cpu: String(NODE_CPUS), memory: '64Gi', pods: '110', 'ephemeral-storage': '100Gi' },
      },
      client,
      clock,
      runtime,
      names: { clusterDns: [], clusterDomain: 'cluster.local', host: { servers: [], searches: [], options: [] } },
      onError: (message, error) => failures.push(`${name} ${message}: ${error}`),
    });
    agent.run(abort.signal).catch((error) => failures.push(`${name}: ${error}`));
  };
  start();
  return { runtime, start, stop: () => abort.abort() };
};

const createCluster = async (clock: SimulatedClock): Promise<Cluster> => {
  const failures: string[] = [];
  const store = createMemoryStore();
  const replicas = createReplicas(store, { clock, bytesMax: 1e9, windowChanges: 10_000, windowMs: 600_000 });
  const api = createApiServer({
    store,
    replicas,
    clock,
    authenticator: staticTokens(new Map([[TOKEN, user('admin', ['system:masters'])]])),
    authorizer: mastersAuthorizer(),
    disableAdmission: [],
    onFault: (fault, _, info) => failures.push(`${info?.method} ${info?.path}: ${fault}`),
  });
  let requests = 0;
  const fetch = (request: Request) => {
    requests++;
    return api.fetch(request);
  };
  const client = createClient({ fetch, baseUrl: 'https://127.0.0.1', token: TOKEN });
  await seedCluster({ store, cluster: 'default', clock });
  const begin = (): Background =>
    startBackground({ feed: store, replicas, clock, client: () => client, caCert: 'PEM' });
  let background = begin();
  await background.resync('default');
  const members = Array.from({ length: NODES }, (_, i) => createNode(i, client, clock, failures));
  return {
    client,
    runtimes: members.map((m) => m.runtime),
    failures,
    requests: () => requests,
    restartAgent: (index) => {
      members[index]?.stop();
      members[index]?.start();
    },
    restartControllers: async () => {
      await background.stop();
      background = begin();
      await background.resync('default');
    },
    pass: async (ms) => {
      for (let left = ms; left > 0; left -= 20) {
        await clock.advance(Math.min(20, left));
        for (let i = 0; i < 5; i++) await settle();
      }
    },
    close: async () => {
      for (const member of members) member.stop();
      await background.stop();
      await replicas.close();
      await store.close();
    },
  };
};

/** What a user or a mishap does next; a user who loses a race leaves it at that. */
const act = async (cluster: Cluster, random: () => number, step: number): Promise<string> => {
  const { client } = cluster;
  const pick = <T>(list: readonly T[]): T | undefined => list[Math.floor(random() * list.length)];
  const dice = random();
  if (dice < 0.06) {
    const index = Math.floor(random() * NODES);
    cluster.restartAgent(index);
    return `restart agent ${index}`;
  }
  if (dice < 0.1) {
    await cluster.restartControllers();
    return 'restart controllers';
  }
  if (dice < 0.15) {
    await client.create(jobs, job(`job-${step}`, 1 + Math.floor(random() * 4)));
    return 'create a job';
  }
  const existing = (await client.list<Deployment>(deployments, { namespace: 'default' })).items;
  const one = pick(existing)?.metadata.name;
  if (one === undefined || (dice < 0.4 && existing.length < 6)) {
    await client.create(deployments, deployment(`web-${step}`, Math.floor(random() * 5)));
    return `create web-${step}`;
  }
  const change = (body: unknown) => client.patch(deployments, 'default', one, { type: 'merge', body });
  if (dice < 0.6) {
    await change({ spec: { replicas: Math.floor(random() * 6) } });
    return `scale ${one}`;
  }
  if (dice < 0.75) {
    await change({ spec: { template: template(one, 2 + Math.floor(random() * 3)) } });
    return `roll out ${one}`;
  }
  if (dice < 0.85) {
    await client.delete(deployments, 'default', one, {
      propagationPolicy: pick(['Background', 'Foreground']) ?? 'Background',
    });
    return `delete ${one}`;
  }
  const victim = pick((await client.list<Pod>(pods, { namespace: 'default' })).items)?.metadata.name;
  if (victim === undefined) return 'nothing';
  await client.delete(pods, 'default', victim);
  return `delete pod ${victim}`;
};

/** What is not as it should be in the end; empty when the cluster has converged. */
const wrongs = async ({ client, runtimes }: Cluster): Promise<string[]> => {
  const wrong: string[] = [];
  const all = (await client.list<Pod>(pods)).items;
  const sets = (await client.list<ReplicaSet>(replicaSets)).items;
  const deployed = (await client.list<Deployment>(deployments)).items;
  const ran = (await client.list<Job>(jobs)).items;
  for (const { metadata, spec, status } of deployed) {
    const told = [
      status?.observedGeneration,
      status?.replicas ?? 0,
      status?.readyReplicas ?? 0,
      status?.updatedReplicas ?? 0,
    ];
    const wanted = [metadata.generation, spec?.replicas, spec?.replicas, spec?.replicas];
    if (String(told) !== String(wanted)) wrong.push(`${metadata.name} has ${told}, wants ${wanted}`);
  }
  const uids = new Set([...sets, ...deployed, ...ran].map((o) => o.metadata.uid));
  for (const { kind, metadata } of [...all, ...sets]) {
    const owner = metadata.ownerReferences?.[0]?.uid;
    if (owner === undefined || !uids.has(owner)) wrong.push(`${kind} ${metadata.name} has lost its owner`);
    if (metadata.deletionTimestamp) wrong.push(`${kind} ${metadata.name} is still being deleted`);
  }
  const running = all.filter((p) => p.status?.phase === 'Running');
  const replicas = deployed.reduce((sum, d) => sum + (d.spec?.replicas ?? 0), 0);
  if (running.length !== replicas) wrong.push(`${running.length} pods run for ${replicas} replicas`);
  for (const j of ran) {
    const complete = j.status?.conditions?.some((c) => c.type === 'Complete' && c.status === 'True');
    if (!complete) wrong.push(`${j.metadata.name} is not complete: ${JSON.stringify(j.status)}`);
  }
  for (const [i, runtime] of runtimes.entries()) {
    const held = (await runtime.sandboxes()).filter((s) => s.ready).map((s) => s.uid);
    const own = running.filter((p) => p.spec?.nodeName === `node-${i + 1}`).map((p) => p.metadata.uid ?? '');
    if (String(held.sort()) !== String(own.sort())) wrong.push(`node-${i + 1} runs ${held}, the API says ${own}`);
    if (own.length > NODE_CPUS * 2) wrong.push(`node-${i + 1} has ${own.length} pods of half a CPU`);
  }
  return wrong;
};

test(`a cluster converges after random use and restarts, seed ${seed}`, async () => {
  console.log(`seed ${seed}; replay with SEED=${seed}`);
  const clock = createSimulatedClock({ seed });
  const random = seededRandom(seed);
  const cluster = await createCluster(clock);
  const history: string[] = [];
  await cluster.pass(2000);
  expect((await cluster.client.list<Node>(nodes)).items).toHaveLength(NODES);
  for (let step = 0; step < ACTIONS; step++) {
    try {
      history.push(await act(cluster, random, step));
    } catch (error) {
      if (!(error instanceof StatusError)) throw error;
      history.push(`refused: ${error.message}`);
    }
    await cluster.pass(Math.floor(random() * 800));
  }
  let left = await wrongs(cluster);
  for (let i = 0; i < 60 && left.length > 0; i++) {
    await cluster.pass(1000);
    left = await wrongs(cluster);
  }
  const made = new Set(history.map((line) => line.split(' ')[0]));
  await cluster.close();
  expect(left, `seed ${seed}:\n${history.join('\n')}`).toEqual([]);
  expect(cluster.failures, `seed ${seed}`).toEqual([]);
  expect(made.size).toBeGreaterThan(3);
  expect(cluster.requests()).toBeLessThan(ACTIONS * REQUESTS_PER_ACTION_MAX);
}, 60_000);
