import type { Client } from '../client/client.ts';
import type { Reader } from '../client/reader.ts';
import type { Clock } from '../clock/clock.ts';
import { timestamp } from '../clock/clock.ts';
import type { EventDraft } from '../controllers/controller.ts';
import type { Node, Pod } from '../machinery/kinds.d.ts';
import { StatusError } from '../machinery/status.ts';
import { decide } from './decide.ts';
import type { Snapshot } from './framework.ts';
import { place, podInfoOf, snapshotOf } from './pod-info.ts';

const PODS = { group: '', version: 'v1', resource: 'pods' };
const NODES = { group: '', resource: 'nodes' };
export const DEFAULT_SCHEDULER = 'default-scheduler';
const BINDINGS_AT_ONCE = 32;
const BACKOFF_MIN_MS = 1_000;
const BACKOFF_MAX_MS = 10_000;
/** How long an assumed binding stands when the reader does not show it. */
const ASSUMED_MS = 30_000;

export interface SchedulerOptions {
  reader: Reader;
  client: Client;
  clock: Clock;
  record(event: EventDraft): void;
}

interface Waiting {
  attempts: number;
  notBefore: number;
}

const isPending = (pod: Pod): boolean =>
  !pod.spec?.nodeName &&
  !pod.metadata.deletionTimestamp &&
  (pod.spec?.schedulerName ?? DEFAULT_SCHEDULER) === DEFAULT_SCHEDULER &&
  (pod.status?.phase ?? 'Pending') === 'Pending' &&
  !pod.spec?.schedulingGates?.length;

/** Higher priority first, then the older. */
const byPriority = (a: Pod, b: Pod): number =>
  (b.spec?.priority ?? 0) - (a.spec?.priority ?? 0) ||
  (a.metadata.creationTimestamp ?? '').localeCompare(b.metadata.creationTimestamp ?? '');

/**
 * The scheduler of one cluster: takes all waiting pods in a batch, decides on one snapshot, binds concurrently. One run
 * at a time per cluster (the queue's group sees to it); two are safe, because a binding is a compare-and-set.
 */
export const createScheduler = (options: SchedulerOptions) => {
  const { reader, client, clock } = options;
  const assumed = new Map<string, { node: string; until: number }>();
  const waiting = new Map<string, Waiting>();

  const bind = async (pod: Pod, node: string): Promise<void> => {
    const { namespace = '', name = '', uid = '' } = pod.metadata;
    try {
      const response = await client.raw('POST', `/api/v1/namespaces/${namespace}/pods/${name}/binding`, {
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          apiVersion: 'v1',
          kind: 'Binding',
          metadata: { name, namespace, uid },
          target: { apiVersion: 'v1', kind: 'Node', name: node },
        }),
      });
      await response.arrayBuffer();
      waiting.delete(uid);
      const message = `Successfully assigned ${namespace}/${name} to ${node}`;
      options.record({ regarding: pod, type: 'Normal', reason: 'Scheduled', message });
    } catch (error) {
      assumed.delete(uid);
      if (!(error instanceof StatusError) || error.code >= 500) throw error;
    }
  };

  const refuse = async (pod: Pod, message: string): Promise<void> => {
    const { namespace = '', name = '', uid = '' } = pod.metadata;
    const attempts = (waiting.get(uid)?.attempts ?? 0) + 1;
    const backoff = Math.min(BACKOFF_MIN_MS * 2 ** (attempts - 1), BACKOFF_MAX_MS);
    waiting.set(uid, { attempts, notBefore: clock.now() + backoff });
    const old = pod.status?.conditions?.find((c) => c.type === 'PodScheduled');
    if (old?.status === 'False' && old.message === message) return;
    const condition = {
      type: 'PodScheduled',
      status: 'False',
      reason: 'Unschedulable',
      message,
      lastTransitionTime: old?.status === 'False' ? old.lastTransitionTime : timestamp(clock.now()),
      observedGeneration: pod.metadata.generation,
    };
    options.record({ regarding: pod, type: 'Warning', reason: 'FailedScheduling', message });
    const body = { metadata: { uid }, status: { conditions: [condition] } };
    await client.patch(PODS, namespace, name, { type: 'strategic', body }, { subresource: 'status' }).catch((error) => {
      if (!(error instanceof StatusError) || error.code >= 500) throw error;
    });
  };

  const snapshot = async (pods: readonly Pod[]): Promise<Snapshot> => {
    const now = clock.now();
    for (const pod of pods) if (pod.spec?.nodeName) assumed.delete(pod.metadata.uid ?? '');
    for (const [uid, a] of assumed) if (a.until < now) assumed.delete(uid);
    return snapshotOf(await reader.list<Node>(NODES), pods, new Map([...assumed].map(([uid, a]) => [uid, a.node])));
  };

  /** Tries every waiting pod once; returns after how many milliseconds to look again, if any still waits. */
  const run = async (): Promise<number | undefined> => {
    const pods = await reader.list<Pod>(PODS);
    const now = clock.now();
    const live = new Set(pods.map((p) => p.metadata.uid ?? ''));
    for (const uid of waiting.keys()) if (!live.has(uid)) waiting.delete(uid);
    const pending = pods.filter((p) => isPending(p) && !assumed.has(p.metadata.uid ?? ''));
    const due = pending.filter((p) => (waiting.get(p.metadata.uid ?? '')?.notBefore ?? 0) <= now).sort(byPriority);
    if (due.length > 0) await attempt(due, await snapshot(pods));
    const times = [...waiting.values()].map((w) => w.notBefore);
    return times.length > 0 ? Math.max(50, Math.min(...times) - clock.now()) : undefined;
  };

  const attempt = async (due: readonly Pod[], view: Snapshot): Promise<void> => {
    const work: (() => Promise<void>)[] = [];
    for (const pod of due) {
      const info = podInfoOf(pod);
      const decision = decide(info, view, clock.random());
      if (decision.type === 'unschedulable') {
        work.push(() => refuse(pod, decision.message));
        continue;
      }
      const node = view.byName.get(decision.node);
      if (node) place(node, info);
      assumed.set(pod.metadata.uid ?? '', { node: decision.node, until: clock.now() + ASSUMED_MS });
      work.push(() => bind(pod, decision.node));
    }
    const worker = async () => {
      for (let task = work.shift(); task; task = work.shift()) await task();
    };
    await Promise.all(Array.from({ length: BINDINGS_AT_ONCE }, worker));
  };

  return { run };
};
export type Scheduler = ReturnType<typeof createScheduler>;
