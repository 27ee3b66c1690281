// Quotas as stored: reads them, charges them by conditional writes, and keeps the notes of charges on their way.
import { timestamp } from '../../../clock/clock.ts';
import { trackUpdate } from '../../../machinery/apply/update.ts';
import type { ResourceQuota } from '../../../machinery/kinds.d.ts';
import { type Amounts, addAmounts, growth } from '../../../machinery/quota/amounts.ts';
import { chargeMsMax, type QuotaCharge, quotaCharges } from '../../../machinery/quota/charges.ts';
import type { Domain, Revision, Stored } from '../../../store/store.ts';
import type { AnyObject, Server } from '../../context.ts';
import type { ResourceInfo } from '../../registry.ts';
import { asJson, indexOf, parseStored, serializer } from '../../stored-object.ts';

/** A quota with the revision that its next write expects. */
export interface HeldQuota {
  key: string;
  revision: Revision;
  quota: ResourceQuota;
}

/** A stored note of a charge. */
export interface Note {
  key: string;
  revision: Revision;
  at: number;
}

const sweepMs = 10 * 60_000;
const noIndex = { labels: {}, fields: {}, owners: [] };

/** The quotas of one cluster. */
export interface Ledger {
  /** Whether a namespace has quotas. Where the store tells of its commits, this reads memory only. */
  any(namespace: string): Promise<boolean>;
  known(namespace: string): Promise<HeldQuota[]>;
  /** One quota as it is now. */
  read(key: string): Promise<HeldQuota | undefined>;
  /** Stores new `used` amounts of quotas; of each, how it is stored now, or that another writer was first. */
  write(changes: readonly { held: HeldQuota; used: Amounts }[]): Promise<(HeldQuota | 'lost')[]>;
  note(namespace: string, ids: readonly { id: string; quotas: string[] }[]): Promise<(Note | undefined)[]>;
  forget(notes: readonly Note[]): Promise<void>;
  /** Takes amounts back from quotas. */
  refund(charges: readonly { key: string; amounts: Amounts }[]): Promise<void>;
}

const held = (resource: ResourceInfo, stored: Stored): HeldQuota => ({
  key: stored.key,
  revision: stored.revision,
  quota: parseStored(resource, stored.bytes) as unknown as ResourceQuota,
});

const withUsed = (server: Server, resource: ResourceInfo, quota: ResourceQuota, used: Amounts): AnyObject => {
  const before = quota as unknown as AnyObject;
  const after: AnyObject = { ...before, metadata: { ...before.metadata }, status: { ...before.status, used } };
  const managedFields = trackUpdate({
    before: asJson(before),
    after: asJson(after),
    schema: resource.schema,
    manager: 'kube-apiserver',
    apiVersion: 'v1',
    now: timestamp(server.clock.now()),
    subresource: 'status',
  });
  if (managedFields)
    after.metadata.managedFields = managedFields as unknown as NonNullable<AnyObject['metadata']['managedFields']>;
  return after;
};

/** Removes notes of processes that died, so that they do not pile up. */
const sweep = async (server: Server, domain: Domain): Promise<void> => {
  const { items } = await server.store.scan(domain, '', 1000);
  for (const stored of items) {
    const charge = JSON.parse(Buffer.from(stored.bytes).toString()) as QuotaCharge;
    if (server.clock.now() - charge.at <= chargeMsMax) continue;
    await server.store.commit(domain, [{ op: 'delete', key: stored.key, expected: stored.revision }]);
  }
};

const noteBytes = (namespace: string, name: string, quotas: string[], at: number) => (revision: Revision) =>
  Buffer.from(JSON.stringify({ metadata: { name, namespace, resourceVersion: String(revision) }, quotas, at }));

export const createLedger = (server: Server, cluster: string, resource: ResourceInfo): Ledger => {
  const { store, clock, replicas } = server;
  const domain: Domain = { cluster, group: '', resource: 'resourcequotas' };
  const noteDomain: Domain = { cluster, ...quotaCharges };
  let sweptAt = Number.NEGATIVE_INFINITY;

  const current = async () => {
    const replica = replicas.peek(domain) ?? (await replicas.of(domain));
    await replica.fresh();
    return replica;
  };
  const read = async (key: string): Promise<HeldQuota | undefined> => {
    const stored = await store.get(domain, key);
    return stored && held(resource, stored);
  };
  const write: Ledger['write'] = async (changes) => {
    const outcomes = await store.commit(
      domain,
      changes.map(({ held: { key, revision, quota }, used }) => {
        const object = withUsed(server, resource, quota, used);
        const index = indexOf(resource, object);
        return { op: 'update' as const, key, expected: revision, index, bytes: serializer(resource, object) };
      }),
    );
    return outcomes.map((outcome) => (outcome.ok ? held(resource, outcome.stored) : 'lost'));
  };

  return {
    any: async (namespace) => {
      const replica = await current();
      return replica.size > 0 && replica.list({ namespace, limit: 1 }).length > 0;
    },
    known: async (namespace) => (await current()).list({ namespace }).map((one) => held(resource, one)),
    read,
    write,
    note: async (namespace, ids) => {
      const at = clock.now();
      if (at - sweptAt > sweepMs) {
        sweptAt = at;
        await sweep(server, noteDomain);
      }
      const outcomes = await store.commit(
        noteDomain,
        ids.map(({ id, quotas }) => ({
          op: 'create' as const,
          key: `${namespace}/${id}`,
          index: noIndex,
          bytes: noteBytes(namespace, id, quotas, at),
        })),
      );
      return outcomes.map((one) => (one.ok ? { key: one.stored.key, revision: one.stored.revision, at } : undefined));
    },
    forget: async (notes) => {
      if (notes.length === 0) return;
      const writes = notes.map(({ key, revision }) => ({ op: 'delete' as const, key, expected: revision }));
      await store.commit(noteDomain, writes);
    },
    refund: async (charges) => {
      for (const { key, amounts } of charges) {
        for (let attempt = 0; attempt < 20; attempt++) {
          const current = await read(key);
          const used = (current?.quota.status?.used ?? {}) as Amounts;
          if (!current) break;
          const rest = { ...used };
          for (const name in amounts) {
            if (used[name] === undefined) continue;
            rest[name] = growth({ [name]: used[name] }, { [name]: amounts[name] as string })[name] ?? '0';
          }
          const [outcome] = await write([{ held: current, used: rest }]);
          if (outcome !== 'lost') break;
        }
      }
    },
  };
};

/** What a quota has used once these amounts are added. */
export const charged = ({ quota }: HeldQuota, amounts: Amounts): Amounts =>
  addAmounts((quota.status?.used ?? {}) as Amounts, amounts);
