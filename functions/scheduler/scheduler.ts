import type { Client } from '../client/client.ts';
import type { Reader } from '../client/reader.ts';
import type { Clock } from '../clock/clock.ts';
import type { EventDraft } from '../controllers/controller.ts';
import type { Node, Pod } from '../machinery/kinds.d.ts';
import { claimKey, claimNames, isBound } from './claims.ts';
import { type ClusterChange, createClusterCache } from './cluster-cache.ts';
import { type ClusterObjects, type ObjectList, type Promised, readObjects, VOLUME_LISTS } from './cluster-objects.ts';
import { type Decision, decide, type Placed, type Unplaced } from './decide.ts';
import { waitingClaims } from './filters/volume-binding.ts';
import type { PodInfo } from './framework.ts';
import { NO_NODES } from './hints.ts';
import { createNominations } from './nominations.ts';
import { createPendingPods } from './pending-pods.ts';
import { podInfoOf } from './pod-info.ts';
import { preempt } from './preempt.ts';
import { DEFAULT_SCHEDULER, defaultProfile, type Profile } from './profile.ts';
import { createReservations } from './reservations.ts';
import { planVolumes } from './volume-matching.ts';
import { type Backoff, createWaitingPods } from './waiting.ts';
import { createSchedulerWrites } from './writes.ts';

const PODS = { group: '', resource: 'pods' };
const NODES = { group: '', resource: 'nodes' };
const WRITES_AT_ONCE = 32;
/** How long an assumed binding stands when the reader does not show it. */
const ASSUMED_MS = 30_000;
/** How long the volumes of a pod may take to be bound. */
const VOLUMES_MS = 10 * 60_000;
const SHORTEST_WAIT_MS = 50;

export interface SchedulerOptions {
  reader: Reader;
  client: Client;
  clock: Clock;
  record(event: EventDraft): void;
  /** The default profile alone where absent. */
  profiles?: readonly Profile[];
  backoff?: Backoff;
  /** Told each decision, before it is written. */
  decided?: (pod: Pod, decision: Decision) => void;
}

/** Higher priority first, then the older. */
const byPriority = (a: Pod, b: Pod): number => {
  const order = (b.spec?.priority ?? 0) - (a.spec?.priority ?? 0);
  if (order !== 0) return order;
  const [x, y] = [a.metadata.creationTimestamp ?? '', b.metadata.creationTimestamp ?? ''];
  return x < y ? -1 : x > y ? 1 : 0;
};

const isPending = (pod: Pod): boolean =>
  !pod.spec?.nodeName &&
  !pod.metadata.deletionTimestamp &&
  (pod.status?.phase ?? 'Pending') === 'Pending' &&
  !pod.spec?.schedulingGates?.length;

const OWNERS: Record<string, ObjectList> = {
  ReplicaSet: 'replicaSets',
  StatefulSet: 'statefulSets',
  ReplicationController: 'replicationControllers',
};
/** The lists that decisions on these pods need. */
const listsFor = (pods: readonly Pod[]): Set<ObjectList> => {
  const out = new Set<ObjectList>(['services', 'namespaces', 'budgets']);
  for (const pod of pods) {
    if (claimNames(pod).length > 0) for (const name of VOLUME_LISTS) out.add(name);
    const owner = OWNERS[pod.metadata.ownerReferences?.find((r) => r.controller)?.kind ?? ''];
    if (owner) out.add(owner);
  }
  return out;
};

/** What is left to write. */
type Task = () => Promise<unknown>;

/** Runs the tasks, some at a time; throws the first failure once all are done. */
const runAll = async (tasks: Task[]): Promise<void> => {
  const failures: unknown[] = [];
  let next = 0;
  const worker = async () => {
    for (let task = tasks[next++]; task; task = tasks[next++]) await task().catch((error) => failures.push(error));
  };
  await Promise.all(Array.from({ length: Math.min(WRITES_AT_ONCE, tasks.length) }, worker));
  if (failures.length > 0) throw failures[0];
};

/**
 * The scheduler of one cluster: takes all pods that are due in a batch, decides on one snapshot, writes concurrently. One
 * run at a time per cluster (the queue's group sees to it). Two at once bind no pod twice, because a binding is a
 * compare-and-set, but may fill the same room twice; the node then refuses what does not fit.
 */
export const createScheduler = (options: SchedulerOptions) => {
  const { reader, client, clock } = options;
  const profiles = new Map((options.profiles ?? [defaultProfile]).map((p) => [p.schedulerName, p]));
  const profileFor = (pod: Pod) => profiles.get(pod.spec?.schedulerName ?? DEFAULT_SCHEDULER);
  const cache = createClusterCache();
  const waiting = createWaitingPods(options.backoff ?? { initialMs: 1_000, maximumMs: 10_000 });
  const writes = createSchedulerWrites(client, clock);
  const promised: Promised = { volumes: new Map(), claims: new Map() };
  const reservations = createReservations(promised);
  const nominations = createNominations(cache);
  let start = 0;
  let begun = false;
  let podsSeen: string | undefined;
  /** Changes of a run that failed before the waiting pods heard of them. */
  let unheard: ClusterChange[] = [];
  const pendingPods = createPendingPods((pod) => isPending(pod) && profileFor(pod) !== undefined);

  /** Where the API fails or refuses, the pod is as if it had not been looked at, but for its back-off. */
  const orAgain = async (pod: Pod, write: () => Promise<boolean>): Promise<boolean> => {
    const uid = pod.metadata.uid ?? '';
    let done = false;
    try {
      done = await write();
    } finally {
      if (!done) {
        reservations.drop(uid);
        nominations.drop(uid);
        cache.forget(uid);
        waiting.failed(pod, new Set(), clock.now());
      }
    }
    return done;
  };

  const bind = async (pod: Pod, node: string): Promise<void> => {
    if (!(await orAgain(pod, () => writes.bind(pod, node)))) return;
    waiting.done(pod.metadata.uid ?? '');
    const { namespace = '', name = '' } = pod.metadata;
    const message = `Successfully assigned ${namespace}/${name} to ${node}`;
    options.record({ regarding: pod, type: 'Normal', reason: 'Scheduled', message });
  };

  /** `nominated`: the node where room is being made, or ''. */
  const refuse = async (pod: Pod, message: string, nominated: string): Promise<boolean> => {
    const told = await writes.refuse(pod, message, nominated);
    if (told) options.record({ regarding: pod, type: 'Warning', reason: 'FailedScheduling', message });
    return true;
  };

  /** Counts the pod on its node at once, and returns what is left to write. */
  const settle = (info: PodInfo, decision: Placed): Task => {
    const { pod } = info;
    const now = clock.now();
    const { snapshot } = cache;
    const claims = waitingClaims(pod, snapshot);
    const node = snapshot.byName.get(decision.node);
    const plan = claims.length > 0 && node ? planVolumes(claims, node, snapshot.objects) : undefined;
    cache.assume(info, decision.node, now + (plan ? VOLUMES_MS : ASSUMED_MS));
    if (!plan || typeof plan === 'string') return () => bind(pod, decision.node);
    const volumes = plan.bind.map(({ claim, volume }) => ({
      claim: claimKey(claim),
      volume: volume.metadata.name ?? '',
    }));
    reservations.add({ pod, node: decision.node, claims: claims.map(claimKey), volumes, until: now + VOLUMES_MS });
    return () =>
      orAgain(
        pod,
        async () => (await writes.expect(pod, decision.node)) && (await writes.prepareVolumes(plan, decision.node)),
      );
  };

  /** Makes room where that helps, and returns what is left to write. */
  const wait = (info: PodInfo, decision: Unplaced, profile: Profile): Task => {
    const { pod, uid } = info;
    const { checks, message } = decision;
    const refusedBy = decision.filters.size > 0 ? decision.filters : new Set([NO_NODES]);
    waiting.failed(pod, refusedBy, clock.now());
    const nominated = nominations.of(pod);
    if (
      checks.impossible ||
      profile.disabled.postFilter.has('DefaultPreemption') ||
      cache.snapshot.nodes.length === 0
    ) {
      return () => orAgain(pod, () => refuse(pod, message, nominated));
    }
    const room = preempt(decision, clock.random());
    if (room.type === 'none') {
      const kept = room.eligible ? '' : nominated;
      if (kept === '') nominations.drop(uid);
      return () => orAgain(pod, () => refuse(pod, `${message} preemption: ${room.message}`, kept));
    }
    nominations.set(info, room.node);
    return () =>
      orAgain(pod, async () => {
        await refuse(pod, message, room.node);
        for (const victim of room.victims) await evict(victim, info, room.node);
        return true;
      });
  };

  const evict = async (victim: PodInfo, by: PodInfo, node: string): Promise<void> => {
    if (!(await writes.evict(victim, by.pod))) return;
    const message = `Preempted by pod ${by.uid} on node ${node}`;
    options.record({ regarding: victim.pod, type: 'Normal', reason: 'Preempted', message });
  };

  /** Binds the pods whose volumes are ready, and gives up on those that waited too long. */
  const continueReserved = (pending: ReadonlyMap<string, Pod>, objects: ClusterObjects): Task[] => {
    const work: Task[] = [];
    for (const { pod, node, claims, until } of reservations.all()) {
      const uid = pod.metadata.uid ?? '';
      const found = claims.map((key) => objects.claims.get(key));
      const over = !pending.has(uid) || until <= clock.now() || found.some((c) => c === undefined);
      if (!over && !found.every((c) => c && isBound(c))) continue;
      reservations.drop(uid);
      if (over) {
        cache.forget(uid);
        if (pending.has(uid)) waiting.failed(pod, new Set(), clock.now());
      } else work.push(() => bind(pod, node));
    }
    return work;
  };

  const attempt = (pod: Pod): Task | undefined => {
    const profile = profileFor(pod);
    if (!profile) return undefined;
    const info = podInfoOf(pod);
    const decision = decide(info, cache.snapshot, { random: clock.random(), profile, start });
    const { nodes } = cache.snapshot;
    if (nodes.length > 0) start = (start + decision.looked) % nodes.length;
    options.decided?.(pod, decision);
    if (decision.type === 'unschedulable') return wait(info, decision, profile);
    nominations.drop(info.uid);
    return settle(info, decision);
  };

  /** Tries every pod that is due once; returns after how many milliseconds to look again, if any still waits. */
  const run = async (): Promise<number | undefined> => {
    // What an earlier process bound must not be missing from the first view of this one.
    if (!begun) await reader.fresh(PODS);
    begun = true;
    const [pods, nodes] = await Promise.all([reader.view<Pod>(PODS, podsSeen), reader.list<Node>(NODES)]);
    podsSeen = pods.resourceVersion;
    const now = clock.now();
    pendingPods.look(pods);
    const pending = pendingPods.byUid;
    const changes: ClusterChange[] = [...unheard, ...cache.look(nodes, pods, now)];
    unheard = changes;
    waiting.keep(pending);
    changes.push(...nominations.look(pending));
    if (pending.size > 0) {
      const wanted = listsFor([...pending.values()]);
      const objects = await readObjects(reader, wanted, promised);
      cache.snapshot.objects = objects;
      if (wanted.has('claims') && reservations.changed(objects)) changes.push({ type: 'objects changed' });
    }
    waiting.wake(changes, cache.snapshot, profileFor);
    unheard = [];
    const work = continueReserved(pending, cache.snapshot.objects);
    const due = [...pending.values()].filter((p) => {
      const uid = p.metadata.uid ?? '';
      return !cache.assumed(uid) && waiting.isDue(uid, now);
    });
    for (const pod of due.sort(byPriority)) {
      const task = attempt(pod);
      if (task) work.push(task);
    }
    await runAll(work);
    const next = Math.min(waiting.next() ?? Infinity, reservations.next() ?? Infinity);
    return next === Infinity ? undefined : Math.max(SHORTEST_WAIT_MS, next - clock.now());
  };

  return { run };
};
export type Scheduler = ReturnType<typeof createScheduler>;
