import type { Reader } from '../../client/reader.ts';
import type { ControllerRevision, DaemonSet, DaemonSetStatus, Node, Pod } from '../../machinery/kinds.d.ts';
import { keyOf } from '../../machinery/object.ts';
import type { Controller, EventDraft, Instant, Plan, PlannedWrite, WatchedChange } from '../controller.ts';
import { claim, controllerOf, ownerKeys, ownerReference, ownKey } from '../owners.ts';
import { createPod, deletePod, isAvailable, isFinished, isReady, isTerminating, nextAvailableMs } from '../pods.ts';
import { controllerRevisions, daemonSets, nodes, pods } from '../resources.ts';
import { isEmptySelector, selects } from '../selector.ts';
import { sameJson, statusWrite } from '../status-patch.ts';
import { historyOf } from './history.ts';
import { daemonTolerations, type Fit, fitOf } from './node-fit.ts';
import { daemonPod, hashLabel, isUpdated, nodeOf } from './pod.ts';
import { allowsSurge, roll } from './rolling.ts';

export interface DaemonSetObserved {
  set: DaemonSet;
  candidates: readonly Pod[];
  history: readonly ControllerRevision[];
  nodes: readonly Node[];
}

/** A daemon that ended is replaced no sooner than this after it was made. */
const retryMs = 1_000;

const byAge = (a: Pod, b: Pod): number =>
  (a.metadata.creationTimestamp ?? '').localeCompare(b.metadata.creationTimestamp ?? '') ||
  (a.metadata.name ?? '').localeCompare(b.metadata.name ?? '');

interface Work {
  set: DaemonSet;
  hash: string;
  now: Instant;
  byNode: Map<string, Pod[]>;
  create: string[];
  remove: PlannedWrite[];
  events: EventDraft[];
  again: number | undefined;
}

const ended = (work: Work, pod: Pod): void => {
  const { set, now } = work;
  const wait = Date.parse(pod.metadata.creationTimestamp ?? '') + retryMs - now;
  if (wait > 0) {
    work.again = Math.min(work.again ?? wait, wait);
    return;
  }
  const failed = pod.status?.phase === 'Failed';
  const { namespace, name } = pod.metadata;
  work.events.push({
    regarding: set,
    type: failed ? 'Warning' : 'Normal',
    reason: failed ? 'FailedDaemonPod' : 'SucceededDaemonPod',
    message: `Found ${failed ? 'failed' : 'succeeded'} daemon pod ${namespace}/${name} on node ${nodeOf(pod)}, will try to ${failed ? 'kill' : 'delete'} it`,
  });
  work.remove.push(deletePod(set, pod));
};

/** One pod of each node stays, the oldest; while it surges, one of the old and one of the present template. */
const tidy = (work: Work, running: readonly Pod[]): void => {
  const { set, hash, now } = work;
  const drop = (list: readonly Pod[]) => work.remove.push(...list.map((pod) => deletePod(set, pod)));
  if (!allowsSurge(set)) return void drop(running.slice(1));
  const [fresh, ...more] = running.filter((pod) => isUpdated(set, pod, hash));
  const [old, ...older] = running.filter((pod) => !isUpdated(set, pod, hash));
  drop([...more, ...older]);
  if (fresh && old && (isAvailable(fresh, set.spec?.minReadySeconds ?? 0, now) || !isReady(old))) drop([old]);
};

const manage = (work: Work, fits: ReadonlyMap<string, Fit>): void => {
  for (const [name, { run, stay }] of fits) {
    const list = work.byNode.get(name) ?? [];
    if (!stay) {
      const alive = list.filter((pod) => !isTerminating(pod));
      work.remove.push(...alive.map((pod) => deletePod(work.set, pod)));
    } else if (list.length === 0) {
      if (run) work.create.push(name);
    } else {
      const alive = list.filter((pod) => !isTerminating(pod));
      for (const pod of alive) if (isFinished(pod)) ended(work, pod);
      tidy(work, alive.filter((pod) => !isFinished(pod)).sort(byAge));
    }
  }
  for (const [name, list] of work.byNode) {
    if (fits.has(name)) continue;
    const waiting = list.filter((pod) => !pod.spec?.nodeName && !isTerminating(pod));
    work.remove.push(...waiting.map((pod) => deletePod(work.set, pod)));
  }
};

const statusOf = (work: Work, fits: ReadonlyMap<string, Fit>): DaemonSetStatus => {
  const { set, hash, byNode, now } = work;
  const count = { desired: 0, current: 0, misplaced: 0, ready: 0, available: 0, updated: 0 };
  for (const [name, { run, stay }] of fits) {
    const list = byNode.get(name) ?? [];
    const there = list.length > 0;
    if (!run && !(stay && there)) {
      if (there) count.misplaced++;
      continue;
    }
    count.desired++;
    const pod = [...list].sort(byAge).find((one) => !isTerminating(one)) ?? list[0];
    if (!pod) continue;
    count.current++;
    if (isReady(pod)) count.ready++;
    if (isAvailable(pod, set.spec?.minReadySeconds ?? 0, now)) count.available++;
    if (isUpdated(set, pod, hash)) count.updated++;
  }
  const unavailable = count.desired - count.available;
  return {
    currentNumberScheduled: count.current,
    numberMisscheduled: count.misplaced,
    desiredNumberScheduled: count.desired,
    numberReady: count.ready,
    ...(set.metadata.generation !== undefined && { observedGeneration: set.metadata.generation }),
    ...(count.updated > 0 && { updatedNumberScheduled: count.updated }),
    ...(count.available > 0 && { numberAvailable: count.available }),
    ...(unavailable > 0 && { numberUnavailable: unavailable }),
    ...(set.status?.collisionCount !== undefined && { collisionCount: set.status.collisionCount }),
    ...(set.status?.conditions && { conditions: set.status.conditions }),
  };
};

const grouped = (list: readonly Pod[]): Map<string, Pod[]> => {
  const groups = new Map<string, Pod[]>();
  for (const pod of list) {
    const node = nodeOf(pod);
    if (node !== undefined) groups.set(node, [...(groups.get(node) ?? []), pod]);
  }
  return groups;
};

const decide = ({ set, candidates, history, nodes: all }: DaemonSetObserved, now: Instant): Plan => {
  const reference = ownerReference(set, 'apps/v1', 'DaemonSet');
  const claimed = claim(set, reference, selects(set.spec?.selector), candidates, pods);
  if (set.metadata.deletionTimestamp) return { writes: claimed.writes };
  const live = new Set(claimed.mine.map((pod) => pod.metadata.labels?.[hashLabel] ?? ''));
  const { hash, writes } = historyOf(set, history, live);
  const tolerations = daemonTolerations(set);
  const fits = new Map(all.map((node) => [node.metadata.name ?? '', fitOf(set, tolerations, node)]));
  const byNode = grouped(claimed.mine);
  const work: Work = { set, hash, now, byNode, create: [], remove: [], events: [], again: undefined };
  const status = statusOf(work, fits);
  manage(work, fits);
  if (work.create.length + work.remove.length === 0) {
    const steps = roll(set, byNode, hash, status.desiredNumberScheduled, now);
    work.create.push(...steps.create.filter((node) => fits.get(node)?.run));
    work.remove.push(...steps.remove.map((pod) => deletePod(set, pod)));
  }
  const wait = nextAvailableMs(claimed.mine, set.spec?.minReadySeconds ?? 0, now);
  const again = work.again === undefined ? wait : Math.min(work.again, wait ?? work.again);
  return {
    writes: [
      ...claimed.writes,
      ...writes,
      ...statusWrite(set, daemonSets, status),
      ...work.create.map((node) => createPod(set, daemonPod(set, node, tolerations, hash))),
      ...work.remove,
    ],
    events: work.events,
    ...(again !== undefined && { again: { afterMs: again } }),
  };
};

const adopters = async (change: WatchedChange, read: Reader): Promise<string[]> => {
  const { namespace = '', labels } = change.object.metadata;
  const sets = await read.list<DaemonSet>(daemonSets, { namespace });
  return sets
    .filter((set) => selects(set.spec?.selector)(labels))
    .map((set) => keyOf(namespace, set.metadata.name ?? ''));
};

/** Heartbeats change nothing here: only a node's labels, its taints, its coming and going. */
const nodeKeys = async ({ object, previous, deleted }: WatchedChange, read: Reader): Promise<string[]> => {
  const [node, before] = [object as Node, previous as Node | undefined];
  const same =
    before &&
    sameJson(node.metadata.labels, before.metadata.labels) &&
    sameJson(node.spec?.taints, before.spec?.taints);
  if (same && !deleted) return [];
  const sets = await read.list<DaemonSet>(daemonSets);
  return sets.map((set) => keyOf(set.metadata.namespace, set.metadata.name ?? ''));
};

/** Runs one pod on every node that a DaemonSet selects. */
export const daemonSetController: Controller<DaemonSetObserved> = {
  name: 'daemonset',
  watches: [
    { resource: daemonSets, keys: ownKey },
    { resource: controllerRevisions, keys: (change) => ownerKeys(change, 'DaemonSet', 'apps') },
    { resource: nodes, keys: nodeKeys },
    {
      resource: pods,
      keys: (change, read) =>
        controllerOf(change.object) ? ownerKeys(change, 'DaemonSet', 'apps') : adopters(change, read),
    },
  ],
  async observe(read, key) {
    const set = await read.get<DaemonSet>(daemonSets, key.namespace, key.name);
    if (!set || isEmptySelector(set.spec?.selector)) return undefined;
    const uid = set.metadata.uid ?? '';
    const mine = (await read.ownedBy<Pod>(pods, uid)).filter((pod) => controllerOf(pod)?.uid === uid);
    const matches = selects(set.spec?.selector);
    const free = (await read.list<Pod>(pods, { namespace: key.namespace, matches })).filter(
      (pod) => !controllerOf(pod),
    );
    const history = await read.ownedBy<ControllerRevision>(controllerRevisions, uid);
    return { set, candidates: [...mine, ...free], history, nodes: await read.list<Node>(nodes) };
  },
  decide,
};
