import type { Reader } from '../../client/reader.ts';
import { createEventRecorder } from '../../controllers/events.ts';
import { createRunner, LostRaceError, ReaderBehindError } from '../../controllers/run.ts';
import { createDispatcher, type Dispatcher } from '../../dispatcher/dispatch.ts';
import { FLEET_CONSUMER, RESTORED } from '../../fleet/fleet.ts';
import type { Message, Queue } from '../../queue/queue.ts';
import { SCHEDULER, schedulerConsumer } from '../../scheduler/consumer.ts';
import { createScheduler, type Scheduler } from '../../scheduler/scheduler.ts';
import { decodeOnce } from '../../store/decoded.ts';
import { composeControllers, rememberTypes, secretToken } from '../components.ts';
import type { Authority } from '../issue.ts';
import { lazyAuthority } from '../lazy-authority.ts';
import { createFreshReader } from './fresh-reader.ts';
import { awsAuthorities } from './keys.ts';
import type { CloudPlane } from './plane.ts';

export { SCHEDULER };

/** A lost race is tried again in the invocation: the message would else hold its key up for the queue's own time. */
const TRIES = 5;
const FIRST_PAUSE_MS = 20;

export interface Work {
  /** Looks at one key of a controller, or lets the scheduler of a cluster run; rejects where the queue is to bring it again. */
  handle(message: Message): Promise<void>;
  dispatcher: Dispatcher;
}

/** The consumer of messages that ask to look at a whole cluster, where a change could not be followed; and how much later. */
const RESYNC = 'resync';
const RESYNC_MS = 30_000;

const OWN_GROUP = 'skiff.dev';

const expected = (error: unknown): boolean => error instanceof LostRaceError || error instanceof ReaderBehindError;

/**
 * Controllers, scheduler and dispatcher of a process that is woken by messages, and knows nothing from before. Pods trust
 * the authority of the deployment, which vouches for the API's address on their node, and those of AWS; without it
 * certificate requests stay unsigned.
 */
export const createWork = (plane: CloudPlane, queue: Pick<Queue, 'send'>, authority?: Authority): Work => {
  const { clock, replicas, client } = plane;
  const recorder = createEventRecorder(clock);
  const { resourceTypes } = rememberTypes(client, clock);
  /** Of the message that is handled: readers are fresh once per message. */
  const reader = (cluster: string): Reader => createFreshReader(replicas, cluster);
  let rootCa: string | undefined;
  const controllers = composeControllers({
    client,
    resourceTypes,
    signSecretToken: (cluster, subject) => secretToken(plane.authority, cluster, subject, clock.now()),
    ...(authority && { certificates: lazyAuthority(authority, plane.fleet.uidOf) }),
    rootCa: () => {
      rootCa ??= [authority?.caCert.trim(), awsAuthorities()].filter(Boolean).join('\n');
      return rootCa;
    },
  });
  const runner = createRunner({ controllers, reader, client, clock, queue, recorder });

  const schedulers = new Map<string, { scheduler: Scheduler; use(reader: Reader): void }>();
  const schedulerOf = (cluster: string) => {
    const known = schedulers.get(cluster);
    if (known) return known;
    const own = client(cluster);
    let current = reader(cluster);
    const following: Reader = {
      cluster,
      get: (resource, namespace, name) => current.get(resource, namespace, name),
      list: (resource, select) => current.list(resource, select),
      view: (resource, since) => current.view(resource, since),
      ownedBy: (resource, uid) => current.ownedBy(resource, uid),
      atLeast: (resource, version, timeoutMs) => current.atLeast(resource, version, timeoutMs),
      fresh: (resource) => current.fresh(resource),
    };
    const scheduler = createScheduler({
      reader: following,
      client: own,
      clock,
      record: (draft) => void recorder.record(cluster, own, 'default-scheduler', draft),
    });
    const made = {
      scheduler,
      use: (next: Reader) => {
        current = next;
      },
    };
    schedulers.set(cluster, made);
    return made;
  };

  const once = async (message: Message): Promise<void> => {
    // A message outlives its cluster.
    if (!(await plane.fleet.clusterExists(message.cluster))) {
      schedulers.delete(message.cluster);
      return;
    }
    if (message.consumer === FLEET_CONSUMER) {
      const later = await plane.fleet.handle(message);
      if (later !== undefined) await queue.send([message], later);
      return;
    }
    if (message.consumer === RESYNC) return dispatcher.resync(message.cluster);
    if (message.consumer !== SCHEDULER) return runner.handle(message);
    const { scheduler, use } = schedulerOf(message.cluster);
    use(reader(message.cluster));
    const again = await scheduler.run();
    if (again !== undefined) await queue.send([message], again);
  };
  const dispatcher = createDispatcher({
    consumers: [...controllers, schedulerConsumer],
    queue,
    decode: decodeOnce,
    // Whoever gets a message brings its own view up to date: the dispatcher need not wait for one.
    reader: (cluster) => ({ ...reader(cluster), atLeast: async () => true }),
    // One cluster's object that nobody can read must not hold up the stream, which is that of all: what it may have woken is
    // looked for a little later.
    onFailure: async ({ cluster, resource }, error, during) => {
      plane.log(`dispatch of ${cluster} ${resource}: ${error instanceof Error ? error.stack : error}`);
      if (during === 'change') await queue.send([{ cluster, consumer: RESYNC, key: '' }], RESYNC_MS);
    },
  });
  return {
    dispatcher: {
      ...dispatcher,
      changed: async (domain, changes) => {
        const messages = plane.fleet.changed(domain, changes);
        if (messages.length > 0) await queue.send(messages);
        // Reservations and other records of our own are no API objects.
        if (domain.group !== OWN_GROUP) return dispatcher.changed(domain, changes);
        // What was restored was written before its cluster was there: now everybody looks at it.
        for (const { type, stored, previousIndex } of changes) {
          const isNew = domain.resource === 'clusters' && type === 'put' && !previousIndex;
          if (isNew && stored.index.labels[RESTORED]) await dispatcher.resync(stored.key);
        }
      },
    },
    handle: async (message) => {
      for (let tries = 1; ; tries++) {
        try {
          return await once(message);
        } catch (error) {
          if (!expected(error) || tries >= TRIES) throw error;
          await clock.sleep(FIRST_PAUSE_MS * 2 ** tries);
        }
      }
    },
  };
};
