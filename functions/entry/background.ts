import type { Client } from '../client/client.ts';
import type { Reader } from '../client/reader.ts';
import type { Clock } from '../clock/clock.ts';
import type { CertificateAuthority } from '../controllers/certificates/requests.ts';
import { createEventRecorder } from '../controllers/events.ts';
import { createRunner, LostRaceError, ReaderBehindError } from '../controllers/run.ts';
import type { TokenSecretOptions } from '../controllers/token-secrets.ts';
import { createDispatcher } from '../dispatcher/dispatch.ts';
import { measuredQueue } from '../queue/measured.ts';
import { createMemoryQueue } from '../queue/memory.ts';
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
  /** Told of work that failed and is tried again. */
  onFailure?(what: string, error: unknown): void;
}

export interface Background {
  /** Looks at every object of a cluster: after a start, when nobody knows what was missed. */
  resync(cluster: string): Promise<void>;
  idle(): boolean;
  /** Of its work queue, in Prometheus' text format. */
  metrics(): string;
  stop(): Promise<void>;
}

const WORKERS = 32;
const OWN_GROUP = 'skiff.dev';
const RESYNC_MS = 10 * 60_000;
/** A run of the scheduler takes all pods that wait, so that runs this far apart cost little under many writes. */
const SCHEDULER_PAUSE_MS = 20;

const remembered = <T>(make: (cluster: string) => T): ((cluster: string) => T) => {
  const known = new Map<string, T>();
  return (cluster) => {
    const found = known.get(cluster) ?? make(cluster);
    known.set(cluster, found);
    return found;
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
  const reader = remembered((cluster): Reader => createReplicaReader(replicas, cluster));
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
  const scheduler = remembered((cluster): Scheduler => {
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
  const unsubscribe = options.feed.subscribe((domain, changes) => {
    // Reservations and other records of our own are no API objects.
    if (domain.group === OWN_GROUP) return;
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
    const again = await scheduler(cluster).run();
    lastRuns.set(cluster, clock.now());
    return again;
  };
  const active = new Set<string>();
  const running = queue.run(async (message) => {
    if (message.consumer !== SCHEDULER) return runner.handle(message);
    const again = await schedule(message.cluster);
    if (again !== undefined) await queue.send([message], again);
  }, aborted.signal);

  const resync = async (cluster: string): Promise<void> => {
    active.add(cluster);
    await dispatcher.resync(cluster);
  };
  const timer = setInterval(() => {
    for (const cluster of active) resync(cluster).catch((error) => fail(`resync of ${cluster}`, error));
  }, RESYNC_MS);
  timer.unref();

  return {
    resync,
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
