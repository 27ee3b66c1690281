import { domainName } from '../store/domain.ts';
import { type Change, type Domain, type Store, sizeOf } from '../store/store.ts';

/** What a cluster uses, in API objects and their stored bytes. */
export interface Usage {
  objects: number;
  bytes: number;
  nodes: number;
  /** When all of it was last counted, in milliseconds since the epoch. */
  countedAt: number;
}

export interface UsageOptions {
  store: Pick<Store, 'domains' | 'scan'>;
  clock: { now(): number };
  /**
   * Whether `changed` is told of every change of the store. Else others write too, and a count is made again when it is
   * older than this many milliseconds: what they write in that time is the slack.
   */
  recountMs: number | 'told-of-changes';
  /** Told of each count. */
  counted?(cluster: string, usage: Usage): void;
}

export interface Usages {
  /** The usage of a cluster, counted now where it is not known. Moves on as changes are told. */
  of(cluster: string): Promise<Usage>;
  /** What is known now. */
  peek(cluster: string): Usage | undefined;
  /** Committed changes, in order. Costs nothing for clusters whose usage nobody asked for. */
  changed(domain: Domain, changes: readonly Change[]): void;
  /** A write of this process, where nobody tells of changes. */
  written(domain: Domain, objects: number, bytes: number): void;
  forget(cluster: string): void;
}

interface Counted extends Usage {
  /** Domains that are in the sum: changes of others come into it when they are scanned. */
  domains: Set<string>;
  /** False until the first count is through. */
  whole: boolean;
  ready: Promise<Usage>;
}

/** Records of our own (reserved addresses, quota charges) are no API objects. */
const OWN_GROUP = 'skiff.dev';
const PAGE = 100_000;

const isCounted = (domain: Domain): boolean => domain.group !== OWN_GROUP;
const isNodes = ({ group, resource }: Domain): boolean => group === '' && resource === 'nodes';

/** Counts what clusters use, each when it is first asked for. */
export const createUsages = (options: UsageOptions): Usages => {
  const { store, clock, recountMs } = options;
  const known = new Map<string, Counted>();

  const add = (counted: Counted, domain: Domain, objects: number, bytes: number): void => {
    counted.objects += objects;
    counted.bytes += bytes;
    if (isNodes(domain)) counted.nodes += objects;
  };
  const scan = async (counted: Counted, domain: Domain): Promise<void> => {
    let after = '';
    for (;;) {
      const page = await store.scan(domain, after, PAGE);
      counted.domains.add(domainName(domain));
      for (const stored of page.items) add(counted, domain, 1, sizeOf(stored));
      if (page.next === undefined) return;
      after = page.next;
    }
  };
  const count = async (cluster: string, counted: Counted): Promise<Usage> => {
    // Twice, for what was begun while the first was read.
    for (let look = 0; look < 2; look++)
      for (const domain of await store.domains(cluster))
        if (isCounted(domain) && !counted.domains.has(domainName(domain))) await scan(counted, domain);
    counted.whole = true;
    counted.countedAt = clock.now();
    options.counted?.(cluster, counted);
    return counted;
  };
  const begin = (cluster: string): Counted => {
    const counted: Counted = {
      objects: 0,
      bytes: 0,
      nodes: 0,
      countedAt: clock.now(),
      domains: new Set(),
      whole: false,
      ready: Promise.resolve({ objects: 0, bytes: 0, nodes: 0, countedAt: 0 }),
    };
    known.set(cluster, counted);
    counted.ready = count(cluster, counted);
    counted.ready.catch(() => {
      if (known.get(cluster) === counted) known.delete(cluster);
    });
    return counted;
  };

  return {
    of: async (cluster) => {
      const counted = known.get(cluster);
      if (!counted) return begin(cluster).ready;
      const old = recountMs !== 'told-of-changes' && counted.whole && clock.now() - counted.countedAt > recountMs;
      return (old ? begin(cluster) : counted).ready;
    },
    peek: (cluster) => known.get(cluster),
    changed: (domain, changes) => {
      const counted = known.get(domain.cluster);
      if (!counted || !isCounted(domain)) return;
      const name = domainName(domain);
      if (!counted.domains.has(name)) {
        if (!counted.whole) return;
        counted.domains.add(name);
      }
      for (const { type, stored, previous } of changes) {
        const before = previous ? sizeOf(previous) : 0;
        if (type === 'delete') add(counted, domain, -1, -before);
        else add(counted, domain, previous ? 0 : 1, sizeOf(stored) - before);
      }
    },
    written: (domain, objects, bytes) => {
      const counted = known.get(domain.cluster);
      if (recountMs !== 'told-of-changes' && counted && isCounted(domain)) add(counted, domain, objects, bytes);
    },
    forget: (cluster) => void known.delete(cluster),
  };
};
