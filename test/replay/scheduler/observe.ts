import type { Pod } from '../../../functions/machinery/kinds.d.ts';
import type { Decision } from '../../../functions/scheduler/decide.ts';
import type { World } from './world.ts';

/** What the recording says of one pod; see test/behaviour/README.md. */
export interface PodOutcome {
  outcome?: string;
  node?: string;
  oneOf?: string[];
  byScore?: boolean;
  /** Ours: no other node was feasible. */
  alone?: true;
  feasible?: string[];
  scores?: Record<string, Record<string, number>>;
  reasons?: Record<string, number>;
  preFilter?: string;
  postFilter?: string;
  preemption?: Record<string, number | string>;
  nominated?: string;
  victims?: string[];
  first?: PodOutcome;
  retried?: boolean;
}

const countsOf = (text: string): Record<string, number> | undefined => {
  const out: Record<string, number> = {};
  for (const part of text.split(', ')) {
    const [, n, reason] = /^(\d+) (.+)$/.exec(part) ?? [];
    if (!n || !reason) return undefined;
    out[reason] = Number(n);
  }
  return out;
};

/** Takes the message of a PodScheduled condition apart. */
export const parseMessage = (message: string): PodOutcome => {
  const [head = '', preemption] = message.split(' preemption: ');
  const [, body = ''] = /^0\/\d+ nodes are available: (.*)$/.exec(head) ?? [];
  const counted = countsOf(body.replace(/\.$/, ''));
  const out: PodOutcome = counted ? { reasons: counted } : { reasons: {} };
  if (!counted && body) {
    const at = body.lastIndexOf('. ');
    out.preFilter = body.slice(0, at);
    out.postFilter = body.slice(at + 2);
  }
  if (preemption !== undefined) {
    const [, nodes] = /^0\/\d+ nodes are available: (.*)\.$/.exec(preemption) ?? [];
    out.preemption = (nodes && countsOf(nodes)) || { message: preemption.replace(/\.$/, '') };
  }
  return out;
};

const unplaced = (pod: Pod): PodOutcome => {
  const condition = pod.status?.conditions?.find((c) => c.type === 'PodScheduled');
  const out: PodOutcome =
    condition?.status === 'False' && condition.reason === 'Unschedulable'
      ? { outcome: 'unschedulable', ...parseMessage(condition.message ?? '') }
      : { outcome: 'pending' };
  if (pod.status?.nominatedNodeName) out.nominated = pod.status.nominatedNodeName;
  return out;
};

const scoresOf = (decision: Decision | undefined): PodOutcome => {
  if (decision?.type !== 'bind') return {};
  if (decision.feasible.length === 1) return { alone: true };
  const scores: Record<string, Record<string, number>> = {};
  for (const [node, plugins] of decision.totals) {
    const shown = [...plugins].filter(([, score]) => score !== 0);
    const total = shown.reduce((sum, [, score]) => sum + score, 0);
    scores[node] = Object.fromEntries([...shown, ['total', total]]);
  }
  const best = Math.max(...Object.values(scores).map((s) => s.total ?? 0));
  const top = Object.keys(scores).filter((n) => scores[n]?.total === best);
  const feasible = Object.keys(scores).sort();
  return top.length > 1 ? { oneOf: top.sort(), feasible, scores } : { byScore: true, feasible, scores };
};

/** A pod as it is now, in the words of the recording. */
export const observePod = (world: World, name: string): PodOutcome => {
  const pod = world.pods().find((p) => p.metadata.name === name);
  if (!pod) return { outcome: 'evicted' };
  if (pod.metadata.deletionTimestamp) return { outcome: 'terminating' };
  const victims = world.evicted.filter((e) => e.by === name).map((e) => e.victim);
  const shared: PodOutcome = victims.length > 0 ? { victims: victims.sort() } : {};
  const first = world.firsts.get(name);
  if (pod.spec?.nodeName) {
    if (first) shared.first = unplaced(first);
    return { outcome: 'bound', node: pod.spec.nodeName, ...scoresOf(world.decisions.get(name)), ...shared };
  }
  if (pod.spec?.schedulingGates?.length) return { outcome: 'gated', ...shared };
  return { ...unplaced(pod), ...shared };
};
