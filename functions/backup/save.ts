import { type Clock, timestamp } from '../clock/clock.ts';
import { createReplicas } from '../store/replica.ts';
import type { Replica } from '../store/replica-port.ts';
import type { Domain, Store } from '../store/store.ts';
import { createLines, FORMAT, VERSION } from './format.ts';

export interface SaveOptions {
  store: Store;
  clock: Clock;
  cluster: string;
}

/** Everything is in memory at once while it is written. */
const BYTES_MAX = 4 << 30;
const WINDOW_CHANGES = 1_000_000;
const WINDOW_MS = 24 * 3_600_000;
const ATTEMPTS = 5;

const decoder = new TextDecoder();

/** Records that are made anew by whoever needs them, or belong to one process: they are not saved. */
const passing = new Set(['skiff.dev/keys']);

const contentOf = (bytes: Uint8Array): unknown => JSON.parse(decoder.decode(bytes));

/**
 * The lines of a snapshot of one cluster as it was at one moment: the heads of all its domains are read at once, and every
 * domain is told as of its head. Writers are not held up. Throws when the cluster has nothing.
 */
export async function* saveLines({ store, clock, cluster }: SaveOptions): AsyncGenerator<string> {
  const replicas = createReplicas(store, {
    clock,
    bytesMax: BYTES_MAX,
    windowChanges: WINDOW_CHANGES,
    windowMs: WINDOW_MS,
  });
  try {
    const { views, takenAt } = await cut(store, clock, cluster, (domain) => replicas.of(domain));
    const lines = createLines();
    yield lines.header({ format: FORMAT, version: VERSION, cluster, takenAt });
    for (const { domain, revision, objects } of views) {
      yield lines.domain({ group: domain.group, resource: domain.resource, revision: `${revision}` });
      for (const { key, index, bytes } of objects.values()) yield lines.object({ key, index, value: contentOf(bytes) });
    }
    yield lines.end();
  } finally {
    await replicas.close();
  }
}

interface View {
  domain: Domain;
  revision: bigint;
  objects: ReadonlyMap<
    string,
    { key: string; index: Parameters<ReturnType<typeof createLines>['object']>[0]['index']; bytes: Uint8Array }
  >;
}

/** One moment of all domains. Domains that begin meanwhile make it begin again. */
const cut = async (
  store: Store,
  clock: Clock,
  cluster: string,
  open: (domain: Domain) => Promise<Replica>,
): Promise<{ views: View[]; takenAt: string }> => {
  const namesOf = (domains: readonly Domain[]) =>
    domains
      .map(({ group, resource }) => `${group}/${resource}`)
      .sort()
      .join(' ');
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const domains = (await store.domains(cluster)).filter((d) => !passing.has(`${d.group}/${d.resource}`));
    if (domains.length === 0) throw new Error(`cluster ${cluster} holds nothing`);
    // Replicas first: their windows must reach back to the heads.
    const opened = await Promise.all(domains.map(open));
    await Promise.all(opened.map((replica) => replica.fresh()));
    const heads = await store.heads(domains);
    const takenAt = timestamp(clock.now());
    const after = (await store.domains(cluster)).filter((d) => !passing.has(`${d.group}/${d.resource}`));
    if (namesOf(after) !== namesOf(domains)) continue;
    const views: View[] = [];
    for (const [i, domain] of domains.entries()) {
      const revision = heads[i] ?? 0n;
      const replica = opened[i];
      await replica?.fresh();
      const objects = replica?.at(revision);
      if (objects) views.push({ domain, revision, objects });
    }
    if (views.length === domains.length) return { views, takenAt };
  }
  throw new Error(`cluster ${cluster} changes too fast to be saved`);
};
