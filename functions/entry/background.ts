import { FLEET } from '../apiserver/fleet/cluster-kind.ts';
import type { Client } from '../client/client.ts';
import type { Reader } from '../client/reader.ts';
import type { Clock } from '../clock/clock.ts';
import type { CertificateAuthority } from '../controllers/certificates/requests.ts';
import { createEventRecorder } from '../controllers/events.ts';
import { createRunner, LostRaceError, ReaderBehindError } from '../controllers/run.ts';
import type { TokenSecretOptions } from '../controllers/token-secrets.ts';
import { createDispatcher } from '../dispatcher/dispatch.ts';
import { FLEET_CONSUMER, type Fleet } from '../fleet/fleet.ts';
import { measuredQueue } from '../queue/measured.ts';
import { createMemoryQueue } from '../queue/memory.ts';
import type { Message } from '../queue/queue.ts';
import { SCHEDULER, schedulerConsumer } from '../scheduler/consumer.ts';
import { createScheduler, type Scheduler } from '../scheduler/scheduler.ts';
import { decodeOnce } from '../store/decoded.ts';
import type { Replicas } from '../store/replica-port.ts';
import { createReplicaReader } from '../store/replica-reader.ts';
import type { CommitFeed } from '../store/store.ts';
import { composeControllers, rememberTypes } from './components.ts';

export interface BackgroundOptions {
  feed: CommitFeed;
  replicas: Replicas;
  clock: Clock;
  /** A client of a cluster as one of its components (system:masters in process). */
  client(cluster: string): Client;
  caCert: string;
  /** Fills Secrets of type kubernetes.io/service-account-token; without it they stay empty. */
  signSecretToken?: TokenSecretOptions['signSecretToken'];
  /** Issues the certificates of Kubernetes' own signers; without it requests stay approved and unsigned. */
  certificates?: CertificateAuthority;
  /** The clusters of the deployment; without it there is one, `default`. */
  fleet?: Pick<Fleet, 'changed' | 'handle' | 'clusterExists' | 'resume'>;
  /** Told of work that failed and is tried again. */
  onFailure?(what: string, error: unknown): void;
}

export interface Background {
  /** Looks at every object of a cluster: after a start, when nobody knows what was missed. */
  resync(cluster: string): Promise<void>;
  /** Until released, nobody looks at changes of this cluster; then everybody looks at all of it. */
  hold(cluster: string): () => Promise<void>;
  /** Goes on with deletions of clusters that were begun before, and looks at the objects of those that were ever used. */
  resume(): Promise<void>;
  /** A cluster is gone: nothing of it stays in memory. */
  forget(cluster: string): void;
  idle(): boolean;
  /** Of its work queue, in Prometheus' text format. */
  metrics(): string;
  stop(): Promise<void>;
}

const WORKERS = 32;
const DEFAULT_CLUSTER = 'default';
const OWN_GROUP = 'skiff.dev';
const RESYNC_MS = 10 * 60_000;
/** A run of the scheduler takes all pods that wait, so that runs this far apart cost little under many writes. */
const SCHEDULER_PAUSE_MS = 20;

/** One of a thing per cluster, made when it is first asked for. */
const remembered = <T>(make: (cluster: string) => T) => {
  const known = new Map<string, T>();
  return {
    of: (cluster: string): T => {
      const found = known.get(cluster) ?? make(cluster);
      known.set(cluster, found);
      return found;
    },
    forget: (cluster: string): void => void known.delete(cluster),
  };
};

const expected = (error: unknown): boolean => error instanceof LostRaceError || error instanceof ReaderBehindError;

/**
 * Controllers and scheduler of an embedded deployment: committed changes -> dispatcher -> memory queue -> runner. A
 * cluster costs nothing here until one of its objects changes.
 */
export const startBackground = (options: BackgroundOptions): Background => {
  const { clock, replicas, client } = options;
  const fail = (what: string, error: unknown): void => {
    if (!expected(error)) options.onFailure?.(what, error);
  };
  const readers = remembered((cluster): Reader => createReplicaReader(replicas, cluster));
  const reader = readers.of;
  const recorder = createEventRecorder(clock);
  const ready = createMemoryQueue({
    clock,
    workers: WORKERS,
    onFailure: (m, error) => fail(`${m.cluster} ${m.consumer} ${m.key}`, error),
  });
  const queue = measuredQueue(ready, clock);

  const { resourceTypes, forgetTypes } = rememberTypes(client, clock);
  const controllers = composeControllers({
    client,
    resourceTypes,
    rootCa: () => options.caCert,
    ...(options.signSecretToken && { signSecretToken: options.signSecretToken }),
    ...(options.certificates && { certificates: options.certificates }),
  });
  const runner = createRunner({ controllers, reader, client, clock, queue, recorder });
  const schedulers = remembered((cluster): Scheduler => {
    const own = client(cluster);
    return createScheduler({
      reader: reader(cluster),
      client: own,
      clock,
      record: (draft) => void recorder.record(cluster, own, 'default-scheduler', draft),
    });
  });

  const dispatcher = createDispatcher({
    consumers: [...controllers, schedulerConsumer],
    queue,
    decode: decodeOnce,
    reader,
    // Any object may have lost its owner while nobody listened; events have none, and are many.
    resources: async (cluster) => (await resourceTypes(cluster)).filter(({ resource }) => resource !== 'events'),
    onFailure: (domain, error) => fail(`dispatch of ${domain.cluster} ${domain.resource}`, error),
  });
  const held = new Set<string>();
  const { fleet } = options;
  /** Clusters that something changed in since the last resync: only those are walked by the next. */
  const active = new Set<string>([DEFAULT_CLUSTER]);
  const send = (messages: Message[], delayMs?: number): void => {
    if (messages.length > 0) queue.send(messages, delayMs).catch((error) => fail('queue', error));
  };
  const unsubscribe = options.feed.subscribe((domain, changes) => {
    if (fleet) send(fleet.changed(domain, changes));
    active.add(domain.cluster);
    // Reservations and other records of our own are no API objects.
    if (domain.group === OWN_GROUP || held.has(domain.cluster)) return;
    // A new kind may be an owner or a dependent at once: nobody goes by the kinds of before.
    if (domain.resource === 'customresourcedefinitions') forgetTypes(domain.cluster);
    dispatcher
      .changed(domain, changes)
      .catch((error) => fail(`dispatch of ${domain.cluster} ${domain.resource}`, error));
  });

  const aborted = new AbortController();
  const lastRuns = new Map<string, number>();
  const schedule = async (cluster: string): Promise<number | undefined> => {
    const pause = (lastRuns.get(cluster) ?? 0) + SCHEDULER_PAUSE_MS - clock.now();
    if (pause > 0) await clock.sleep(pause);
    if (aborted.signal.aborted) return undefined;
    const again = await schedulers.of(cluster).run();
    lastRuns.set(cluster, clock.now());
    return again;
  };
  const running = queue.run(async (message) => {
    const { cluster, consumer } = message;
    const served = fleet?.clusterExists(cluster) ?? true;
    if (served !== true && !(await served)) return;
    if (consumer !== SCHEDULER && consumer !== FLEET_CONSUMER) return runner.handle(message);
    const again = consumer === SCHEDULER ? await schedule(cluster) : await fleet?.handle(message);
    if (again !== undefined) await queue.send([message], again);
  }, aborted.signal);

  const resync = (cluster: string): Promise<void> => dispatcher.resync(cluster);
  const resyncAll = async (clusters: readonly string[]): Promise<void> => {
    for (const cluster of clusters) {
      if (aborted.signal.aborted) return;
      await resync(cluster).catch((error) => fail(`resync of ${cluster}`, error));
    }
  };
  const timer = setInterval(() => {
    const clusters = [...active];
    active.clear();
    active.add(DEFAULT_CLUSTER);
    void resyncAll(clusters);
  }, RESYNC_MS);
  timer.unref();

  return {
    resync,
    hold: (cluster) => {
      held.add(cluster);
      return async () => {
        held.delete(cluster);
        await resync(cluster);
      };
    },
    resume: async () => {
      const { messages, used } = (await fleet?.resume()) ?? { messages: [], used: [] };
      send(messages);
      void resyncAll(used);
      // So that whoever makes the first cluster does not wait for it.
      Promise.resolve(fleet?.clusterExists(FLEET)).catch((error) => fail(FLEET, error));
    },
    forget: (cluster) => {
      readers.forget(cluster);
      schedulers.forget(cluster);
      lastRuns.delete(cluster);
      active.delete(cluster);
      forgetTypes(cluster);
    },
    idle: () => queue.idle(),
    metrics: () => queue.metrics(),
    stop: async () => {
      clearInterval(timer);
      unsubscribe();
      aborted.abort();
      await running;
    },
  };
};
