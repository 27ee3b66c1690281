import { describe, expect, it } from 'vitest';
import type { Client } from '../client/client.ts';
import { createFakeCluster } from '../client/fake.ts';
import { createSimulatedClock } from '../clock/simulated.ts';
import type { PersistentVolume, PersistentVolumeClaim, Pod } from '../machinery/kinds.d.ts';
import type { KubeObject } from '../machinery/object.ts';
import { conflict } from '../machinery/status.ts';
import { createScheduler } from './scheduler.ts';
import { node, pod } from './test-objects.ts';

const v1 = (resource: string) => ({ group: '', version: 'v1', resource });
const [PODS, CLAIMS, VOLUMES] = [v1('pods'), v1('persistentvolumeclaims'), v1('persistentvolumes')];
const CLASSES = { group: 'storage.k8s.io', version: 'v1', resource: 'storageclasses' };

const setUp = async (provisioner: string) => {
  const clock = createSimulatedClock();
  let refuseVolumes = false;
  const cluster = createFakeCluster({
    clock,
    refuse: ({ op, resource }) =>
      refuseVolumes && op === 'patch' && resource.resource === 'persistentvolumes'
        ? conflict({ group: '', kind: 'persistentvolumes', name: 'v' }, 'it was changed')
        : undefined,
  });
  const patch = (resource: typeof PODS, name: string, body: object) =>
    cluster.client.patch(resource, resource === VOLUMES ? '' : 'default', name, { type: 'merge', body });
  const client: Client = {
    ...cluster.client,
    raw: async (_, path, init) => {
      const name = /pods\/([^/]+)\/binding$/.exec(path)?.[1] ?? '';
      const { target } = JSON.parse(String(init?.body)) as { target: { name: string } };
      await patch(PODS, name, { spec: { nodeName: target.name } });
      return new Response('{}', { status: 201 });
    },
  };
  const make = () => createScheduler({ reader: cluster.reader, client, clock, record: () => {} });
  const addNode = async (name: string) => {
    await cluster.client.create(v1('nodes'), node(name));
    const body = { status: node(name).status };
    await cluster.client.patch(v1('nodes'), '', name, { type: 'merge', body }, { subresource: 'status' });
  };
  await addNode('a');
  const storageClass: KubeObject = { metadata: { name: 'w' } };
  Object.assign(storageClass, { provisioner, volumeBindingMode: 'WaitForFirstConsumer' });
  await cluster.client.create(CLASSES, storageClass);
  const spec = { accessModes: ['ReadWriteOnce'], storageClassName: 'w' };
  const addClaim = (name: string) => {
    const claim: PersistentVolumeClaim = {
      metadata: { name, namespace: 'default' },
      spec: { ...spec, resources: { requests: { storage: '1Gi' } } },
    };
    return cluster.client.create(CLAIMS, claim);
  };
  const addVolume = (name: string) => {
    const volume = { metadata: { name }, spec: { ...spec, capacity: { storage: '1Gi' } } } as PersistentVolume;
    return cluster.client.create(VOLUMES, volume);
  };
  const addPod = (name: string, claimName: string, cpu = '3') =>
    cluster.client.create(
      PODS,
      pod(name, { cpu, grace: 0, spec: { volumes: [{ name: 'v', persistentVolumeClaim: { claimName } }] } }),
    );
  return {
    clock,
    cluster,
    make,
    addNode,
    addClaim,
    addVolume,
    addPod,
    refuseVolumes: (on: boolean) => {
      refuseVolumes = on;
    },
    bindClaim: (name: string, volumeName: string) =>
      patch(CLAIMS, name, {
        metadata: { annotations: { 'pv.kubernetes.io/bind-completed': 'yes' } },
        spec: { volumeName },
      }),
    claim: (name: string) => cluster.client.get<PersistentVolumeClaim>(CLAIMS, 'default', name),
    volume: (name: string) => cluster.client.get<PersistentVolume>(VOLUMES, '', name),
    on: async (name: string) => (await cluster.client.get<Pod>(PODS, 'default', name))?.spec?.nodeName,
    selected: async (name: string) =>
      (await cluster.client.get<PersistentVolumeClaim>(CLAIMS, 'default', name))?.metadata.annotations?.[
        'volume.kubernetes.io/selected-node'
      ],
  };
};

describe('createScheduler, for claims that wait for a pod', () => {
  it('names the node, keeps the room, and binds once the claim is bound', async () => {
    const world = await setUp('driver');
    const scheduler = world.make();
    await world.addClaim('c');
    await world.addPod('p', 'c');
    await scheduler.run();
    expect([await world.selected('c'), await world.on('p')]).toEqual(['a', undefined]);
    await world.cluster.client.create(PODS, pod('q', { cpu: '3' }));
    await scheduler.run();
    expect(await world.on('q')).toBeUndefined();
    await world.addVolume('v');
    await world.bindClaim('c', 'v');
    await scheduler.run();
    expect([await world.on('p'), await world.on('q')]).toEqual(['a', undefined]);
  });

  it('goes on where an earlier process stopped', async () => {
    const world = await setUp('driver');
    await world.addClaim('c');
    await world.addPod('p', 'c');
    await world.make().run();
    const next = world.make();
    await next.run();
    await world.addVolume('v');
    await world.bindClaim('c', 'v');
    await next.run();
    expect(await world.on('p')).toBe('a');
  });

  it('gives up after ten minutes, and gives the room back when the pod goes', async () => {
    const world = await setUp('driver');
    const scheduler = world.make();
    await world.addClaim('c');
    await world.addPod('p', 'c');
    expect(await scheduler.run()).toBe(600_000);
    await world.clock.advance(600_000);
    expect(await scheduler.run()).toBe(1_000);
    await world.cluster.client.delete(PODS, 'default', 'p');
    await world.cluster.client.create(PODS, pod('q', { cpu: '3' }));
    await scheduler.run();
    expect(await world.on('q')).toBe('a');
  });

  it('brings two pods of one claim to one node, however the ties fall', async () => {
    const world = await setUp('driver');
    for (const name of ['b', 'c', 'd', 'e']) await world.addNode(name);
    const scheduler = world.make();
    await world.addClaim('c');
    for (const name of ['p', 'q', 'r']) await world.addPod(name, 'c', '1');
    await scheduler.run();
    await world.addVolume('v');
    await world.bindClaim('c', 'v');
    await scheduler.run();
    const nodes = await Promise.all(['p', 'q', 'r'].map(world.on));
    expect(new Set(nodes)).toEqual(new Set([await world.selected('c')]));
  });

  it('promises a volume to one claim, and takes the promise back when the API refuses it', async () => {
    const world = await setUp('kubernetes.io/no-provisioner');
    const scheduler = world.make();
    await world.addVolume('v');
    await world.addClaim('c');
    await world.addClaim('d');
    world.refuseVolumes(true);
    await world.addPod('p', 'c', '1');
    expect(await scheduler.run()).toBe(1_000);
    expect((await world.volume('v'))?.spec?.claimRef).toBeUndefined();
    world.refuseVolumes(false);
    await world.addPod('q', 'd', '1');
    await scheduler.run();
    expect((await world.volume('v'))?.spec?.claimRef).toMatchObject({
      name: 'd',
      uid: (await world.claim('d'))?.metadata.uid,
    });
  });
});
