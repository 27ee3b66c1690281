// What flow control costs a request that need not wait, and how a flood is felt by others. JSON lines.
//   node bench/flow-control.ts
import { once } from 'node:events';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { createFlowControl, type Pass } from '../functions/apiserver/flow-control/flow-control.ts';
import { plainResponse } from '../functions/apiserver/plain-response.ts';
import { requestInfo } from '../functions/apiserver/request-info.ts';
import { seedCluster } from '../functions/apiserver/seed.ts';
import { createSystemClock } from '../functions/clock/system.ts';
import { createMemoryStore } from '../functions/store/memory.ts';
import { createReplicas } from '../functions/store/replica.ts';
import type { Flooded, FloodOf } from './flood.ts';
import { get, quantile } from './get.ts';
import { open, send } from './load.ts';
import { startPlane } from './process.ts';

const told = (name: string, figures: object): void =>
  console.log(JSON.stringify({ bench: `flow.${name}`, ...figures }));
const rounded = (value: number): number => Number(value.toFixed(2));

/** Microseconds of begin and end, and bytes allocated, per request. */
const alone = async (): Promise<void> => {
  const clock = createSystemClock();
  const store = createMemoryStore();
  await seedCluster({ store, cluster: 'default', clock });
  const replicas = createReplicas(store, { clock, bytesMax: 1 << 26, windowChanges: 100, windowMs: 60_000 });
  const flow = createFlowControl({ replicas, clock });
  const request = new Request('https://x/');
  const known = 'system:authenticated';
  const cases = {
    exempt: { username: 'admin', groups: ['system:masters', known] },
    user: { username: 'alice', groups: ['devs', known] },
    serviceAccount: { username: 'system:serviceaccount:a:b', groups: ['system:serviceaccounts', known] },
    node: { username: 'system:node:n', groups: ['system:nodes', known] },
  };
  for (const [name, { username, groups }] of Object.entries(cases)) {
    const info = requestInfo('GET', '/api/v1/namespaces/a/pods/p');
    const user = { username, groups, uid: '', extra: {} };
    const response = plainResponse({ status: 200, headers: {}, body: '' });
    const once = (): Promise<void> | undefined => {
      const pass = flow.begin(info, user, request);
      if (pass instanceof Promise) return pass.then((given) => void flow.end(given, response));
      if (pass) flow.end(pass as Pass, response);
      return undefined;
    };
    const rounds = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++) {
        const later = once();
        if (later) await later;
      }
    };
    await rounds(50_000);
    const heap = process.memoryUsage().heapUsed;
    await rounds(1000);
    const bytes = Math.round((process.memoryUsage().heapUsed - heap) / 1000);
    const began = performance.now();
    await rounds(200_000);
    told('alone', { user: name, microseconds: rounded(((performance.now() - began) * 1000) / 200_000), bytes });
  }
};

const FLOOD = 500;
const FLOOD_MS = 4000;

/** Latency of one who asks now and then, while another keeps 500 requests open. */
const flooded = async (
  name: string,
  plane: Awaited<ReturnType<typeof startPlane>>,
  loud: { path: string; headers: Record<string, string> },
  quiet: { path: string; headers: Record<string, string> },
): Promise<void> => {
  const polite = await open(plane.target);
  const measure = async (ms: number): Promise<number[]> => {
    const times: number[] = [];
    for (const end = performance.now() + ms; performance.now() < end; await delay(5)) {
      const seen = await get(polite, quiet.path, quiet.headers);
      if (seen.status !== 200) throw new Error(`the quiet one got ${seen.status}`);
      times.push(seen.ms);
    }
    return times;
  };
  const before = await measure(1000);
  const workerData: FloodOf = { target: plane.target, ...loud, many: FLOOD };
  const flood = new Worker(new URL('./flood.ts', import.meta.url), { workerData });
  await delay(1000);
  const during = await measure(FLOOD_MS);
  flood.postMessage('stop');
  const [flooded] = (await once(flood, 'message')) as [Flooded];
  polite.close();
  const mean = during.reduce((sum, ms) => sum + ms, 0) / during.length;
  told(name, {
    quietBefore: { p50Ms: quantile(before, 0.5), p99Ms: quantile(before, 0.99) },
    quietDuring: { p50Ms: quantile(during, 0.5), p99Ms: quantile(during, 0.99), meanMs: rounded(mean) },
    flooded,
  });
};

const CLUSTERS = '/clusters/system/apis/skiff.dev/v1/clusters';

const shared = async (): Promise<void> => {
  const plane = await startPlane();
  const session = await open(plane.target);
  const { token } = plane.target;
  const make = (path: string, body: object): Promise<number> =>
    send(session, token, { method: 'POST', path, body: JSON.stringify(body) });
  const binding = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: 'viewers' },
  };
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' };
  const subjects = [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: 'viewers' }];
  await make('/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', { ...binding, roleRef, subjects });
  for (let i = 0; i < 200; i++)
    await make('/api/v1/namespaces/default/configmaps', {
      metadata: { name: `c${i}` },
      data: { text: 'x'.repeat(500) },
    });
  const as = (username: string) => ({
    authorization: `Bearer ${token}`,
    'impersonate-user': username,
  });
  for (const name of ['loud', 'quiet'])
    await make(CLUSTERS, { apiVersion: 'skiff.dev/v1', kind: 'Cluster', metadata: { name } });
  const map = '/api/v1/namespaces/default/configmaps/c1';
  const list = '/api/v1/namespaces/default/configmaps';
  const groups = { 'impersonate-group': 'viewers' };
  // As kubectl asks: a table takes the server far more work than the bytes as they are.
  const table = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json' };
  await flooded(
    'users-gets',
    plane,
    { path: map, headers: { ...as('a'), ...groups } },
    { path: map, headers: { ...as('b'), ...groups } },
  );
  await flooded(
    'users-lists',
    plane,
    { path: list, headers: { ...as('a'), ...groups, ...table } },
    { path: map, headers: { ...as('b'), ...groups } },
  );
  const admin = { authorization: `Bearer ${token}` };
  const roles = '/apis/rbac.authorization.k8s.io/v1/clusterroles';
  await flooded(
    'tenants',
    plane,
    { path: `/clusters/loud${roles}`, headers: { ...admin, ...table } },
    { path: `/clusters/quiet${roles}/view`, headers: admin },
  );
  session.close();
  await plane.stop();
};

await alone();
if (!process.argv.includes('alone')) await shared();
