import { forbidden, genericFailure } from '../machinery/status.ts';
import type { Change, Domain, Outcome, Store, Write } from '../store/store.ts';
import type { ClusterRecord } from './clusters.ts';
import type { Usage, Usages } from './usage.ts';

export interface QuotaStoreOptions {
  store: Store;
  usages: Usages;
  /** What this process last saw of a cluster; undefined for those without an object. */
  find(cluster: string): ClusterRecord | undefined;
}

export interface QuotaStore {
  store: Store;
  /** Changes that usage counts from now on: what waited for them counts no more, or it would count twice. */
  landed(domain: Domain, changes: readonly Change[]): void;
}

interface Size {
  objects: number;
  bytes: number;
}

/** What is being committed by this process, together and for each key. */
interface Waiting extends Size {
  nodes: number;
  byKey: Map<string, (() => void)[]>;
}

const SUMMED = ['objects', 'bytes', 'nodes'] as const;
const idOf = ({ group, resource }: Domain, key: string): string => `${group}/${resource}/${key}`;
const OWN_GROUP = 'skiff.dev';
const gone = () => genericFailure(404, 'NotFound', 'the server could not find the requested resource', {});
const NOTHING: Size = { objects: 0, bytes: 0 };

const isNode = ({ group, resource }: Domain): boolean => group === '' && resource === 'nodes';
const limited = ({ objects, bytes, nodes }: ClusterRecord['quotas']): boolean =>
  objects !== undefined || bytes !== undefined || nodes !== undefined;

/** Throws the 403 of a quota that more of the same would exceed. */
const check = (record: ClusterRecord, domain: Domain, key: string, now: Usage, waiting: Size, more: Size): void => {
  const refuse = (what: string, used: number, limit: number) => {
    const subject = { group: domain.group, kind: domain.resource, name: key.slice(key.indexOf('/') + 1) };
    throw forbidden(subject, `the cluster "${record.name}" is limited to ${limit} ${what}, and has ${used}`);
  };
  const { objects, bytes } = record.quotas;
  if (more.objects > 0 && objects !== undefined && now.objects + waiting.objects + more.objects > objects)
    refuse('objects', now.objects + waiting.objects, objects);
  if (more.bytes > 0 && bytes !== undefined && now.bytes + waiting.bytes + more.bytes > bytes)
    refuse('bytes of objects', now.bytes + waiting.bytes, bytes);
};

const checkNodes = (record: ClusterRecord, key: string, now: Usage, waiting: number): void => {
  const { nodes } = record.quotas;
  if (nodes === undefined || now.nodes + waiting + 1 <= nodes) return;
  const used = now.nodes + waiting;
  throw forbidden(
    { group: '', kind: 'nodes', name: key },
    `the cluster "${record.name}" is limited to ${nodes} nodes, and has ${used}`,
  );
};

/**
 * The store as the API server of many clusters sees it: a write that would take a cluster over its quota of objects, bytes
 * or nodes throws a 403, and one into a cluster whose keys are being removed a 404. What waits to be committed in this
 * process counts already. Clusters without quotas pay a look-up.
 */
export const createQuotaStore = ({ store, usages, find }: QuotaStoreOptions): QuotaStore => {
  const waiting = new Map<string, Waiting>();

  const hold = (cluster: string, own: Waiting, id: string, size: Size & { nodes: number }): (() => void) => {
    for (const what of SUMMED) own[what] += size[what];
    const release = (): void => {
      const list = own.byKey.get(id);
      if (!list?.includes(release)) return;
      for (const what of SUMMED) own[what] -= size[what];
      if (list.length > 1) list.splice(list.indexOf(release), 1);
      else own.byKey.delete(id);
      if (own.byKey.size === 0 && waiting.get(cluster) === own) waiting.delete(cluster);
    };
    const list = own.byKey.get(id);
    if (list) list.push(release);
    else own.byKey.set(id, [release]);
    return release;
  };

  /** How much a write adds. Serialised twice where bytes are limited: the store does it again with the revision. */
  const sizeOf = async (domain: Domain, write: Write, bytesLimited: boolean): Promise<Size> => {
    if (write.op === 'create') return { objects: 1, bytes: bytesLimited ? write.bytes(1_000_000n).byteLength : 0 };
    if (write.op === 'update' && !bytesLimited) return NOTHING;
    const before = (await store.get(domain, write.key))?.bytes.byteLength ?? 0;
    if (write.op === 'delete') return { objects: -1, bytes: -before };
    return { objects: 0, bytes: write.bytes(write.expected).byteLength - before };
  };

  const limitedCommit = async (record: ClusterRecord, domain: Domain, writes: Write[]): Promise<Outcome[]> => {
    const sizes: Size[] = [];
    for (const write of writes) sizes.push(await sizeOf(domain, write, record.quotas.bytes !== undefined));
    const usage = await usages.of(record.name);
    const own = waiting.get(record.name) ?? { objects: 0, bytes: 0, nodes: 0, byKey: new Map() };
    waiting.set(record.name, own);
    const held: (() => void)[] = [];
    try {
      writes.forEach((write, i) => {
        const more = sizes[i] ?? NOTHING;
        check(record, domain, write.key, usage, own, more);
        const node = write.op === 'create' && isNode(domain);
        if (node) checkNodes(record, write.key, usage, own.nodes);
        // What is taken away counts once it is gone.
        const add = { objects: Math.max(0, more.objects), bytes: Math.max(0, more.bytes), nodes: node ? 1 : 0 };
        held.push(hold(record.name, own, idOf(domain, write.key), add));
      });
      const outcomes = await store.commit(domain, writes);
      outcomes.forEach((outcome, i) => {
        const size = sizes[i] ?? NOTHING;
        if (outcome.ok) usages.written(domain, size.objects, size.bytes);
      });
      return outcomes;
    } finally {
      for (const release of held) release();
      if (own.byKey.size === 0 && waiting.get(record.name) === own) waiting.delete(record.name);
    }
  };

  const commit: Store['commit'] = (domain, writes) => {
    const record = find(domain.cluster);
    if (!record) return store.commit(domain, writes);
    if (record.phase === 'Dropped') return Promise.reject(gone());
    if (domain.group === OWN_GROUP || !limited(record.quotas)) return store.commit(domain, writes);
    return limitedCommit(record, domain, writes);
  };
  return {
    store: { ...store, commit },
    landed: (domain, changes) => {
      const own = waiting.get(domain.cluster);
      if (own) for (const { stored } of changes) own.byKey.get(idOf(domain, stored.key))?.[0]?.();
    },
  };
};
