import { describe, expect, it } from 'vitest';
import type { Service } from '../../machinery/kinds.d.ts';
import { createMemoryStore } from '../../store/memory.ts';
import { createServiceAllocator } from './service-allocation.ts';

const ranges = { ipv4: '10.0.0.0/28', nodePorts: [30000, 30009] } as const;
const service = (name: string, spec: Service['spec'] = {}): Service => ({
  metadata: { name, namespace: 'ns', uid: `uid-${name}` },
  spec: { type: 'ClusterIP', ports: [{ port: 80, protocol: 'TCP', targetPort: 80 }], ...spec },
});

describe('service allocator', () => {
  it('gives two allocators over one store different addresses, until the range is full', async () => {
    const store = createMemoryStore();
    const two = [createServiceAllocator({ store, ranges }), createServiceAllocator({ store, ranges })];
    const services = Array.from({ length: 14 }, (_, i) => service(`s${i}`));
    const outcomes = await Promise.all(services.map((s, i) => two[i % 2]?.allocate('c', s, false)));
    expect(outcomes.every((outcome) => outcome?.ok)).toBe(true);
    expect(new Set(services.map((s) => s.spec?.clusterIP)).size).toBe(14);
    const refused = await two[0]?.allocate('c', service('more'), false);
    expect(refused).toMatchObject({ ok: false, causes: [{ field: 'spec.clusterIPs' }] });
    const other = await two[0]?.allocate('other', service('more'), false);
    expect(other?.ok).toBe(true);
  });

  it('honours an explicit address once, and again after its release', async () => {
    const allocator = createServiceAllocator({ store: createMemoryStore(), ranges });
    const first = service('a', { clusterIP: '10.0.0.5', clusterIPs: ['10.0.0.5'] });
    const second = service('b', { clusterIP: '10.0.0.5', clusterIPs: ['10.0.0.5'] });
    expect((await allocator.allocate('c', first, false)).ok).toBe(true);
    expect((await allocator.allocate('c', second, false)).ok).toBe(false);
    await allocator.release('c', second);
    expect((await allocator.allocate('c', second, false)).ok).toBe(false);
    await allocator.release('c', first);
    expect((await allocator.allocate('c', second, false)).ok).toBe(true);
  });

  it('refuses addresses and ports outside the ranges', async () => {
    const allocator = createServiceAllocator({ store: createMemoryStore(), ranges });
    const far = service('a', { clusterIP: '10.1.0.5', clusterIPs: ['10.1.0.5'] });
    expect(await allocator.allocate('c', far, false)).toMatchObject({ causes: [{ field: 'spec.clusterIPs' }] });
    const port = service('b', { type: 'NodePort', ports: [{ port: 80, nodePort: 80 }] });
    expect(await allocator.allocate('c', port, false)).toMatchObject({ causes: [{ field: 'spec.ports[0].nodePort' }] });
  });

  it('undo gives everything back, a dry run takes nothing, done frees what an update no longer uses', async () => {
    const allocator = createServiceAllocator({
      store: createMemoryStore(),
      ranges: { ...ranges, nodePorts: [30000, 30000] },
    });
    const first = service('a', { type: 'NodePort' });
    const undone = await allocator.allocate('c', first, false);
    if (undone.ok) await undone.undo();
    expect((await allocator.allocate('c', service('b', { type: 'NodePort' }), true)).ok).toBe(true);
    const kept = service('d', { type: 'NodePort' });
    expect((await allocator.allocate('c', kept, false)).ok).toBe(true);
    const plain: Service = structuredClone(kept);
    plain.spec = { ...plain.spec, type: 'ClusterIP', ports: [{ port: 80 }] };
    const change = await allocator.reallocate('c', plain, kept, false);
    if (change.ok) await change.done();
    expect(plain.spec.clusterIP).toBe(kept.spec?.clusterIP);
    expect((await allocator.allocate('c', service('e', { type: 'NodePort' }), false)).ok).toBe(true);
  });

  it('repair frees what has no service and reserves what a stored one holds', async () => {
    const store = createMemoryStore();
    const allocator = createServiceAllocator({ store, ranges });
    await allocator.allocate('c', service('lost'), false);
    const held = service('held', { clusterIP: '10.0.0.9', clusterIPs: ['10.0.0.9'] });
    const bytes = new TextEncoder().encode(JSON.stringify(held));
    const index = { labels: {}, fields: {}, owners: [] };
    const domain = { cluster: 'c', group: '', resource: 'services' };
    await store.commit(domain, [{ op: 'create', key: 'ns/held', index, bytes: () => bytes }]);
    expect(await allocator.repair('c')).toEqual({ freed: 1, restored: 1 });
    expect(await allocator.repair('c')).toEqual({ freed: 0, restored: 0 });
  });
});
