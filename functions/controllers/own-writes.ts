import type { Reader } from '../client/reader.ts';
import type { GroupResource, KubeObject, ObjectKey } from '../machinery/object.ts';

/** What one key has written and its reader may not have seen yet. */
interface Pending {
  revisions: Map<string, { resource: GroupResource; revision: bigint }>;
  removals: { resource: GroupResource; target: ObjectKey; uid: string }[];
}

export interface OwnWrites {
  wrote(key: string, resource: GroupResource, result: KubeObject): void;
  removed(key: string, resource: GroupResource, target: ObjectKey, uid: string): void;
  /** True once the reader shows everything this key has written; false when it does not within the time. */
  seen(key: string, read: Reader, timeoutMs: number, sleep: (ms: number) => Promise<void>): Promise<boolean>;
}

const pollMs = 5;

/**
 * A reader may lag behind what a key has just written, and a decision on the older view would create or delete twice
 * (upstream's "expectations"). So every write's resourceVersion is remembered by the key that made it, and the key is
 * observed again only when the reader has reached it. A delete that the API answers without an object has no revision:
 * there the reader must no longer show the object alive. A new process starts without memory, and with a fresh reader.
 */
export const createOwnWrites = (): OwnWrites => {
  const pending = new Map<string, Pending>();
  const of = (key: string): Pending => {
    let entry = pending.get(key);
    if (!entry) {
      entry = { revisions: new Map(), removals: [] };
      pending.set(key, entry);
    }
    return entry;
  };
  return {
    wrote(key, resource, result) {
      const text = result.metadata?.resourceVersion;
      if (!text || !/^\d+$/.test(text)) return;
      const revision = BigInt(text);
      const { revisions } = of(key);
      const id = `${resource.group}/${resource.resource}`;
      const known = revisions.get(id);
      if (!known || known.revision < revision) revisions.set(id, { resource, revision });
    },
    removed(key, resource, target, uid) {
      of(key).removals.push({ resource, target, uid });
    },
    async seen(key, read, timeoutMs, sleep) {
      const entry = pending.get(key);
      if (!entry) return true;
      for (const [id, { resource, revision }] of entry.revisions) {
        if (!(await read.atLeast(resource, String(revision), timeoutMs))) return false;
        entry.revisions.delete(id);
      }
      for (let waited = 0; entry.removals.length > 0; waited += pollMs) {
        const left: Pending['removals'] = [];
        for (const removal of entry.removals) {
          const object = await read.get(removal.resource, removal.target.namespace, removal.target.name);
          if (object?.metadata.uid === removal.uid && !object.metadata.deletionTimestamp) left.push(removal);
        }
        entry.removals = left;
        if (left.length === 0) break;
        if (waited >= timeoutMs) return false;
        await sleep(pollMs);
      }
      pending.delete(key);
      return true;
    },
  };
};
