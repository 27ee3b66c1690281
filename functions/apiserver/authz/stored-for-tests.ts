import { type KubeObject, keyOf } from '../../machinery/object.ts';
import { createMemoryStore } from '../../store/memory.ts';
import { createReplicas } from '../../store/replica.ts';
import type { Indexed } from '../../store/store.ts';

/** A memory store with its replicas, into which a test puts whole objects. The clock is the test's. */
export const createStored = (clock: Parameters<typeof createReplicas>[1]['clock'], cluster = 'default') => {
  const store = createMemoryStore();
  const replicas = createReplicas(store, { clock, bytesMax: 64 << 20, windowChanges: 1000, windowMs: 60_000 });
  const put = async (group: string, resource: string, object: KubeObject, fields: Indexed['fields'] = {}) => {
    const domain = { cluster, group, resource };
    const key = keyOf(object.metadata.namespace, object.metadata.name ?? '');
    const before = await store.get(domain, key);
    const index = { labels: {}, fields, owners: [] };
    const bytes = () => Buffer.from(JSON.stringify(object));
    const [outcome] = await store.commit(domain, [
      before ? { op: 'update', key, expected: before.revision, index, bytes } : { op: 'create', key, index, bytes },
    ]);
    if (!outcome?.ok) throw new Error(`not stored: ${key}`);
  };
  const remove = async (group: string, resource: string, key: string) => {
    const domain = { cluster, group, resource };
    const before = await store.get(domain, key);
    if (before) await store.commit(domain, [{ op: 'delete', key, expected: before.revision }]);
  };
  return { store, replicas, put, remove };
};
