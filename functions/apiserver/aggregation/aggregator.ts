import type { ConnectionInfo, Server } from '../context.ts';
import type { UserInfo } from '../registry.ts';
import type { RequestInfo } from '../request-info.ts';
import { type Finding, lookAt, tell } from './availability.ts';
import { passToRemote } from './pass.ts';
import { createRemotes, type Remote } from './remotes.ts';

/** A remote group version with what the last look at it found. */
export interface Found {
  remote: Remote;
  finding: Finding;
}

/** The group versions that other API servers answer for (APIServices with a service). */
export interface Aggregator {
  /** Follows a cluster's APIServices and keeps their conditions from now on; resolves with what is served elsewhere. */
  of(cluster: string): Promise<readonly Remote[]>;
  /** The server that a request is for, where that is another one. */
  at(info: RequestInfo): Promise<Remote | undefined>;
  /** Passes a request on. Answers 503 where the other server is not available. */
  pass(remote: Remote, asked: PassedRequest): Promise<Response>;
  /** What each remote group version serves, for documents. */
  found(cluster: string): Promise<readonly Found[]>;
}

export interface PassedRequest {
  info: RequestInfo;
  request: Request;
  user: UserInfo;
  connection: ConnectionInfo;
}

/** Looks again after this long: at one that answers, at one that does not. */
const againMs = { available: 30_000, failing: 5000 };

const pathOf = /^(?:\/openapi\/v3)?\/apis\/([^/]+)\/([^/]+)(?:\/|$)/;

/** Keeps the findings of one cluster fresh while anything is served elsewhere. */
const createKeeper = (server: Server, cluster: string, remotes: () => Promise<readonly Remote[]>) => {
  const findings = new Map<string, { shape: string; finding: Finding }>();
  const looking = new Map<string, Promise<Finding>>();
  const timer: { cancel?: () => void } = {};
  let watching = false;
  let due = false;

  const shapeOf = (remote: Remote): string => JSON.stringify({ ...remote, available: true });

  const look = (remote: Remote): Promise<Finding> => {
    const shape = shapeOf(remote);
    const running = looking.get(shape);
    if (running) return running;
    const run = lookAt(server, cluster, remote)
      .then(async (finding) => {
        findings.set(remote.name, { shape, finding });
        await tell(server, cluster, remote, finding);
        return finding;
      })
      .finally(() => looking.delete(shape));
    looking.set(shape, run);
    return run;
  };

  /** A change of a service or its endpoints may be about one of ours: looked at soon, and not for each change. */
  const watchServices = async (): Promise<void> => {
    if (watching) return;
    watching = true;
    for (const [group, resource] of [
      ['', 'services'],
      ['discovery.k8s.io', 'endpointslices'],
    ] as const) {
      const replica = await server.replicas.of({ cluster, group, resource });
      replica.onApplied(
        (changes) => {
          if (changes.length > 0) soon();
        },
        () => {
          watching = false;
        },
      );
    }
  };

  const soon = (): void => {
    if (due || findings.size === 0) return;
    due = true;
    server.clock.after(20, () => {
      due = false;
      void round();
    });
  };

  const round = async (): Promise<void> => {
    timer.cancel?.();
    if (server.closing?.()) return;
    try {
      const all = await remotes();
      for (const name of [...findings.keys()]) if (!all.some((one) => one.name === name)) findings.delete(name);
      if (all.length === 0) return;
      await watchServices();
      const found = await Promise.all(all.map(look));
      const ms = found.every(({ available }) => available) ? againMs.available : againMs.failing;
      timer.cancel?.();
      timer.cancel = server.clock.after(ms, () => void round());
    } catch (error) {
      if (!server.closing?.()) server.onFault?.(error, '', undefined);
    }
  };

  return {
    round,
    look,
    /** The last finding about a remote, or the first one as soon as it is there. */
    finding: (remote: Remote): Finding | Promise<Finding> => {
      const known = findings.get(remote.name);
      return known?.shape === shapeOf(remote) ? known.finding : look(remote);
    },
    /** True where a look now would tell more than the last one. */
    isStale: ({ name }: Remote): boolean => {
      const known = findings.get(name);
      return !known || server.clock.now() - known.finding.at > againMs.failing;
    },
  };
};

const aggregators = new WeakMap<Server, Aggregator>();

/** A server's aggregator; it does nothing until it is asked. */
export const aggregatorOf = (server: Server): Aggregator => {
  const known = aggregators.get(server);
  if (known) return known;
  const made = createAggregator(server);
  aggregators.set(server, made);
  return made;
};

const createAggregator = (server: Server): Aggregator => {
  const keepers = new Map<string, ReturnType<typeof createKeeper>>();
  const remotes = createRemotes(server, (cluster) => void keeperOf(cluster).round());
  const keeperOf = (cluster: string) => {
    const known = keepers.get(cluster);
    if (known) return known;
    const made = createKeeper(server, cluster, () => remotes.of(cluster));
    keepers.set(cluster, made);
    return made;
  };
  return {
    of: remotes.of,
    at: async (info) => {
      const [, group, version] = pathOf.exec(info.path) ?? [];
      if (group === undefined || version === undefined) return undefined;
      if (server.registry.hasVersion(info.cluster, group, version)) return undefined;
      const all = await remotes.of(info.cluster);
      return all.find((one) => one.group === group && one.version === version);
    },
    pass: async (remote, asked) => {
      const { cluster } = asked.info;
      const keeper = keeperOf(cluster);
      let { available } = remote;
      if (!available && keeper.isStale(remote)) available = (await keeper.look(remote)).available;
      return passToRemote(server, available ? remote : undefined, asked);
    },
    found: async (cluster) => {
      const all = await remotes.of(cluster);
      if (all.length === 0) return [];
      const keeper = keeperOf(cluster);
      return Promise.all(all.map(async (remote) => ({ remote, finding: await keeper.finding(remote) })));
    },
  };
};
