import { timestamp } from '../clock/clock.ts';
import type { Node, Pod, Taint, Toleration } from '../machinery/kinds.d.ts';
import { withCondition } from './conditions.ts';
import type { Controller, EventDraft, Instant, Plan, PlannedWrite } from './controller.ts';
import { targetOf } from './owners.ts';
import { nodes, pods } from './resources.ts';
import { statusWrite } from './status-patch.ts';

export interface TaintObserved {
  /** NoExecute taints of the node; none: evictions that waited are called off. */
  taints: readonly Taint[];
  pods: readonly Pod[];
}

export const tolerates = (toleration: Toleration, taint: Taint): boolean => {
  if (toleration.effect && toleration.effect !== taint.effect) return false;
  if (toleration.key && toleration.key !== taint.key) return false;
  if (toleration.operator === 'Exists') return true;
  return toleration.key !== undefined && (toleration.value ?? '') === (taint.value ?? '');
};

/** When a pod must leave, in milliseconds since the epoch; 0 is at once, undefined never. */
const evictAt = (pod: Pod, taints: readonly Taint[], now: Instant): number | undefined => {
  let at: number | undefined;
  for (const taint of taints) {
    const tolerations = (pod.spec?.tolerations ?? []).filter((toleration) => tolerates(toleration, taint));
    if (tolerations.length === 0) return 0;
    for (const { tolerationSeconds } of tolerations) {
      if (tolerationSeconds === undefined) continue;
      const due = (taint.timeAdded ? Date.parse(taint.timeAdded) : now) + Math.max(0, tolerationSeconds) * 1000;
      if (at === undefined || due < at) at = due;
    }
  }
  return at;
};

const evict = (pod: Pod, now: Instant): PlannedWrite[] => {
  const conditions = withCondition(pod.status?.conditions, {
    type: 'DisruptionTarget',
    status: 'True',
    reason: 'DeletionByTaintManager',
    message: 'Taint manager: deleting due to NoExecute taint',
    lastTransitionTime: timestamp(now),
  });
  const event: EventDraft = {
    regarding: pod,
    type: 'Normal',
    reason: 'TaintManagerEviction',
    message: `Marking for deletion Pod ${pod.metadata.namespace}/${pod.metadata.name}`,
  };
  const expects = { uid: pod.metadata.uid ?? '' };
  return [
    ...statusWrite(pod, pods, { ...pod.status, conditions }, expects),
    { op: 'delete', resource: pods, target: targetOf(pod), expects, done: () => event },
  ];
};

/** Pods that would have had to leave in time: upstream tells that they may stay. */
const calledOff = (list: readonly Pod[]): EventDraft[] =>
  list
    .filter((pod) => !pod.metadata.deletionTimestamp)
    .filter((pod) => !pod.spec?.tolerations?.some((t) => t.effect !== 'NoSchedule' && forever(t)))
    .map((pod) => ({
      regarding: pod,
      type: 'Normal',
      reason: 'TaintManagerEviction',
      message: `Cancelling deletion of Pod ${pod.metadata.namespace}/${pod.metadata.name}`,
    }));
const forever = (toleration: Toleration): boolean =>
  toleration.tolerationSeconds === undefined && (!toleration.key || toleration.key.startsWith('node.kubernetes.io/'));

const decide = (observed: TaintObserved, now: Instant): Plan => {
  if (observed.taints.length === 0) return { writes: [], events: calledOff(observed.pods) };
  const marks: PlannedWrite[] = [];
  const deletes: PlannedWrite[] = [];
  let next: number | undefined;
  for (const pod of observed.pods) {
    if (pod.metadata.deletionTimestamp) continue;
    const at = evictAt(pod, observed.taints, now);
    if (at === undefined) continue;
    if (at > now) {
      if (next === undefined || at < next) next = at;
      continue;
    }
    for (const write of evict(pod, now)) (write.op === 'delete' ? deletes : marks).push(write);
  }
  return { writes: [...marks, ...deletes], ...(next !== undefined && { again: { afterMs: next - now } }) };
};

/** Before the node's name in a key: its NoExecute taints went. */
const calledOffPrefix = '~';

const executing = (node: Node | undefined): Taint[] =>
  (node?.spec?.taints ?? []).filter((taint) => taint.effect === 'NoExecute');

/** Deletes pods that do not tolerate a NoExecute taint of their node, or no longer do. Keys: NODE and ~NODE. */
export const taintEvictionController: Controller<TaintObserved> = {
  name: 'taint-eviction',
  watches: [
    {
      resource: nodes,
      keys({ object, previous, deleted }) {
        const name = object.metadata.name ?? '';
        if (deleted) return [];
        const now = executing(object as Node).length;
        const before = executing(previous as Node | undefined).length;
        return now > 0 ? [name] : before > 0 ? [`${calledOffPrefix}${name}`] : [];
      },
    },
    {
      resource: pods,
      async keys({ object, previous, deleted }, read) {
        const name = (object as Pod).spec?.nodeName;
        if (deleted || !name || (previous as Pod | undefined)?.spec?.nodeName === name) return [];
        return executing(await read.get<Node>(nodes, '', name)).length > 0 ? [name] : [];
      },
    },
  ],
  async observe(read, key) {
    const off = key.name.startsWith(calledOffPrefix);
    const name = off ? key.name.slice(calledOffPrefix.length) : key.name;
    const taints = executing(await read.get<Node>(nodes, '', name));
    if ((taints.length === 0) !== off) return undefined;
    return { taints, pods: await read.list<Pod>(pods, { field: { name: 'spec.nodeName', value: name } }) };
  },
  decide,
};
