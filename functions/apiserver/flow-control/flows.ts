import type { Clock } from '../../clock/clock.ts';
import type { FlowSchema, PriorityLevelConfiguration } from '../../machinery/kinds.d.ts';
import type { Replica, Replicas } from '../../store/replica-port.ts';
import type { Domain, Stored } from '../../store/store.ts';
import { type ClusterFlow, configure, createClusterFlow } from './cluster-flow.ts';
import { isIdle } from './level.ts';

export interface FlowsOptions {
  replicas: Replicas;
  clock: Pick<Clock, 'now'>;
  /** Seats that a cluster's levels share, at this moment. */
  seats(): number;
  /** Objects may be this much older than the store where it does not push its changes, in milliseconds; 1000 when absent. */
  staleMsMax?: number;
  /** Clusters kept in memory while they are idle; 500 when absent. */
  clustersMax?: number;
  /** A cluster has new objects: its seats may be others. */
  changed(flow: ClusterFlow): void;
}

export interface Flows {
  /** Flow control of a cluster by its present objects, or the promise of it where they have to be read. */
  at(cluster: string): ClusterFlow | Promise<ClusterFlow>;
  known(cluster: string): ClusterFlow | undefined;
}

interface Kept {
  flow: ClusterFlow;
  domains: { schemas: Domain; levels: Domain };
  replicas: { schemas: Replica; levels: Replica } | undefined;
  revisions: { schemas: bigint; levels: bigint };
  /** What its levels share. */
  seats: number;
  /** When it was last seen to be what the replicas say, and they to be what the store says, in milliseconds. */
  seenAt: number;
  freshAt: number;
  reading: Promise<ClusterFlow> | undefined;
}

const GROUP = 'flowcontrol.apiserver.k8s.io';

const decode = <T>({ bytes }: Stored): T =>
  JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()) as T;

/** The flow control of each cluster, configured anew when its objects have changed. */
export const createFlows = (options: FlowsOptions): Flows => {
  const { replicas, clock, seats, staleMsMax = 1000, clustersMax = 500 } = options;
  const all = new Map<string, Kept>();

  const keep = (cluster: string): Kept => {
    const domain = (resource: string): Domain => ({ cluster, group: GROUP, resource });
    const now = clock.now();
    const kept: Kept = {
      flow: createClusterFlow(cluster, now),
      domains: { schemas: domain('flowschemas'), levels: domain('prioritylevelconfigurations') },
      replicas: undefined,
      revisions: { schemas: -1n, levels: -1n },
      seats: 0,
      seenAt: Number.NaN,
      freshAt: 0,
      reading: undefined,
    };
    all.set(cluster, kept);
    for (const [name, { flow, reading }] of all) {
      if (all.size <= clustersMax) break;
      const isBusy = reading || flow.watchers.size > 0 || ![...flow.levels.values()].every(isIdle);
      if (name !== cluster && !isBusy) all.delete(name);
    }
    return kept;
  };

  const use = (kept: Kept, of: { schemas: Replica; levels: Replica }): void => {
    kept.replicas = of;
    kept.revisions = { schemas: of.schemas.revision, levels: of.levels.revision };
    const objects = {
      schemas: of.schemas.list({}).map((stored) => decode<FlowSchema>(stored)),
      levels: of.levels.list({}).map((stored) => decode<PriorityLevelConfiguration>(stored)),
    };
    kept.seats = seats();
    configure(kept.flow, objects, kept.seats, clock.now());
    options.changed(kept.flow);
  };

  const same = (kept: Kept): boolean => {
    const { domains, replicas: of, revisions } = kept;
    if (!of || kept.seats !== seats()) return false;
    return (
      replicas.peek(domains.schemas) === of.schemas &&
      replicas.peek(domains.levels) === of.levels &&
      of.schemas.revision === revisions.schemas &&
      of.levels.revision === revisions.levels
    );
  };

  const read = async (kept: Kept): Promise<ClusterFlow> => {
    const [schemas, levels] = await Promise.all([replicas.of(kept.domains.schemas), replicas.of(kept.domains.levels)]);
    await Promise.all([schemas.fresh(), levels.fresh()]);
    if (!same(kept)) use(kept, { schemas, levels });
    kept.freshAt = kept.seenAt = clock.now();
    return kept.flow;
  };

  /** The same reading for all who ask while it goes on. */
  const reading = (kept: Kept): Promise<ClusterFlow> => {
    kept.reading ??= read(kept).finally(() => {
      kept.reading = undefined;
    });
    return kept.reading;
  };

  const refresh = (kept: Kept): void => {
    if (kept.reading) return;
    // Nobody waits for it: what is known goes on counting, and the next request sees what has changed.
    reading(kept).catch(() => undefined);
  };

  return {
    at: (cluster) => {
      const kept = all.get(cluster) ?? keep(cluster);
      const now = clock.now();
      if (now === kept.seenAt) return kept.flow;
      if (!same(kept)) {
        const { schemas, levels } = kept.domains;
        const of = { schemas: replicas.peek(schemas), levels: replicas.peek(levels) };
        if (!kept.replicas || !of.schemas || !of.levels) return reading(kept);
        use(kept, { schemas: of.schemas, levels: of.levels });
      }
      kept.seenAt = now;
      if (now - kept.freshAt > staleMsMax) {
        kept.freshAt = now;
        refresh(kept);
      }
      return kept.flow;
    },
    known: (cluster) => all.get(cluster)?.flow,
  };
};
