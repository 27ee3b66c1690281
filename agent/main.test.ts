import { expect, test } from 'vitest';
import type { Client } from '../functions/client/client.ts';
import { createSystemClock } from '../functions/clock/system.ts';
import type { GroupVersionResource, KubeObject } from '../functions/machinery/object.ts';
import { createAgent } from './main.ts';
import { createPodApi, createScriptedRuntime } from './test-node.ts';

test('a hollow node composed: registers, makes a pod Ready, refuses one that does not fit, ends when aborted', async () => {
  const clock = createSystemClock();
  const api = createPodApi();
  const others = new Map<string, KubeObject>();
  const isPod = (r: GroupVersionResource) => r.resource === 'pods';
  const put = async (r: GroupVersionResource, object: KubeObject) => {
    others.set(`${r.resource}/${object.metadata.name}`, object);
    return object;
  };
  const client = {
    ...api.client,
    get: async (r: GroupVersionResource, ns: string, name: string) =>
      isPod(r) ? api.client.get(r, ns, name) : others.get(`${r.resource}/${name}`),
    create: put,
    update: put,
    patch: async (r: GroupVersionResource, ns: string, name: string, patch: { type: 'strategic'; body: object }) =>
      isPod(r)
        ? api.client.patch(r, ns, name, patch)
        : put(r, { ...others.get(`${r.resource}/${name}`), ...patch.body } as KubeObject),
  } as unknown as Client;
  const agent = createAgent({
    node: {
      name: 'n1',
      addresses: [{ type: 'InternalIP', address: '192.168.0.1' }],
      capacity: { cpu: '1', memory: '1Gi', pods: '110' },
    },
    client,
    clock,
    runtime: createScriptedRuntime(clock).runtime,
    names: { clusterDns: [], clusterDomain: 'cluster.local', host: { servers: [], searches: [], options: [] } },
  });
  const stop = new AbortController();
  const running = agent.run(stop.signal);
  await agent.registered;
  const pod = (name: string, cpu: string) => ({
    metadata: { name, namespace: 'default', uid: name },
    spec: { containers: [{ name: 'app', image: 'x:1', resources: { requests: { cpu } } }] },
    status: { phase: 'Pending' },
  });
  const until = async (what: () => boolean) => {
    for (let i = 0; i < 400 && !what(); i += 1) await clock.sleep(5);
    expect(what()).toBe(true);
  };
  api.put(pod('fits', '600m'), 'ADDED');
  await until(() => api.pods.get('fits')?.status?.phase === 'Running');
  api.put(pod('large', '600m'), 'ADDED');
  await until(() => api.pods.get('large')?.status?.phase === 'Failed');
  expect(api.pods.get('large')?.status?.reason).toBe('OutOfcpu');
  expect(agent.pods()).toHaveLength(2);
  expect([...others.keys()].sort()).toEqual(['leases/n1', 'nodes/n1']);
  stop.abort();
  await running;
});
